/** The end of a sentence or a line: with less than that a draft does not begin, since a notification shows no more. */
const sentenceEnd = /[.!?…:]["'”’)\]*_]*\s|[。！？]|\n/;

/** Decides when a draft is worth a notification. */
export class FirstWords {
  readonly #longestWait: number;
  readonly #lookAgain: () => void;
  /** When there was something to show first, of `performance.now()`. */
  #since: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param longestWait for the end of the first sentence, in milliseconds
   * @param lookAgain called when that is over
   */
  constructor(longestWait: number, lookAgain: () => void) {
    this.#longestWait = longestWait;
    this.#lookAgain = lookAgain;
  }

  areEnough(text: string): boolean {
    if (sentenceEnd.test(text)) return true;
    const now = performance.now();
    this.#since ??= now;
    if (now - this.#since >= this.#longestWait) return true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#lookAgain();
    }, this.#longestWait);
    return false;
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
