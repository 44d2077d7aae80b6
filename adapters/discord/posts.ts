import { type JsonValue, Showing, type ShowingStep } from "aparte/adapter";
import type { APIMessage } from "discord.js";
import { isSnowflake, partAddress, timeOf } from "./address.ts";
import { isAside, type PostText } from "./api.ts";
import type { ChannelStay } from "./channels.ts";
import type { DeliverOptions } from "./deliver.ts";
import { isArchived, isGone, isUnattachable, readFailure } from "./failures.ts";

/** One message of the reply. */
interface Post {
  readonly id: string;
  /** Undefined when another process posted it. */
  readonly shown: PostText | undefined;
}

export interface PostsOptions extends DeliverOptions {
  readonly channel: ChannelStay;
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

/** The messages that show one reply. */
export class Posts {
  readonly #options: PostsOptions;
  readonly #showing: Showing;
  #known: Post[] | undefined;
  #isReposted = false;
  #isReopened = false;
  #canAttach = true;
  #found: APIMessage[] | undefined;

  constructor(options: PostsOptions) {
    this.#options = options;
    this.#showing = new Showing({
      delivery: options.delivery,
      next: (isComplete) => this.#nextStep(isComplete),
      failure: readFailure,
    });
  }

  /** Read when there is something to show: a reply is handed over before its turn runs. */
  get #posts(): Post[] {
    const { delivery, isMoved } = this.#options;
    this.#known ??= isMoved ? [] : earlierPosts(delivery.posts);
    return this.#known;
  }

  changed(): void {
    this.#showing.changed();
  }

  /** Resolves when all of the reply is on Discord. Rejects with Discord's error when it cannot be. */
  finish(): Promise<void> {
    return this.#showing.finish();
  }

  /** The next call that brings Discord nearer to the texts; undefined when it shows them. */
  #nextStep(isComplete: boolean): ShowingStep | undefined {
    const { texts: textsOf, channel } = this.#options;
    const texts = textsOf({ isComplete, canAttach: this.#canAttach });
    for (const [index, text] of texts.entries()) {
      const post = this.#posts[index];
      if (post === undefined)
        return {
          call: (permission) => this.#send(text, permission, (signal) => this.#post(index, text, signal)),
        };
      if (isSame(post.shown, text)) continue;
      return {
        room: () => channel.editTurn(),
        call: (permission) => this.#send(text, permission, (signal) => this.#edit(index, post, text, signal)),
      };
    }
    // A draft may shrink and grow again; only what is left over in the end goes.
    const surplus = isComplete && texts.length < this.#posts.length ? this.#posts.at(-1) : undefined;
    if (surplus === undefined) return undefined;
    const { api } = this.#options;
    return { call: (permission) => api.send(permission, (signal) => this.#remove(surplus, signal)) };
  }

  async #send(
    { files }: PostText,
    permission: AbortSignal,
    call: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#options.api.send(permission, call);
    } catch (error) {
      if (files === undefined || !this.#canAttach || !isUnattachable(error)) throw error;
      this.#canAttach = false;
    }
  }

  async #post(index: number, text: PostText, signal: AbortSignal): Promise<void> {
    const { api, address, delivery } = this.#options;
    // The same for the same part of the same reply: a post whose answer was lost on its way, or whose process died,
    // is found by it and not made twice.
    const isAside = await this.#isAside();
    const lost = !isAside && !this.#isReposted ? await this.#find(index, text, signal) : undefined;
    const nonce = `${address.messageId}-${index}${isAside ? "n" : ""}${this.#isReposted ? "r" : ""}`;
    const to = partAddress(address, index);
    const found = lost ?? (await api.post(to, text, nonce, index === 0, signal, isAside));
    // Where the post is found again it may show an earlier text.
    this.#posts[index] = { id: found.id, shown: shows(found, text) ? text : undefined };
    delivery.posted({ posts: this.#posts.map((post) => post.id) });
  }

  /**
   * Whether it is said in place of an answer, where the message was not taken here: it is no part of the answer that
   * another process may give.
   */
  async #isAside(): Promise<boolean> {
    return !(await this.#options.delivery.taken.catch(() => false));
  }

  /** A post whose answer was lost, or that nobody could note. Discord knows a nonce for some minutes only. */
  async #find(index: number, text: PostText, signal: AbortSignal): Promise<APIMessage | undefined> {
    const { api, address, delivery, botId } = this.#options;
    if (!delivery.isRepeated || partAddress(address, index).interaction !== undefined) return undefined;
    const before = this.#posts[index - 1];
    // Its nonce tells it for sure; that it reads like another answer's part, which came in between, does not.
    if (before !== undefined && Date.now() - timeOf(before.id) < nonceMs) return undefined;
    this.#found ??= await api.postsAfter(address, botId, signal);
    const isOther = (found: APIMessage) => isAside(found) || this.#posts.some(({ id }) => id === found.id);
    // Parts stand behind each other, up to where another answer begins: another one's part may have the same text.
    const from = before === undefined ? 0 : this.#found.findIndex(({ id }) => id === before.id) + 1;
    if (before !== undefined && from === 0) return undefined;
    for (const found of this.#found.slice(from)) {
      const { message_reference: reference, content } = found;
      if (isOther(found)) continue;
      if (index === 0 && reference?.message_id === address.messageId) return found;
      if (reference === undefined && content === text.content.trim()) return found;
      if (index > 0 && reference !== undefined) return undefined;
    }
    return undefined;
  }

  async #edit(index: number, { id }: Post, text: PostText, signal: AbortSignal): Promise<void> {
    const { api, address } = this.#options;
    try {
      await api.edit(partAddress(address, index), id, text, signal, await this.#isAside());
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

/** How long Discord knows a nonce at least, in milliseconds: its documents say "a few minutes". */
const nonceMs = 60_000;

/** Discord trims what it is given. */
function shows({ content, attachments, components = [] }: APIMessage, text: PostText): boolean {
  const { files = [], rows = [] } = text;
  const isWhole = attachments.length === files.length && components.length === rows.length;
  return isWhole && content.trim() === text.content.trim();
}

/** Of the same reply: a file's name says which it is. */
function isSame(shown: PostText | undefined, text: PostText): boolean {
  const [one, other] = [shown, text].map(
    (of) => of && JSON.stringify([of.content, of.files?.map(({ name }) => name), of.rows ?? []]),
  );
  return one === other;
}

/** The posts of a process that died over this reply. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  return Array.isArray(posts) ? posts.filter(isSnowflake).map((id) => ({ id, shown: undefined })) : [];
}
