import type { AparteError, AparteErrorCode } from "../../errors.ts";
import {
  type Certainty,
  inDoubt,
  ranPerhaps,
  refusedForGood,
  refusedForNow,
  ServiceFailure,
} from "../http/failure.ts";

/** What each of Coze's codes means, and what to do (docs: developer_guides/coze_error_codes). */
const meanings: { readonly [Code in AparteErrorCode]?: Readonly<Record<number, string>> } = {
  "backend-rejected": {
    4000: "a parameter is wrong; check botId and the agent's settings",
    4001: "the chat does not exist, or not for this session",
    4003: "the meta data is too large; check metaData",
    4004: "there are too many messages in one request",
    4005: "the message's content is not accepted",
    4006: "the agent does not exist or the app may not use it; check botId",
    4007: "a chat that is not streamed must be saved",
    4010: "the message is too long for the agent's model",
    4012: "the agent's model is gone; choose another model for the agent",
    4015: "the agent is not published; publish it to the API channel",
    4021: "the agent's workflow is not set up",
    4104: "the chat cannot be cancelled any more",
    4200: "the resource does not exist; check botId, and that the workflow is published",
    4201: "the member is there already",
    4314: "the workflow's run does not exist",
    4315: "the workflow's run has ended",
  },
  "conversation-lost": {
    4002: "the conversation does not exist, or not for this session",
  },
  "backend-quota": {
    4008: "today's limit is used up; it comes back tomorrow",
    4011: "the account's Coze tokens are used up; buy some",
    4019: "the account's balance is used up; top it up",
    4022: "the model's bill is overdue; pay it",
    4028: "the account's free quota is used up; buy a plan",
  },
  "backend-rate-limited": {
    4009: "the service is at its capacity; try again later",
    4020: "there are too many requests a minute for the plan",
  },
  "backend-unavailable": {
    4013: "the agent's model failed; try again later",
    5000: "the service failed; check botId, or try again later",
  },
  "backend-failed": {
    4014: "the agent cannot answer; check its settings",
  },
  "conversation-busy": {
    4016: "another chat runs in this conversation; wait for it or cancel it",
  },
  "backend-auth": {
    4100: "the access token is refused",
    4101: "the token may not do this; check the OAuth app's permissions and spaces",
    700012006: "the access token is refused",
  },
  "backend-refused-content": {
    4102: "the risk control stopped the request",
    4105: "the content is sensitive",
    4300: "the file is empty",
    4301: "there is more than one file",
    4302: "the file is too large",
    4303: "files of this type are not accepted",
    4304: "the file is not valid",
  },
};

/** Refused before anything ran, and only for now: the same request may be sent again after a pause. */
const passing: ReadonlySet<number> = new Set([4009, 4013, 4020]);

/** HTTP states that come without a code of Coze's: from gateways and proxies in between. */
const httpMeanings: Readonly<Record<number, Meaning>> = {
  401: ["backend-auth", "the access token is refused"],
  403: ["backend-auth", "the access is forbidden; check the OAuth app's permissions"],
  429: ["backend-rate-limited", "there are too many requests"],
};

type Meaning = readonly [code: AparteErrorCode, what: string];

function meaningOf(number: number | undefined): Meaning | undefined {
  for (const [code, ofCode] of Object.entries(meanings)) {
    const what = number === undefined ? undefined : ofCode[number];
    if (what !== undefined) return [code as AparteErrorCode, what];
  }
  return undefined;
}

export interface FailureFacts {
  /** Coze's code; undefined when there is none. */
  readonly number?: number | undefined;
  readonly status?: number | undefined;
  /** Coze's own words, which may repeat what the person said. */
  readonly words?: string | undefined;
  readonly logid?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** A failed request to Coze, with Coze's own code. */
export class CozeFailure extends ServiceFailure {
  /** Undefined when the failure was on the way. */
  readonly number: number | undefined;
  /**
   * The token may be at fault. Coze says 4101 ("no permission") of a token that is stale as well as of one that
   * lacks a right.
   */
  readonly tokenRefused: boolean;

  constructor(
    code: AparteErrorCode,
    what: string,
    certainty: Certainty,
    { number, status, words, logid, retryAfterMs, cause }: FailureFacts & { cause?: unknown } = {},
  ) {
    super(code, `Coze: ${what}${suffix(number, status)}`, certainty, {
      ...(cause === undefined ? {} : { cause }),
      words,
      retryAfterMs,
      traceId: logid,
    });
    this.number = number;
    this.tokenRefused = [4100, 4101, 700012006].includes(number ?? 0) || status === 401;
  }
}

/** The failure that an answer of Coze tells of. */
export function refusal(facts: FailureFacts): CozeFailure {
  const { number, status = 200 } = facts;
  // Coze has no code of its own for an account's rate.
  const isRate = number === 4013 && status === 429;
  const meaning = (isRate ? undefined : meaningOf(number)) ?? httpMeanings[status];
  if (meaning !== undefined) {
    const isPassing = passing.has(number ?? 0) || meaning === httpMeanings[429];
    // 5000 leaves open whether anything ran.
    const certainty = number === 5000 ? inDoubt : isPassing ? refusedForNow : refusedForGood;
    return new CozeFailure(...meaning, certainty, facts);
  }
  if (status >= 500 || status === 408) {
    // Also 503: a gateway says so when the service behind it dies after it has taken the request.
    const what = "the service or a gateway before it failed; try again later";
    return new CozeFailure("backend-unavailable", what, inDoubt, facts);
  }
  if (number === undefined) {
    const what = "the answer is not Coze's; check baseURL";
    return new CozeFailure("backend-protocol", what, refusedForGood, facts);
  }
  return new CozeFailure("backend-failed", "the request was refused", refusedForGood, facts);
}

/** The same for a request about one conversation, where "not found" (4200 too) means that it is gone. */
export function conversationRefusal(facts: FailureFacts): CozeFailure {
  return refusal(facts.number === 4200 ? { ...facts, number: 4002 } : facts);
}

/**
 * The failure that a stream's `error` event tells of. Without a code it says nothing but that something broke; and a
 * model that failed (4013) may have failed in the midst of the turn.
 */
export function streamFailure(facts: FailureFacts): CozeFailure {
  if (facts.number === undefined) {
    return new CozeFailure("backend-unavailable", "the stream broke off with an error", inDoubt, facts);
  }
  const failure = conversationRefusal(facts);
  return facts.number === 4013
    ? new CozeFailure(failure.code, "the agent's model failed; try again later", inDoubt, facts)
    : failure;
}

/** The failure of a chat that ran. Sending it again would run the turn twice, so its code never invites to. */
export function chatFailure(facts: FailureFacts): AparteError {
  const failure = refusal(facts);
  const isInviting = failure.code === "backend-unavailable" || failure.code === "conversation-lost";
  if (facts.number !== undefined && !isInviting) return failure;
  return new CozeFailure("backend-failed", "the chat failed", ranPerhaps, facts);
}

function suffix(number: number | undefined, status: number | undefined): string {
  if (number !== undefined) return ` (code ${number})`;
  return status === undefined ? "" : ` (HTTP ${status})`;
}
