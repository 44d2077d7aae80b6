import { Recent } from "./recent.ts";

/** The messages of which a person was told something. */
export class Told {
  readonly #messages = new Recent<string, true>(1_000);

  /** Whether this is the first time. A mention comes as two events, and neither is known where the store is away. */
  isFirst(message: string): boolean {
    const isFirst = !this.#messages.has(message);
    this.#messages.set(message, true);
    return isFirst;
  }
}
