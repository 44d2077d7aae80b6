/**
 * Every code an {@link AparteError} can carry, with whether the same call may be made again unchanged
 * (`retry`), and the words a person on the chat platform may see (`say`).
 */
const codes = {
  "option-invalid": { retry: false, say: "This bot is not set up correctly." },
  "input-invalid": { retry: false, say: "I could not read that message." },
  "file-too-large": { retry: false, say: "A file of your message is too large for me." },
  "agent-unknown": { retry: false, say: "I do not know that agent." },
  "store-failed": { retry: true, say: "I cannot reach my memory right now. Please try again in a moment." },
  "store-timeout": { retry: true, say: "I cannot reach my memory right now. Please try again in a moment." },
  "store-unreadable": { retry: false, say: "I cannot read what I know of our conversation." },
  "hook-failed": { retry: false, say: "Something went wrong on my side." },
  "lease-lost": { retry: false, say: "Another copy of me goes on with this message." },
  "wait-timeout": { retry: true, say: "I did not get to your message in time. Please send it again." },
  "turn-timeout": { retry: true, say: "That took too long. Please try again." },
  stopped: { retry: true, say: "Stopped." },
  "turn-over": { retry: false, say: "That came too late." },
  busy: { retry: true, say: "One moment, please: I am still answering your last message." },
  full: { retry: true, say: "Too many of your messages are waiting. Send this one again later." },
  limited: { retry: true, say: "That was a lot in a short time. Please come back later." },
  duplicate: { retry: false, say: "This message was handled before." },
  paused: { retry: false, say: "A human answers here now." },
  "no-answer": { retry: false, say: "The agent said nothing." },
  "answer-lost": { retry: true, say: "My answer to this message was lost. Please send it again." },
  "backend-auth": { retry: false, say: "The agent does not accept me right now." },
  "backend-rejected": { retry: false, say: "The agent could not take that message." },
  "backend-refused-content": { retry: false, say: "The agent refused that content." },
  "backend-rate-limited": { retry: true, say: "The agent is very busy. Please try again in a minute." },
  "backend-quota": { retry: false, say: "The agent has used up its quota." },
  "backend-unavailable": { retry: true, say: "I cannot reach the agent right now. Please try again." },
  "backend-timeout": { retry: false, say: "The agent did not answer in time. Please try again." },
  "backend-stream-cut": { retry: false, say: "The answer broke off. Please try again." },
  "backend-failed": { retry: false, say: "The agent failed to answer. Please try again." },
  "backend-protocol": { retry: false, say: "The agent answered in a way I do not understand." },
  "backend-unsupported": { retry: false, say: "This agent cannot do that." },
  "action-required": { retry: false, say: "The agent asked for something this bot cannot do." },
  "conversation-lost": { retry: true, say: "Our earlier conversation is gone. Please try again." },
  "conversation-busy": { retry: true, say: "The agent is still busy with an earlier message." },
  closed: { retry: true, say: "I am restarting. Please try again in a moment." },
} as const;

/** The closed set of codes; `switch` on `error.code`, never on the message. */
export type AparteErrorCode = keyof typeof codes;

export interface AparteErrorOptions {
  /** What was thrown underneath. Kept as `error.cause`; never printed by aparte, since it may hold anything. */
  readonly cause?: unknown;
  /** The option or input field that is wrong, e.g. `"agents.helper"` or `"user"`. */
  readonly field?: string;
  /** When the same call may be made again, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** The service's own id for the failed request (Coze `logid`, Sonaops `traceId`), for its support. */
  readonly traceId?: string;
  /** Of an error that is told again. @default a new one */
  readonly reference?: string;
}

/**
 * The one error of aparte. The message says what happened and what to do, and holds no secret, no token and
 * no words of a conversation.
 */
export class AparteError extends Error {
  override readonly name = "AparteError";
  readonly code: AparteErrorCode;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly traceId: string | undefined;
  /** Shown to the person and written to the log, so that one finds the other. Eight characters. */
  readonly reference: string;

  constructor(code: AparteErrorCode, message: string, options: AparteErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.traceId = options.traceId;
    this.reference = options.reference ?? makeReference();
  }

  /** Whether the same call may be made again unchanged. */
  get retryable(): boolean {
    return codes[this.code].retry;
  }

  /** A short sentence for the person on the chat platform, with the reference. */
  get say(): string {
    return `${codes[this.code].say} (ref ${this.reference})`;
  }
}

/** The error as an AparteError: itself if it is one, else wrapped under `code` with the cause kept. */
export function asAparteError(error: unknown, code: AparteErrorCode, message: string): AparteError {
  return error instanceof AparteError ? error : new AparteError(code, message, { cause: error });
}

// No letters that are read as others (0/O, 1/I/L): people type this from a screen into a ticket.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

function makeReference(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join("");
}
