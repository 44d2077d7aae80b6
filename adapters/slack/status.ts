import type { Reply } from "aparte";
import type { SlackApi } from "./api.ts";

/** Slack takes a status away after two minutes. In milliseconds. */
const repeatMs = 90_000;

const thinking = "is thinking…";

/** The line that says what the bot is doing, until its answer is there. */
export class Status {
  readonly #api: SlackApi;
  readonly #reply: Reply;
  readonly #timer: NodeJS.Timeout;
  #text = "";
  /** One call after the other: the last one must be the last to arrive. */
  #sending: Promise<void> = Promise.resolve();

  constructor(api: SlackApi, reply: Reply) {
    this.#api = api;
    this.#reply = reply;
    this.#timer = setInterval(() => this.#send(), repeatMs);
    this.show(thinking);
  }

  show(text: string): void {
    if (text === this.#text) return;
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
    this.#sending = this.#sending.then(async () => {
      // Not every workspace, channel or app has a status line. Without it nobody misses a word of the answer.
      if (this.#reply.held) await this.#api.setStatus(this.#text).catch(() => {});
    });
  }
}
