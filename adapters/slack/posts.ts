import { setTimeout as pause } from "node:timers/promises";
import type { Delivery, JsonValue } from "aparte/adapter";
import { isId } from "./address.ts";
import type { Content, SlackApi } from "./api.ts";
import {
  isBlockRefusal,
  isFinal,
  isGone,
  isLimited,
  isStreamingStill,
  isStreamOver,
  isStreamRefusal,
  isThreadRefusal,
  isUnsure,
  waitOf,
} from "./failures.ts";
import type { Pace } from "./pace.ts";
import type { Workspace } from "./workspaces.ts";

/** The shortest pause before a call that was one too many, in milliseconds. Slack tells how long it should be. */
const minWaitMs = 100;

/** The longest such pause: a longer one is the mapper's to wait, which leaves the answer to others if it closes. */
const maxWaitMs = 15_000;

/** Slack ends a stream about five minutes after it began. In milliseconds. */
const streamLife = 240_000;

/** The end of a sentence or a line: with less than that a draft does not begin, since a notification shows no more. */
const sentenceEnd = /[.!?…:]["'”’)\]*_]*\s|[。！？]|\n/;

/** How often a message is taken for ended that Slack calls a stream still. */
const maxConflicts = 3;

const noBlocks = "[]";

/** One message of the reply. */
interface Post {
  readonly ts: string;
  /** Undefined when another process posted it. */
  readonly shown: string | undefined;
  /** The blocks below its text, as JSON. */
  readonly below: string;
  /** When its stream must end, of `performance.now()`; undefined when it is none, or none any more. */
  readonly streamsUntil: number | undefined;
}

interface Step {
  /** The allowance that the call uses. */
  readonly pace?: Pace;
  readonly call: () => Promise<void>;
}

export interface PostsOptions {
  readonly api: SlackApi;
  readonly workspace: Workspace;
  readonly delivery: Delivery;
  /** The longest that a draft waits for the end of its first sentence, in milliseconds. */
  readonly firstWait: number;
  /** The texts that the messages are to show, as far as the reply has come. */
  readonly texts: (isPlain: boolean) => readonly string[];
  /** The blocks below the last of them. */
  readonly below: (isWhole: boolean) => readonly object[];
  /** Told why the reply is not where it should be. */
  readonly warn: (message: string, error: unknown) => void;
}

/**
 * The messages that show one reply. One call at a time is under way; when it is done, what the messages show is
 * compared with what they should show by now. So a text that was overtaken is never sent. A stream can only grow:
 * where the text changes otherwise, or the stream has ended, the message is edited.
 */
export class Posts {
  readonly #options: PostsOptions;
  #known: Post[] | undefined;
  readonly #complete = new AbortController();
  #running: Promise<void> | undefined;
  #isRunning = false;
  #failure: { readonly error: unknown } | undefined;
  #isReposted = false;
  #canStream = true;
  #isTaken = true;
  /** Slack took the blocks of this reply for wrong. */
  #isPlain: boolean;
  #conflicts = 0;
  /** The first words of a stream that may have begun, though its answer was lost. */
  #orphan: string | undefined;
  /** When there was something to show first, of `performance.now()`; and what looks again. */
  #firstAt: number | undefined;
  #firstLook: NodeJS.Timeout | undefined;
  /** The answer to a post was lost: the post is looked for before it is made again. */
  #mayBePosted = false;
  /** Of a process that died, perhaps before it could keep where it posted: the first parts that were looked for. */
  #lookedFor = 0;

  constructor(options: PostsOptions) {
    this.#options = options;
    this.#isPlain = !options.workspace.markdown.isThere;
  }

  get #isComplete(): boolean {
    return this.#complete.signal.aborted;
  }

  /** The thread in which the next message streams; undefined where it does not. */
  get #streamThread(): string | undefined {
    const { api, workspace } = this.#options;
    // A whole answer needs no stream.
    return this.#canStream && !this.#isComplete && workspace.streaming.isThere ? api.thread : undefined;
  }

  /** Read when there is something to show: a reply is handed over before its turn runs. */
  get #posts(): Post[] {
    this.#known ??= earlierPosts(this.#options.delivery.posts);
    return this.#known;
  }

  /** There is more to show. Shown in the background; what cannot be shown now is left to {@link Posts.finish}. */
  changed(): void {
    if (this.#failure === undefined && !this.#isRunning) this.#running = this.#catchUp();
  }

  /** The reply is complete: resolves when all of it is on Slack. Rejects with Slack's error when it cannot be. */
  async finish(): Promise<void> {
    this.#complete.abort();
    clearTimeout(this.#firstLook);
    await this.#running;
    if (!isFinal(this.#failure?.error)) {
      this.#failure = undefined;
      await this.#catchUp();
    }
    for (const { ts } of this.#known ?? []) this.#options.workspace.streams.delete(ts);
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#removeOrphan().catch(() => {});
  }

  async #catchUp(): Promise<void> {
    this.#isRunning = true;
    this.#isTaken = await this.#options.delivery.taken.catch(() => false);
    let hasRoom = false;
    while (this.#failure === undefined) {
      const step = this.#nextStep();
      if (step === undefined) break;
      if (step.pace !== undefined && !hasRoom) {
        // Looked at again afterwards: there may be more to show by then.
        hasRoom = await step.pace.turn(this.#complete.signal);
        continue;
      }
      hasRoom = false;
      await this.#try(step);
    }
    this.#isRunning = false;
  }

  async #try(step: Step): Promise<void> {
    const { delivery, workspace, api, warn } = this.#options;
    try {
      await delivery.permit();
      await step.call();
    } catch (error) {
      const wait = waitOf(error);
      // One call too many. However many people ask at once, their answers must not be lost for it.
      if (wait !== undefined && wait <= maxWaitMs) await pause(Math.max(wait, minWaitMs));
      else if (isBlockRefusal(error) && !this.#isPlain) {
        this.#isPlain = true;
        workspace.markdown.refused(false);
      } else if (isThreadRefusal(error) && api.thread !== undefined) {
        api.leaveThread();
        warn("Slack takes no answer in the thread: it goes to the channel", error);
      } else this.#failure = { error };
    }
  }

  /** The next call that brings Slack nearer to the texts; undefined when it shows them. */
  #nextStep(): Step | undefined {
    const texts = this.#options.texts(this.#isPlain);
    for (const [index, text] of texts.entries()) {
      const post = this.#posts[index];
      const isLast = index === texts.length - 1;
      const below = isLast && !this.#isPlain ? this.#options.below(this.#isComplete) : [];
      const content = { text, isPlain: this.#isPlain, below };
      if (post === undefined) return this.#firstStep(index, content, !isLast);
      const step = this.#stepOf(index, post, content, this.#isComplete || !isLast);
      if (step !== undefined) return step;
    }
    const surplus = this.#posts.length > texts.length ? this.#posts.at(-1) : undefined;
    if (!this.#isComplete || surplus === undefined) return undefined;
    // A draft may shrink and grow again; only what is left over in the end goes.
    if (surplus.streamsUntil !== undefined) {
      return { call: () => this.#stop(this.#posts.length - 1, surplus, []) };
    }
    return { call: () => this.#remove(surplus) };
  }

  #firstStep(index: number, content: Content, isLong: boolean): Step | undefined {
    const call = () => this.#begin(index, content);
    if (this.#isComplete) return { call };
    if (index === 0 && !isLong && !this.#isWorthNotifying(content.text)) return undefined;
    return { call, pace: this.#options.workspace.firsts };
  }

  #isWorthNotifying(text: string): boolean {
    if (sentenceEnd.test(text)) return true;
    const { firstWait } = this.#options;
    const now = performance.now();
    this.#firstAt ??= now;
    if (now - this.#firstAt >= firstWait) return true;
    this.#firstLook ??= setTimeout(() => {
      this.#firstLook = undefined;
      this.changed();
    }, firstWait);
    return false;
  }

  #stepOf(index: number, post: Post, content: Content, isDone: boolean): Step | undefined {
    const { edits, appends } = this.#options.workspace;
    const { shown, streamsUntil } = post;
    const { text, below } = content;
    if (streamsUntil === undefined) {
      const isShown = shown === text && post.below === JSON.stringify(below);
      return isShown ? undefined : { pace: edits, call: () => this.#edit(index, post, content) };
    }
    const grows = shown !== undefined && text.startsWith(shown) && performance.now() < streamsUntil;
    if (grows && shown.length < text.length) {
      return { pace: appends, call: () => this.#append(index, post, text) };
    }
    return grows && !isDone ? undefined : { call: () => this.#stop(index, post, isDone ? below : []) };
  }

  /**
   * The name that a post bears in its metadata. What is said in place of an answer, where the message was not taken
   * here, is no part of the answer that another process may give.
   */
  #part(index: number): string {
    return this.#isTaken ? `${index}` : `n${index}`;
  }

  async #begin(index: number, content: Content): Promise<void> {
    const { api, delivery } = this.#options;
    if (this.#mayBePosted || (delivery.isRepeated && index >= this.#lookedFor)) return this.#find(index);
    const thread = this.#streamThread;
    if (thread !== undefined && this.#options.workspace.streamStarts.take()) {
      return this.#stream(index, thread, content.text);
    }
    try {
      const ts = await api.post(this.#part(index), content);
      this.#showed(index, ts, content);
    } catch (error) {
      this.#mayBePosted = isUnsure(error);
      throw error;
    }
  }

  async #stream(index: number, thread: string, text: string): Promise<void> {
    const { api, workspace } = this.#options;
    try {
      const streamsUntil = performance.now() + streamLife;
      const ts = await api.startStream(thread, text);
      workspace.streaming.worked();
      workspace.streams.add(ts);
      this.#keep(index, { ts, shown: text, below: noBlocks, streamsUntil });
    } catch (error) {
      // This reply is posted and edited; so are all others for a while where the workspace has no streams.
      this.#canStream = false;
      if (isThreadRefusal(error)) throw error;
      if (isUnsure(error)) this.#orphan = text;
      else if (!isLimited(error)) workspace.streaming.refused(isStreamRefusal(error));
    }
  }

  #showed(index: number, ts: string, { text, isPlain, below }: Content): void {
    if (!isPlain) this.#options.workspace.markdown.worked();
    this.#keep(index, { ts, shown: text, below: JSON.stringify(below), streamsUntil: undefined });
  }

  /**
   * Removes the stream that began though its answer was lost. It bears no mark, so it is known by its words: by now all
   * living streams have others. Were it another person's after all, that reply would be posted anew.
   */
  async #removeOrphan(): Promise<void> {
    const { api, workspace, delivery } = this.#options;
    if (this.#orphan === undefined || api.thread === undefined) return;
    const found = (await api.findStreams(this.#orphan)).filter((ts) => !workspace.streams.has(ts));
    const [orphan] = found;
    if (orphan === undefined || found.length > 1) return;
    await delivery.permit();
    await api.remove(orphan);
  }

  /** Looks for the post whose answer was lost; where Slack does not let the bot look, it is posted again. */
  async #find(index: number): Promise<void> {
    const ts = await this.#options.api.find(this.#part(index)).catch((error: unknown) => {
      // Better twice than never. Looking needs the scopes channels:history, im:history …
      if (isFinal(error)) return undefined;
      throw error;
    });
    this.#mayBePosted = false;
    this.#lookedFor = index + 1;
    if (ts !== undefined) this.#keep(index, unknown(ts, undefined));
  }

  async #append(index: number, post: Post, text: string): Promise<void> {
    const { api } = this.#options;
    try {
      await api.appendStream(post.ts, text.slice(post.shown?.length));
      this.#posts[index] = { ...post, shown: text };
    } catch (error) {
      if (isLimited(error)) throw error;
      // Whether the words arrived is not known, and a stream takes nothing back: it is ended, and edited from then on.
      // Slack also ends streams by itself after about five minutes.
      this.#keep(index, unknown(post.ts, isStreamOver(error) ? undefined : 0));
    }
  }

  async #stop(index: number, post: Post, below: readonly object[]): Promise<void> {
    const { api, workspace } = this.#options;
    let { shown } = post;
    try {
      await api.stopStream(post.ts, this.#part(index), below);
    } catch (error) {
      if (!isFinal(error) || (isBlockRefusal(error) && below.length > 0)) throw error;
      // It had ended before; what it showed by then is not certain.
      shown = undefined;
    }
    workspace.streams.delete(post.ts);
    this.#keep(index, { ts: post.ts, shown, below: JSON.stringify(below), streamsUntil: undefined });
  }

  async #edit(index: number, { ts }: Post, content: Content): Promise<void> {
    const { api } = this.#options;
    try {
      await api.update(ts, this.#part(index), content);
      this.#showed(index, ts, content);
    } catch (error) {
      if (isStreamingStill(error) && this.#conflicts < maxConflicts) {
        this.#conflicts += 1;
        this.#posts[index] = unknown(ts, 0);
        return;
      }
      if (!isGone(error) || this.#isReposted) throw error;
      // Posted anew, once: whoever deletes the second one as well does not want it.
      this.#isReposted = true;
      this.#posts.splice(index);
    }
  }

  async #remove({ ts }: Post): Promise<void> {
    await this.#options.api.remove(ts);
    this.#posts.pop();
  }

  #keep(index: number, post: Post): void {
    this.#posts[index] = post;
    this.#options.delivery.posted({
      posts: this.#posts.map(({ ts, streamsUntil }) => ({ ts, streams: streamsUntil !== undefined })),
    });
  }
}

/** A message of which it is not certain what it shows. */
function unknown(ts: string, streamsUntil: number | undefined): Post {
  return { ts, shown: undefined, below: noBlocks, streamsUntil };
}

/** The posts of a process that died over this reply. A stream of it is ended, and edited from then on. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  if (!Array.isArray(posts)) return [];
  return posts.flatMap(({ ts, streams }: { readonly ts?: unknown; readonly streams?: unknown }) =>
    isId(ts) ? unknown(ts, streams === true ? 0 : undefined) : [],
  );
}
