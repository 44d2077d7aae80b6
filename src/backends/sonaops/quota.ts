import type { Logger } from "../../logger.ts";
import { refusedForGood, ServiceFailure } from "../http/failure.ts";

/** What the operator is told when the API key has used up its calls. */
export interface SonaopsQuotaNotice {
  readonly agentId: string;
  /** How long nothing is sent, in milliseconds. */
  readonly pauseMs: number;
  /** The service's own id for the refused request. */
  readonly traceId: string | undefined;
}

export interface QuotaBreakerOptions {
  readonly agentId: string;
  readonly pauseMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly onQuota: ((notice: SonaopsQuotaNotice) => void) | undefined;
}

/**
 * Stops all calls for a while once the key's calls are used up: the cap is on the total, so asking again before
 * somebody has topped it up is of no use to anyone.
 */
export class QuotaBreaker {
  readonly #options: QuotaBreakerOptions;
  #closedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: QuotaBreakerOptions) {
    this.#options = options;
  }

  /** @throws {ServiceFailure} `backend-quota` while nothing may be sent. */
  check(): void {
    const leftMs = this.#closedUntil - this.#options.now();
    if (leftMs <= 0) return;
    throw new ServiceFailure(
      "backend-quota",
      "Sonaops: the API key has used up its calls, so nothing is sent for now; have it topped up or take another key",
      refusedForGood,
      { retryAfterMs: leftMs },
    );
  }

  /** Stops all calls, and tells the operator once for all calls that were under way. */
  trip(traceId: string | undefined): void {
    const { agentId, pauseMs, now, logger, onQuota } = this.#options;
    const wasClosed = this.#closedUntil > now();
    this.#closedUntil = now() + pauseMs;
    if (wasClosed) return;
    logger.error("Sonaops: the API key has used up its calls. Nothing is sent for a while.", {
      agentId,
      pauseMs,
      traceId,
    });
    try {
      onQuota?.({ agentId, pauseMs, traceId });
    } catch {
      // The turn's own error counts.
      logger.error("Sonaops: the function onQuota failed.");
    }
  }
}
