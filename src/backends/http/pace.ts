import { setTimeout as pause } from "node:timers/promises";
import { AparteError } from "../../errors.ts";
import type { Rates } from "../../stores/store.ts";

/** How long a request may be held back, in milliseconds. */
const longestWait = 10_000;

/**
 * Waits until a request is within its rate.
 * @param key of whoever pays for the requests; it holds no secret
 * @param perSecond how many there may be in a second
 * @throws {AparteError} `backend-rate-limited` when that would take too long
 */
export async function pace(rates: Rates, key: string, perSecond: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + longestWait;
  for (;;) {
    const waitMs = await rates.take(key, perSecond, 1_000);
    if (waitMs === 0) return;
    if (performance.now() + waitMs > end) {
      throw new AparteError(
        "backend-rate-limited",
        "More requests are waiting than the agent's rate lets through.",
        {
          retryAfterMs: waitMs,
        },
      );
    }
    // Spread over a little time: otherwise all that wait would ask at the same moment.
    await pause(waitMs + Math.random() * 50, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
