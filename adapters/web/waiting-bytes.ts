import type { Settings } from "./options.ts";
import { Refusal } from "./refusal.ts";

type Limits = Pick<Settings, "maxPersonBytes" | "maxBytes">;

/** The bytes of one message, from their arrival until its turn has ended. */
export interface Room {
  /** @throws {Refusal} 429 when too much of the person waits, 503 when too much of all people does */
  add(bytes: number): void;
  /** More than once does no harm. */
  free(): void;
}

/** Bounds what messages and their files take of memory while they arrive, wait and run. */
export class WaitingBytes {
  readonly #limits: Limits;
  readonly #persons = new Map<string, number>();
  #all = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  room(person: string): Room {
    let size = 0;
    return {
      add: (bytes) => {
        const { maxPersonBytes, maxBytes } = this.#limits;
        const own = (this.#persons.get(person) ?? 0) + bytes;
        if (own > maxPersonBytes) {
          throw new Refusal("full", (texts) => texts("full"), {
            "retry-after": "10",
          });
        }
        if (this.#all + bytes > maxBytes) {
          throw new Refusal("overloaded", (texts) => texts("overloaded"), {
            "retry-after": "5",
          });
        }
        this.#persons.set(person, own);
        this.#all += bytes;
        size += bytes;
      },
      free: () => {
        const left = (this.#persons.get(person) ?? 0) - size;
        if (left > 0) this.#persons.set(person, left);
        else this.#persons.delete(person);
        this.#all -= size;
        size = 0;
      },
    };
  }
}
