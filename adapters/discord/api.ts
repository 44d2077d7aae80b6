import { AparteError } from "aparte";
import type { APIAttachment, APIMessage, APIRequest, RawFile, REST, ResponseLike } from "discord.js";
import { type InteractionAddress, liveInteraction, type ReplyAddress } from "./address.ts";
import type { ButtonRow } from "./buttons.ts";
import { code, codeOf, isForbidden, isGone, tooMany } from "./failures.ts";
import type { DiscordSettings } from "./options.ts";

// Discord's numbers, written here so that only types are imported from discord.js.
/** MessageFlags.SuppressEmbeds: links load no previews. */
const suppressEmbeds = 4;
/** MessageFlags.SuppressNotifications: what is no answer makes no sound, and is known by it. */
const suppressNotifications = 4096;
/** A thread without new messages for so long is archived. */
const threadMinutes = 1_440;
/** MessageFlags.Ephemeral: only the person sees it. */
const ephemeral = 64;

/** Goes with every text: without it an agent could be talked into pinging everyone. Edits are parsed again too. */
const allowedMentions = { parse: [], replied_user: false };

/** What one message shows. */
export interface PostText {
  readonly content: string;
  readonly files?: readonly RawFile[];
  /** Rows of buttons below it. */
  readonly rows?: readonly ButtonRow[];
}

/** Whether it was posted in place of an answer, which another process may give. */
export function isAside({ flags }: APIMessage): boolean {
  return ((flags ?? 0) & suppressNotifications) !== 0;
}

/**
 * The calls that replies are made of, through the client's own REST queue, which waits out rate limits. They go
 * by ids alone: a reply is delivered also by a client that has never seen the channel.
 */
export class DiscordApi {
  readonly #rest: REST;
  readonly #flags: number;
  /** The calls under way, each with what to do when it is told 429. */
  readonly #underWay = new Map<unknown, () => void>();
  readonly #onResponse = (request: APIRequest, { status }: ResponseLike): void => {
    if (status === tooMany) this.#underWay.get(request.data.signal)?.();
  };

  constructor(rest: REST, { embeds }: Pick<DiscordSettings, "embeds">) {
    this.#rest = rest;
    this.#flags = embeds ? 0 : suppressEmbeds;
  }

  /**
   * Posts a message.
   * @param nonce at most 25 characters. A second post with it, within minutes, is answered with the first one.
   * @param isReply whether it refers to the person's message; only the first message of a reply does.
   * @param isAside it stands in place of an answer: {@link isAside} knows it again
   */
  async post(
    address: ReplyAddress,
    text: PostText,
    nonce: string,
    isReply: boolean,
    signal: AbortSignal,
    isAside = false,
  ): Promise<APIMessage> {
    const { body, files } = this.#shownAs(text, isAside);
    const { messageId, channelId } = address;
    const interaction = tokenOf(address);
    if (interaction !== undefined) return this.#respond(interaction, text, isReply, signal);
    const path = `/channels/${channelId}/messages` as const;
    const post = async (more: object) =>
      (await this.#rest.post(path, {
        files,
        signal,
        body: { ...body, nonce, enforce_nonce: true, ...more },
      })) as APIMessage;
    // A thread that was opened for the message has its id; there is nothing to refer to in it.
    const isOwnThread = channelId === messageId;
    if (!isReply || isOwnThread || address.interaction !== undefined) return post({});
    try {
      return await post({ message_reference: { message_id: messageId, fail_if_not_exists: false } });
    } catch (error) {
      if (codeOf(error) !== code.cannotReply) throw error;
      return post({});
    }
  }

  /** The first message of an answer takes the place of "is thinking"; it may be sent again. */
  async #respond(
    { applicationId, token, isPrivate }: InteractionAddress,
    text: PostText,
    isFirst: boolean,
    signal: AbortSignal,
  ): Promise<APIMessage> {
    const request = { ...this.#shownAs(text), auth: false, signal };
    const webhook = `/webhooks/${applicationId}/${token}` as const;
    if (isFirst) return (await this.#rest.patch(`${webhook}/messages/@original`, request)) as APIMessage;
    const body = { ...request.body, flags: this.#flags | (isPrivate ? ephemeral : 0) };
    return (await this.#rest.post(webhook, { ...request, body })) as APIMessage;
  }

  /** Answers a message with words of the adapter's own, once. */
  async tell(
    { channelId, id }: { readonly channelId: string; readonly id: string },
    text: string,
  ): Promise<void> {
    const address = { channelId, messageId: id };
    await this.post(address, { content: text }, `${id}-told`, true, AbortSignal.timeout(callMs), true);
  }

  /** Says to a person in private what cannot be said where they asked, once a question. */
  async tellPrivately(userId: string, messageId: string, text: string): Promise<void> {
    const signal = AbortSignal.timeout(callMs);
    const channelId = await this.directChannel(userId, signal);
    await this.post({ channelId, messageId }, { content: text }, `${messageId}-why`, false, signal);
  }

  /** @param isAside as it was posted: an edit names all flags that the message keeps */
  async edit(
    address: ReplyAddress,
    id: string,
    text: PostText,
    signal: AbortSignal,
    isAside: boolean,
  ): Promise<void> {
    const { path, auth } = messageAt(address, id);
    await this.#rest.patch(path, { ...this.#shownAs(text, isAside), auth, signal });
  }

  /** What a bot has posted since a message came, as far as it is among the first hundred; nothing where that is not to be read. */
  async postsAfter(
    { channelId, messageId }: ReplyAddress,
    botId: string,
    signal: AbortSignal,
  ): Promise<APIMessage[]> {
    const query = new URLSearchParams({ after: messageId, limit: "100" });
    try {
      const found = await this.#rest.get(`/channels/${channelId}/messages`, { query, signal });
      return (found as APIMessage[]).filter(({ author }) => author.id === botId).reverse();
    } catch (error) {
      if (isForbidden(error)) return [];
      throw error;
    }
  }

  /** Opens a thread at a message; its id is the message's. False where that is not possible. */
  async openThread(
    { channelId, id }: { readonly channelId: string; readonly id: string },
    name: string,
  ): Promise<boolean> {
    const body = { name, auto_archive_duration: threadMinutes };
    const request = { body, signal: AbortSignal.timeout(callMs) };
    try {
      await this.#rest.post(`/channels/${channelId}/messages/${id}/threads`, request);
      return true;
    } catch (error) {
      // As where the event is read again.
      return codeOf(error) === code.hasThread;
    }
  }

  /** The channel of direct messages with a person. */
  async directChannel(userId: string, signal: AbortSignal): Promise<string> {
    const body = { recipient_id: userId };
    return ((await this.#rest.post("/users/@me/channels", { body, signal })) as { readonly id: string }).id;
  }

  /** Opens an archived thread again, unless it is locked. */
  async reopen(channelId: string, signal: AbortSignal): Promise<void> {
    await this.#rest.patch(`/channels/${channelId}`, { body: { archived: false }, signal });
  }

  /** Deletes a message of the bot; one that is gone counts as deleted. */
  async remove(address: ReplyAddress, id: string, signal: AbortSignal): Promise<void> {
    const { path, auth } = messageAt(address, id);
    await this.#rest.delete(path, { auth, signal }).catch((error: unknown) => {
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
    const found = await this.#rest.get(`/channels/${channelId}/messages/${messageId}`, { signal });
    const { attachments, message_snapshots = [] } = found as APIMessage;
    return [...attachments, ...message_snapshots.flatMap(({ message }) => message.attachments)];
  }

  /**
   * Runs one call. One that is told 429 is given up: the queue waits, and then it would send a text that is out of date.
   * So is one that stands in the queue when another process goes on with the reply.
   * @returns false when the call was given up after a 429: it was not taken, and may be made again now.
   */
  async send(permission: AbortSignal, call: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const abort = new AbortController();
    const giveUp = () => abort.abort();
    let isLimited = false;
    const timer = setTimeout(giveUp, callMs);
    permission.addEventListener("abort", giveUp);
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
      permission.removeEventListener("abort", giveUp);
      this.#underWay.delete(abort.signal);
      if (this.#underWay.size === 0) this.#rest.off("response", this.#onResponse);
    }
  }

  #shownAs(
    { content, files = [], rows = [] }: PostText,
    isAside = false,
  ): {
    readonly body: object;
    readonly files: RawFile[];
  } {
    return {
      body: {
        content,
        flags: this.#flags | (isAside ? suppressNotifications : 0),
        allowed_mentions: allowedMentions,
        components: rows,
        attachments: files.map(({ name }, id) => ({ id, filename: name })),
      },
      files: [...files],
    };
  }
}

/** A message of an answer, and whether the bot itself asks for it. */
function messageAt(
  address: ReplyAddress,
  id: string,
): { readonly path: `/${string}`; readonly auth: boolean } {
  const interaction = tokenOf(address);
  if (interaction === undefined) return { path: `/channels/${address.channelId}/messages/${id}`, auth: true };
  const { applicationId, token } = interaction;
  return { path: `/webhooks/${applicationId}/${token}/messages/${id}`, auth: false };
}

/**
 * The interaction by whose token an answer is shown; undefined where the bot itself shows it.
 * @throws {AparteError} `answer-lost` where the token is over and the bot's own post would be read by others, or refused
 */
function tokenOf(address: ReplyAddress): InteractionAddress | undefined {
  const live = liveInteraction(address);
  if (live === undefined && address.interaction?.canPost === false)
    throw new AparteError("answer-lost", "Discord takes no more of this answer where it was asked.");
  return live;
}

/** How long one call may take, in milliseconds, with its waiting for others: then it is the mapper's to try again. */
const callMs = 60_000;
