import { SignJWT } from "jose";
import { AparteError } from "../../errors.ts";
import type { Credentials } from "./credentials.ts";

/** The service's access token: one for the whole backend, not one per session. */
export interface TokenSource {
  get(signal: AbortSignal): Promise<string>;
  /** Tells that the service refused exactly this token. The next {@link get} brings another one. */
  refused(token: string): void;
}

export interface TokenSourceOptions {
  /** Host and all of the API, without a trailing slash. */
  readonly baseURL: string;
  readonly now: () => number;
  readonly fetch: typeof fetch;
  /** The longest that one request for a token may take, in milliseconds. */
  readonly timeout: number;
}

interface Token {
  readonly text: string;
  /** From when on it is used no more, on the clock of `now`. */
  readonly renewAt: number;
}

/** Where people's refresh tokens are exchanged. */
const exchangeURL = "https://oauth2.googleapis.com/token";
const defaultHost = "https://dialogflow.googleapis.com";
const scopes = "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/dialogflow";
const lifeSeconds = 3600;
const renewBeforeMs = 5 * 60_000;

/** A token source over credentials: one token at a time, kept, renewed five minutes early. */
export function tokenSource(credentials: Credentials, options: TokenSourceOptions): TokenSource {
  return keptToken(() => obtain(credentials, options), options.now);
}

/** A token source over the application's own function, which keeps and renews by itself. */
export function tokenFunction(accessToken: () => Promise<string>): TokenSource {
  return {
    async get() {
      let token: unknown;
      try {
        token = await accessToken();
      } catch (cause) {
        throw new AparteError(
          "backend-auth",
          "The accessToken function failed. Its error is kept as the cause.",
          {
            cause,
          },
        );
      }
      if (typeof token !== "string" || token === "") {
        throw new AparteError(
          "backend-auth",
          "The accessToken function returned no token. It must return a string.",
        );
      }
      return token;
    },
    refused() {},
  };
}

function keptToken(obtainToken: () => Promise<Token>, now: () => number): TokenSource {
  let kept: Token | undefined;
  let flight: Promise<Token> | undefined;
  return {
    async get(signal) {
      signal.throwIfAborted();
      if (kept !== undefined && now() < kept.renewAt) return kept.text;
      flight ??= obtainToken()
        .then((token) => {
          kept = token;
          return token;
        })
        .finally(() => {
          flight = undefined;
        });
      return (await untilAborted(flight, signal)).text;
    },
    refused(token) {
      if (kept?.text === token) kept = undefined;
    },
  };
}

async function obtain(credentials: Credentials, options: TokenSourceOptions): Promise<Token> {
  const { now } = options;
  switch (credentials.kind) {
    case "service-account":
      return await sign(credentials, options);
    case "authorized-user": {
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        client_id: credentials.clientId,
        client_secret: credentials.clientSecret,
        refresh_token: credentials.refreshToken,
      });
      const response = await request(exchangeURL, { method: "POST", body }, options);
      return await readToken(response, now(), "Log in again: gcloud auth application-default login.");
    }
    case "metadata": {
      const headers = { "Metadata-Flavor": "Google" };
      const url = `${credentials.url}?${new URLSearchParams({ scopes: scopes.replace(" ", ",") })}`;
      const response = await request(url, { headers }, options);
      return await readToken(
        response,
        now(),
        "Give credentials, or run where a service account is attached.",
      );
    }
  }
}

/**
 * Signs the token ourselves; no exchange is needed. The service's own host is named as audience; any other host
 * (regional ones, too) is reached by scope. Both at once are refused (AIP-4111).
 */
async function sign(
  { email, key, keyId }: Extract<Credentials, { kind: "service-account" }>,
  { baseURL, now }: TokenSourceOptions,
): Promise<Token> {
  const issuedAt = Math.floor(now() / 1000);
  const jwt = new SignJWT(baseURL === defaultHost ? {} : { scope: scopes })
    .setProtectedHeader({ alg: "RS256", typ: "JWT", ...(keyId === undefined ? {} : { kid: keyId }) })
    .setIssuer(email)
    .setSubject(email)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifeSeconds);
  if (baseURL === defaultHost) jwt.setAudience(`${defaultHost}/`);
  return { text: await jwt.sign(key), renewAt: (issuedAt + lifeSeconds) * 1000 - renewBeforeMs };
}

async function request(url: string, init: RequestInit, options: TokenSourceOptions): Promise<Response> {
  const signal = AbortSignal.timeout(options.timeout);
  try {
    return await options.fetch(url, { ...init, signal, redirect: "error" });
  } catch (cause) {
    if (signal.aborted) throw new AparteError("backend-timeout", "Google gave no token in time.", { cause });
    throw new AparteError(
      "backend-unavailable",
      "No token could be fetched: the server could not be reached. Give credentials, or check the network.",
      { cause },
    );
  }
}

async function readToken(response: Response, now: number, advice: string): Promise<Token> {
  if (response.status >= 500 || response.status === 429) {
    throw new AparteError(
      "backend-unavailable",
      `Google gave no token (HTTP ${response.status}). Try again later.`,
    );
  }
  if (!response.ok) {
    throw new AparteError(
      "backend-auth",
      `Google refused the credentials (HTTP ${response.status}). ${advice}`,
    );
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body === "object" && body !== null && "access_token" in body && "expires_in" in body) {
    const { access_token: text, expires_in: seconds } = body;
    if (typeof text === "string" && text !== "" && typeof seconds === "number") {
      // The metadata server hands out tokens that are about to end; those are used for what is left of them.
      return { text, renewAt: now + Math.max(seconds * 1000 - renewBeforeMs, (seconds * 1000) / 2) };
    }
  }
  throw new AparteError("backend-protocol", "Google's token answer holds no token.");
}

/** A caller that leaves does not take the token from the others. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
