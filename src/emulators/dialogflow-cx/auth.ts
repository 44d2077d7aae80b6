import { createPublicKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { rsaKeyOfProcess } from "../kit/options.ts";
import { Refusal } from "./refusal.ts";

/** A service account's key file. */
export interface DialogflowCxCredentials {
  readonly type: "service_account";
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
  readonly token_uri: string;
  readonly universe_domain: "googleapis.com";
}

/** What `gcloud auth application-default login` writes for a person. */
export interface DialogflowCxUser {
  readonly type: "authorized_user";
  readonly client_id: string;
  readonly client_secret: string;
  readonly refresh_token: string;
  readonly quota_project_id: string;
}

export interface Auth {
  readonly credentials: DialogflowCxCredentials;
  readonly user: DialogflowCxUser;
  /** A new access token that lives for an hour. */
  newToken(): string;
  /** Makes every access token given out so far worthless. */
  expireTokens(): void;
  /** Lets a request pass by its token, or refuses it with UNAUTHENTICATED. */
  check(request: Request): Promise<void>;
  /** Google's token endpoint: exchanges the person's refresh token. */
  exchange(request: Request): Promise<Response>;
  /** The metadata server's token. */
  metadata(request: Request): Response;
}

const audience = "https://dialogflow.googleapis.com/";
const scopes = new Set([
  "https://www.googleapis.com/auth/cloud-platform",
  "https://www.googleapis.com/auth/dialogflow",
]);
const lifeSeconds = 3600;
/** How far a client's clock may be off. */
const skewSeconds = 300;

export async function createAuth(project: string, pem: string | undefined, now: () => number): Promise<Auth> {
  const privateKey = pem ?? (await rsaKeyOfProcess());
  const publicKey = createPublicKey(privateKey);
  const credentials: DialogflowCxCredentials = {
    type: "service_account",
    project_id: project,
    private_key_id: randomUUID().replaceAll("-", ""),
    private_key: privateKey,
    client_email: `aparte@${project}.iam.gserviceaccount.com`,
    client_id: "100000000000000000001",
    token_uri: "https://oauth2.googleapis.com/token",
    universe_domain: "googleapis.com",
  };
  const user: DialogflowCxUser = {
    type: "authorized_user",
    client_id: "1000-emulator.apps.googleusercontent.com",
    client_secret: randomBytes(18).toString("base64url"),
    refresh_token: `1//${randomBytes(36).toString("base64url")}`,
    quota_project_id: project,
  };
  /** Access tokens with the Unix second in which they end. */
  const tokens = new Map<string, number>();

  const seconds = (): number => Math.floor(now() / 1000);
  const newToken = (): string => {
    const token = `ya29.${randomBytes(48).toString("base64url")}`;
    tokens.set(token, seconds() + lifeSeconds);
    return token;
  };
  const tokenBody = (): object => ({
    access_token: newToken(),
    expires_in: lifeSeconds,
    token_type: "Bearer",
  });

  return {
    credentials,
    user,
    newToken,
    expireTokens: () => tokens.clear(),
    async check(request) {
      const token = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
      if (token === undefined)
        throw unauthenticated("Request is missing required authentication credential.");
      if (token.startsWith("ya29.")) {
        if ((tokens.get(token) ?? 0) > seconds()) return;
        throw unauthenticated("Request had invalid authentication credentials.");
      }
      await checkJwt(token, publicKey, credentials, seconds());
    },
    async exchange(request) {
      const form = new URLSearchParams(await request.text());
      if (form.get("grant_type") !== "refresh_token") return oauthError("unsupported_grant_type");
      const isClient =
        form.get("client_id") === user.client_id && form.get("client_secret") === user.client_secret;
      if (!isClient) return oauthError("invalid_client", 401);
      if (form.get("refresh_token") !== user.refresh_token) return oauthError("invalid_grant");
      return Response.json(tokenBody());
    },
    metadata(request) {
      const headers = { "metadata-flavor": "Google" };
      if (request.headers.get("metadata-flavor") !== "Google") {
        return new Response("Missing Metadata-Flavor:Google header", { status: 403, headers });
      }
      return Response.json(tokenBody(), { headers });
    },
  };
}

/** A JWT that a service account signed itself: by audience or by scope, never by both (AIP-4111). */
async function checkJwt(
  token: string,
  key: KeyObject,
  { client_email, private_key_id }: DialogflowCxCredentials,
  now: number,
): Promise<void> {
  const { payload } = await jwtVerify(token, key, {
    algorithms: ["RS256"],
    issuer: client_email,
    subject: client_email,
    requiredClaims: ["iss", "sub", "iat", "exp"],
    currentDate: new Date(now * 1000),
    clockTolerance: skewSeconds,
  }).catch((error: unknown) => {
    throw unauthenticated(`Invalid JWT: ${error instanceof errors.JOSEError ? error.code : "unreadable"}.`);
  });
  const { kid } = decodeProtectedHeader(token);
  if (kid !== undefined && kid !== private_key_id) throw unauthenticated("Invalid JWT: unknown key id.");
  const { iat = 0, exp = 0, aud, scope } = payload;
  if (iat > now + skewSeconds) throw unauthenticated("Invalid JWT: issued in the future.");
  if (exp - iat > lifeSeconds) throw unauthenticated("Invalid JWT: it must end an hour after it was issued.");
  if (aud !== undefined && scope !== undefined)
    throw unauthenticated("Invalid JWT: audience and scope are both set.");
  if (aud === audience) return;
  const isScoped = typeof scope === "string" && scope.split(" ").some((name) => scopes.has(name));
  if (!isScoped) throw unauthenticated("Invalid JWT: neither the audience nor a scope is this service's.");
}

function unauthenticated(message: string): Refusal {
  return new Refusal("UNAUTHENTICATED", message);
}

function oauthError(error: string, status = 400): Response {
  return Response.json({ error, error_description: "refused by the emulator" }, { status });
}
