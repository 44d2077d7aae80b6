import type { Call as KitCall, LoggedRequest } from "../kit/server.ts";
import type { CozeFault } from "./faults.ts";

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

/** A request that came in. No query, no headers and no body: they may hold words and secrets. */
export type CozeRequest = LoggedRequest;

export interface Call extends KitCall<CozeRequest, CozeFault> {
  /** The named parts of the route's path, e.g. `{ id: "75…" }`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Sends what is written so far, then breaks the connection. */
  cut(): void;
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
