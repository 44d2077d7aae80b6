import type { AparteErrorCode } from "../../errors.ts";
import {
  type Certainty,
  inDoubt,
  ranPerhaps,
  refusedForGood,
  refusedForNow,
  ServiceFailure,
} from "../http/failure.ts";

/** A refusal in the service's own words. */
export interface SonaopsRefusal {
  /** The HTTP status; 200 for most refusals, and for those within a stream. */
  readonly status: number;
  /** The envelope's code, e.g. 10404; undefined where there is none. */
  readonly code: number | undefined;
  /** The envelope's message; `""` where there is none. */
  readonly message: string;
}

export interface RefusalFacts extends SonaopsRefusal {
  /** Whether the answer had the service's JSON form at all. */
  readonly isEnvelope: boolean;
  readonly traceId: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Which request was refused. */
export interface Judge {
  /** A turn was sent: after a failure of the server it may have run. */
  readonly isTurn: boolean;
  readonly isConversationLost: (refusal: SonaopsRefusal) => boolean;
}

/** By how the message begins: the code is the same for many refusals, and most come with HTTP 200. */
const meaningsByMessage: readonly (readonly [string, AparteErrorCode, string, Certainty])[] = [
  [
    "too many requests",
    "backend-rate-limited",
    "there are too many requests; try again later",
    refusedForNow,
  ],
  [
    "api key usage limit reached",
    "backend-quota",
    "the API key has used up its calls; have it topped up or take another key",
    refusedForGood,
  ],
  [
    "invalid api key",
    "backend-auth",
    "the API key is not valid or switched off; check apiKey",
    refusedForGood,
  ],
];

const rejectedByMessage: readonly (readonly [string, string])[] = [
  ["agentid is required", "the request named no agent; check agentId"],
  ["agent not found", "the agent does not exist; check agentId"],
];

const refusedCredentials =
  "the request was refused as not authentic; check apiKey, apiSecret, profile, and that this machine's clock is right";

/** The failure that an answer of Sonaops tells of. Its words may repeat a person's. */
export function refusal(facts: RefusalFacts, { isTurn, isConversationLost }: Judge): ServiceFailure {
  const { status, code, message, isEnvelope, traceId, retryAfterMs } = facts;
  const failure = (kind: AparteErrorCode, what: string, certainty: Certainty): ServiceFailure => {
    const seen = code === undefined ? `HTTP ${status}` : `code ${code}`;
    return new ServiceFailure(kind, `Sonaops: ${what} (${seen})`, certainty, {
      words: message,
      traceId,
      retryAfterMs,
    });
  };

  const words = message.trim().toLowerCase();
  const meaning = meaningsByMessage.find(([beginning]) => words.startsWith(beginning));
  if (meaning !== undefined) return failure(meaning[1], meaning[2], meaning[3]);
  if (status === 401 || status === 403) return failure("backend-auth", refusedCredentials, refusedForGood);
  if (status === 429)
    return failure("backend-rate-limited", "there are too many requests; try again later", refusedForNow);
  if (isTurn && isEnvelope && isConversationLost({ status, code, message })) {
    return failure("conversation-lost", "the conversation does not exist any more", refusedForGood);
  }
  const rejected = rejectedByMessage.find(([beginning]) => words.startsWith(beginning));
  if (rejected !== undefined) return failure("backend-rejected", rejected[1], refusedForGood);
  if (status >= 500 || status === 408 || code === 10500) {
    const what = "the service or a gateway before it failed; try again later";
    // A turn that may have run must not look like one that may be sent again.
    return failure(isTurn ? "backend-failed" : "backend-unavailable", what, inDoubt);
  }
  if (!isEnvelope)
    return failure("backend-protocol", "the answer is not the service's; check baseURL", refusedForGood);
  if (status === 400 || status === 404 || code === 10400 || code === 10404) {
    return failure("backend-rejected", "the request was refused; check agentId and baseURL", refusedForGood);
  }
  return failure("backend-failed", "the request was refused", refusedForGood);
}

/** The failure that a stream tells of after it was opened: the turn may have run, so nothing invites to send it again. */
export function streamFailure(
  facts: Omit<RefusalFacts, "isEnvelope" | "status">,
  judge: Judge,
  hasSpoken: boolean,
): ServiceFailure {
  const failure = refusal({ ...facts, status: 200, isEnvelope: true }, judge);
  if (!failure.retryable || (failure.code === "conversation-lost" && !hasSpoken)) return failure;
  const what = "Sonaops: the agent failed after the turn was sent";
  return new ServiceFailure("backend-failed", what, ranPerhaps, { traceId: facts.traceId, cause: failure });
}

/**
 * Whether a refused turn means that its conversation is gone. No page of the service tells the exact words, so this is
 * inferred: code 10404 or HTTP 404, unless the message speaks of the agent; or a message that calls the conversation
 * unknown.
 */
export function isConversationLost({ status, code, message }: SonaopsRefusal): boolean {
  if (
    /\bconversation(?:id)?\b.*\b(?:not found|not exist|unknown|invalid|expired)|\b(?:unknown|invalid|expired)\s+conversation/i.test(
      message,
    )
  ) {
    return true;
  }
  return (code === 10404 || status === 404) && !/\bagent\b/i.test(message);
}
