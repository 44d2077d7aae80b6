import { createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { asFields, type Fields, readBody } from "./fields.ts";
import { type Call, Refusal, type Route, TokenRefusal } from "./protocol.ts";
import type { CozeState, Identity, Setup } from "./state.ts";

/** A JWT that the token endpoint accepted: its claims, never itself. */
export interface CozeJwt {
  readonly keyId: string;
  readonly audience: string;
  readonly jti: string;
  readonly sessionName?: string;
  /** The claim `session_context`, as sent. */
  readonly sessionContext?: unknown;
  /** Unix seconds. */
  readonly issuedAt: number;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** Where it was sent to, e.g. `"/api/permission/oauth2/token"`. */
  readonly path: string;
  /** How long the token may be used, in seconds. */
  readonly durationSeconds: number;
  /** The body's `scope`, as sent. */
  readonly scope?: unknown;
}

export interface AuthOptions {
  readonly state: CozeState;
  readonly setup: Setup;
  /** The values of `aud` that mean this server. */
  readonly audiences: readonly string[];
  readonly now: () => number;
  readonly onToken: (jwt: CozeJwt) => void;
}

export interface Auth {
  readonly routes: readonly Route[];
  /** Who the request's token speaks for. Refuses with 4100 at HTTP 401. */
  identify(request: Request): Identity;
}

const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const maxTokenSeconds = 86_399;
const clockSkewSeconds = 60;

export function newToken(prefix: "czs" | "pat"): string {
  return `${prefix}_${randomBytes(36).toString("base64url")}`;
}

export function createAuth(options: AuthOptions): Auth {
  const { state, setup } = options;
  const publicKey = createPublicKey(setup.privateKey);

  async function exchange(call: Call, accountId: string): Promise<Response> {
    const body = await readTokenBody(call.request);
    const { durationSeconds, scope, botIds } = grantOf(body);
    const jwt = await verify(bearer(call.request), publicKey, options);
    // Checked and marked in one step, without an await: of two copies sent at once, one is refused.
    if (state.usedJwts.has(jwt.jti)) throw invalidJwt("jti has been used");
    state.addUsedJwt(jwt.jti, jwt.expiresAt + clockSkewSeconds);
    const expiresAt = state.now() + durationSeconds;
    const text = newToken("czs");
    state.addToken(text, {
      accountId,
      expiresAt,
      ...(jwt.sessionName === undefined ? {} : { sessionName: jwt.sessionName }),
      ...(botIds === undefined ? {} : { botIds }),
    });
    const path = new URL(call.request.url).pathname;
    options.onToken({ ...jwt, path, durationSeconds, ...(scope === undefined ? {} : { scope }) });
    // No envelope here, and `expires_in` is a point in time, not a span: so does the real service.
    return Response.json({ access_token: text, expires_in: expiresAt });
  }

  return {
    routes: [
      {
        method: "POST",
        path: "/api/permission/oauth2/token",
        handle: (call) => exchange(call, setup.accountId),
      },
      {
        method: "POST",
        path: "/api/permission/oauth2/account/:id/token",
        handle: (call) => exchange(call, call.params.id ?? ""),
      },
      {
        method: "POST",
        path: "/api/permission/oauth2/enterprise_id/:id/token",
        handle: (call) => exchange(call, call.params.id ?? ""),
      },
    ],
    identify(request) {
      const token = state.tokens.get(bearer(request));
      if (token === undefined || (token.expiresAt !== undefined && token.expiresAt <= state.now())) {
        throw new Refusal(4100, "authentication is invalid", 401);
      }
      return token;
    },
  };
}

function bearer(request: Request): string {
  return /^Bearer\s+(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

function invalidJwt(reason: string): TokenRefusal {
  return new TokenRefusal("invalid_client", `invalid jwt: ${reason}`, 401);
}

async function readTokenBody(request: Request): Promise<Fields> {
  try {
    return await readBody(request);
  } catch (error) {
    throw new TokenRefusal("invalid_request", error instanceof Error ? error.message : "invalid body", 400);
  }
}

function grantOf(body: Fields): {
  durationSeconds: number;
  scope?: unknown;
  botIds?: readonly string[];
} {
  if (body.grant_type !== jwtGrant) {
    throw new TokenRefusal("unsupported_grant_type", `grant_type must be ${jwtGrant}`, 400);
  }
  const durationSeconds = body.duration_seconds ?? 900;
  if (!isWholeNumber(durationSeconds) || durationSeconds < 1 || durationSeconds > maxTokenSeconds) {
    throw new TokenRefusal("invalid_request", `duration_seconds must be 1 to ${maxTokenSeconds}`, 400);
  }
  const scope = body.scope;
  if (scope === undefined || scope === null) return { durationSeconds };
  const botIds = scopedBots(scope);
  return { durationSeconds, scope, ...(botIds === undefined ? {} : { botIds }) };
}

function isWholeNumber(value: unknown): value is number {
  return Number.isInteger(value);
}

function scopedBots(scope: unknown): readonly string[] | undefined {
  try {
    const constraint = asFields(scope, "scope").attribute_constraint;
    if (constraint === undefined) return undefined;
    const attribute = asFields(constraint, "scope").connector_bot_chat_attribute;
    if (attribute === undefined) return undefined;
    const list = asFields(attribute, "scope").bot_id_list;
    if (Array.isArray(list) && list.every((id) => typeof id === "string")) return list;
  } catch {
    // told below, in this endpoint's own form
  }
  throw new TokenRefusal("invalid_request", "scope is malformed", 400);
}

async function verify(
  text: string,
  publicKey: KeyObject,
  { setup, audiences, now }: AuthOptions,
): Promise<Omit<CozeJwt, "path" | "durationSeconds" | "scope">> {
  if (text === "") throw invalidJwt("verify jwt empty error");
  const { kid } = headerOf(text);
  if (kid !== setup.keyId) throw invalidJwt("kid not been registred");
  try {
    const { payload } = await jwtVerify(text, publicKey, {
      algorithms: ["RS256"],
      typ: "JWT",
      issuer: setup.appId,
      requiredClaims: ["iss", "aud", "iat", "exp", "jti"],
      currentDate: new Date(now()),
    });
    const { aud, iat, exp, jti, session_name: sessionName, session_context: sessionContext } = payload;
    if (typeof aud !== "string" || !audiences.includes(aud)) throw invalidJwt("aud is not this service");
    if (typeof jti !== "string" || jti === "") throw invalidJwt("jti is required");
    if (typeof iat !== "number" || typeof exp !== "number" || exp <= iat)
      throw invalidJwt("exp must be after iat");
    if (iat > now() / 1000 + clockSkewSeconds) throw invalidJwt("iat is in the future");
    if (sessionName !== undefined && typeof sessionName !== "string")
      throw invalidJwt("session_name must be a string");
    return {
      keyId: kid,
      audience: aud,
      jti,
      issuedAt: iat,
      expiresAt: exp,
      ...(sessionName === undefined || sessionName === "" ? {} : { sessionName }),
      ...(sessionContext === undefined ? {} : { sessionContext }),
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw invalidJwt(error.message);
    throw error;
  }
}

function headerOf(text: string): { kid?: string } {
  try {
    return decodeProtectedHeader(text);
  } catch {
    throw invalidJwt("it is malformed");
  }
}
