import type { JsonWebKey, KeyObject, webcrypto } from "node:crypto";
import { optionInvalid, refuseUnknown } from "aparte/adapter";
import { type JWTVerifyGetKey, jwtVerify } from "jose";
import type { WebSpeaker } from "./options.ts";
import { KeysUnavailable, remoteKeys } from "./remote-keys.ts";

/** What a verified token says. */
export interface JwtClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | string[];
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
  readonly [claim: string]: unknown;
}

/** What `jwtSpeaker` takes. */
export interface JwtSpeakerOptions {
  /** The secret that the host application signs with, at least 32 bytes. Either this, or `key`, or `jwksUrl`. */
  readonly secret?: string | Uint8Array;
  /** The host application's public key. */
  readonly key?: webcrypto.CryptoKey | KeyObject | JsonWebKey;
  /** Where the host application, or its identity provider, publishes its public keys. */
  readonly jwksUrl?: string | URL;
  /** The `aud` that tokens for this handler have: tokens for other services of the same signer are refused. */
  readonly audience: string | readonly string[];
  /** The `iss` that tokens must have. @default any */
  readonly issuer?: string | readonly string[];
  /** The `alg`s that are taken. @default HS256 with a secret; RS256, PS256, ES256 and EdDSA with public keys */
  readonly algorithms?: readonly string[];
  /** The cookie that holds the token, where there is no `Authorization: Bearer …`. @default none */
  readonly cookie?: string;
  /** Who a verified token speaks for; undefined for nobody. @default tenant `""`, and `sub` as the user */
  readonly speaker?: (claims: JwtClaims) => WebSpeaker | undefined;
}

const known = [
  "secret",
  "key",
  "jwksUrl",
  "audience",
  "issuer",
  "algorithms",
  "cookie",
  "speaker",
] as const satisfies readonly (keyof JwtSpeakerOptions)[];

const secretAlgorithms: readonly string[] = ["HS256", "HS384", "HS512"];

/** RFC 7518, section 3.2: a key of the hash's size or larger must be used with HS256. */
const secretBytes = 32;

/** How many different bytes a secret has at least: even one in hexadecimal has more, unless it was made by hand. */
const differentBytes = 8;

/**
 * An `authenticate` hook for tokens (JWT) that the host application gave to the person's browser. A token that is
 * forged, expired, without expiry, for another audience, or signed in a way that was not asked for is nobody's.
 *
 * @throws {AparteError} `option-invalid` with the option's name, at once.
 */
export function jwtSpeaker(
  options: JwtSpeakerOptions,
): (request: Request) => Promise<WebSpeaker | undefined> {
  const { key, algorithms, audience, issuer, cookie, speaker } = readOptions(options);
  const expected = {
    algorithms: [...algorithms],
    audience: typeof audience === "string" ? audience : [...audience],
    ...(issuer === undefined ? {} : { issuer: typeof issuer === "string" ? issuer : [...issuer] }),
    requiredClaims: ["exp"],
  };
  return async (request) => {
    const token = bearer(request) ?? (cookie === undefined ? undefined : readCookie(request, cookie));
    if (token === undefined) return undefined;
    let claims: JwtClaims;
    try {
      claims = (await jwtVerify(token, key, expected)).payload;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw error;
      return undefined;
    }
    return speaker(claims);
  };
}

interface Settings {
  readonly key: JWTVerifyGetKey;
  readonly algorithms: readonly string[];
  readonly audience: string | readonly string[];
  readonly issuer: string | readonly string[] | undefined;
  readonly cookie: string | undefined;
  readonly speaker: (claims: JwtClaims) => WebSpeaker | undefined;
}

function readOptions(options: JwtSpeakerOptions): Settings {
  refuseUnknown(options, known, "jwtSpeaker.");
  const { secret, key, jwksUrl, audience, issuer, cookie, speaker = subject } = options;
  if ([secret, key, jwksUrl].filter((source) => source !== undefined).length !== 1) {
    throw optionInvalid("jwtSpeaker.secret", "or `key` or `jwksUrl` must be given, and only one of them");
  }
  const isSecret = secret !== undefined;
  const { algorithms = isSecret ? ["HS256"] : ["RS256", "PS256", "ES256", "EdDSA"] } = options;
  const isFitting = (name: unknown) =>
    typeof name === "string" && name !== "none" && secretAlgorithms.includes(name) === isSecret;
  // A public key that is taken for a shared secret lets everybody sign.
  if (!Array.isArray(algorithms) || algorithms.length === 0 || !algorithms.every(isFitting)) {
    const fitting = isSecret ? secretAlgorithms.join(", ") : "RS256, PS256, ES256, EdDSA and their like";
    throw optionInvalid("jwtSpeaker.algorithms", `must be a list of ${fitting}`);
  }
  if (!isNames(audience)) {
    throw optionInvalid(
      "jwtSpeaker.audience",
      "must be the `aud` of your tokens: without it any token would do",
    );
  }
  if (issuer !== undefined && !isNames(issuer))
    throw optionInvalid("jwtSpeaker.issuer", "must be the tokens' `iss`");
  if (cookie !== undefined && (typeof cookie !== "string" || cookie === "")) {
    throw optionInvalid("jwtSpeaker.cookie", "must be the cookie's name");
  }
  if (typeof speaker !== "function")
    throw optionInvalid("jwtSpeaker.speaker", "must be a function of the claims");
  return { key: keySource(secret, key, jwksUrl), algorithms, audience, issuer, cookie, speaker };
}

function keySource(
  secret: JwtSpeakerOptions["secret"],
  key: JwtSpeakerOptions["key"],
  jwksUrl: JwtSpeakerOptions["jwksUrl"],
): JWTVerifyGetKey {
  if (secret !== undefined) {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    if (!(bytes instanceof Uint8Array) || bytes.byteLength < secretBytes) {
      throw optionInvalid("jwtSpeaker.secret", `must have at least ${secretBytes} bytes`);
    }
    if (new Set(bytes).size < differentBytes) {
      const command = `node -p "require('crypto').randomBytes(32).toString('base64url')"`;
      throw optionInvalid("jwtSpeaker.secret", `is too easy to guess. This makes a good one: ${command}`);
    }
    return async () => bytes;
  }
  if (jwksUrl !== undefined) return readJwksUrl(jwksUrl);
  if (typeof key !== "object" || key === null) {
    throw optionInvalid("jwtSpeaker.key", "must be a CryptoKey, a KeyObject or a JWK");
  }
  return async () => key;
}

function readJwksUrl(jwksUrl: string | URL): JWTVerifyGetKey {
  if (!URL.canParse(String(jwksUrl)) || !/^https?:$/.test(new URL(jwksUrl).protocol)) {
    throw optionInvalid("jwtSpeaker.jwksUrl", "must be an http(s) URL");
  }
  return remoteKeys(new URL(jwksUrl));
}

function subject({ sub }: JwtClaims): WebSpeaker | undefined {
  return typeof sub === "string" && sub !== "" ? { tenant: "", user: sub } : undefined;
}

function isNames(value: unknown): boolean {
  if (typeof value === "string") return value !== "";
  return (
    Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string" && each !== "")
  );
}

function bearer(request: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1];
}

function readCookie(request: Request, name: string): string | undefined {
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
