import { createParser, type EventSourceParser } from "eventsource-parser";
import type { Deadline } from "../http/deadline.ts";
import { CozeFailure } from "./failure.ts";
import { lost } from "./http.ts";
import { parsed } from "./wire.ts";

/** The largest event we take, in characters. Coze's are far smaller. */
const largestEvent = 16 * 1024 * 1024;

/** How long the connection may take to end after the last event; then it is closed. */
const endTimeoutMs = 1000;

export interface CozeEvent {
  readonly name: string;
  /** The data as JSON; undefined where it is none, as in `[DONE]`. */
  readonly data: unknown;
}

/** The events of one streamed answer, read under a deadline that each piece of data starts anew. */
export class CozeEvents {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #deadline: Deadline;
  readonly #outer: AbortSignal;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  readonly #waiting: CozeEvent[] = [];
  #isTooLarge = false;
  #isOver = false;

  /** @param outer the caller's signal, which tells an abort from a broken connection. */
  constructor(body: ReadableStream<Uint8Array>, deadline: Deadline, outer: AbortSignal) {
    this.#reader = body.getReader();
    this.#deadline = deadline;
    this.#outer = outer;
    this.#parser = createParser({
      maxBufferSize: largestEvent,
      onEvent: ({ event = "", data }) => this.#waiting.push({ name: event, data: parsed(data) }),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.#isTooLarge = true;
      },
    });
  }

  /**
   * The next event, or undefined at the end.
   * @throws {CozeFailure} when the connection breaks or falls silent.
   */
  async next(): Promise<CozeEvent | undefined> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) return event;
      if (this.#isOver) return undefined;
      try {
        await this.#read();
      } catch (error) {
        throw lost(error, this.#outer, this.#deadline);
      }
    }
  }

  /** Puts an event back in front. */
  unread(event: CozeEvent): void {
    this.#waiting.unshift(event);
  }

  /** Reads what is left in the background, so that the connection can serve the next request. */
  finish(): void {
    const timer = setTimeout(() => this.#deadline.abort(), endTimeoutMs);
    const rest = async (): Promise<void> => {
      while (!this.#isOver) await this.#read();
    };
    rest()
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer);
        this.#deadline.end();
      });
  }

  async #read(): Promise<void> {
    const { done, value } = await this.#reader.read();
    this.#deadline.restart();
    this.#isOver = done;
    if (value !== undefined) this.#parser.feed(this.#decoder.decode(value, { stream: true }));
    if (!this.#isTooLarge) return;
    this.#isOver = true;
    const certainty = { mayHaveRun: true, passing: false };
    throw new CozeFailure("backend-protocol", "an event of the stream is too large", certainty, {});
  }
}
