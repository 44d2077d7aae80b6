import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { AparteError } from "../../errors.ts";
import type { SharedToken } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { lost, refusedForGood, ServiceFailure } from "../http/failure.ts";
import { fieldsOf, numberOf, parsed, textOf } from "../http/json.ts";
import { repeating, retryAfterOf } from "../http/repeat.ts";
import { CozeFailure, refusal } from "./failure.ts";
import { logidOf } from "./http.ts";
import type { CozeSessionContext, CozeSettings, OAuthApp } from "./options.ts";

/** A JWT is used at once and only once, so it lives no longer than Coze's own sample. */
const jwtLifeSeconds = 600;

/** A local clock that is further off than this is the likely cause of a refusal. */
const clockToleranceMs = 60_000;

export interface Minting {
  readonly sessionName: string;
  readonly context: CozeSessionContext | undefined;
}

/** Signs a session's JWT and exchanges it for an access token (Coze docs: developer_guides/oauth_jwt). */
export class TokenMint {
  readonly #settings: CozeSettings;
  readonly #app: OAuthApp;
  /** How far Coze's clock is ahead of ours, once a refusal showed that it matters. */
  #clockOffsetMs = 0;

  constructor(settings: CozeSettings, app: OAuthApp) {
    this.#settings = settings;
    this.#app = app;
  }

  /** @throws {AparteError} `backend-auth` when Coze refuses the key. */
  async mint(minting: Minting, signal: AbortSignal): Promise<SharedToken> {
    const { retryDelay } = this.#settings;
    try {
      return await repeating(() => this.#exchange(minting, signal), { isHarmless: true, retryDelay, signal });
    } catch (error) {
      if (!(error instanceof ServiceFailure && (error.isPassing || error.mayHaveRun))) throw error;
      // It was tried often enough, and the request that the token was for has certainly not run.
      const code = error.code === "backend-timeout" ? "backend-unavailable" : error.code;
      const what = "no access token could be fetched; check the network and baseURL, or try again later";
      const { traceId: logid, retryAfterMs } = error;
      throw new CozeFailure(code, what, refusedForGood, { logid, retryAfterMs, cause: error });
    }
  }

  async #exchange(minting: Minting, signal: AbortSignal, isCorrected = false): Promise<SharedToken> {
    const { baseURL, tokenPath, tokenTtlSeconds, scope, requestTimeout } = this.#settings;
    const signedWith = this.#clockOffsetMs;
    const jwt = await this.#sign(minting);
    const deadline = new Deadline(signal, requestTimeout);
    const sentAt = performance.now();
    try {
      const response = await this.#settings.fetch(baseURL + tokenPath, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${jwt}` },
        body: JSON.stringify({
          grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
          duration_seconds: tokenTtlSeconds,
          scope,
        }),
        redirect: "manual",
        signal: deadline.signal,
      });
      const body = fieldsOf(parsed(await response.text()));
      const token = textOf(body.access_token);
      if (response.ok && token) {
        return { token, ttlMs: lifeOf(body.expires_in, response) - (performance.now() - sentAt) };
      }
      // A wrong local clock makes JWTs that are over or not yet valid; the answer tells the right time.
      const offset = serverTime(response) - Date.now();
      // Compared with what this JWT was made with: others that were refused with it may have corrected the clock.
      const isClockWrong = Math.abs(offset - signedWith) > clockToleranceMs;
      if (!isCorrected && isClockWrong && response.status >= 400 && response.status < 500) {
        this.#clockOffsetMs = offset;
        return await this.#exchange(minting, signal, true);
      }
      throw refused(response, body);
    } catch (error) {
      throw lost(error, signal, deadline, "Coze");
    } finally {
      deadline.end();
    }
  }

  async #sign({ sessionName, context }: Minting): Promise<string> {
    const { appId, keyId, key } = this.#app;
    const now = Math.floor((Date.now() + this.#clockOffsetMs) / 1000);
    return await new SignJWT({
      jti: randomUUID(),
      session_name: sessionName,
      ...(context === undefined ? {} : { session_context: context }),
    })
      .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: keyId })
      .setIssuer(appId)
      .setAudience(this.#settings.audience)
      .setIssuedAt(now)
      .setExpirationTime(now + jwtLifeSeconds)
      .sign(key);
  }
}

/** Numbers below it are seconds from now, above it the Unix time of the end: the time is that of the year 2001. */
const smallestTime = 1_000_000_000;

/**
 * How long the token lives, in milliseconds. Coze's `expires_in` is the absolute Unix time of its end, by Coze's
 * clock; ours may be wrong, so the answer's own date counts. Gateways that hand out tokens in Coze's place give
 * milliseconds, or a span as OAuth means it.
 */
function lifeOf(expiresIn: unknown, response: Response): number {
  const number = numberOf(expiresIn) ?? 0;
  const isTime = number >= smallestTime;
  const ms = number >= 1000 * smallestTime ? number : number * 1000;
  const life = isTime ? ms - serverTime(response) : ms;
  if (life > 0) return life;
  throw new AparteError("backend-protocol", "Coze sent a token that has already ended. Check baseURL.");
}

function serverTime(response: Response): number {
  const date = Date.parse(response.headers.get("date") ?? "");
  return Number.isNaN(date) ? Date.now() : date;
}

function refused(response: Response, body: Readonly<Record<string, unknown>>): CozeFailure {
  const words = textOf(body.error_message) ?? textOf(body.msg);
  const { status } = response;
  const facts = { status, words, logid: logidOf(response, body), retryAfterMs: retryAfterOf(response) };
  if (status === 429 || status === 408 || status >= 500) return refusal(facts);
  const refusedFor = textOf(body.error_code) ?? numberOf(body.code);
  if (refusedFor === undefined && status !== 401 && status !== 403) return refusal(facts);
  return new CozeFailure(
    "backend-auth",
    `no access token for this app; ${hint(words)}`,
    refusedForGood,
    facts,
  );
}

/** Coze's words for the usual mistakes in setting up, and how to mend them. */
function hint(words = ""): string {
  // "not been registred" is Coze's spelling; kept loose in case they mend it.
  if (/kid/i.test(words)) {
    return (
      "the key is not registered there. Check keyId, and the region: a key of coze.com is unknown at coze.cn, " +
      'and the other way round (option region: "cn" or "com")'
    );
  }
  if (/connector/i.test(words)) return 'the OAuth app must be of type "normal" with client type "service"';
  return "check appId, keyId and privateKey, and that this machine's clock is right";
}
