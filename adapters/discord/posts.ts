import { setTimeout as pause } from "node:timers/promises";
import type { Delivery, JsonValue } from "aparte/adapter";
import { isSnowflake, partAddress, type ReplyAddress } from "./address.ts";
import { type DiscordApi, isAside, type PostedMessage, type PostText } from "./api.ts";
import type { ChannelStay } from "./channels.ts";
import { isArchived, isFinal, isGone, isUnattachable, waitOf } from "./failures.ts";

/** The longest pause that is waited here, in milliseconds: a longer one is the mapper's to wait. */
const maxWaitMs = 15_000;

/** One message of the reply. */
interface Post {
  readonly id: string;
  /** Undefined when another process posted it. */
  readonly shown: PostText | undefined;
}

export interface PostsOptions {
  readonly api: DiscordApi;
  readonly channel: ChannelStay;
  readonly address: ReplyAddress;
  readonly delivery: Delivery;
  /** The bot that posts. */
  readonly botId: string;
  /** Whether the reply goes elsewhere than it began: what stands there stays. */
  readonly isMoved: boolean;
  /** The texts that the messages are to show, as far as the reply has come. */
  readonly texts: (state: PostsState) => readonly PostText[];
}

export interface PostsState {
  readonly isComplete: boolean;
  /** False where Discord does not take files of the bot. */
  readonly canAttach: boolean;
}

/**
 * The messages that show one reply. One call at a time is under way; when it is done, what the messages show is
 * compared with what they should show by now. So a text that was overtaken is never sent.
 */
export class Posts {
  readonly #options: PostsOptions;
  #known: Post[] | undefined;
  #isComplete = false;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isReposted = false;
  #isReopened = false;
  #canAttach = true;
  #found: PostedMessage[] | undefined;

  constructor(options: PostsOptions) {
    this.#options = options;
  }

  /** Read when there is something to show: a reply is handed over before its turn runs. */
  get #posts(): Post[] {
    const { delivery, isMoved } = this.#options;
    this.#known ??= isMoved ? [] : earlierPosts(delivery.posts);
    return this.#known;
  }

  /** There is more to show. Shown in the background; what cannot be shown now is left to {@link Posts.finish}. */
  changed(): void {
    if (this.#failure !== undefined) return;
    this.#running ??= this.#catchUp().finally(() => {
      this.#running = undefined;
    });
  }

  /** The reply is complete: resolves when all of it is on Discord. Rejects with Discord's error when it cannot be. */
  async finish(): Promise<void> {
    this.#isComplete = true;
    await this.#running;
    if (!isFinal(this.#failure?.error)) {
      this.#failure = undefined;
      await this.#catchUp();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #catchUp(): Promise<void> {
    const { api, channel, delivery } = this.#options;
    for (;;) {
      let step = this.#nextStep();
      if (step?.isEdit) {
        await channel.editTurn();
        step = this.#nextStep();
      }
      if (step === undefined) return;
      try {
        await delivery.permit();
        await api.send(step.call);
      } catch (error) {
        if (step.hasFile && this.#canAttach && isUnattachable(error)) {
          this.#canAttach = false;
          continue;
        }
        const wait = waitOf(error);
        if (wait === undefined || wait > maxWaitMs) {
          this.#failure = { error };
          return;
        }
        await pause(wait);
      }
    }
  }

  /** The next call that brings Discord nearer to the texts; undefined when it shows them. */
  #nextStep(): Step | undefined {
    const state = { isComplete: this.#isComplete, canAttach: this.#canAttach };
    const texts = this.#options.texts(state);
    for (const [index, text] of texts.entries()) {
      const post = this.#posts[index];
      const hasFile = text.files !== undefined;
      if (post === undefined)
        return { isEdit: false, hasFile, call: (signal) => this.#post(index, text, signal) };
      if (!isSame(post.shown, text))
        return { isEdit: true, hasFile, call: (signal) => this.#edit(index, post, text, signal) };
    }
    // A draft may shrink and grow again; only what is left over in the end goes.
    const surplus = this.#isComplete && texts.length < this.#posts.length ? this.#posts.at(-1) : undefined;
    return surplus && { isEdit: false, hasFile: false, call: (signal) => this.#remove(surplus, signal) };
  }

  async #post(index: number, text: PostText, signal: AbortSignal): Promise<void> {
    const { api, address, delivery } = this.#options;
    // The same for the same part of the same reply: a post whose answer was lost on its way, or whose process died,
    // is found by it and not made twice.
    // What is said in place of an answer, where the message was not taken here, is no part of the answer that another
    // process may give.
    const isTaken = await delivery.taken.catch(() => false);
    const lost = isTaken && !this.#isReposted ? await this.#find(index, text, signal) : undefined;
    const nonce = `${address.messageId}-${index}${isTaken ? "" : "n"}${this.#isReposted ? "r" : ""}`;
    const to = partAddress(address, index);
    const found = lost ?? (await api.post(to, text, nonce, index === 0, signal, !isTaken));
    // Where the post is found again it may show an earlier text.
    this.#posts[index] = { id: found.id, shown: shows(found, text) ? text : undefined };
    delivery.posted({ posts: this.#posts.map((post) => post.id) });
  }

  /** A post whose answer was lost, or that nobody could note. Discord knows a nonce for some minutes only. */
  async #find(index: number, text: PostText, signal: AbortSignal): Promise<PostedMessage | undefined> {
    const { api, address, delivery, botId } = this.#options;
    if (!delivery.isRepeated || partAddress(address, index).interaction !== undefined) return undefined;
    this.#found ??= await api.postsAfter(address, botId, signal);
    const isOther = (found: PostedMessage) => isAside(found) || this.#posts.some(({ id }) => id === found.id);
    return this.#found.find((found) => {
      const { message_reference: reference, content } = found;
      const isFirst = index === 0 && reference?.message_id === address.messageId;
      return !isOther(found) && (isFirst || (!reference && content === text.content.trim()));
    });
  }

  async #edit(index: number, { id }: Post, text: PostText, signal: AbortSignal): Promise<void> {
    const { api, address } = this.#options;
    try {
      await api.edit(partAddress(address, index), id, text, signal);
      this.#posts[index] = { id, shown: text };
    } catch (error) {
      if (isArchived(error) && !this.#isReopened) {
        this.#isReopened = true;
        await api.reopen(address.channelId, signal);
        return;
      }
      if (!isGone(error) || this.#isReposted) throw error;
      // Posted anew, once: whoever deletes the second one as well does not want it.
      this.#isReposted = true;
      this.#posts.splice(index);
    }
  }

  async #remove({ id }: Post, signal: AbortSignal): Promise<void> {
    const { api, address } = this.#options;
    await api.remove(partAddress(address, this.#posts.length - 1), id, signal);
    this.#posts.pop();
  }
}

/** Discord trims what it is given. */
function shows({ content, attachments = [], components = [] }: PostedMessage, text: PostText): boolean {
  const { files = [], rows = [] } = text;
  const isWhole = attachments.length === files.length && components.length === rows.length;
  return isWhole && content.trim() === text.content.trim();
}

/** Of the same reply: a file's name says which it is. */
function isSame(shown: PostText | undefined, text: PostText): boolean {
  const [one, other] = [shown, text].map(
    (of) => of && JSON.stringify([of.content, of.files?.map(({ name }) => name) ?? [], of.rows ?? []]),
  );
  return one === other;
}

/** One call that brings Discord nearer to the texts. */
interface Step {
  readonly isEdit: boolean;
  readonly hasFile: boolean;
  readonly call: (signal: AbortSignal) => Promise<void>;
}

/** The posts of a process that died over this reply. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  return Array.isArray(posts) ? posts.filter(isSnowflake).map((id) => ({ id, shown: undefined })) : [];
}
