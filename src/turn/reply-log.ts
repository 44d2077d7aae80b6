import { AparteError, type AparteErrorCode, asAparteError, inWords } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import { plainTexts, type Texts } from "../texts/texts.ts";
import type { LinkGuard } from "./links.ts";
import { type ReplyEvent, Transcript } from "./reply-event.ts";

/** A whole answer as its lane keeps it, until the platform has it. */
export interface StoredAnswer {
  readonly events: readonly ReplyEvent[];
  /** What the turn failed with, as it was told. */
  readonly failure?: { readonly code: AparteErrorCode; readonly message: string; readonly reference: string };
  /** When it was whole, by the store's time in milliseconds. */
  readonly at: number;
}

/** What a turn says, in the order it happens. Whoever reads it gets all of it from the beginning, at their own pace. */
export class ReplyLog {
  readonly #events: ReplyEvent[] = [];
  #hasEnded = false;
  #failure: AparteError | undefined;
  readonly #waiting = new Set<() => void>();
  #readers = 0;
  readonly #texts: Texts;
  #guard: LinkGuard | undefined;

  /**
   * @param texts in which the person is told what the turn failed with
   * @param guard undefined where links may lead anywhere
   */
  constructor(texts: Texts = plainTexts, guard?: LinkGuard) {
    this.#texts = texts;
    this.#guard = guard;
  }

  /** The answer of a turn whose process died before the platform had it. */
  static of({ events, failure }: StoredAnswer, texts: Texts): ReplyLog {
    const log = new ReplyLog(texts);
    for (const event of events) log.push(event);
    if (failure === undefined) log.end();
    else log.fail(new AparteError(failure.code, failure.message, { reference: failure.reference }));
    return log;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What the turn failed with, once it has ended. */
  get failure(): AparteError | undefined {
    return this.#failure;
  }

  /** What an agent or the application says: its links are looked at. */
  say(event: ReplyEvent): void {
    for (const shown of this.#guard?.shown(event) ?? [event]) this.push(shown);
  }

  /** What was held back of an answer that ends here. */
  sayRest(): void {
    for (const event of this.#guard?.rest ?? []) this.push(event);
    this.#guard = undefined;
  }

  /** What aparte itself says, and what was looked at before. */
  push(event: ReplyEvent): void {
    if (this.#hasEnded) return;
    this.#events.push(event);
    this.#wake();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#wake();
  }

  fail(error: unknown): void {
    if (this.#hasEnded) return;
    this.#failure = inWords(turnFailed(error), this.#texts);
    this.end();
  }

  /** Says what another reply says, from its beginning to its end. */
  async follow(other: AsyncIterable<ReplyEvent>): Promise<undefined> {
    try {
      for await (const event of other) this.push(event);
      this.end();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Resolves when all has been said. */
  async ended(): Promise<void> {
    while (!this.#hasEnded) await this.#news();
  }

  /** Resolves when all has been said and nobody reads it any more. */
  async drained(): Promise<void> {
    while (!this.#hasEnded || this.#readers > 0) await this.#news();
  }

  async *read(): AsyncGenerator<ReplyEvent> {
    this.#readers += 1;
    try {
      for (let index = 0; ; ) {
        for (; index < this.#events.length; index += 1) yield this.#events[index] as ReplyEvent;
        if (this.#hasEnded) break;
        await this.#news();
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#readers -= 1;
      this.#wake();
    }
  }

  /** The words of the answer so far, also those that are held back, without what aparte tells besides. */
  get answer(): string {
    const transcript = new Transcript();
    for (const event of [...this.#events, ...(this.#guard?.rest ?? [])]) transcript.add(event);
    return transcript.answer;
  }

  /** The whole answer, without its drafts. */
  stored(at: number): StoredAnswer & JsonValue {
    const events: ReplyEvent[] = [];
    let draft = "";
    for (const event of this.#events) {
      if (event.type === "text") draft += event.delta;
      else if (event.type !== "status" && event.type !== "usage") {
        if (event.type === "message") draft = "";
        events.push(event);
      }
    }
    // What broke off is shown as far as it came.
    if (draft !== "") events.push({ type: "message", text: draft });
    const { code, message, reference } = this.#failure ?? {};
    const failure = code === undefined ? {} : { failure: { code, message, reference } };
    return { events, ...failure, at } as unknown as StoredAnswer & JsonValue;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

/** What a turn failed with. */
export function turnFailed(error: unknown): AparteError {
  return asAparteError(
    error,
    "backend-failed",
    'The turn failed. The cause is kept in the error, which the option "onError" gets.',
  );
}
