import { AparteError } from "../../errors.ts";
import { aborted, type Deadline, pause, unsentCodes } from "../http/deadline.ts";
import { CozeFailure, type FailureFacts, refusal } from "./failure.ts";
import { type Fields, fieldsOf, numberOf, parsed, textOf } from "./wire.ts";

/** How often a request that may be repeated is repeated. */
const repeats = 3;

/** The longest pause between two tries that we make, or that a `Retry-After` can make us wait. */
const longestPauseMs = 8000;

/** What became of a request that threw: aborted by the caller, too late, or lost on the way. */
export function lost(error: unknown, outer: AbortSignal, deadline: Deadline): AparteError {
  if (error instanceof AparteError) return error;
  if (outer.aborted) return aborted(outer);
  if (deadline.isOver) {
    const certainty = { mayHaveRun: true, passing: true };
    return new CozeFailure("backend-timeout", "no answer came in time", certainty, { cause: error });
  }
  const sent = !unsentCodes.has(String(fieldsOf(fieldsOf(error).cause).code));
  const what = sent
    ? "the connection broke before the answer was whole"
    : "the service cannot be reached; check the network and baseURL";
  return new CozeFailure("backend-unavailable", what, { mayHaveRun: sent, passing: true }, { cause: error });
}

/**
 * Repeats what failed for now, with growing pauses.
 * @param isHarmless a repeat does no harm even if the request was carried out. Otherwise it is repeated only
 *   where it certainly was not.
 */
export async function repeating<T>(
  send: () => Promise<T>,
  { isHarmless, retryDelay, signal }: { isHarmless: boolean; retryDelay: number; signal: AbortSignal },
): Promise<T> {
  for (let failed = 0; ; failed++) {
    try {
      return await send();
    } catch (error) {
      const again = error instanceof CozeFailure && error.passing && (isHarmless || !error.mayHaveRun);
      if (!again || failed === repeats) throw error;
      // Spread, so that the many who were refused together do not come back together.
      const ownPause = retryDelay * 2 ** failed * (0.5 + Math.random() / 2);
      const asked = error.retryAfterMs ?? 0;
      if (asked > longestPauseMs) throw error;
      await pause(Math.min(Math.max(ownPause, asked), longestPauseMs), signal);
    }
  }
}

/** An answer's body, as far as it is an object. */
export async function readBody(response: Response): Promise<Fields> {
  return fieldsOf(parsed(await response.text()));
}

/**
 * The whole answer where it is Coze's and tells of success.
 * @throws {CozeFailure}
 */
export async function readAnswer(
  response: Response,
  failureOf: (facts: FailureFacts) => CozeFailure = refusal,
): Promise<Fields> {
  const body = await readBody(response);
  const number = numberOf(body.code);
  // The cancel call's documented answer has no code.
  if (response.ok && (number === 0 || (number === undefined && "data" in body))) return body;
  throw failureOf({
    number: number === 0 ? undefined : number,
    status: response.status,
    words: textOf(body.msg),
    logid: logidOf(response, body),
    retryAfterMs: retryAfterOf(response),
  });
}

export function logidOf(response: Response, body: Fields): string | undefined {
  return textOf(fieldsOf(body.detail).logid) || response.headers.get("x-tt-logid") || undefined;
}

/** `Retry-After` in seconds or as a date. */
export function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
