import { type Speaker, speakerInvalid } from "./speaker.ts";

/**
 * Which parts of a speaker make a session. Platform, bot and tenant always do, and what is said in private is apart
 * from shared places in every scope but `user-everywhere`:
 * - `user`: one session per person in private, and one in shared places (the default).
 * - `user-everywhere`: one per person. What was said in private may come out in a channel.
 * - `user-in-channel`, `user-in-thread`: one per person in each channel or thread.
 * - `channel`, `thread`: one for everybody there; their words are shared with each other.
 * - a function: returns the key of the session, e.g. a team's id.
 */
export type Scope =
  | "user"
  | "user-everywhere"
  | "user-in-channel"
  | "user-in-thread"
  | "channel"
  | "thread"
  | ((speaker: Speaker) => string);

/** The parts that the named scopes keep. A thread that is missing is the channel's main line. */
const scopeParts = {
  user: ["user", "direct"],
  "user-everywhere": ["user"],
  "user-in-channel": ["user", "channel", "direct"],
  "user-in-thread": ["user", "channel", "thread", "direct"],
  channel: ["channel", "direct"],
  thread: ["channel", "thread", "direct"],
} as const satisfies Record<string, readonly (keyof Speaker)[]>;

export const scopes: readonly string[] = Object.keys(scopeParts);

/**
 * A speaker reduced to what its session is made of: the speaker's fields that the scope keeps, the key of a
 * scope function, or the application's own id for the person (`identify`).
 */
export interface ScopedSpeaker {
  readonly scope: string;
  readonly platform?: string;
  readonly bot?: string;
  readonly tenant?: string;
  readonly user?: string;
  readonly channel?: string;
  readonly thread?: string;
  /** `"direct"` for what is said in private. */
  readonly direct?: string;
  /** What the scope function returned. */
  readonly key?: string;
  /** What the `identify` hook returned: takes the place of platform, bot, tenant and user. */
  readonly identity?: string;
}

/**
 * Reduces a speaker to its scope.
 * @param identity the application's own id for the person; equal ids are one person on every platform.
 * @throws {AparteError} `input-invalid` when the scope needs a part that the speaker lacks.
 */
export function scoped(speaker: Speaker, scope: Scope, identity?: string): ScopedSpeaker {
  const { platform, bot, tenant } = speaker;
  const home: { platform: string; bot?: string; tenant?: string } = { platform };
  if (bot !== undefined) home.bot = bot;
  if (tenant !== undefined) home.tenant = tenant;
  if (typeof scope === "function") {
    const key = scope(speaker);
    if (typeof key !== "string") throw speakerInvalid("scope", "the scope function must return a string");
    const direct = speaker.direct === true ? { direct: "direct" } : {};
    return { scope: "custom", ...home, key, ...direct };
  }
  const parts: Record<string, string> = {};
  for (const part of scopeParts[scope]) {
    if (part === "direct") {
      if (speaker.direct === true) parts.direct = "direct";
      continue;
    }
    const value = speaker[part];
    if (value !== undefined) parts[part] = value;
    else if (part === "channel") throw speakerInvalid("channel", `is needed by the scope "${scope}"`);
  }
  if (identity === undefined || parts.user === undefined) return { scope, ...home, ...parts };
  // A person whom the application knows is one person on every platform; a channel still belongs to its own.
  const { user: _, ...places } = parts;
  return { scope, ...(parts.channel === undefined ? {} : home), identity, ...places };
}

const order = [
  "scope",
  "platform",
  "bot",
  "tenant",
  "user",
  "channel",
  "thread",
  "direct",
  "key",
  "identity",
] as const;

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
