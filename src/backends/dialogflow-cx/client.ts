import { setTimeout as sleep } from "node:timers/promises";
import { AparteError, asAparteError } from "../../errors.ts";
import { jsonArray } from "./json-array.ts";
import { type Refusal, readRefusal, refusalError, refusalIn } from "./refusal.ts";
import type { TokenSource } from "./token.ts";

export interface ClientOptions {
  readonly baseURL: string;
  readonly tokens: TokenSource;
  /** Charged for the call, where the token belongs to no project. */
  readonly quotaProject: string | undefined;
  readonly fetch: typeof fetch;
  /** The longest a whole call may take, waits included, in milliseconds. */
  readonly requestTimeout: number;
  /** How often a refused call is repeated. */
  readonly maxRetries: number;
  /** The first pause before that, in milliseconds; doubled each time. */
  readonly retryDelay: number;
}

/** Google's own clients double the pause up to this. */
const longestPauseMs = 32_000;

/** Failures from before a byte was sent. */
const neverSent: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Calls of the REST interface. */
export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** One call, one JSON answer. */
  async call(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const deadline = this.#deadline(signal);
    try {
      const response = await this.#send(path, body, deadline);
      return await readJson(response);
    } catch (error) {
      throw failure(error, signal, deadline);
    }
  }

  /** One call whose answer is a list that comes piece by piece. Throws what the list holds of errors. */
  async *stream(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<unknown> {
    const deadline = this.#deadline(signal);
    try {
      const response = await this.#send(path, body, deadline);
      if (response.body === null)
        throw new AparteError("backend-protocol", "Dialogflow streamed nothing at all.");
      for await (const element of jsonArray(response.body)) {
        const refusal = refusalIn(element);
        if (refusal !== undefined) throw refusalError(refusal);
        yield element;
      }
    } catch (error) {
      throw failure(error, signal, deadline);
    }
  }

  #deadline(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(this.#options.requestTimeout)]);
  }

  /**
   * Sends until it is taken. Repeated is only what surely did not run: a refusal for quota, a refused token
   * (once, with a new one), a connection that never came about. `detectIntent` is not idempotent.
   */
  async #send(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const { maxRetries, tokens } = this.#options;
    let hasNewToken = false;
    for (let attempt = 0; ; attempt += 1) {
      const token = await tokens.get(signal);
      const response = await this.#sendOnce(path, body, token, signal).catch((cause: unknown) => {
        if (signal.aborted || !neverSent.has(causeCode(cause))) throw cause;
        if (attempt < maxRetries) return undefined;
        throw new AparteError(
          "backend-unavailable",
          "Dialogflow cannot be reached. Check baseURL and the network.",
          {
            cause,
          },
        );
      });
      let pause = Math.min(this.#options.retryDelay * 2 ** attempt, longestPauseMs);
      if (response?.ok) return response;
      if (response !== undefined) {
        const refusal = await readRefused(response);
        if (refusal.status === "UNAUTHENTICATED" && !hasNewToken) {
          tokens.refused(token);
          hasNewToken = true;
          continue;
        }
        if (refusal.status !== "RESOURCE_EXHAUSTED" || refusal.isDailyQuota) throw refusalError(refusal);
        pause = refusal.retryAfterMs ?? pause;
        if (attempt >= maxRetries || pause > longestPauseMs)
          throw refusalError({ ...refusal, retryAfterMs: pause });
      }
      await sleep(pause, undefined, { signal });
    }
  }

  async #sendOnce(path: string, body: unknown, token: string, signal: AbortSignal): Promise<Response> {
    const { baseURL, quotaProject } = this.#options;
    return await this.#options.fetch(`${baseURL}/v3/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(quotaProject === undefined ? {} : { "x-goog-user-project": quotaProject }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // The token goes to this address and no other.
      redirect: "manual",
      signal,
    });
  }
}

async function readRefused(response: Response): Promise<Refusal> {
  if (response.status < 400) {
    await response.body?.cancel();
    throw new AparteError("backend-protocol", `Dialogflow answered HTTP ${response.status}. Check baseURL.`);
  }
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Something before the service answered, in its own words; the HTTP status says enough.
  }
  return readRefusal(response.status, body, response.headers.get("retry-after"));
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new AparteError("backend-protocol", "Dialogflow's answer is no JSON. Check baseURL.");
  }
}

/** What a call's end means: ours, the caller's, or the connection's. */
function failure(error: unknown, signal: AbortSignal, deadline: AbortSignal): unknown {
  if (signal.aborted) return asAparteError(signal.reason, "stopped", "The turn was cancelled.");
  if (error instanceof AparteError) return error;
  if (deadline.aborted) {
    return new AparteError(
      "backend-timeout",
      "Dialogflow did not answer in time; whether the turn ran is not known. Raise requestTimeout if this is usual.",
    );
  }
  return new AparteError(
    "backend-stream-cut",
    "The connection to Dialogflow broke before the answer was whole; whether the turn ran is not known.",
    { cause: error },
  );
}

function causeCode(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
}
