import type { Random } from "./random.ts";

/** How a call fails: whether it was carried out before, and what the caller sees. */
export interface Failure {
  readonly isCarriedOut: boolean;
  readonly is: "reset" | 500 | 503;
}

/** Whether a platform is away, and how. */
export class Outage {
  isOn = false;
  failures = 0;
  readonly #random: Random;
  readonly #mayCarryOut: boolean;

  /** @param mayCarryOut whether it may do what it was asked to and not say so */
  constructor(random: Random, mayCarryOut: boolean) {
    this.#random = random;
    this.#mayCarryOut = mayCarryOut;
  }

  /** What happens to the next call. Now and then one goes through, as when a service is overloaded. */
  next(): Failure | undefined {
    if (!this.isOn || this.#random.chance(0.1)) return undefined;
    this.failures += 1;
    return {
      isCarriedOut: this.#mayCarryOut && this.#random.chance(0.2),
      is: this.#random.pick<Failure["is"]>(["reset", 500, 503]),
    };
  }
}
