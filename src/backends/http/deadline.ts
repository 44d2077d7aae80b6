import { setTimeout as delay } from "node:timers/promises";
import { AparteError } from "../../errors.ts";

/** A time limit on top of a caller's signal. End it in `finally`, so that it leaves the caller's signal. */
export class Deadline {
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #follow = (): void => this.#controller.abort(this.#outer.reason);
  /** Whether the time ran out, and not the caller's patience. */
  isOver = false;

  constructor(outer: AbortSignal, ms: number) {
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#controller.abort(new DOMException("The time ran out.", "TimeoutError"));
    }, ms);
    if (outer.aborted) this.#follow();
    else outer.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts the time anew. */
  restart(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#follow);
  }

  /** Ends what runs under this deadline, too. */
  abort(): void {
    this.end();
    this.#controller.abort();
  }
}

/** The error of a call whose signal was aborted: the caller's own reason where it is one of aparte's. */
export function aborted(signal: AbortSignal): AparteError {
  const reason: unknown = signal.reason;
  if (reason instanceof AparteError) return reason;
  const isTimeout = reason instanceof Error && reason.name === "TimeoutError";
  return isTimeout
    ? new AparteError("turn-timeout", "The call was not done when its time ran out.", { cause: reason })
    : new AparteError("stopped", "The call was cancelled.", { cause: reason });
}

/**
 * Waits so many milliseconds.
 * @throws {AparteError} when `signal` is aborted
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    throw aborted(signal);
  }
}
