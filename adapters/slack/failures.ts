import { AparteError } from "aparte";
import type { DeliveryFailure } from "aparte/adapter";

// What Slack's errors mean. They are known by their shape: only types are imported from Slack's packages.

/** What is read here of `@slack/web-api`'s errors. */
interface SlackError {
  /** Slack's own code, of a WebAPIPlatformError. */
  readonly data?: { readonly error?: string };
  /** Of a WebAPIHTTPError. */
  readonly statusCode?: number;
  /** How long a client that rejects rate limits was told to wait, in seconds. */
  readonly retryAfter?: number;
}

function read(error: unknown): SlackError {
  return error ?? {};
}

/** Whether an error is one of some kind. */
type Kind = (error: unknown) => boolean;

function hasCode(...codes: readonly string[]): Kind {
  return (error) => codes.includes(codeOf(error) ?? "");
}

/** Slack failed by itself; whether it did what was asked is not known. */
const isOwnFailure = hasCode("internal_error", "fatal_error", "service_unavailable", "request_timeout");

const isOverLimit = hasCode("ratelimited", "rate_limited", "message_limit_exceeded");

/** The message can be edited no more. */
export const isGone: Kind = hasCode("message_not_found", "cant_update_message", "edit_window_closed");

/** Nobody can answer in that thread. */
export const isThreadRefusal: Kind = hasCode(
  "cannot_reply_to_message",
  "restricted_action_non_threadable_channel",
  "restricted_action_thread_locked",
  "thread_not_found",
  "invalid_thread_ts",
);

/** The message is a stream still. */
export const isStreamingStill: Kind = hasCode("streaming_state_conflict");

/** The message is a stream no more. */
export const isStreamOver: Kind = hasCode("message_not_in_streaming_state", "message_not_found");

const isWithoutStreams = hasCode("unknown_method", "feature_not_enabled", "missing_scope");
const isUnblocked = hasCode("msg_blocks_too_long", "invalid_attachments");

/** The workspace has no streams for this app, whatever they say. An unknown method may also be a plain 404. */
export function isStreamRefusal(error: unknown): boolean {
  return isWithoutStreams(error) || read(error).statusCode === 404;
}

/** Slack does not take these blocks; it may take others. */
export function isBlockRefusal(error: unknown): boolean {
  return isUnblocked(error) || codeOf(error)?.startsWith("invalid_blocks") === true;
}

/** Whether Slack may take the answer later, and when. */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  const { statusCode, retryAfter } = read(error);
  const reason = codeOf(error) ?? statusCode?.toString();
  return {
    passes: !isFinal(error),
    retryAfterMs: retryAfter === undefined ? undefined : retryAfter * 1_000,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Slack has answered and will answer the same again: no permission, no such channel … */
export function isFinal(error: unknown): boolean {
  if (codeOf(error) !== undefined) return !isOwnFailure(error) && !isOverLimit(error);
  const { statusCode = 0 } = read(error);
  return statusCode >= 400 && statusCode < 500 && statusCode !== 429;
}

/** Whether Slack may have done what was asked: there was no answer, or one about a failure of its own. */
export function isUnsure(error: unknown): boolean {
  return !isFinal(error) && !isLimited(error);
}

export function isLimited(error: unknown): boolean {
  return read(error).retryAfter !== undefined || isOverLimit(error);
}

export function codeOf(error: unknown): string | undefined {
  return read(error).data?.error;
}
