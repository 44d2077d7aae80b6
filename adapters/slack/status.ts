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
  readonly #loading: readonly string[];
  readonly #agentSession: AgentSession | undefined;
  readonly #timer: NodeJS.Timeout;
  #text = "";
  /** What Slack was told last; undefined when it must be told again. */
  #told: string | undefined = "";
  /** One call after the other, since the last one must be the last to arrive. */
  #sent: Promise<void> = Promise.resolve();
  #inSession: Promise<void> = Promise.resolve();

  /**
   * @param loading what is shown in turn while the agent tells of nothing that it does
   * @param session of an agent, if threads are sessions: then Slack shows a stop button
   */
  constructor(api: SlackApi, delivery: Delivery, loading: readonly string[], session?: AgentSession) {
    this.#api = api;
    this.#delivery = delivery;
    this.#loading = loading;
    this.#agentSession = session;
    this.#timer = setInterval(() => {
      this.#told = undefined;
      this.#show(this.#text);
    }, repeatMs);
    this.doing("");
    this.#session("processing");
  }

  /** The agent does something; "" for nothing that it tells of. */
  doing(text: string): void {
    this.#show(text || this.#delivery.texts("thinking"));
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
    const text = this.#text;
    if (this.#told === text) return;
    this.#told = text;
    const loading = text === this.#delivery.texts("thinking") ? this.#loading : [];
    try {
      await this.#delivery.permit();
      await this.#api.setStatus(text, loading);
    } catch {
      // Not every workspace, channel or app has a status line. Without it nobody misses a word of the answer.
    }
  }

  /** Slack does not end a session's processing by itself. */
  #session(status: "processing" | "active"): void {
    this.#inSession = this.#inSession.then(() => this.#setSession(status));
  }

  async #setSession(status: "processing" | "active"): Promise<void> {
    if (this.#agentSession?.feature.isThere !== true) return;
    const { title, feature, refused } = this.#agentSession;
    try {
      await this.#delivery.permit();
      await this.#api.setSession(status, title);
    } catch (error) {
      if (!isFinal(error)) return;
      feature.refused(true);
      refused(error);
    }
  }
}
