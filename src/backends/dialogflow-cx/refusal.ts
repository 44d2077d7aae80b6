import type { AparteErrorCode } from "../../errors.ts";
import { ranPerhaps, refusedForNow, ServiceFailure } from "../http/failure.ts";

/** What the service says in place of an answer: a gRPC status, over REST with an HTTP status beside it. */
export interface Refusal {
  readonly httpStatus: number;
  /** gRPC's name of the status, e.g. `"RESOURCE_EXHAUSTED"`. */
  readonly status: string;
  /** The service's own words. They may quote what the person said. */
  readonly words: string | undefined;
  readonly retryAfterMs?: number;
  readonly requestId?: string;
  /** The quota that is used up is one of a whole day: waiting a few seconds does not help. */
  readonly isDailyQuota: boolean;
}

interface Meaning {
  readonly code: AparteErrorCode;
  readonly text: string;
}

/**
 * What each status means for a turn. UNAVAILABLE, INTERNAL, UNKNOWN and DEADLINE_EXCEEDED leave open whether
 * the turn ran, and a second run would move the person's page twice: their codes say "do not repeat".
 */
const meanings: Readonly<Record<string, Meaning>> = {
  INVALID_ARGUMENT: {
    code: "backend-rejected",
    text: "Check the language code, and that the agent's location is the one of the address",
  },
  FAILED_PRECONDITION: {
    code: "backend-rejected",
    text: "The agent is not in a state to answer; check it in the console",
  },
  OUT_OF_RANGE: { code: "backend-rejected", text: "A value is out of range" },
  NOT_FOUND: {
    code: "backend-rejected",
    text: "There is no such agent or environment at this address; check agent, environment, location and baseURL",
  },
  ALREADY_EXISTS: { code: "backend-rejected", text: "It exists already" },
  UNAUTHENTICATED: {
    code: "backend-auth",
    text: "The credentials are not accepted; check the key and this machine's clock",
  },
  PERMISSION_DENIED: {
    code: "backend-auth",
    text: 'The credentials lack the right; give the account the role "Dialogflow API Client" in the agent\'s project',
  },
  RESOURCE_EXHAUSTED: {
    code: "backend-rate-limited",
    text: "The project's quota is used up for now; wait, or ask Google for more",
  },
  ABORTED: { code: "conversation-busy", text: "Another request got in the way; ask again" },
  CANCELLED: { code: "backend-failed", text: "The request was cancelled there" },
  UNIMPLEMENTED: { code: "backend-unsupported", text: "The service does not offer this call here" },
  DEADLINE_EXCEEDED: {
    code: "backend-timeout",
    text: "The agent or its webhook took too long; whether the turn ran is not known",
  },
  UNAVAILABLE: {
    code: "backend-failed",
    text: "The service is not available; whether the turn ran is not known",
  },
  INTERNAL: { code: "backend-failed", text: "The service failed; whether the turn ran is not known" },
  UNKNOWN: { code: "backend-failed", text: "The service failed; whether the turn ran is not known" },
  DATA_LOSS: { code: "backend-failed", text: "The service failed; whether the turn ran is not known" },
};

/** For answers that did not come from the service itself but from something before it. */
const statusOfHttp: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  413: "OUT_OF_RANGE",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/** Reads an error answer, also one inside a list: so are a stream's. */
export function readRefusal(httpStatus: number, body: unknown, retryAfter: string | null = null): Refusal {
  const error = errorOf(Array.isArray(body) ? body[0] : body);
  const details = Array.isArray(error?.details) ? error.details.filter(isObject) : [];
  const named = error?.status;
  const status =
    typeof named === "string" && Object.hasOwn(meanings, named) ? named : statusOfHttp[httpStatus];
  const words = error?.message;
  const retryAfterMs = readSeconds(retryAfter) ?? readSeconds(find(details, "retryDelay"));
  const requestId = find(details, "requestId");
  return {
    httpStatus,
    status: status ?? (httpStatus >= 500 ? "UNKNOWN" : "INVALID_ARGUMENT"),
    words: typeof words === "string" ? words : undefined,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(typeof requestId === "string" ? { requestId } : {}),
    isDailyQuota: details.some(
      ({ metadata }) => isObject(metadata) && /^1\/d\b/.test(String(metadata.quota_unit)),
    ),
  };
}

/** The error that a stream may carry in place of an element. */
export function refusalIn(element: unknown): Refusal | undefined {
  const error = errorOf(element);
  if (error === undefined) return undefined;
  const { code } = error;
  return readRefusal(typeof code === "number" ? code : 500, element);
}

export function refusalError(refusal: Refusal): ServiceFailure {
  const { status, httpStatus, words, retryAfterMs, requestId: traceId, isDailyQuota } = refusal;
  const { code, text } = meanings[status] ?? { code: "backend-failed", text: "The service failed" };
  const isOverRate = status === "RESOURCE_EXHAUSTED" && !isDailyQuota;
  return new ServiceFailure(
    status === "RESOURCE_EXHAUSTED" && isDailyQuota ? "backend-quota" : code,
    `Dialogflow answered ${status} (HTTP ${httpStatus}). ${text}`,
    // Nothing else is sent again: some leave open whether the turn ran, and the others would be refused again.
    isOverRate ? refusedForNow : ranPerhaps,
    { words, retryAfterMs, traceId },
  );
}

type Fields = Readonly<Record<string, unknown>>;

function errorOf(body: unknown): Fields | undefined {
  return isObject(body) && isObject(body.error) ? body.error : undefined;
}

function find(details: readonly Fields[], name: string): unknown {
  return details.find((detail) => name in detail)?.[name];
}

/** `Retry-After: 30`, or a Duration such as `"30s"`. A date is left out: the clocks may differ. */
function readSeconds(value: unknown): number | undefined {
  const seconds = typeof value === "string" ? /^(\d+(?:\.\d+)?)s?$/.exec(value.trim())?.[1] : undefined;
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
