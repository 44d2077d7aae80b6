/** How many replies in a row must have been refused before a feature counts as missing, and for how long, in milliseconds. */
const refusals = 3;
const missingTime = 600_000;

/** Something of Slack that a workspace may not have, as its refusals tell. */
export class Feature {
  #refusals = 0;
  #missingUntil: number;

  constructor(isWanted: boolean) {
    this.#missingUntil = isWanted ? 0 : Number.POSITIVE_INFINITY;
  }

  get isThere(): boolean {
    return performance.now() >= this.#missingUntil;
  }

  worked(): void {
    this.#refusals = 0;
  }

  /** @param isCertain whether Slack refused the feature itself; it may also have refused what one reply says */
  refused(isCertain: boolean): void {
    this.#refusals += 1;
    if (!isCertain && this.#refusals < refusals) return;
    this.#refusals = 0;
    this.#missingUntil = Math.max(this.#missingUntil, performance.now() + missingTime);
  }
}
