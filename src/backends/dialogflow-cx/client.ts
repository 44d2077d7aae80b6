import { AparteError } from "../../errors.ts";
import type { SessionCall } from "../backend.ts";
import { aborted, Deadline } from "../http/deadline.ts";
import { lost, ranPerhaps, ServiceFailure } from "../http/failure.ts";
import { parsed } from "../http/json.ts";
import { repeating } from "../http/repeat.ts";
import { send } from "../http/send.ts";
import { jsonArray } from "./json-array.ts";
import { readRefusal, refusalError, refusalIn } from "./refusal.ts";
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

/** The signal that ends a call, and what is awaited before it is sent. */
export type CallOptions = Pick<SessionCall, "signal" | "permit">;

/** Google's own clients double the pause up to this. */
const longestPause = 32_000;

/** Calls of the REST interface. */
export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** One call, one JSON answer. */
  async call(path: string, body: unknown, caller: CallOptions): Promise<unknown> {
    const deadline = new Deadline(caller.signal, this.#options.requestTimeout);
    try {
      const response = await this.#send(path, body, deadline, caller);
      const answer = parsed(await response.text());
      if (answer === undefined)
        throw new AparteError("backend-protocol", "Dialogflow's answer is no JSON. Check baseURL.");
      return answer;
    } catch (error) {
      throw failure(error, caller.signal, deadline);
    } finally {
      deadline.end();
    }
  }

  /** One call whose answer is a list that comes piece by piece. Throws what the list holds of errors. */
  async *stream(path: string, body: unknown, caller: CallOptions): AsyncGenerator<unknown> {
    const deadline = new Deadline(caller.signal, this.#options.requestTimeout);
    try {
      const response = await this.#send(path, body, deadline, caller);
      if (response.body === null)
        throw new AparteError("backend-protocol", "Dialogflow streamed nothing at all.");
      for await (const element of jsonArray(response.body)) {
        const refusal = refusalIn(element);
        if (refusal !== undefined) throw refusalError(refusal);
        yield element;
      }
    } catch (error) {
      throw failure(error, caller.signal, deadline);
    } finally {
      deadline.end();
    }
  }

  /**
   * Sends until it is taken. Repeated is only what surely did not run: a refusal for quota, a refused token
   * (once, with a new one), a connection that never came about. `detectIntent` is not idempotent.
   */
  async #send(path: string, body: unknown, deadline: Deadline, caller: CallOptions): Promise<Response> {
    const { tokens, maxRetries: repeats, retryDelay } = this.#options;
    const { signal } = deadline;
    const attempt = async (): Promise<Response> => {
      for (let isNew = false; ; isNew = true) {
        const token = await tokens.get(signal);
        const call = { ...caller, signal };
        const response = await this.#sendOnce(path, body, token, call).catch((error: unknown) => {
          throw lost(error, caller.signal, deadline, "Dialogflow", "backend-stream-cut");
        });
        if (response.ok) return response;
        const refusal = readRefusal(
          response.status,
          await readRefused(response),
          response.headers.get("retry-after"),
        );
        if (refusal.status !== "UNAUTHENTICATED" || isNew) throw refusalError(refusal);
        tokens.refused(token);
      }
    };
    return await repeating(attempt, { isHarmless: false, repeats, retryDelay, longestPause, signal });
  }

  async #sendOnce(path: string, body: unknown, token: string, call: CallOptions): Promise<Response> {
    const { baseURL, quotaProject } = this.#options;
    return await send(this.#options.fetch, {
      url: `${baseURL}/v3/${path}`,
      method: body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(quotaProject === undefined ? {} : { "x-goog-user-project": quotaProject }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // The token goes to this address and no other.
      redirect: "manual",
      ...call,
    });
  }
}

/** Undefined where something before the service answered in its own words: the HTTP status says enough. */
async function readRefused(response: Response): Promise<unknown> {
  if (response.status >= 400) return parsed(await response.text());
  await response.body?.cancel();
  throw new AparteError("backend-protocol", `Dialogflow answered HTTP ${response.status}. Check baseURL.`);
}

/** What a call's end means: ours, the caller's, or the connection's. */
function failure(error: unknown, signal: AbortSignal, deadline: Deadline): AparteError {
  if (signal.aborted) return aborted(signal);
  if (!deadline.isOver) return lost(error, signal, deadline, "Dialogflow", "backend-stream-cut");
  const what =
    "Dialogflow did not answer in time; whether the turn ran is not known. Raise requestTimeout if this is usual";
  return new ServiceFailure("backend-timeout", what, ranPerhaps, { cause: error });
}
