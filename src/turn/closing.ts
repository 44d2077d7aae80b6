import { AparteError } from "../errors.ts";

/** How a mapper closes: what it takes no more, what it leaves to other processes, and what it waits for. */
export class Closing {
  #isClosed = false;
  #isBegun = false;
  #isOver = false;
  readonly #waiting = new Set<() => void>();
  /** How many turns and operations were taken and have not ended. */
  #underWay = 0;
  #drained = () => {};

  /** Whether answers that their platforms do not take are left to other processes. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** @param isDurable whether the store keeps for others what is left */
  begin(isDurable: boolean): void {
    this.#isClosed = true;
    if (!isDurable) return;
    this.#isBegun = true;
    for (const wake of this.#waiting) wake();
  }

  /** Calls `wake` once when it begins. @returns takes it back */
  watch(wake: () => void): () => void {
    if (this.#isBegun) wake();
    else this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /**
   * @param isDelivered whether an adapter delivers the reply, in whichever process: a durable store keeps for others what
   * comes while the mapper closes
   * @throws {AparteError} `closed`
   */
  assertOpen(isDelivered = false): void {
    if (!this.#isClosed || (isDelivered && this.#isBegun && !this.#isOver)) return;
    throw new AparteError("closed", "The mapper is closing and takes nothing new.");
  }

  /** From now on nothing can be left to others either. */
  end(): void {
    this.#isOver = true;
  }

  /** Has it waited for. What fails is told by the reply, or to the operation's caller. */
  track(work: Promise<unknown>): void {
    this.#underWay += 1;
    const ended = () => {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#drained();
    };
    work.then(ended, ended);
  }

  /** Resolves when nothing is under way any more. */
  async drained(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }
}
