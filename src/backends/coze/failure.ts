import { AparteError, type AparteErrorCode } from "../../errors.ts";

interface Meaning {
  readonly code: AparteErrorCode;
  /** What happened and what to do, for the operator. */
  readonly what: string;
  /** Refused before anything ran, and only for now: the same request may be sent again after a pause. */
  readonly pause?: true;
}

/** Coze's error codes (docs: developer_guides/coze_error_codes). */
const meanings: Readonly<Record<number, Meaning>> = {
  4000: { code: "backend-rejected", what: "a parameter is wrong; check botId and the agent's settings" },
  4001: { code: "backend-rejected", what: "the chat does not exist, or not for this session" },
  4002: { code: "conversation-lost", what: "the conversation does not exist, or not for this session" },
  4003: { code: "backend-rejected", what: "the meta data is too large; check metaData" },
  4004: { code: "backend-rejected", what: "there are too many messages in one request" },
  4005: { code: "backend-rejected", what: "the message's content is not accepted" },
  4006: { code: "backend-rejected", what: "the agent does not exist or the app may not use it; check botId" },
  4007: { code: "backend-rejected", what: "a chat that is not streamed must be saved" },
  4008: { code: "backend-quota", what: "today's limit is used up; it comes back tomorrow" },
  4009: {
    code: "backend-rate-limited",
    what: "the service is at its capacity; try again later",
    pause: true,
  },
  4010: { code: "backend-rejected", what: "the message is too long for the agent's model" },
  4011: { code: "backend-quota", what: "the account's Coze tokens are used up; buy some" },
  4012: { code: "backend-rejected", what: "the agent's model is gone; choose another model for the agent" },
  4013: { code: "backend-unavailable", what: "the agent's model failed; try again later", pause: true },
  4014: { code: "backend-failed", what: "the agent cannot answer; check its settings" },
  4015: { code: "backend-rejected", what: "the agent is not published; publish it to the API channel" },
  4016: {
    code: "conversation-busy",
    what: "another chat runs in this conversation; wait for it or cancel it",
  },
  4019: { code: "backend-quota", what: "the account's balance is used up; top it up" },
  4020: {
    code: "backend-rate-limited",
    what: "there are too many requests a minute for the plan",
    pause: true,
  },
  4021: { code: "backend-rejected", what: "the agent's workflow is not set up" },
  4022: { code: "backend-quota", what: "the model's bill is overdue; pay it" },
  4100: { code: "backend-auth", what: "the access token is refused" },
  4101: {
    code: "backend-auth",
    what: "the token may not do this; check the OAuth app's permissions and spaces",
  },
  4102: { code: "backend-refused-content", what: "the risk control stopped the request" },
  4104: { code: "backend-rejected", what: "the chat cannot be cancelled any more" },
  4105: { code: "backend-refused-content", what: "the content is sensitive" },
  4200: { code: "backend-rejected", what: "the resource does not exist; check botId" },
  4300: { code: "backend-refused-content", what: "the file is empty" },
  4301: { code: "backend-refused-content", what: "there is more than one file" },
  4302: { code: "backend-refused-content", what: "the file is too large" },
  4303: { code: "backend-refused-content", what: "files of this type are not accepted" },
  4304: { code: "backend-refused-content", what: "the file is not valid" },
  5000: { code: "backend-unavailable", what: "the service failed; check botId, or try again later" },
  700012006: { code: "backend-auth", what: "the access token is refused" },
};

/** HTTP states that come without a code of Coze's: from gateways and proxies in between. */
const httpMeanings: Readonly<Record<number, Meaning>> = {
  401: { code: "backend-auth", what: "the access token is refused" },
  403: { code: "backend-auth", what: "the access is forbidden; check the OAuth app's permissions" },
  429: { code: "backend-rate-limited", what: "there are too many requests", pause: true },
  503: { code: "backend-unavailable", what: "the service is not available; try again later", pause: true },
};

export interface FailureFacts {
  /** Coze's code; undefined when there is none. */
  readonly number?: number | undefined;
  readonly status?: number | undefined;
  /** Coze's own words. Kept as the cause alone: they may repeat what the person said. */
  readonly words?: string | undefined;
  readonly logid?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

interface Certainty {
  /** The request may have been carried out although no answer says so. */
  readonly mayHaveRun: boolean;
  /** A later repeat may succeed. */
  readonly passing: boolean;
}

/** A failed request to Coze: the public error, and what decides whether the request may be repeated. */
export class CozeFailure extends AparteError {
  /** Coze's code; undefined when the failure was on the way. */
  readonly number: number | undefined;
  readonly mayHaveRun: boolean;
  readonly passing: boolean;
  readonly tokenRefused: boolean;

  constructor(
    code: AparteErrorCode,
    what: string,
    certainty: Certainty,
    facts: FailureFacts & { cause?: unknown },
  ) {
    super(code, `Coze: ${what}${suffix(facts)}.`, {
      cause: facts.cause ?? (facts.words ? new Error(facts.words) : undefined),
      ...(facts.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }),
      ...(facts.logid === undefined ? {} : { traceId: facts.logid }),
    });
    this.number = facts.number;
    this.mayHaveRun = certainty.mayHaveRun;
    this.passing = certainty.passing;
    this.tokenRefused = facts.number === 4100 || facts.number === 700012006 || facts.status === 401;
  }
}

/** The failure that an answer of Coze tells of. */
export function refusal(facts: FailureFacts): CozeFailure {
  const { number, status = 200 } = facts;
  const meaning = (number === undefined ? undefined : meanings[number]) ?? httpMeanings[status];
  if (meaning !== undefined) {
    const mayHaveRun = number === 5000;
    return new CozeFailure(
      meaning.code,
      meaning.what,
      { mayHaveRun, passing: mayHaveRun || meaning.pause === true },
      facts,
    );
  }
  if (status >= 500 || status === 408) {
    const what = "the service or a gateway before it failed; try again later";
    return new CozeFailure("backend-unavailable", what, { mayHaveRun: true, passing: true }, facts);
  }
  const certainty = { mayHaveRun: false, passing: false };
  if (number === undefined) {
    return new CozeFailure("backend-protocol", "the answer is not Coze's; check baseURL", certainty, facts);
  }
  return new CozeFailure("backend-failed", "the request was refused", certainty, facts);
}

/** The same for a request about one conversation, where "not found" (4200 too) means that it is gone. */
export function conversationRefusal(facts: FailureFacts): CozeFailure {
  return refusal(facts.number === 4200 ? { ...facts, number: 4002 } : facts);
}

/** The failure of a chat that ran. Sending it again would run the turn twice, so its code never invites to. */
export function chatFailure(facts: FailureFacts): AparteError {
  const failure = refusal(facts);
  if (failure.code !== "backend-unavailable" && failure.code !== "conversation-lost") return failure;
  return new CozeFailure("backend-failed", "the chat failed", { mayHaveRun: true, passing: false }, facts);
}

function suffix({ number, status }: FailureFacts): string {
  if (number !== undefined) return ` (code ${number})`;
  return status === undefined ? "" : ` (HTTP ${status})`;
}
