/** How many messages are remembered. */
const limit = 1_000;

/** The messages of which the person was told that they were not taken. */
export class Told {
  readonly #messages = new Set<string>();

  /** Whether this is the first time. A mention comes as two events, and neither is known where the store is away. */
  isFirst(message: string): boolean {
    if (this.#messages.has(message)) return false;
    this.#messages.add(message);
    const [oldest] = this.#messages;
    if (this.#messages.size > limit && oldest !== undefined) this.#messages.delete(oldest);
    return true;
  }
}
