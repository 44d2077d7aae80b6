import { AparteError } from "aparte";
import type { DeliveryFailure } from "aparte/adapter";

/** Discord's codes (RESTJSONErrorCodes), written here so that only types are imported from discord.js. */
export const code = {
  unknownMessage: 10_008,
  editedTooOften: 30_046,
  missingAccess: 50_001,
  missingPermissions: 50_013,
  archived: 50_083,
  /** Replying needs the permission Read Message History, posting does not. */
  cannotReply: 160_002,
  hasThread: 160_004,
};

export const tooMany = 429;
const tooLarge = 413;

/** What is read here of discord.js' errors. */
interface DiscordError {
  /** Discord's own code, of a DiscordAPIError. */
  readonly code?: number;
  readonly status?: number;
  /** How long a client that rejects rate limits (`rejectOnRateLimit`) was told to wait, in milliseconds. */
  readonly retryAfter?: number;
}

function read(error: unknown): DiscordError {
  return error ?? {};
}

/** The message can be edited no more: it was deleted; or it is older than an hour, and was edited too often. */
export function isGone(error: unknown): boolean {
  return codeOf(error) === code.unknownMessage || codeOf(error) === code.editedTooOften;
}

/** The thread takes no edits; it takes posts, which open it again. */
export function isArchived(error: unknown): boolean {
  return codeOf(error) === code.archived;
}

/** The bot lacks a permission in the channel. */
export function isForbidden(error: unknown): boolean {
  return codeOf(error) === code.missingAccess || codeOf(error) === code.missingPermissions;
}

/** The bot may not attach files there, or they are too large for the place. */
export function isUnattachable(error: unknown): boolean {
  return isForbidden(error) || read(error).status === tooLarge;
}

/** Whether Discord may take the answer later, and when. What it refused for good it refuses again: no such channel … */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  const { status = 0, retryAfter: retryAfterMs } = read(error);
  return { passes: status < 400 || status >= 500 || status === tooMany, retryAfterMs };
}

export function codeOf(error: unknown): number | undefined {
  return read(error).code;
}
