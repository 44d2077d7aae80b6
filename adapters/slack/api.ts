import type { ReplyAddress } from "./address.ts";
import { isGone } from "./failures.ts";
import type { SlackClient } from "./options.ts";
import { escapeText } from "./text.ts";
import type { Workspace } from "./workspaces.ts";

/** A message's metadata names the part of the reply that it shows, so that a lost post is found again. */
const metadataType = "aparte_reply";

/** How many messages after the question are looked at for a lost post. */
const lookedAt = 100;

/** The longest that one call may take, in milliseconds. The status must not keep the next turn waiting. */
const callTimeout = 30_000;
const statusTimeout = 3_000;

/**
 * Slack has no idempotency key, and its client repeats a post whose answer was lost, for half an hour; while it waits
 * for a rate limit, it stops all other calls too. So replies go through a view of the client that does neither, and
 * what fails is looked for before it is posted again. The names are those of WebClientOptions, which the client
 * keeps as its own; if it ever kept them elsewhere, the application's would count.
 */
function once(client: SlackClient, timeout: number): SlackClient {
  const settings = { retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, timeout };
  return Object.assign(Object.create(client), settings) as SlackClient;
}

/** The calls that replies are made of, in one workspace. */
export class SlackApi {
  readonly #client: SlackClient;
  readonly #statusClient: SlackClient;
  readonly #address: ReplyAddress;
  readonly #workspace: Workspace;

  constructor(client: SlackClient, address: ReplyAddress, workspace: Workspace) {
    this.#client = once(client, callTimeout);
    this.#statusClient = once(client, statusTimeout);
    this.#address = address;
    this.#workspace = workspace;
  }

  /** Posts a message and returns its timestamp, which names it. */
  async post(part: string, text: string): Promise<string> {
    const { channel, thread } = this.#address;
    const { ts }: Answer = await this.#client.apiCall("chat.postMessage", {
      ...this.#content(part, text),
      ...{ channel, unfurl_links: false, unfurl_media: false },
      ...(thread === undefined ? {} : { thread_ts: thread }),
    });
    return timestamp(ts);
  }

  async update(ts: string, part: string, text: string): Promise<void> {
    const { channel } = this.#address;
    await this.#client.apiCall("chat.update", { ...this.#content(part, text), channel, ts });
  }

  async remove(ts: string): Promise<void> {
    const { channel } = this.#address;
    await this.#client.apiCall("chat.delete", { channel, ts }).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }

  /** Begins a stream and returns its timestamp. Slack has streams in threads only. */
  async startStream(thread: string, text: string): Promise<string> {
    const { channel, user, userTeam } = this.#address;
    const { ts }: Answer = await this.#client.apiCall("chat.startStream", {
      ...{ channel, thread_ts: thread, markdown_text: text },
      // Outside of direct messages: to whom it is shown. The author's own workspace, not the bot's.
      ...(channel.startsWith("D") ? {} : { recipient_user_id: user, recipient_team_id: userTeam }),
    });
    return timestamp(ts);
  }

  async appendStream(ts: string, text: string): Promise<void> {
    const { channel } = this.#address;
    await this.#client.apiCall("chat.appendStream", { channel, ts, markdown_text: text });
  }

  async stopStream(ts: string, part: string): Promise<void> {
    const { channel } = this.#address;
    await this.#client.apiCall("chat.stopStream", { channel, ts, ...this.#metadata(part) });
  }

  /** The post of this part whose answer was lost, if Slack has it. */
  async find(part: string): Promise<string | undefined> {
    const { channel, thread, ts } = this.#address;
    const range = { channel, oldest: ts, limit: lookedAt, include_all_metadata: true };
    const { messages } = (await (thread === undefined
      ? this.#client.apiCall("conversations.history", range)
      : this.#client.apiCall("conversations.replies", { ...range, ts: thread }))) as {
      readonly messages?: readonly FoundMessage[];
    };
    const key = this.#key(part);
    return messages?.find(({ metadata }) => metadata?.event_payload?.part === key)?.ts;
  }

  /** Shows what the bot does; "" ends that. */
  async setStatus(status: string): Promise<void> {
    const { channel, thread, ts } = this.#address;
    await this.#statusClient.apiCall("assistant.threads.setStatus", {
      ...{ channel_id: channel, thread_ts: thread ?? ts, status },
    });
  }

  /** With a markdown block, since the text's own markup is not markdown; without it where Slack knows none. */
  #content(part: string, text: string): object {
    const blocks = this.#workspace.hasMarkdown ? { blocks: [{ type: "markdown", text }] } : {};
    return { ...blocks, ...this.#metadata(part), text: escapeText(text) };
  }

  #key(part: string): string {
    return `${this.#address.ts}:${part}`;
  }

  #metadata(part: string): object {
    return { metadata: { event_type: metadataType, event_payload: { part: this.#key(part) } } };
  }
}

interface Answer {
  readonly ok: boolean;
  readonly ts?: unknown;
}

interface FoundMessage {
  readonly ts?: string;
  readonly metadata?: { readonly event_payload?: { readonly part?: unknown } };
}

function timestamp(ts: unknown): string {
  if (typeof ts === "string") return ts;
  throw new TypeError("Slack gave no timestamp for a message.");
}
