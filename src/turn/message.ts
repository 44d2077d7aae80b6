import type { FileInput, JsonValue } from "../backends/backend.ts";
import { AparteError, asAparteError } from "../errors.ts";
import { checkSpeaker, type Speaker } from "../speaker/speaker.ts";
import { type ReplyEvent, Transcript } from "./reply-event.ts";

/** One message of a speaker. */
export interface Message extends Speaker {
  /** Names the event: a second delivery with the same id is known and not handled again. Not empty. */
  readonly id: string;
  /** What was said. May be empty when there are files. */
  readonly text: string;
  readonly files?: readonly FileInput[];
  /** The agent to ask, before any route and the person's own choice. */
  readonly agent?: string;
  /** Where the reply goes, in the adapter's own terms, so that another process can deliver it. */
  readonly replyTo?: JsonValue;
}

/**
 * Checks that a value is a message.
 * @throws {AparteError} `input-invalid` with the field's name.
 */
export function checkMessage(message: Message): void {
  checkSpeaker(message);
  if (typeof message.id !== "string" || message.id === "")
    throw invalid("id", "must be a string that is not empty");
  if (typeof message.text !== "string") throw invalid("text", "must be a string");
  if (message.agent !== undefined && typeof message.agent !== "string")
    throw invalid("agent", "must be a string");
  const { files = [] } = message;
  if (!Array.isArray(files)) throw invalid("files", "must be a list");
  for (const [index, file] of files.entries()) checkFile(file, `files[${index}]`);
  if (message.text.trim() === "" && files.length === 0)
    throw invalid("text", "is empty and there are no files");
}

function checkFile(file: FileInput, field: string): void {
  if (typeof file !== "object" || file === null || typeof file.name !== "string" || file.name === "") {
    throw invalid(`${field}.name`, "must be a string that is not empty");
  }
  const hasData = file.data instanceof Uint8Array;
  if (!hasData && typeof file.load !== "function")
    throw invalid(field, "needs `data` (bytes) or a `load` function");
}

function invalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Message field "${field}" ${problem}.`, { field });
}

/**
 * A turn's reply: an async iterable of {@link ReplyEvent}, to be read once. The turn runs whether it is read
 * or not; leaving the loop early stops the turn, at the service too.
 */
export class Reply implements AsyncIterable<ReplyEvent> {
  /**
   * Resolves when the turn is recorded: true if it will be answered, false if it was not taken (a duplicate,
   * too many wait …; the events say why). Rejects when the store failed or the message is not one.
   */
  readonly taken: Promise<boolean>;
  readonly #source: ReplySource;

  constructor(source: ReplySource) {
    this.#source = source;
    this.taken = source.taken.promise;
    this.taken.catch(() => {}); // Told through the events as well; nobody has to look here.
  }

  /** Whether this process may still send this reply. Look directly before every send; false: send nothing more. */
  get held(): boolean {
    return this.#source.held();
  }

  /** What {@link Reply.posted} kept, when an earlier owner of this turn died: the message to go on with. */
  get earlierPost(): JsonValue | undefined {
    return this.#source.earlierPost;
  }

  /**
   * Whether an earlier owner of this turn died. It may have posted what {@link Reply.earlierPost} does not tell:
   * where the platform can be asked for it, it is, before anything is posted. Known with the first event.
   */
  get isResumed(): boolean {
    return this.#source.isResumed;
  }

  /** Keeps where the reply was posted, so that another process edits that message and posts no second one. */
  posted(address: JsonValue): void {
    this.#source.onPosted(address);
  }

  /** Stops the turn, at the service too. What was said stays; the reply ends with the notice `stopped`. */
  cancel(): void {
    this.#source.cancel();
  }

  /**
   * The whole answer as text: several answers are joined by a blank line; suggestions and statuses are left
   * out. Where there is no answer, what aparte itself had to say ("One moment, please …").
   * @throws {AparteError} when the turn failed.
   */
  async text(): Promise<string> {
    const transcript = new Transcript();
    for await (const event of this) transcript.add(event);
    return transcript.text;
  }

  [Symbol.asyncIterator](): AsyncIterator<ReplyEvent> {
    return this.#source.read();
  }
}

/** Why a turn was stopped from outside. */
export type StopReason = "stopped" | "interrupted";

/** The writing side of a {@link Reply}. */
export class ReplySource {
  readonly reply: Reply;
  readonly taken: PromiseWithResolvers<boolean> = withResolvers<boolean>();
  /** Resolves when the reader has read everything or left; at once where nobody reads. */
  readonly drained: PromiseWithResolvers<void> = withResolvers<void>();
  held: () => boolean = () => true;
  earlierPost: JsonValue | undefined;
  isResumed = false;
  onPosted: (address: JsonValue) => void = () => {};
  #stop: (reason: StopReason) => void = () => {};
  #isCancelled = false;
  readonly #events: ReplyEvent[] = [];
  #ended = false;
  #error: AparteError | undefined;
  #isRead = false;
  #wake: (() => void) | undefined;

  constructor() {
    this.reply = new Reply(this);
  }

  /** Stops the turn wherever it is by now. */
  cancel(): void {
    this.#isCancelled = true;
    this.#stop("stopped");
  }

  /** How the turn is stopped from now on; at once if that was asked for before. */
  onCancel(stop: (reason: StopReason) => void): void {
    this.#stop = stop;
    if (this.#isCancelled) stop("stopped");
  }

  push(event: ReplyEvent): void {
    if (this.#ended) return;
    this.#events.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#finish(undefined);
  }

  fail(error: unknown): void {
    const failure = asAparteError(
      error,
      "backend-failed",
      "The turn failed. The cause is kept in the error.",
    );
    this.taken.reject(failure);
    this.#finish(failure);
  }

  #finish(error: AparteError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.taken.resolve(true);
    this.#wake?.();
    if (!this.#isRead) this.drained.resolve();
  }

  read(): AsyncIterator<ReplyEvent> {
    if (this.#isRead)
      throw new AparteError("input-invalid", "A reply can be read once only.", { field: "reply" });
    this.#isRead = true;
    return this.#read();
  }

  async *#read(): AsyncGenerator<ReplyEvent> {
    try {
      for (;;) {
        for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) yield event;
        if (this.#ended) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#error !== undefined) throw this.#error;
    } finally {
      if (!this.#ended) this.cancel();
      this.drained.resolve();
    }
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

// Promise.withResolvers came with Node 22.
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
