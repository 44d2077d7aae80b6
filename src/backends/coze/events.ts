import type { Deadline } from "../http/deadline.ts";
import type { ServerEvent } from "../http/events.ts";
import { lost } from "../http/failure.ts";
import { parsed } from "../http/json.ts";

/** How long the connection may take to end after the last event; then it is closed. */
const endTimeoutMs = 1000;

export interface CozeEvent {
  readonly name: string;
  /** The data as JSON; undefined where it is none, as in `[DONE]`. */
  readonly data: unknown;
}

/** The events of one streamed answer, read under a deadline that ends a silence. */
export class CozeEvents {
  readonly #events: AsyncIterator<ServerEvent>;
  readonly #deadline: Deadline;
  readonly #outer: AbortSignal;
  #first: CozeEvent | undefined;

  /** @param outer the caller's signal, which tells an abort from a broken connection. */
  constructor(events: AsyncIterator<ServerEvent>, deadline: Deadline, outer: AbortSignal) {
    this.#events = events;
    this.#deadline = deadline;
    this.#outer = outer;
  }

  /**
   * The next event, or undefined at the end.
   * @throws {ServiceFailure} when the connection breaks or falls silent.
   */
  async next(): Promise<CozeEvent | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first;
    try {
      const { done, value } = await this.#events.next();
      return done === true ? undefined : { name: value.event, data: parsed(value.data) };
    } catch (error) {
      throw lost(error, this.#outer, this.#deadline, "Coze");
    }
  }

  /** Puts an event back in front. */
  unread(event: CozeEvent): void {
    this.#first = event;
  }

  /** Reads what is left in the background, so that the connection can serve the next request. */
  finish(): void {
    const timer = setTimeout(() => this.#deadline.abort(), endTimeoutMs);
    const rest = async (): Promise<void> => {
      while ((await this.#events.next()).done !== true);
    };
    rest()
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer);
        this.#deadline.end();
      });
  }
}
