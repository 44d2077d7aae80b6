import type { Clock } from "../clock.ts";
import type { StopReason } from "../lane/place.ts";

/** How long what runs in a turn may take to end cleanly after it was stopped, in milliseconds. */
const graceMs = 5_000;

/** Whether a turn must stop, and why. */
export class Stop {
  /** Resolves when the turn is stopped. */
  readonly stopped: Promise<void>;
  #resolveStopped = () => {};
  #reason: StopReason | undefined;
  #controller: AbortController | undefined;
  /** How much is under way of which it must be known what became of it, before anybody stops the turn. */
  #holds = 0;
  #afterHolds: StopReason | undefined;

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
  }

  get reason(): StopReason | undefined {
    return this.#reason;
  }

  /** Aborted with the reason. Made for whoever asks for it: one costs as much as the rest of a turn. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  throwIfStopped(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** Stops the turn. What somebody wants waits for what is held; a time limit or a lost lane does not. */
  stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    if (this.#holds > 0 && typeof reason === "string") {
      this.#afterHolds ??= reason;
      return;
    }
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#resolveStopped();
  }

  hold(): void {
    this.#holds += 1;
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0 && this.#afterHolds !== undefined) this.stop(this.#afterHolds);
  }

  async holding<T>(run: () => Promise<T>): Promise<T> {
    this.hold();
    try {
      return await run();
    } finally {
      this.release();
    }
  }

  /** Rejects a while after the turn was stopped, if the work has not ended by then. */
  async withGrace(work: Promise<void>, clock: Clock): Promise<void> {
    let cancel = () => {};
    let isOver = false;
    const overdue = new Promise<never>((_, reject) => {
      void this.stopped.then(() => {
        if (!isOver) cancel = clock.after(graceMs, () => reject(this.#reason));
      });
    });
    try {
      await Promise.race([work, overdue]);
    } finally {
      isOver = true;
      cancel();
    }
  }
}

const itsStop = Symbol("stop");

/**
 * One getter for all objects: with one of its own, each would be of a shape of its own, which V8 keeps, and all that the
 * getter knows with it, until a full collection.
 */
const lazySignal = {
  enumerable: true,
  get(this: { readonly [itsStop]: Stop }) {
    return this[itsStop].signal;
  },
};

/** The fields, and the signal of a turn's stop, which is made when somebody looks at it. */
export function withSignal<T extends object>(stop: Stop, fields: T): T & { readonly signal: AbortSignal } {
  return Object.defineProperties(fields, { [itsStop]: { value: stop }, signal: lazySignal }) as never;
}
