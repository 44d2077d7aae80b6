import { randomUUID } from "node:crypto";
import { AparteError, type AparteErrorCode } from "../../errors.ts";
import { aborted, Deadline, pause, unsentCodes } from "../http/deadline.ts";
import { type Fields, fieldsOf, readEnvelope } from "./envelope.ts";
import { type Judge, SonaopsFailure } from "./failure.ts";
import type { SonaopsSettings } from "./options.ts";
import { QuotaBreaker } from "./quota.ts";

export interface SonaopsRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The session's pseudonym. */
  readonly userId: string;
  /** A turn is sent: repeated only where it certainly did not run. */
  readonly isTurn: boolean;
}

/** How often a request that may be repeated is repeated. */
const repeats = 3;

/** The longest pause between two tries. */
const longestPauseMs = 8000;

/** Requests to Sonaops: signed for each attempt, with deadlines, repeated where that does no harm. */
export class SonaopsClient {
  readonly settings: SonaopsSettings;
  readonly #quota: QuotaBreaker;

  constructor(settings: SonaopsSettings) {
    this.settings = settings;
    const { agentId, quotaPause: pauseMs, now, logger, onQuota } = settings;
    this.#quota = new QuotaBreaker({ agentId, pauseMs, now, logger, onQuota });
  }

  /** Sends the request and returns the envelope's data. */
  async call(request: SonaopsRequest, signal: AbortSignal): Promise<Fields> {
    return await this.#repeating(request, signal, async () => {
      const deadline = new Deadline(signal, this.settings.requestTimeout);
      try {
        return await readEnvelope(await this.#fetch(request, deadline.signal), this.judge(request));
      } catch (error) {
        throw lost(error, signal, deadline, "backend-unavailable");
      } finally {
        deadline.end();
      }
    });
  }

  /**
   * Sends the request and opens the stream that answers it. The stream lives under `idle`, a deadline that its reader
   * starts anew with each sign of life, and ends.
   */
  async stream(
    request: SonaopsRequest,
    signal: AbortSignal,
  ): Promise<{ readonly body: ReadableStream<Uint8Array>; readonly idle: Deadline }> {
    return await this.#repeating(request, signal, async () => {
      const idle = new Deadline(signal, this.settings.idleTimeout);
      try {
        const response = await this.#fetch(request, idle.signal);
        const isStream = response.headers.get("content-type")?.includes("text/event-stream");
        if (response.ok && isStream && response.body !== null) return { body: response.body, idle };
        // A stream is refused with the JSON envelope in its place, often with HTTP 200.
        await readEnvelope(response, this.judge(request));
        throw new SonaopsFailure("backend-protocol", "the answer is no stream", {
          mayHaveRun: true,
          isPassing: false,
        });
      } catch (error) {
        const failure = lost(error, signal, idle);
        idle.abort();
        throw failure;
      }
    });
  }

  judge({ isTurn }: Pick<SonaopsRequest, "isTurn">): Judge {
    return { isTurn, isConversationLost: this.settings.isConversationLost };
  }

  /** Stops all calls for a while if the failure says that the key's calls are used up. */
  watchQuota(error: unknown): void {
    if (error instanceof AparteError && error.code === "backend-quota") this.#quota.trip(error.traceId);
  }

  async #repeating<T>(request: SonaopsRequest, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
    for (let failed = 0; ; failed += 1) {
      this.#quota.check();
      try {
        return await send();
      } catch (error) {
        this.watchQuota(error);
        const again =
          error instanceof SonaopsFailure && error.isPassing && !(request.isTurn && error.mayHaveRun);
        const asked = again ? (error.retryAfterMs ?? 0) : 0;
        if (!again || failed === repeats || asked > longestPauseMs) throw error;
        // Spread, so that the many who were refused together do not come back together.
        const own = this.settings.retryDelay * 2 ** failed * (0.5 + Math.random() / 2);
        await pause(Math.min(Math.max(own, asked), longestPauseMs), signal);
      }
    }
  }

  /** Signed at the last moment: the service refuses what is older than five minutes. */
  async #fetch({ path, body, userId }: SonaopsRequest, signal: AbortSignal): Promise<Response> {
    const { apiKey, apiSecret, baseURL, now, sign } = this.settings;
    const timestamp = String(Math.floor(now() / 1000));
    const requestId = randomUUID().replaceAll("-", "");
    const headers = new Headers({
      "content-type": "application/json",
      authorization: `Bearer ${apiKey}`,
      "x-timestamp": timestamp,
      "x-request-id": requestId,
      "x-user-id": userId,
    });
    try {
      const request = {
        method: "POST",
        path,
        query: {},
        body,
        timestamp,
        requestId,
        userId,
        apiKey,
        apiSecret,
      } as const;
      for (const [name, value] of Object.entries(await sign(request))) headers.set(name, value);
    } catch (cause) {
      const what = "the function sign failed. Its error is kept as the cause";
      throw new SonaopsFailure("backend-auth", what, { mayHaveRun: false, isPassing: false }, { cause });
    }
    return await this.settings.fetch(baseURL + path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      // The key goes to this address and no other.
      redirect: "manual",
      signal,
    });
  }
}

/**
 * What became of a request that threw: aborted by the caller, too late, or lost on the way.
 * @param broken the code for a connection that broke. That of a turn never invites to send it again.
 */
export function lost(
  error: unknown,
  outer: AbortSignal,
  deadline: Deadline,
  broken: AparteErrorCode = "backend-stream-cut",
): AparteError {
  if (error instanceof AparteError) return error;
  if (outer.aborted) return aborted(outer);
  if (deadline.isOver) {
    const certainty = { mayHaveRun: true, isPassing: false };
    return new SonaopsFailure("backend-timeout", "no answer came in time", certainty, { cause: error });
  }
  if (unsentCodes.has(String(fieldsOf(fieldsOf(error).cause).code))) {
    const what = "the service cannot be reached; check the network and baseURL";
    return new SonaopsFailure(
      "backend-unavailable",
      what,
      { mayHaveRun: false, isPassing: true },
      { cause: error },
    );
  }
  const what = "the connection broke before the answer was whole";
  return new SonaopsFailure(broken, what, { mayHaveRun: true, isPassing: true }, { cause: error });
}
