/** An error as the service tells it: a code and a message in the JSON envelope, mostly at HTTP 200. */
export class Refusal extends Error {
  readonly code: number;
  readonly status: number;

  constructor(code: number, message: string, status = 200) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The token endpoint answers without the envelope, in OAuth's manner. */
export class TokenRefusal extends Error {
  readonly errorCode: string;
  readonly status: number;

  constructor(errorCode: string, message: string, status: number) {
    super(message);
    this.errorCode = errorCode;
    this.status = status;
  }
}

/** What a request may say about itself and its connection. */
export interface Call {
  readonly request: Request;
  /** The named parts of the route's path, e.g. `{ id: "75…" }`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Sends what is written so far, then breaks the connection. */
  cut(): void;
  /** What a queued fault wants of this request's stream. */
  readonly streamFault: StreamFault;
}

/** How a stream goes wrong. */
export interface StreamFault {
  readonly cut?: number;
  readonly hangAfter?: number;
  readonly errorEvent?: { readonly after: number; readonly data: string };
  readonly chatFailed?: { readonly code: number; readonly msg: string };
}

/** What a handler gives back: fields of the envelope, or a whole response (streams, the token endpoint). */
export type Answer = { readonly [field: string]: unknown } | Response;

export type Handler = (call: Call) => Promise<Answer> | Answer;

export interface Route {
  readonly method: string;
  /** Literal parts and `:name` parts, e.g. `/v1/conversations/:id/clear`. */
  readonly path: string;
  readonly handle: Handler;
}

/** A Unix time as the service writes it. */
export function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
