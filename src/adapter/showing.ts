import { setTimeout as pause } from "node:timers/promises";
import type { Delivery } from "../turn/delivery.ts";
import type { DeliveryFailure } from "./adapter.ts";

/** The shortest pause before a call that was one too many, in milliseconds. The platform says how long it should be. */
const minWaitMs = 100;

/** The longest such pause: a longer one is the mapper's to wait, which leaves the answer to others if it closes. */
const maxWaitMs = 15_000;

/** One call that brings the platform nearer to what it is to show. */
export interface ShowingStep {
  /**
   * Resolves when there is room for the call, with true; with false where it has not got any. What is to be shown is
   * looked at again by then.
   * @param complete aborted when the reply is complete
   */
  readonly room?: ((complete: AbortSignal) => Promise<boolean>) | undefined;
  /** @param permission aborted when another process goes on with the reply */
  call(permission: AbortSignal): Promise<unknown>;
}

/** What is shown, and where. */
export interface ShowingOptions {
  readonly delivery: Delivery;
  /** The next call; undefined when the platform shows what there is. */
  next(isComplete: boolean): ShowingStep | undefined;
  /** The adapter's `failure`. */
  failure(error: unknown): DeliveryFailure;
}

/**
 * Makes a platform show a reply that grows. One call at a time is under way; when it is done, what the platform shows is
 * compared with what it should show by now. So a text that was overtaken is never sent.
 */
export class Showing {
  readonly #options: ShowingOptions;
  readonly #complete = new AbortController();
  #running: Promise<void> | undefined;
  #isRunning = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: ShowingOptions) {
    this.#options = options;
  }

  /** There is more to show. Shown in the background; what cannot be shown now is left to {@link Showing.finish}. */
  changed(): void {
    if (this.#failure === undefined && !this.#isRunning) this.#running = this.#catchUp();
  }

  /** The reply is complete: resolves when all of it is shown. Rejects with the platform's error when it cannot be. */
  async finish(): Promise<void> {
    this.#complete.abort();
    await this.#running;
    if (this.#failure === undefined || this.#options.failure(this.#failure.error).passes) {
      this.#failure = undefined;
      await this.#catchUp();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #catchUp(): Promise<void> {
    const { delivery, next, failure } = this.#options;
    const { signal } = this.#complete;
    this.#isRunning = true;
    let hasRoom = false;
    while (this.#failure === undefined) {
      const step = next(signal.aborted);
      if (step === undefined) break;
      if (step.room !== undefined && !hasRoom) {
        hasRoom = await step.room(signal);
        continue;
      }
      hasRoom = false;
      try {
        await step.call(await delivery.permit());
      } catch (error) {
        // However many people ask at once, their answers must not be lost for one call too many.
        const { retryAfterMs } = failure(error);
        if (retryAfterMs !== undefined && retryAfterMs <= maxWaitMs)
          await pause(Math.max(retryAfterMs, minWaitMs));
        else this.#failure = { error };
      }
    }
    this.#isRunning = false;
  }
}
