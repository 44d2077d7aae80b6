import type { SlackApi } from "./api.ts";
import type { DeliverOptions } from "./deliver.ts";
import { isFinal } from "./failures.ts";

/** Slack takes a status away after two minutes. In milliseconds. */
const repeatMs = 90_000;

/** The line that says what the bot is doing, until its answer is there. */
export class Status {
  readonly #api: SlackApi;
  readonly #options: DeliverOptions;
  readonly #timer: NodeJS.Timeout;
  #text = "";
  /** What Slack was told last; undefined when it must be told again. */
  #told: string | undefined = "";
  /** One call after the other, since the last one must be the last to arrive. */
  #sent: Promise<void> = Promise.resolve();
  #inSession: Promise<void> = Promise.resolve();

  constructor(api: SlackApi, options: DeliverOptions) {
    this.#api = api;
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#told = undefined;
      this.#show(this.#text);
    }, repeatMs);
    this.doing("");
    this.#session("processing");
  }

  /** The agent does something; "" for nothing that it tells of. */
  doing(text: string): void {
    this.#show(text || this.#options.delivery.texts("thinking"));
  }

  /** Resolves when it is gone: it must not take away the status of the turn that follows. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#show("");
    this.#session("active");
    await Promise.all([this.#sent, this.#inSession]);
  }

  #show(text: string): void {
    this.#text = text;
    this.#sent = this.#sent.then(() => this.#send());
  }

  /** What was overtaken is not sent. */
  async #send(): Promise<void> {
    const { delivery, settings } = this.#options;
    const text = this.#text;
    if (this.#told === text) return;
    this.#told = text;
    const loading = text === delivery.texts("thinking") ? settings.loadingMessages : [];
    try {
      await delivery.permit();
      await this.#api.setStatus(text, loading);
    } catch {
      // Not every workspace, channel or app has a status line. Without it nobody misses a word of the answer.
    }
  }

  /** Where threads are an agent's sessions Slack shows a stop button. It does not end a session's processing by itself. */
  #session(status: "processing" | "active"): void {
    this.#inSession = this.#inSession.then(() => this.#setSession(status));
  }

  async #setSession(status: "processing" | "active"): Promise<void> {
    const { delivery, message, settings, workspace, warn } = this.#options;
    if (!settings.agentView || !workspace.sessions.isThere) return;
    try {
      await delivery.permit();
      await this.#api.setSession(status, message.text);
      workspace.sessions.worked();
    } catch (error) {
      if (!isFinal(error)) return;
      // It may be for who asked, or for the thread.
      workspace.sessions.refused(false);
      if (workspace.sessions.isThere) return;
      warn(
        "Slack shows no session of an agent here. An app that is no agent needs `agentView: false`",
        error,
      );
    }
  }
}
