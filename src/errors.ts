import { plainTexts, type Texts } from "./texts/texts.ts";

/** Every code an {@link AparteError} can carry, with whether the same call may be made again unchanged. */
const isRetryable = {
  "option-invalid": false,
  "input-invalid": false,
  "file-too-large": false,
  "agent-unknown": false,
  "store-failed": true,
  "store-timeout": true,
  "store-unreadable": false,
  "hook-failed": false,
  "lease-lost": false,
  "wait-timeout": true,
  "turn-timeout": true,
  stopped: true,
  "turn-over": false,
  busy: true,
  full: true,
  limited: true,
  duplicate: false,
  paused: false,
  "no-answer": false,
  "answer-lost": true,
  "backend-auth": false,
  "backend-rejected": false,
  "backend-refused-content": false,
  "backend-rate-limited": true,
  "backend-quota": false,
  "backend-unavailable": true,
  "backend-timeout": false,
  "backend-stream-cut": false,
  "backend-failed": false,
  "backend-protocol": false,
  "backend-unsupported": false,
  "action-required": false,
  "conversation-lost": true,
  "conversation-busy": true,
  closed: true,
} as const;

/** The closed set of codes; `switch` on `error.code`, never on the message. */
export type AparteErrorCode = keyof typeof isRetryable;

/** What an error may hold beside its code and message. */
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
  /** In which words the person is told. @default ours, in English */
  readonly texts?: Texts;
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
  /** A short sentence for the person, with the reference. Of what a reply throws, it is in the person's language. */
  readonly say: string;

  constructor(code: AparteErrorCode, message: string, options: AparteErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.traceId = options.traceId;
    this.reference = options.reference ?? makeReference();
    this.say = sentence(this, options.texts ?? plainTexts);
  }

  /** Whether the same call may be made again unchanged. */
  get retryable(): boolean {
    return isRetryable[this.code];
  }
}

/** The error, or where it says something else to this person, the same one with other words: others may have it too. */
export function inWords(error: AparteError, texts: Texts): AparteError {
  if (sentence(error, texts) === error.say) return error;
  const { code, message, stack = "", name: _, say: __, ...fields } = error;
  const same = new AparteError(code, message, {
    ...(fields as AparteErrorOptions),
    cause: error.cause,
    texts,
  });
  same.stack = stack;
  return same;
}

function sentence({ code, retryAfterMs, reference }: AparteError, texts: Texts): string {
  // Whoever is over a limit is so for a minute at most.
  const seconds = Math.ceil((retryAfterMs ?? 60_000) / 1_000);
  return texts("with-reference", { text: texts(code, { seconds }), reference });
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
