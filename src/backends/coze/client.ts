import { AparteError } from "../../errors.ts";
import { TokenCache } from "../../session/token.ts";
import type { AccessToken, AskCall, BackendHost } from "../backend.ts";
import { aborted, Deadline } from "../http/deadline.ts";
import { isEventStream, openEvents } from "../http/events.ts";
import { lost, ranPerhaps, refusedForGood } from "../http/failure.ts";
import type { Fields } from "../http/json.ts";
import { repeating } from "../http/repeat.ts";
import { send } from "../http/send.ts";
import { CozeEvents } from "./events.ts";
import { CozeFailure, conversationRefusal, refusal } from "./failure.ts";
import { readAnswer } from "./http.ts";
import { TokenMint } from "./jwt.ts";
import type { CozeSettings } from "./options.ts";

export interface CozeRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON, or as a form. */
  readonly body?: object | FormData;
  /** A repeat does no harm even if the request was carried out. */
  readonly isHarmless: boolean;
  /** The request is about one conversation: "not found" means that this is gone. */
  readonly isAboutConversation?: boolean;
  /** Waits for the account's rate, where the request counts against its chats in a second. */
  readonly pace?: AskCall["pace"];
  /** Awaited directly before it is written, each time. */
  readonly permit?: AskCall["permit"];
  readonly sessionName: string;
  readonly signal: AbortSignal;
}

/**
 * Each mapper's token caches by issuer, so that its agents of one app share a session's token. Those of another mapper
 * are another customer's, and lie in another store.
 */
const caches = new WeakMap<BackendHost, Map<string, TokenCache>>();

function cacheOf(host: BackendHost, issuer: string): TokenCache {
  const own = caches.get(host) ?? new Map<string, TokenCache>();
  caches.set(host, own);
  const cache = own.get(issuer) ?? new TokenCache({ issuer });
  own.set(issuer, cache);
  if (host.sharedTokens !== undefined) cache.share(host.sharedTokens);
  return cache;
}

/** Refused tokens are remembered up to this many; beyond it, some are minted anew once more. */
const mostLacking = 1000;

function refusalOf({ isAboutConversation }: CozeRequest): typeof refusal {
  return isAboutConversation === true ? conversationRefusal : refusal;
}

/** Requests to Coze in a session's name: with its token, with deadlines, repeated where that does no harm. */
export class CozeClient {
  readonly settings: CozeSettings;
  #tokens: TokenCache;
  /** Undefined where one token is for all. */
  readonly #mint: TokenMint | undefined;
  /** New tokens that were refused with 4101. */
  readonly #lacking: Set<string> = new Set();

  constructor(settings: CozeSettings) {
    this.settings = settings;
    this.#tokens = new TokenCache({ issuer: settings.issuer });
    const { credentials } = settings;
    this.#mint = typeof credentials === "string" ? undefined : new TokenMint(settings, credentials);
  }

  attach(host: BackendHost): void {
    this.#tokens = cacheOf(host, this.settings.issuer);
  }

  /** @param isFresh another token than the one there is */
  async token(sessionName: string, signal: AbortSignal, isFresh = false): Promise<AccessToken> {
    const current = () => this.#withToken(sessionName, signal, async (token) => token);
    const { key } = this.#tokenOf(sessionName);
    if (isFresh) this.#tokens.refused(key, await current());
    return { token: await current(), expiresAt: Math.floor(Date.now() + this.#tokens.lifeMs(key)) };
  }

  /** Forgets the session's token. */
  forget(sessionName: string): Promise<void> {
    return this.#tokens.forget(this.#tokenOf(sessionName).key);
  }

  /** Sends the request and returns the whole answer, of which Coze says that all went well. */
  async call(request: CozeRequest): Promise<Fields> {
    return await this.#repeating(request, async (token) => {
      const deadline = new Deadline(request.signal, this.settings.requestTimeout);
      try {
        const response = await this.#fetch(request, token, deadline.signal);
        return readAnswer(response, await response.text(), refusalOf(request));
      } catch (error) {
        throw lost(error, request.signal, deadline, "Coze");
      } finally {
        deadline.end();
      }
    });
  }

  /**
   * Sends the request and opens the stream of events that answers it. The stream lives under `deadline`, which
   * the caller ends. What `begin` throws counts as the answer: it may be repeated as other refusals are.
   */
  async stream<T>(
    request: CozeRequest,
    deadline: Deadline,
    begin: (events: CozeEvents) => Promise<T>,
  ): Promise<T> {
    return await this.#repeating(request, async (token) => {
      deadline.restart();
      try {
        const response = await this.#fetch(request, token, deadline.signal);
        let text: string | undefined;
        if (response.ok && isEventStream(response) && response.body !== null) {
          const events = await openEvents(response.body, "Coze", () => deadline.restart());
          if (typeof events !== "string")
            return await begin(new CozeEvents(events, deadline, request.signal));
          text = events;
        }
        // Coze refuses a stream with a JSON answer and HTTP 200.
        readAnswer(response, text ?? (await response.text()), refusalOf(request));
        throw new CozeFailure("backend-protocol", "the answer is no stream", ranPerhaps);
      } catch (error) {
        throw lost(error, request.signal, deadline, "Coze");
      }
    });
  }

  async #repeating<T>(request: CozeRequest, send: (token: string) => Promise<T>): Promise<T> {
    const { sessionName, signal, isHarmless } = request;
    const { retryDelay } = this.settings;
    const paced = async (token: string) => {
      await this.#wait(request);
      await request.permit?.();
      return await send(token);
    };
    const one = () => this.#withToken(sessionName, signal, paced);
    return await repeating(one, { isHarmless, retryDelay, signal });
  }

  /** Waits until the account's rate lets one more chat through. */
  async #wait({ pace }: CozeRequest): Promise<void> {
    const { qps, issuer } = this.settings;
    if (qps === undefined) return;
    try {
      await pace?.(`coze:${issuer}`, qps);
    } catch (cause) {
      if (!(cause instanceof AparteError) || cause.code !== "backend-rate-limited") throw cause;
      const { code, retryAfterMs } = cause;
      const facts = { retryAfterMs, cause };
      throw new CozeFailure(code, "not sent, to keep the account's rate", refusedForGood, facts);
    }
  }

  /** What makes a session's token differ from others, and the key that it has in the cache for that. */
  #tokenOf(sessionName: string) {
    const { sessionContext } = this.settings;
    if (typeof sessionContext !== "function") return { key: sessionName, context: sessionContext };
    const context = sessionContext(sessionName);
    return { key: `${sessionName}:${JSON.stringify(context)}`, context };
  }

  /**
   * A refused token is minted anew once. A request that is refused for its token has not run. Where a new one lacks
   * the right as well (4101), it is kept: minting one for each request would not help.
   */
  async #withToken<T>(
    sessionName: string,
    signal: AbortSignal,
    send: (token: string) => Promise<T>,
  ): Promise<T> {
    const tokenMint = this.#mint;
    if (tokenMint === undefined) return await send(String(this.settings.credentials));
    const { key, context } = this.#tokenOf(sessionName);
    const mint = (ends: AbortSignal) => tokenMint.mint({ sessionName, context }, ends);
    for (let isFresh = false; ; isFresh = true) {
      const token = await this.#tokens.get(key, mint, signal).catch((error: unknown) => {
        throw signal.aborted ? aborted(signal) : error;
      });
      try {
        return await send(token);
      } catch (error) {
        if (!(error instanceof CozeFailure && error.tokenRefused)) throw error;
        const isLacking = error.number === 4101 && (isFresh || this.#lacking.has(token));
        if (isLacking) this.#lack(token);
        else this.#tokens.refused(key, token);
        if (isFresh || isLacking) throw error;
      }
    }
  }

  #lack(token: string): void {
    if (this.#lacking.size >= mostLacking) this.#lacking.clear();
    this.#lacking.add(token);
  }

  #fetch(request: CozeRequest, token: string, signal: AbortSignal): Promise<Response> {
    const { method, path, query = {}, body, permit } = request;
    const url = new URL(this.settings.baseURL + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const isForm = body instanceof FormData;
    return send(this.settings.fetch, {
      url,
      permit,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(isForm || body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
      // A redirect would turn a POST into a GET, and may lead the token elsewhere.
      redirect: "manual",
      signal,
    });
  }
}
