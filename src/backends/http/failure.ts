import { AparteError, type AparteErrorCode, type AparteErrorOptions } from "../../errors.ts";
import { aborted, type Deadline } from "./deadline.ts";
import { fieldsOf } from "./json.ts";

/** What decides whether a failed request may be repeated. */
export interface Certainty {
  /** The request may have been carried out although no answer says so. */
  readonly mayHaveRun: boolean;
  /** A later repeat may succeed. */
  readonly isPassing: boolean;
}

/** Refused, and it will be again. */
export const refusedForGood: Certainty = { mayHaveRun: false, isPassing: false };
/** Refused before anything ran, and only for now. */
export const refusedForNow: Certainty = { mayHaveRun: false, isPassing: true };
/** Nobody knows whether it ran; a repeat of what does no harm may succeed. */
export const inDoubt: Certainty = { mayHaveRun: true, isPassing: true };
/** It ran, or may have, and a repeat would not help. */
export const ranPerhaps: Certainty = { mayHaveRun: true, isPassing: false };

/** What is known of a failed request beside its code. */
export interface FailureOptions extends Omit<AparteErrorOptions, "traceId" | "retryAfterMs"> {
  /** The service's own words, see {@link serviceWords}. */
  readonly words?: string | undefined;
  readonly traceId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Apart from the errors, so that nothing that prints an error prints them. */
const words = new WeakMap<Error, string>();

/**
 * What the service itself said of the failure that became `error`, where it said anything. It may repeat what the
 * person said: it is in no message and no log of aparte's, and is for whoever looks for a fault.
 */
export function serviceWords(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const found = words.get(at);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A failed request to a service: the public error, and what decides whether the request may be repeated. */
export class ServiceFailure extends AparteError {
  readonly mayHaveRun: boolean;
  readonly isPassing: boolean;

  /** @param what happened, and what to do: the message, without a full stop. */
  constructor(
    code: AparteErrorCode,
    what: string,
    { mayHaveRun, isPassing }: Certainty,
    { words: said, traceId, retryAfterMs, ...options }: FailureOptions = {},
  ) {
    super(code, `${what}.`, {
      ...options,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(traceId === undefined ? {} : { traceId }),
    });
    this.mayHaveRun = mayHaveRun;
    this.isPassing = isPassing;
    if (said !== undefined && said !== "") words.set(this, said);
  }
}

/** These errors come before a byte of the request was sent. */
const unsentCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** These, too; and the next attempt would end the same. */
const untrustedCodes: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** What requests failed with of which no byte was written. */
export const neverSent: WeakSet<Error> = new WeakSet();

/**
 * What became of a request that threw: aborted by the caller, too late, never sent, or lost on the way.
 * @param service its name, for the message
 * @param broken the code for a connection that broke: another one where nothing may invite to a repeat
 */
export function lost(
  error: unknown,
  outer: AbortSignal,
  deadline: Deadline,
  service: string,
  broken: AparteErrorCode = "backend-unavailable",
): AparteError {
  if (error instanceof AparteError) return error;
  if (outer.aborted) return aborted(outer);
  if (deadline.isOver) {
    return new ServiceFailure("backend-timeout", `${service}: no answer came in time`, ranPerhaps, {
      cause: error,
    });
  }
  const { code, message } = fieldsOf(fieldsOf(error).cause);
  if (untrustedCodes.has(String(code))) {
    const what = `${service}: there is no certificate that can be trusted; check baseURL, or name your proxy's in NODE_EXTRA_CA_CERTS`;
    return new ServiceFailure("backend-unavailable", what, refusedForGood, { cause: error });
  }
  // The fetch standard blocks some ports, and Node.js tells it by these words alone.
  if (message === "bad port") {
    const what = `${service}: no request may go to this port; check baseURL`;
    return new ServiceFailure("backend-unavailable", what, refusedForGood, { cause: error });
  }
  if (unsentCodes.has(String(code)) || (error instanceof Error && neverSent.has(error))) {
    const what = `${service}: the service cannot be reached; check the network and baseURL`;
    return new ServiceFailure("backend-unavailable", what, refusedForNow, { cause: error });
  }
  const what = `${service}: the connection broke before the answer was whole`;
  return new ServiceFailure(broken, what, inDoubt, { cause: error });
}
