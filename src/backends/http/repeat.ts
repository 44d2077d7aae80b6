import { pause } from "./deadline.ts";
import { ServiceFailure } from "./failure.ts";

/** How a request is repeated. */
export interface RepeatOptions {
  /** A repeat does no harm even if the request was carried out. Otherwise it is repeated only where it certainly was not. */
  readonly isHarmless: boolean;
  /** The first pause, in milliseconds; doubled each time. */
  readonly retryDelay: number;
  readonly signal: AbortSignal;
  /** How often it is repeated. @default 3 */
  readonly repeats?: number;
  /** The longest pause that we make, or that a `Retry-After` can make us wait, in milliseconds. @default 8000 */
  readonly longestPause?: number;
}

/** Repeats what failed for now, with growing pauses. */
export async function repeating<T>(
  send: () => Promise<T>,
  { isHarmless, retryDelay, signal, repeats = 3, longestPause = 8000 }: RepeatOptions,
): Promise<T> {
  for (let failed = 0; ; failed++) {
    try {
      return await send();
    } catch (error) {
      const again = error instanceof ServiceFailure && error.isPassing && (isHarmless || !error.mayHaveRun);
      if (!again || failed === repeats) throw error;
      // Spread, so that the many who were refused together do not come back together.
      const ownPause = retryDelay * 2 ** failed * (0.5 + Math.random() / 2);
      const asked = error.retryAfterMs ?? 0;
      if (asked > longestPause) throw error;
      await pause(Math.min(Math.max(ownPause, asked), longestPause), signal);
    }
  }
}

/** `Retry-After` in seconds or as a date, in milliseconds from now. */
export function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
