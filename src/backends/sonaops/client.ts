import { randomUUID } from "node:crypto";
import { AparteError } from "../../errors.ts";
import type { SessionCall } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { isEventStream, openEvents, type ServerEvent } from "../http/events.ts";
import { lost, ranPerhaps, refusedForGood, ServiceFailure } from "../http/failure.ts";
import { type Fields, fieldsOf, listOf, textOf } from "../http/json.ts";
import { repeating } from "../http/repeat.ts";
import { send } from "../http/send.ts";
import { readEnvelope } from "./envelope.ts";
import type { Judge } from "./failure.ts";
import type { SonaopsSettings } from "./options.ts";
import { QuotaBreaker } from "./quota.ts";
import type { SonaopsSigner } from "./signing.ts";

export interface SonaopsRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The session's pseudonym. */
  readonly userId: string;
  /** A turn is sent: repeated only where it certainly did not run. */
  readonly isTurn: boolean;
  /** Awaited before it is signed, and directly before it is written, each time. */
  readonly permit?: SessionCall["permit"];
}

/** Requests to Sonaops: signed for each attempt, with deadlines, repeated where that does no harm. */
export class SonaopsClient {
  readonly settings: SonaopsSettings;
  readonly #quota: QuotaBreaker;
  /** Undefined until the list has told it. */
  #agentId: string | undefined;
  #signer: SonaopsSigner;
  /** The other profile, until it is known which one the service takes. */
  #other: SonaopsSigner | undefined;

  constructor(settings: SonaopsSettings) {
    this.settings = settings;
    const { agent, quotaPause: pauseMs, now, logger, onQuota } = settings;
    this.#agentId = "id" in agent ? agent.id : undefined;
    const agentId = "id" in agent ? agent.id : agent.name;
    this.#quota = new QuotaBreaker({ agentId, pauseMs, now, logger, onQuota });
    this.#signer = settings.signer;
    this.#other = settings.otherSigner;
  }

  /**
   * The agent's id, which the service's list tells where the options have its name.
   * @throws {AparteError} `backend-rejected` where there is not one such agent that may answer
   */
  async agentId(userId: string, signal: AbortSignal): Promise<string> {
    const { agent, allowedAgents } = this.settings;
    if (this.#agentId !== undefined || "id" in agent) return this.#agentId ?? "";
    const data = await this.call({ path: "/v1/agent/list", body: {}, userId, isTurn: false }, signal);
    // What the list looks like is not public.
    const ids = listOf(Object.values({ data, ...data }).find(Array.isArray))
      .map(fieldsOf)
      .filter(({ name, agentName }) => (name ?? agentName) === agent.name)
      .map(({ agentId, id }) => textOf(agentId) ?? textOf(id));
    const [id] = ids;
    if (id === undefined || ids.length > 1 || allowedAgents?.includes(id) === false) {
      const problem =
        id === undefined
          ? "no agent"
          : ids.length > 1
            ? "several agents"
            : "an agent that is not in allowedAgents";
      throw new ServiceFailure(
        "backend-rejected",
        `Sonaops: agentName is the name of ${problem}`,
        refusedForGood,
      );
    }
    this.#agentId = id;
    return id;
  }

  /** Sends the request and returns the envelope's data. */
  async call(request: SonaopsRequest, signal: AbortSignal): Promise<Fields> {
    return await this.#repeating(request, signal, async () => {
      const deadline = new Deadline(signal, this.settings.requestTimeout);
      try {
        const response = await this.#send(request, deadline.signal);
        return readEnvelope(response, await response.text(), this.judge(request));
      } catch (error) {
        throw lost(error, signal, deadline, "Sonaops");
      } finally {
        deadline.end();
      }
    });
  }

  /**
   * Sends the request and opens the stream that answers it. The stream lives under `idle`, a deadline that each sign
   * of life starts anew, and that its reader ends.
   * @param onData called with each sign of life
   */
  async stream(
    request: SonaopsRequest,
    signal: AbortSignal,
    onData: () => void,
  ): Promise<{ readonly events: AsyncIterable<ServerEvent>; readonly idle: Deadline }> {
    return await this.#repeating(request, signal, async () => {
      const idle = new Deadline(signal, this.settings.idleTimeout);
      try {
        const response = await this.#send(request, idle.signal);
        let text: string | undefined;
        if (response.ok && isEventStream(response) && response.body !== null) {
          const alive = (): void => {
            idle.restart();
            onData();
          };
          const events = await openEvents(response.body, "Sonaops", alive);
          if (typeof events !== "string") return { events, idle };
          text = events;
        }
        // A stream is refused with the JSON envelope in its place, often with HTTP 200.
        readEnvelope(response, text ?? (await response.text()), this.judge(request));
        throw new ServiceFailure("backend-protocol", "Sonaops: the answer is no stream", ranPerhaps);
      } catch (error) {
        const failure = lost(error, signal, idle, "Sonaops", "backend-stream-cut");
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
    const watched = async (): Promise<T> => {
      this.#quota.check();
      await request.permit?.();
      try {
        return await send();
      } catch (error) {
        this.watchQuota(error);
        throw error;
      }
    };
    return await repeating(watched, {
      isHarmless: !request.isTurn,
      retryDelay: this.settings.retryDelay,
      signal,
    });
  }

  /**
   * Sends it, signed by the profile that the service takes. The documents know two; a signature that is refused has
   * run nothing, so the other one is tried, and remembered once it was taken.
   */
  async #send(request: SonaopsRequest, signal: AbortSignal): Promise<Response> {
    const [signer, other] = [this.#signer, this.#other];
    const response = await this.#fetch(request, signer, signal);
    if (response.ok) this.#other = undefined;
    if (response.status !== 401 || other === undefined) return response;
    await response.body?.cancel();
    const second = await this.#fetch(request, other, signal);
    if (second.ok && this.#other !== undefined) {
      this.#signer = other;
      this.#other = undefined;
      this.settings.logger.warn(
        "Sonaops: the service takes signatures of the other profile. Set the option profile to it.",
        { profile: other.profile, refused: signer.profile },
      );
    }
    return second;
  }

  /** Signed at the last moment: the service refuses what is older than five minutes. */
  async #fetch(
    { path, body, userId, permit }: SonaopsRequest,
    { sign }: SonaopsSigner,
    signal: AbortSignal,
  ): Promise<Response> {
    const { apiKey, apiSecret, baseURL, now } = this.settings;
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
      const what = "Sonaops: the function sign failed. Its error is kept as the cause";
      throw new ServiceFailure("backend-auth", what, refusedForGood, { cause });
    }
    return await send(this.settings.fetch, {
      url: baseURL + path,
      permit,
      method: "POST",
      headers,
      body: JSON.stringify(body),
      // The key goes to this address and no other.
      redirect: "manual",
      signal,
    });
  }
}
