import { AparteError, type DeliveryFailure } from "aparte";
import type { APIAttachment, APIRequest, REST, ResponseLike } from "discord.js";
import type { ReplyAddress } from "./address.ts";

// Discord's numbers, written here so that only types are imported from discord.js.
/** MessageFlags.SuppressEmbeds: a link in an answer loads no preview, which could carry the answer's words away. */
const suppressEmbeds = 4;
/** RESTJSONErrorCodes: replying needs the permission Read Message History, posting does not. */
const cannotReply = 160_002;
/** Unknown Message: deleted meanwhile. Or older than an hour, and edited too often. */
const notEditable: readonly number[] = [10_008, 30_046];

/** Goes with every text: without it an agent could be talked into pinging everyone. Edits are parsed again too. */
const allowedMentions = { parse: [], replied_user: false };

export interface PostedMessage {
  readonly id: string;
  readonly content: string;
}

/**
 * The calls that replies are made of, through the client's own REST queue, which waits out rate limits. They go
 * by ids alone: a reply is delivered also by a client that has never seen the channel.
 */
export class DiscordApi {
  readonly #rest: REST;
  /** The calls under way, each with what to do when it is told 429. */
  readonly #underWay = new Map<unknown, () => void>();
  readonly #onResponse = (request: APIRequest, { status }: ResponseLike): void => {
    if (status === tooMany) this.#underWay.get(request.data.signal)?.();
  };

  constructor(rest: REST) {
    this.#rest = rest;
  }

  /**
   * Posts a message.
   * @param nonce at most 25 characters. A second post with it, within minutes, is answered with the first one.
   * @param isReply whether it refers to the person's message; only the first message of a reply does.
   */
  async post(
    { channelId, messageId }: ReplyAddress,
    content: string,
    nonce: string,
    isReply: boolean,
    signal: AbortSignal,
  ): Promise<PostedMessage> {
    const path = `/channels/${channelId}/messages` as const;
    const body = {
      content,
      nonce,
      enforce_nonce: true,
      flags: suppressEmbeds,
      allowed_mentions: allowedMentions,
    };
    if (isReply) {
      const reference = { message_id: messageId, fail_if_not_exists: false };
      try {
        return (await this.#rest.post(path, {
          body: { ...body, message_reference: reference },
          signal,
        })) as PostedMessage;
      } catch (error) {
        if (codeOf(error) !== cannotReply) throw error;
      }
    }
    return (await this.#rest.post(path, { body, signal })) as PostedMessage;
  }

  /** Answers a message with words of the adapter's own, once. */
  async tell(
    { channelId, id }: { readonly channelId: string; readonly id: string },
    text: string,
  ): Promise<void> {
    const address = { channelId, messageId: id };
    await this.post(address, text, `${id}-told`, true, AbortSignal.timeout(callMs));
  }

  async edit(channelId: string, id: string, content: string, signal: AbortSignal): Promise<void> {
    const body = { content, flags: suppressEmbeds, allowed_mentions: allowedMentions };
    await this.#rest.patch(`/channels/${channelId}/messages/${id}`, { body, signal });
  }

  /** Deletes a message of the bot; one that is gone counts as deleted. */
  async remove(channelId: string, id: string, signal: AbortSignal): Promise<void> {
    await this.#rest.delete(`/channels/${channelId}/messages/${id}`, { signal }).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }

  /** Shows for ten seconds, or until the next post, that the bot is typing. */
  async type(channelId: string): Promise<void> {
    await this.#rest.post(`/channels/${channelId}/typing`);
  }

  /** The attachments of a message, and those of the message that it forwards. */
  async attachments(
    channelId: string,
    messageId: string,
    signal: AbortSignal,
  ): Promise<readonly APIAttachment[]> {
    const message = (await this.#rest.get(`/channels/${channelId}/messages/${messageId}`, { signal })) as {
      readonly attachments: readonly APIAttachment[];
      readonly message_snapshots?: readonly {
        readonly message: { readonly attachments: readonly APIAttachment[] };
      }[];
    };
    const forwarded = message.message_snapshots?.flatMap((snapshot) => snapshot.message.attachments) ?? [];
    return [...message.attachments, ...forwarded];
  }

  /**
   * Runs one call. One that is told 429 is given up: the queue waits, and then it would send a text that is out of date.
   * @returns false when the call was given up after a 429: it was not taken, and may be made again now.
   */
  async send(call: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const abort = new AbortController();
    let isLimited = false;
    const timer = setTimeout(() => abort.abort(), callMs);
    if (this.#underWay.size === 0) this.#rest.on("response", this.#onResponse);
    this.#underWay.set(abort.signal, () => {
      isLimited = true;
      abort.abort();
    });
    try {
      await call(abort.signal);
      return true;
    } catch (error) {
      if (isLimited) return false;
      throw error;
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(abort.signal);
      if (this.#underWay.size === 0) this.#rest.off("response", this.#onResponse);
    }
  }
}

const tooMany = 429;

/** How long one call may take, in milliseconds, with its waiting for others: then it is the mapper's to try again. */
const callMs = 60_000;

/** The message can be edited no more: it was deleted, or Discord takes no more edits of it. */
export function isGone(error: unknown): boolean {
  return notEditable.includes(codeOf(error) ?? 0);
}

/** Discord has answered and will answer the same again: no permission, no such channel … */
export function isFinal(error: unknown): boolean {
  const status = numberOf(error, "status");
  return status !== undefined && status >= 400 && status < 500 && status !== tooMany;
}

/** Whether Discord may take the answer later, and when. */
export function readFailure(error: unknown): DeliveryFailure {
  if (error instanceof AparteError) return { passes: error.code !== "input-invalid" };
  const retryAfterMs = waitOf(error);
  return { passes: !isFinal(error), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** How long a client that rejects rate limits (`rejectOnRateLimit`) was told to wait, in milliseconds. */
export function waitOf(error: unknown): number | undefined {
  return numberOf(error, "retryAfter");
}

/** Discord's own code, of a DiscordAPIError. */
function codeOf(error: unknown): number | undefined {
  return numberOf(error, "code");
}

function numberOf(error: unknown, field: string): number | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const value: unknown = Reflect.get(error, field);
  return typeof value === "number" ? value : undefined;
}
