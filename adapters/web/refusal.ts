import { AparteError, type AparteErrorCode, type Logger } from "aparte";
import { failureText, type Texts } from "aparte/adapter";

/** Every `error.code` that a response can carry: the core's, and those of HTTP itself. */
export type WebErrorCode = AparteErrorCode | keyof typeof statuses;

/** What HTTP itself is refused for, and turns that are not taken. */
const statuses = {
  unauthenticated: 401,
  forbidden: 403,
  "foreign-origin": 403,
  "not-found": 404,
  "method-not-allowed": 405,
  busy: 409,
  duplicate: 409,
  "too-large": 413,
  "type-unsupported": 415,
  full: 429,
  limited: 429,
  internal: 500,
  "authentication-unavailable": 503,
  overloaded: 503,
} as const;

const statusOf: { readonly [Code in AparteErrorCode]: number } = {
  "option-invalid": 500,
  "input-invalid": 400,
  "file-too-large": 413,
  "agent-unknown": 400,
  "store-failed": 503,
  "store-timeout": 503,
  "lease-lost": 409,
  "wait-timeout": 503,
  "turn-timeout": 504,
  stopped: 409,
  "turn-over": 409,
  busy: 409,
  full: 429,
  limited: 429,
  duplicate: 409,
  paused: 409,
  "no-answer": 502,
  "hook-failed": 500,
  "store-unreadable": 500,
  "answer-lost": 503,
  "backend-auth": 502,
  "backend-rejected": 502,
  "backend-refused-content": 422,
  "backend-rate-limited": 429,
  "backend-quota": 429,
  "backend-unavailable": 503,
  "backend-timeout": 504,
  "backend-stream-cut": 502,
  "backend-failed": 502,
  "backend-protocol": 502,
  "backend-unsupported": 501,
  "action-required": 502,
  "conversation-lost": 409,
  "conversation-busy": 409,
  closed: 503,
};

/** What a response says of a failure. */
export interface FailureBody {
  readonly error: {
    readonly code: WebErrorCode;
    /** For the person. */
    readonly message: string;
    /** Found in the log. */
    readonly reference: string;
    /** The field or header that is wrong. */
    readonly field?: string;
  };
}

/** A request that is not answered, and the response that says why. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: keyof typeof statuses;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Found in the log. */
  readonly reference: string = newReference();
  /** What the person reads. */
  readonly say: (texts: Texts) => string;

  /** @param say what the person reads, or the sentence in their language */
  constructor(
    code: keyof typeof statuses,
    say: string | ((texts: Texts) => string),
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(`The request was refused: ${code}.`);
    this.code = code;
    this.status = statuses[code];
    this.headers = headers;
    this.say = typeof say === "string" ? () => say : say;
  }
}

/** A field of the request is wrong: 400. */
export function fieldInvalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Field "${field}" ${problem}.`, { field });
}

/** What a person's client is told of a failure; never the cause. */
export function failureBody(error: unknown, texts: Texts): FailureBody {
  if (error instanceof AparteError) {
    const { code, reference, field } = error;
    const message = failureText(error, texts);
    return { error: { code, message, reference, ...(field === undefined ? {} : { field }) } };
  }
  const { code, say, reference } = error instanceof Refusal ? error : internal();
  return { error: { code, message: say(texts), reference } };
}

/**
 * The response that tells a failure, as the web handler gives it: for a host's own routes beside it.
 * @param logger told of errors that are neither a {@link Refusal} nor an AparteError: nobody else tells those.
 * @param texts in the person's language, from `mapper.texts(speaker)`
 */
export function failureResponse(error: unknown, logger: Pick<Logger, "error">, texts: Texts): Response {
  if (error instanceof AparteError) {
    const { code, retryAfterMs } = error;
    const headers: Record<string, string> =
      retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
    return Response.json(failureBody(error, texts), { status: statusOf[code], headers });
  }
  const refusal = error instanceof Refusal ? error : internal();
  const { status, headers, reference } = refusal;
  if (refusal !== error) logger.error("a web request failed", { ...describe(error), reference });
  return Response.json(failureBody(refusal, texts), { status, headers });
}

/** Of a foreign error only its class: its message may hold anything. */
export function describe(error: unknown): Record<string, unknown> {
  return { error: error instanceof Error ? error.name : typeof error };
}

function internal(): Refusal {
  return new Refusal("internal", (texts) => texts("internal"));
}

function newReference(): string {
  return new AparteError("input-invalid", "").reference;
}
