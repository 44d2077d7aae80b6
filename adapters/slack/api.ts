import { oneLine } from "aparte/adapter";
import type { ReplyAddress } from "./address.ts";
import type { Clients } from "./clients.ts";
import { isGone } from "./failures.ts";
import { escapeText, noticeText } from "./text.ts";

/** A message's metadata names the part of the reply that it shows, so that a lost post is found again. */
const metadataType = "aparte_reply";

/** The longest title of an agent's session, in characters. */
export const titleLength = 200;

/** How many messages after the question are looked at for a lost post. */
const lookedAt = 100;

/** The calls that replies are made of, in one workspace. */
export class SlackApi {
  readonly #clients: Clients;
  readonly #address: ReplyAddress;
  readonly #message: string;
  /** The thread of the reply; undefined where it goes to the channel itself. */
  thread: string | undefined;

  /** @param message the id of the one that is answered: what stands at its address may be answered several times */
  constructor(clients: Clients, address: ReplyAddress, message: string) {
    this.#clients = clients;
    this.#address = address;
    this.#message = message;
    this.thread = address.thread;
  }

  get isDirect(): boolean {
    return this.#address.channel.startsWith("D");
  }

  /** Posts a message and returns its timestamp, which names it. */
  async post(part: string, content: Content): Promise<string> {
    const { thread } = this;
    return this.#call("chat.postMessage", {
      ...this.#content(part, content),
      unfurl_links: false,
      unfurl_media: false,
      ...(thread === undefined ? {} : { thread_ts: thread }),
    });
  }

  async update(ts: string, part: string, content: Content): Promise<void> {
    await this.#call("chat.update", { ...this.#content(part, content), ts });
  }

  async remove(ts: string): Promise<void> {
    await this.#call("chat.delete", { ts }).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }

  /** Begins a stream and returns its timestamp. Slack has streams in threads only. */
  async startStream(thread: string, text: string): Promise<string> {
    const { user, userTeam } = this.#address;
    const to = this.isDirect ? {} : { recipient_user_id: user, recipient_team_id: userTeam };
    return this.#call("chat.startStream", {
      thread_ts: thread,
      markdown_text: text,
      // Outside of direct messages: to whom it is shown. The author's own workspace, not the bot's.
      ...to,
    });
  }

  async appendStream(ts: string, text: string): Promise<void> {
    await this.#call("chat.appendStream", { ts, markdown_text: text });
  }

  async stopStream(ts: string, part: string, blocks: readonly object[]): Promise<void> {
    const below = blocks.length === 0 ? {} : { blocks };
    await this.#call("chat.stopStream", { ts, ...below, ...this.#metadata(part) });
  }

  /** The post of this part whose answer was lost, if Slack has it. */
  async find(part: string): Promise<string | undefined> {
    const key = this.#key(part);
    return (await this.#later()).find(({ metadata }) => metadata?.event_payload?.part === key)?.ts;
  }

  /** The streams in the thread that have not ended. */
  async openStreams(): Promise<{ readonly ts: string; readonly shown: string }[]> {
    return (await this.#later()).flatMap(({ ts, text: shown = "", streaming_state }) =>
      ts !== undefined && streaming_state === "in_progress" ? [{ ts, shown }] : [],
    );
  }

  /** What stands after the question, in the place of the reply. */
  async #later(): Promise<readonly FoundMessage[]> {
    const { channel, ts } = this.#address;
    const { thread } = this;
    const range = { channel, oldest: ts, limit: lookedAt, include_all_metadata: true };
    const { calls } = this.#clients;
    const found = await (thread === undefined
      ? calls.apiCall("conversations.history", range)
      : calls.apiCall("conversations.replies", { ...range, ts: thread }));
    return (found as Found).messages ?? [];
  }

  /**
   * Shows what the bot does; "" ends that.
   * @param loading what Slack shows in its place, in turn
   */
  async setStatus(status: string, loading: readonly string[]): Promise<void> {
    const thread_ts = this.#statusThread;
    if (thread_ts === undefined) return;
    await this.#clients.side.apiCall("assistant.threads.setStatus", {
      channel_id: this.#address.channel,
      thread_ts,
      status,
      ...(loading.length === 0 ? {} : { loading_messages: loading }),
    });
  }

  /** Tells how an agent's session does. */
  async setSession(status: "processing" | "active", title: string): Promise<void> {
    const { channel, user } = this.#address;
    const thread_ts = this.#statusThread;
    if (thread_ts === undefined) return;
    await this.#clients.side.apiCall("agents.sessions.setStatus", {
      channel_id: channel,
      thread_ts,
      status,
      initiator_user_id: user,
      title: oneLine(title, titleLength),
    });
  }

  /** Slack shows what the bot does in a thread, or below a message. */
  get #statusThread(): string | undefined {
    return this.thread ?? this.#address.ts;
  }

  /** @returns the timestamp that Slack names a message by */
  async #call(method: string, fields: object): Promise<string> {
    const { channel } = this.#address;
    return ((await this.#clients.calls.apiCall(method, { channel, ...fields })) as Answer).ts;
  }

  /** With a markdown block, since the text's own markup is not markdown; plain where Slack takes none. */
  #content(part: string, { text, isPlain, below }: Content): object {
    const content = isPlain
      ? { text: escapeText(text), blocks: [] }
      : { text: noticeText(text), blocks: [{ type: "markdown", text }, ...below] };
    return { ...content, ...this.#metadata(part) };
  }

  #key(part: string): string {
    return `${this.#message}:${part}`;
  }

  #metadata(part: string): object {
    return { metadata: { event_type: metadataType, event_payload: { part: this.#key(part) } } };
  }
}

/** What one message shows. */
export interface Content {
  readonly text: string;
  /** Without blocks: Slack took those of this reply for wrong. */
  readonly isPlain: boolean;
  /** The blocks below the text. */
  readonly below: readonly object[];
}

interface Answer {
  readonly ok: boolean;
  readonly ts: string;
}

interface Found {
  readonly ok: boolean;
  readonly messages?: readonly FoundMessage[];
}

interface FoundMessage {
  readonly ts?: string;
  readonly text?: string;
  readonly streaming_state?: string;
  readonly metadata?: { readonly event_payload?: { readonly part?: unknown } };
}
