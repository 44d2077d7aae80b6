import type { Delivery } from "aparte";
import type { SlackApi } from "./api.ts";

/** Slack takes a status away after two minutes. In milliseconds. */
const repeatMs = 90_000;

const thinking = "is thinking…";

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

  constructor(api: SlackApi, delivery: Delivery) {
    this.#api = api;
    this.#delivery = delivery;
    this.#timer = setInterval(() => {
      this.#told = undefined;
      this.#send();
    }, repeatMs);
    this.show(thinking);
  }

  show(text: string): void {
    this.#text = text;
    this.#send();
  }

  /** The agent does something; "" for nothing that it tells of. */
  doing(text: string): void {
    this.show(text === "" ? thinking : text);
  }

  /** Resolves when it is gone: it must not take away the status of the turn that follows. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.show("");
    await this.#sending;
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
