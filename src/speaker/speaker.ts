import { createHmac } from "node:crypto";
import { AparteError } from "../errors.ts";

/** Who spoke, and where. All parts are the platform's own ids, taken as opaque strings. */
export interface Speaker {
  /** The chat platform, e.g. `"slack"`, `"discord"`, `"web"`. Not empty. */
  readonly platform: string;
  /** Slack workspace or Enterprise org, Discord guild or DM, your customer. May be empty where there is none. */
  readonly tenant: string;
  /** The person. Not empty. */
  readonly user: string;
  readonly channel?: string;
  readonly thread?: string;
}

/**
 * Which parts of a speaker make a session:
 * - `user`: one session per person (the default).
 * - `user-in-channel`, `user-in-thread`: one per person in each channel or thread.
 * - `channel`, `thread`: one for everybody there; their words are shared with each other.
 * - a function: returns the key of the session within the platform and tenant, e.g. a team's id.
 */
export type Scope =
  | "user"
  | "user-in-channel"
  | "user-in-thread"
  | "channel"
  | "thread"
  | ((speaker: Speaker) => string);

/** The parts that the named scopes keep. A thread that is missing is the channel's main line. */
const scopeParts = {
  user: ["user"],
  "user-in-channel": ["user", "channel"],
  "user-in-thread": ["user", "channel", "thread"],
  channel: ["channel"],
  thread: ["channel", "thread"],
} as const satisfies Record<string, readonly (keyof Speaker)[]>;

export const scopes: readonly string[] = Object.keys(scopeParts);

/**
 * A speaker reduced to what its session is made of: the speaker's fields that the scope keeps, the key of a
 * scope function, or the application's own id for the person (`identify`).
 */
export interface ScopedSpeaker {
  readonly scope: string;
  readonly platform?: string;
  readonly tenant?: string;
  readonly user?: string;
  readonly channel?: string;
  readonly thread?: string;
  /** What the scope function returned. */
  readonly key?: string;
  /** What the `identify` hook returned: takes the place of platform, tenant and user. */
  readonly identity?: string;
}

/**
 * Checks that a value is a speaker.
 * @throws {AparteError} `input-invalid` with the field's name.
 */
export function checkSpeaker(speaker: Speaker): void {
  if (typeof speaker !== "object" || speaker === null) {
    throw invalid("speaker", "must be an object { platform, tenant, user, channel?, thread? }");
  }
  for (const field of ["platform", "tenant", "user"] as const) {
    if (typeof speaker[field] !== "string") throw invalid(field, "must be a string");
  }
  for (const field of ["channel", "thread"] as const) {
    const value = speaker[field];
    if (value !== undefined && typeof value !== "string") throw invalid(field, "must be a string");
  }
  if (speaker.platform === "") throw invalid("platform", "must not be empty");
  if (speaker.user === "")
    throw invalid("user", "must not be empty: without it people would share a session");
}

/**
 * Reduces a speaker to its scope.
 * @param identity the application's own id for the person; equal ids are one person on every platform.
 * @throws {AparteError} `input-invalid` when the scope needs a part that the speaker lacks.
 */
export function scoped(speaker: Speaker, scope: Scope, identity?: string): ScopedSpeaker {
  const { platform, tenant } = speaker;
  if (typeof scope === "function") {
    const key = scope(speaker);
    if (typeof key !== "string") throw invalid("scope", "the scope function must return a string");
    return { scope: "custom", platform, tenant, key };
  }
  const parts: Record<string, string> = {};
  for (const part of scopeParts[scope]) {
    const value = speaker[part];
    if (value !== undefined) parts[part] = value;
    else if (part === "channel") throw invalid("channel", `is needed by the scope "${scope}"`);
  }
  if (identity === undefined || parts.user === undefined) return { scope, platform, tenant, ...parts };
  // A person whom the application knows is one person on every platform; a channel still belongs to its own.
  const { user: _, ...places } = parts;
  const where = parts.channel === undefined ? {} : { platform, tenant };
  return { scope, ...where, identity, ...places };
}

const order = ["scope", "platform", "tenant", "user", "channel", "thread", "key", "identity"] as const;

/**
 * The injective encoding of a scoped speaker: each field in a fixed order with its length before it, so that
 * no two speakers meet, whatever characters their ids hold. A missing field differs from an empty one.
 */
export function encodeSpeaker(speaker: ScopedSpeaker): string {
  let encoded = "";
  for (const field of order) {
    const value = speaker[field];
    encoded += value === undefined ? "-;" : `${value.length}:${value};`;
  }
  return encoded;
}

/** The version of the naming scheme, first in every session name. */
const prefix = "a1_";

/** How many characters a session name has: the prefix and 198 bits of the keyed hash. */
const nameLength = 36;

/**
 * The session's pseudonym: a keyed hash of the scoped speaker, equal in all processes that share the secret.
 * 36 ASCII characters (Dialogflow CX takes no more than 36 bytes as a session id).
 */
export function sessionName(speaker: ScopedSpeaker, secret: string): string {
  const hash = createHmac("sha256", secret)
    // UTF-16, since UTF-8 would turn all lone surrogates into the same replacement character.
    .update(encodeSpeaker(speaker), "utf16le")
    .digest("base64url");
  return (prefix + hash).slice(0, nameLength);
}

function invalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Speaker field "${field}" ${problem}.`, { field });
}
