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
  return isForbidden(error) || numberOf(error, "status") === tooLarge;
}

/** Discord has answered and will answer the same again: no permission, no such channel … */
export function isFinal(error: unknown): boolean {
  const status = numberOf(error, "status");
  return status !== undefined && status >= 400 && status < 500 && status !== tooMany;
}

/** Whether Discord may take the answer later, and when. */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  return { passes: !isFinal(error), retryAfterMs: waitOf(error) };
}

/** How long a client that rejects rate limits (`rejectOnRateLimit`) was told to wait, in milliseconds. */
export function waitOf(error: unknown): number | undefined {
  return numberOf(error, "retryAfter");
}

/** Discord's own code, of a DiscordAPIError. */
export function codeOf(error: unknown): number | undefined {
  return numberOf(error, "code");
}

function numberOf(error: unknown, field: string): number | undefined {
  const value: unknown = (error as Readonly<Record<string, unknown>> | null | undefined)?.[field];
  return typeof value === "number" ? value : undefined;
}
