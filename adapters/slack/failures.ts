import { AparteError } from "aparte";
import type { DeliveryFailure } from "aparte/adapter";

// What Slack's errors mean. They are known by their shape: only types are imported from Slack's packages.

/** Slack failed by itself; whether it did what was asked is not known. */
const unsure: readonly string[] = ["internal_error", "fatal_error", "service_unavailable", "request_timeout"];
const limited: readonly string[] = ["ratelimited", "rate_limited", "message_limit_exceeded"];
const gone: readonly string[] = ["message_not_found", "cant_update_message", "edit_window_closed"];
const unthreaded: readonly string[] = [
  "cannot_reply_to_message",
  "restricted_action_non_threadable_channel",
  "restricted_action_thread_locked",
  "thread_not_found",
  "invalid_thread_ts",
];
const unblocked: readonly string[] = ["msg_blocks_too_long", "invalid_attachments"];

/** Whether Slack may take the answer later, and when. */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  const retryAfterMs = waitOf(error);
  const reason = codeOf(error) ?? numberOf(error, "statusCode")?.toString();
  return {
    passes: !isFinal(error),
    retryAfterMs,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Slack has answered and will answer the same again: no permission, no such channel … */
export function isFinal(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return !unsure.includes(code) && !limited.includes(code);
  const status = numberOf(error, "statusCode") ?? 0;
  return status >= 400 && status < 500 && status !== 429;
}

/** Whether Slack may have done what was asked: there was no answer, or one about a failure of its own. */
export function isUnsure(error: unknown): boolean {
  return !isFinal(error) && !isLimited(error);
}

/** How long a client that rejects rate limits was told to wait, in milliseconds. */
export function waitOf(error: unknown): number | undefined {
  const seconds = numberOf(error, "retryAfter");
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** The message can be edited no more. */
export function isGone(error: unknown): boolean {
  return gone.includes(codeOf(error) ?? "");
}

/** The workspace has no streams for this app, whatever they say. An unknown method may also be a plain 404. */
export function isStreamRefusal(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return numberOf(error, "statusCode") === 404;
  return code === "unknown_method" || code === "feature_not_enabled" || code === "missing_scope";
}

/** Slack does not take these blocks; it may take others. */
export function isBlockRefusal(error: unknown): boolean {
  const code = codeOf(error) ?? "";
  return code.startsWith("invalid_blocks") || unblocked.includes(code);
}

/** Nobody can answer in that thread. */
export function isThreadRefusal(error: unknown): boolean {
  return unthreaded.includes(codeOf(error) ?? "");
}

/** The message is a stream still. */
export function isStreamingStill(error: unknown): boolean {
  return codeOf(error) === "streaming_state_conflict";
}

/** The message is a stream no more. */
export function isStreamOver(error: unknown): boolean {
  return codeOf(error) === "message_not_in_streaming_state" || codeOf(error) === "message_not_found";
}

export function isLimited(error: unknown): boolean {
  return waitOf(error) !== undefined || limited.includes(codeOf(error) ?? "");
}

/** Slack's own code, of a WebAPIPlatformError. */
export function codeOf(error: unknown): string | undefined {
  const code = fieldOf(fieldOf(error, "data"), "error");
  return typeof code === "string" ? code : undefined;
}

function numberOf(error: unknown, field: string): number | undefined {
  const value = fieldOf(error, field);
  return typeof value === "number" ? value : undefined;
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
}
