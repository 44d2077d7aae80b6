import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { optionInvalid } from "../../check.ts";
import { pasted, pastedJson, readPrivateKey } from "../http/pasted-key.ts";

/** A service account's key, as Google Cloud's console hands it out. Further members are ignored. */
export interface ServiceAccountKey {
  readonly type?: string;
  readonly client_email: string;
  /** RSA, as PEM text. */
  readonly private_key: string;
  readonly private_key_id?: string;
}

/** How the backend comes to its token. */
export type Credentials =
  | {
      readonly kind: "service-account";
      readonly email: string;
      readonly key: KeyObject;
      readonly keyId?: string;
    }
  | {
      readonly kind: "authorized-user";
      readonly clientId: string;
      readonly clientSecret: string;
      readonly refreshToken: string;
      /** The project that is charged: a person's token belongs to none. */
      readonly quotaProject?: string;
    }
  | { readonly kind: "metadata"; readonly url: string };

const field = "credentials";

/** Reads a key given as an object, as JSON text or as the path of a file. */
export function readCredentials(given: unknown): Credentials {
  if (typeof given === "string") {
    const text = pasted(given);
    return text.startsWith("{") || text.startsWith("\\")
      ? readJson(text, "holds no JSON object")
      : readFile(given);
  }
  return readKey(given);
}

/**
 * Google's application-default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names, then the one
 * that `gcloud auth application-default login` writes, then the metadata server of the machine.
 */
export function defaultCredentials(env: NodeJS.ProcessEnv = process.env): Credentials {
  const named = env.GOOGLE_APPLICATION_CREDENTIALS;
  if (named !== undefined && named !== "") return readFile(named);
  const gcloud = join(env.CLOUDSDK_CONFIG ?? gcloudFolder(env), "application_default_credentials.json");
  if (existsSync(gcloud)) return readFile(gcloud);
  const host = env.GCE_METADATA_IP ?? env.GCE_METADATA_HOST ?? "169.254.169.254";
  return {
    kind: "metadata",
    url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
  };
}

function gcloudFolder({ APPDATA, HOME = homedir() }: NodeJS.ProcessEnv): string {
  return process.platform === "win32" && APPDATA !== undefined
    ? join(APPDATA, "gcloud")
    : join(HOME, ".config", "gcloud");
}

function readFile(path: string): Credentials {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw optionInvalid(field, "names a file that cannot be read; give the path of a key file", error);
  }
  return readJson(text, "names a file that holds no JSON object");
}

function readJson(text: string, problem: string): Credentials {
  const value = pastedJson(text);
  if (value === undefined) throw optionInvalid(field, problem);
  return readKey(value);
}

function readKey(value: unknown): Credentials {
  if (typeof value !== "object" || value === null) {
    throw optionInvalid(field, "must be a service account's key: an object, JSON text or the path of a file");
  }
  const members = value as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const found = members[name];
    if (typeof found !== "string" || found.trim() === "")
      throw optionInvalid(`${field}.${name}`, "is missing");
    return found;
  };
  const type = members.type ?? "service_account";
  if (type === "service_account") {
    const keyId = members.private_key_id;
    return {
      kind: "service-account",
      email: text("client_email"),
      key: readPrivateKey(text("private_key"), `${field}.private_key`),
      ...(typeof keyId === "string" ? { keyId } : {}),
    };
  }
  if (type === "authorized_user") {
    const quotaProject = members.quota_project_id;
    return {
      kind: "authorized-user",
      clientId: text("client_id"),
      clientSecret: text("client_secret"),
      refreshToken: text("refresh_token"),
      ...(typeof quotaProject === "string" ? { quotaProject } : {}),
    };
  }
  throw optionInvalid(
    `${field}.type`,
    'must be "service_account" or "authorized_user"; for other kinds give an accessToken function',
  );
}
