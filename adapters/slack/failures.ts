import { AparteError, type DeliveryFailure } from "aparte";

// What Slack's errors mean. They are known by their shape: only types are imported from Slack's packages.

/** Slack failed by itself; whether it did what was asked is not known. */
const unsure: readonly string[] = ["internal_error", "fatal_error", "service_unavailable", "request_timeout"];
const limited: readonly string[] = ["ratelimited", "rate_limited", "message_limit_exceeded"];
const gone: readonly string[] = ["message_not_found", "cant_update_message", "edit_window_closed"];

/** Whether Slack may take the answer later, and when. */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  const retryAfterMs = waitOf(error);
  return { passes: !isFinal(error), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
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
  return !isFinal(error) && waitOf(error) === undefined && !limited.includes(codeOf(error) ?? "");
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

/** The workspace has no streams for this app, now or later. An unknown method may also be a plain 404. */
export function isStreamRefusal(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return numberOf(error, "statusCode") === 404;
  return code === "unknown_method" || code === "feature_not_enabled" || code.startsWith("missing_");
}

export function isBlockRefusal(error: unknown): boolean {
  return (codeOf(error) ?? "").startsWith("invalid_blocks");
}

/** Slack's own code, of a WebAPIPlatformError. */
function codeOf(error: unknown): string | undefined {
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
