import type { Delivery } from "aparte/adapter";
import type { SlackApi } from "./api.ts";
import { isFinal } from "./failures.ts";
import type { Feature } from "./feature.ts";

/** Slack takes a status away after two minutes. In milliseconds. */
const repeatMs = 90_000;

export interface AgentSession {
  /** What the thread is called. */
  readonly title: string;
  /** Whether the workspace has sessions for this app. */
  readonly feature: Feature;
  readonly refused: (error: unknown) => void;
}

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

  readonly #loading: readonly string[];
  readonly #agentSession: AgentSession | undefined;

  /**
   * @param loading what is shown in turn while the agent tells of nothing that it does
   * @param session of an agent, if threads are sessions: then Slack shows a stop button
   */
  constructor(api: SlackApi, delivery: Delivery, loading: readonly string[], session?: AgentSession) {
    this.#loading = loading;
    this.#agentSession = session;
    this.#api = api;
    this.#delivery = delivery;
    this.#timer = setInterval(() => {
      this.#told = undefined;
      this.#send();
    }, repeatMs);
    this.#show(this.#thinking);
    this.#session("processing");
  }

  get #thinking(): string {
    return this.#delivery.texts("thinking");
  }

  /** Slack does not end a session's processing by itself. */
  #session(status: "processing" | "active"): void {
    const { title, feature, refused } = this.#agentSession ?? {};
    if (title === undefined) return;
    this.#inSession = this.#inSession
      .then(async () => {
        if (feature?.isThere !== true) return;
        await this.#delivery.permit();
        await this.#api.setSession(status, title);
      })
      .catch((error: unknown) => {
        if (!isFinal(error)) return;
        feature?.refused(true);
        refused?.(error);
      });
  }

  #show(text: string): void {
    this.#text = text;
    this.#send();
  }

  /** The agent does something; "" for nothing that it tells of. */
  doing(text: string): void {
    this.#show(text === "" ? this.#thinking : text);
  }

  /** Resolves when it is gone: it must not take away the status of the turn that follows. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#show("");
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
        .then(() => this.#api.setStatus(this.#text, this.#text === this.#thinking ? this.#loading : []))
        .catch(() => {});
    }
    this.#isSending = false;
  }
}
