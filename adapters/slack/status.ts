import type { Delivery } from "aparte/adapter";
import type { SlackApi } from "./api.ts";

/** Slack takes a status away after two minutes. In milliseconds. */
const repeatMs = 90_000;

/** The line that says what the bot is doing, until its answer is there. */
export class Status {
  readonly #api: SlackApi;
  readonly #delivery: Delivery;
  readonly #timer: NodeJS.Timeout;
  #text = "";
  /** What Slack was told last; undefined when it must be told again. */
  #told: string | undefined = "";
  /** One call after the other, since the last one must be the last to arrive. What was overtaken is not sent. */
  #sending: Promise<void> | undefined;
  #isSending = false;
  #inSession: Promise<unknown> = Promise.resolve();

  readonly #title: string | undefined;

  /** @param title what the thread is called, where threads are an agent's sessions: then Slack shows a stop button */
  constructor(api: SlackApi, delivery: Delivery, title?: string) {
    this.#title = title;
    this.#api = api;
    this.#delivery = delivery;
    this.#timer = setInterval(() => {
      this.#told = undefined;
      this.#send();
    }, repeatMs);
    this.show(delivery.texts("thinking"));
    this.#session("processing");
  }

  /** Slack does not end a session's processing by itself. */
  #session(status: "processing" | "active"): void {
    const title = this.#title;
    if (title === undefined) return;
    this.#inSession = this.#inSession
      .then(() => this.#delivery.permit())
      .then(() => this.#api.setSession(status, title))
      .catch(() => {});
  }

  show(text: string): void {
    this.#text = text;
    this.#send();
  }

  /** The agent does something; "" for nothing that it tells of. */
  doing(text: string): void {
    this.show(text === "" ? this.#delivery.texts("thinking") : text);
  }

  /** Resolves when it is gone: it must not take away the status of the turn that follows. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.show("");
    this.#session("active");
    await Promise.all([this.#sending, this.#inSession]);
  }

  #send(): void {
    if (!this.#isSending) this.#sending = this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    this.#isSending = true;
    while (this.#told !== this.#text) {
      this.#told = this.#text;
      // Not every workspace, channel or app has a status line. Without it nobody misses a word of the answer.
      await this.#delivery
        .permit()
        .then(() => this.#api.setStatus(this.#text))
        .catch(() => {});
    }
    this.#isSending = false;
  }
}
