import { AparteError, type AparteErrorCode } from "../errors.ts";
import { type NoticeCode, type ReplyEvent, Transcript } from "./reply-event.ts";
import type { ReplyLog } from "./reply-log.ts";

/**
 * A turn's reply, for whoever called `handle`: an async iterable of {@link ReplyEvent}. It may be read as often as one
 * likes, each time from its beginning. The turn runs whether it is read or not, and goes on when a reader leaves;
 * {@link Reply.cancel}, the message's `signal` and `await using` stop it.
 */
export class Reply implements AsyncIterable<ReplyEvent>, AsyncDisposable {
  /**
   * Resolves when the turn is recorded: true if it will be answered, false if it was not taken (a duplicate,
   * too many wait …; the events say why). Rejects when the store failed or the message is not one.
   */
  readonly taken: Promise<boolean>;
  readonly #log: ReplyLog;
  readonly #stop: () => void;

  constructor(log: ReplyLog, taken: Promise<boolean>, stop: () => void) {
    this.#log = log;
    this.#stop = stop;
    this.taken = taken;
    this.taken.catch(() => {}); // Told through the events as well; nobody has to look here.
  }

  /** Stops the turn, at the service too. What was said stays; the reply ends with the notice `stopped`. */
  cancel(): void {
    this.#stop();
  }

  /**
   * The whole answer as text: several answers are joined by a blank line; suggestions and statuses are left out.
   * @throws {AparteError} when the turn failed, or where there is no answer: `busy`, `full`, `limited`, `duplicate`,
   * `stopped`, `answer-lost`, `paused`, `no-answer` …
   */
  async text(): Promise<string> {
    const said = new Said();
    for await (const event of this) said.add(event);
    return said.answer();
  }

  /**
   * The answer as it comes, in pieces that make the whole of it, for services that do not stream as well. Throws as
   * {@link Reply.text} does.
   */
  get textStream(): AsyncIterable<string> {
    return texts(this);
  }

  [Symbol.asyncIterator](): AsyncIterator<ReplyEvent> {
    return this.#log.read();
  }

  /** Stops the turn if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#log.hasEnded) this.#stop();
    await this.#log.ended();
  }
}

/** Which error a notice is, where it stands in the place of an answer. */
const unanswered: { readonly [Code in NoticeCode]?: AparteErrorCode } = {
  busy: "busy",
  full: "full",
  limited: "limited",
  duplicate: "duplicate",
  merged: "duplicate",
  interrupted: "stopped",
  stopped: "stopped",
  "answer-lost": "answer-lost",
  paused: "paused",
  "too-long": "input-invalid",
};

/** What a reply says, and, where that is no answer, why. */
class Said {
  readonly #transcript = new Transcript();
  #why: (ReplyEvent & { readonly type: "notice" }) | undefined;

  add(event: ReplyEvent): void {
    this.#transcript.add(event);
    if (event.type === "notice" && Object.hasOwn(unanswered, event.code)) this.#why = event;
  }

  /** @throws {AparteError} where there is none */
  answer(): string {
    const { answer } = this.#transcript;
    if (answer !== "") return answer;
    if (this.#why === undefined) {
      throw new AparteError("no-answer", "The agent said nothing. Look at the events for what it did.");
    }
    const { code, text, retryAfterMs } = this.#why;
    // Nobody can tell here whether it was answered, or its process died a moment ago.
    const advice =
      code === "duplicate" ? " If its process died, hand it in again once leaseTime is over." : "";
    throw new AparteError(unanswered[code] ?? "no-answer", `There is no answer: ${text}${advice}`, {
      // The person reads the notice as it is.
      texts: () => text,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}

/** A message replaces the draft before it: what was streamed is not said again, and what it lacked is. */
async function* texts(reply: Reply): AsyncGenerator<string> {
  const said = new Said();
  let draft = "";
  // Whether something ends here, so that a blank line comes before what is said next.
  let isApart = false;
  for await (const event of reply) {
    said.add(event);
    if (event.type === "text") {
      if (isApart) yield "\n\n";
      isApart = false;
      draft += event.delta;
      yield event.delta;
    } else if (event.type === "message") {
      const rest = event.text.startsWith(draft) ? event.text.slice(draft.length) : "";
      if (isApart && rest !== "") yield "\n\n";
      if (rest !== "") yield rest;
      draft = "";
      isApart = true;
    } else if (event.type === "file") {
      yield draft === "" && !isApart ? event.url : `\n\n${event.url}`;
      isApart = true;
    }
  }
  said.answer();
}
