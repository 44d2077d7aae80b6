import { setTimeout as pause } from "node:timers/promises";
import type { Delivery, JsonValue } from "aparte";
import { isId } from "./address.ts";
import type { SlackApi } from "./api.ts";
import { isBlockRefusal, isFinal, isGone, isStreamRefusal, isUnsure, waitOf } from "./failures.ts";
import type { Pace } from "./pace.ts";
import type { Workspace } from "./workspaces.ts";

/** The shortest pause before a call that was one too many, in milliseconds. Slack tells how long it should be. */
const minWaitMs = 100;

/** The longest such pause: a longer one is the mapper's to wait, which leaves the answer to others if it closes. */
const maxWaitMs = 15_000;

/** Slack ends a stream about five minutes after it began. In milliseconds. */
const streamLife = 240_000;

/** One message of the reply. */
interface Post {
  readonly ts: string;
  /** Undefined when another process posted it. */
  readonly shown: string | undefined;
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
  /** The thread of the reply. Without one there are no streams. */
  readonly thread: string | undefined;
  readonly delivery: Delivery;
  /** The texts that the messages are to show, as far as the reply has come. */
  readonly texts: () => readonly string[];
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
  #canStream: boolean;
  #isTaken = true;
  /** The answer to a post was lost: the post is looked for before it is made again. */
  #mayBePosted = false;
  /** Of a process that died, perhaps before it could keep where it posted: the first parts that were looked for. */
  #lookedFor = 0;

  constructor(options: PostsOptions) {
    this.#options = options;
    this.#canStream = options.thread !== undefined;
  }

  get #isComplete(): boolean {
    return this.#complete.signal.aborted;
  }

  /** The thread in which the next message streams; undefined where it does not. */
  get #streamThread(): string | undefined {
    const { thread, workspace } = this.#options;
    return this.#canStream && workspace.hasStreams ? thread : undefined;
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
    await this.#running;
    if (!isFinal(this.#failure?.error)) {
      this.#failure = undefined;
      await this.#catchUp();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
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
    try {
      await this.#options.delivery.permit();
      await step.call();
    } catch (error) {
      const wait = waitOf(error);
      // One call too many. However many people ask at once, their answers must not be lost for it.
      if (wait !== undefined && wait <= maxWaitMs) await pause(Math.max(wait, minWaitMs));
      else if (isBlockRefusal(error) && this.#options.workspace.hasMarkdown) {
        this.#options.workspace.hasMarkdown = false;
      } else this.#failure = { error };
    }
  }

  /** The next call that brings Slack nearer to the texts; undefined when it shows them. */
  #nextStep(): Step | undefined {
    const texts = this.#options.texts();
    for (const [index, text] of texts.entries()) {
      const post = this.#posts[index];
      if (post === undefined) return this.#firstStep(index, text);
      const isDone = this.#isComplete || index < texts.length - 1;
      const step = this.#stepOf(index, post, text, isDone);
      if (step !== undefined) return step;
    }
    const surplus = this.#posts.length > texts.length ? this.#posts.at(-1) : undefined;
    if (!this.#isComplete || surplus === undefined) return undefined;
    // A draft may shrink and grow again; only what is left over in the end goes.
    if (surplus.streamsUntil !== undefined) {
      return { call: () => this.#stop(this.#posts.length - 1, surplus) };
    }
    return { call: () => this.#remove(surplus) };
  }

  /** A draft uses the allowance of the edits that it will need. A whole reply needs none. */
  #firstStep(index: number, text: string): Step {
    const call = () => this.#begin(index, text);
    if (this.#isComplete) return { call };
    const { appends, edits } = this.#options.workspace;
    return { call, pace: this.#streamThread === undefined ? edits : appends };
  }

  #stepOf(index: number, post: Post, text: string, isDone: boolean): Step | undefined {
    const { edits, appends } = this.#options.workspace;
    const { shown, streamsUntil } = post;
    if (streamsUntil === undefined) {
      return shown === text ? undefined : { pace: edits, call: () => this.#edit(index, post, text) };
    }
    const grows = shown !== undefined && text.startsWith(shown) && performance.now() < streamsUntil;
    if (grows && shown.length < text.length) {
      return { pace: appends, call: () => this.#append(index, post, text) };
    }
    return grows && !isDone ? undefined : { call: () => this.#stop(index, post) };
  }

  /**
   * The name that a post bears in its metadata. What is said in place of an answer, where the message was not taken
   * here, is no part of the answer that another process may give.
   */
  #part(index: number): string {
    return this.#isTaken ? `${index}` : `n${index}`;
  }

  async #begin(index: number, text: string): Promise<void> {
    const { api, workspace, delivery } = this.#options;
    if (this.#mayBePosted || (delivery.isRepeated && index >= this.#lookedFor)) return this.#find(index);
    const streamThread = this.#streamThread;
    try {
      if (streamThread !== undefined) {
        const streamsUntil = performance.now() + streamLife;
        const ts = await api.startStream(streamThread, text);
        this.#keep(index, { ts, shown: text, streamsUntil });
      } else {
        const ts = await api.post(this.#part(index), text);
        this.#keep(index, { ts, shown: text, streamsUntil: undefined });
      }
    } catch (error) {
      if (streamThread === undefined) {
        this.#mayBePosted = isUnsure(error);
        throw error;
      }
      // This reply is posted and edited; so are all others where the workspace has no streams. Also where the stream
      // may have begun: it bears no mark by which it could be found, and one that looks like it may be another
      // person's reply.
      this.#canStream = false;
      if (isStreamRefusal(error)) workspace.hasStreams = false;
    }
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
    if (ts !== undefined) this.#keep(index, { ts, shown: undefined, streamsUntil: undefined });
  }

  async #append(index: number, post: Post, text: string): Promise<void> {
    const { api } = this.#options;
    try {
      await api.appendStream(post.ts, text.slice(post.shown?.length));
      this.#posts[index] = { ...post, shown: text };
    } catch (error) {
      // Whether the words arrived is not known, and a stream takes nothing back.
      if (isUnsure(error)) this.#posts[index] = { ...post, shown: undefined };
      if (!isFinal(error)) throw error;
      // Slack ends streams by itself after about five minutes. The message is edited from now on.
      this.#keep(index, { ts: post.ts, shown: undefined, streamsUntil: undefined });
    }
  }

  async #stop(index: number, post: Post): Promise<void> {
    const { api } = this.#options;
    let { shown } = post;
    try {
      await api.stopStream(post.ts, this.#part(index));
    } catch (error) {
      if (!isFinal(error)) throw error;
      // It had ended before; what it showed by then is not certain.
      shown = undefined;
    }
    this.#keep(index, { ts: post.ts, shown, streamsUntil: undefined });
  }

  async #edit(index: number, { ts }: Post, text: string): Promise<void> {
    const { api } = this.#options;
    try {
      await api.update(ts, this.#part(index), text);
      this.#posts[index] = { ts, shown: text, streamsUntil: undefined };
    } catch (error) {
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

/** The posts of a process that died over this reply. A stream of it is ended, and edited from then on. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  if (!Array.isArray(posts)) return [];
  return posts.flatMap(({ ts, streams }: { readonly ts?: unknown; readonly streams?: unknown }) =>
    isId(ts) ? { ts, shown: undefined, streamsUntil: streams === true ? 0 : undefined } : [],
  );
}
