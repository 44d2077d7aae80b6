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
} from "./failures.ts";
import { LostStreams } from "./lost-streams.ts";
import type { Workspace } from "./workspaces.ts";

/** Slack ends a stream about five minutes after it began. In milliseconds. */
const streamLife = 240_000;

/** How often a message is taken for ended that Slack calls a stream still. */
const maxConflicts = 3;

const noBlocks = "[]";

/** One message of a reply. */
export interface Post {
  readonly ts: string;
  /** Undefined when another process posted it. */
  readonly shown: string | undefined;
  /** The blocks below its text, as JSON. */
  readonly below: string;
  /** When its stream must end, of `performance.now()`; undefined when it is none, or none any more. */
  readonly streamsUntil?: number | undefined;
}

export interface ShownPostsOptions {
  readonly api: SlackApi;
  readonly workspace: Workspace;
  readonly delivery: Delivery;
}

/** The messages of one reply that stand on Slack, and the calls that change them: each throws what the reply cannot do without. */
export class ShownPosts {
  readonly #options: ShownPostsOptions;
  readonly #lostStreams: LostStreams;
  #known: Post[] | undefined;
  #isReposted = false;
  #canStream = true;
  #conflicts = 0;
  /** The answer to a post was lost: the post is looked for before it is made again. */
  #mayBePosted = false;
  /** Of a process that died, perhaps before it could keep where it posted: the first parts that were looked for. */
  #lookedFor = 0;

  constructor(options: ShownPostsOptions) {
    this.#options = options;
    this.#lostStreams = new LostStreams(options);
  }

  /** In the order of the reply. Read when there is something to show: a reply is handed over before its turn runs. */
  get posts(): Post[] {
    this.#known ??= earlierPosts(this.#options.delivery.posts);
    return this.#known;
  }

  /** The whole reply stands there, or never will. @param texts of its messages; undefined where it never will */
  async end(texts: readonly string[] | undefined): Promise<void> {
    const posts = this.posts.map(({ ts }) => ts);
    for (const ts of posts) this.#options.workspace.streams.delete(ts);
    // Where it cannot be removed, it stays as a beginning beside the whole answer.
    if (texts !== undefined) await this.#lostStreams.remove(posts, texts).catch(() => {});
  }

  /** @param mayStream whether the message is to grow */
  async begin(index: number, content: Content, mayStream: boolean): Promise<void> {
    const { api, delivery, workspace } = this.#options;
    if (this.#mayBePosted || (delivery.isRepeated && index >= this.#lookedFor)) return this.#find(index);
    const thread = mayStream ? this.#streamThread : undefined;
    if (thread !== undefined && (await workspace.streamStarts.take())) {
      await delivery.permit();
      return this.#stream(index, thread, content.text);
    }
    try {
      const ts = await api.post(await this.#part(index), content);
      this.#showed(index, ts, content);
    } catch (error) {
      this.#mayBePosted = isUnsure(error);
      throw error;
    }
  }

  async append(index: number, post: Post, text: string): Promise<void> {
    const { api } = this.#options;
    try {
      await api.appendStream(post.ts, text.slice(post.shown?.length));
      this.posts[index] = { ...post, shown: text };
    } catch (error) {
      if (isLimited(error)) throw error;
      // Whether the words arrived is not known, and a stream takes nothing back: it is ended, and edited from then on.
      // Slack also ends streams by itself after about five minutes.
      this.#setPost(index, postOfUnknownText(post.ts, isStreamOver(error) ? undefined : 0));
    }
  }

  async stop(index: number, post: Post, below: readonly object[]): Promise<void> {
    const { api, workspace } = this.#options;
    let { shown } = post;
    try {
      await api.stopStream(post.ts, await this.#part(index), below);
    } catch (error) {
      if (!isFinal(error) || (isBlockRefusal(error) && below.length > 0)) throw error;
      // It had ended before; what it showed by then is not certain.
      shown = undefined;
    }
    workspace.streams.delete(post.ts);
    this.#setPost(index, { ts: post.ts, shown, below: JSON.stringify(below) });
  }

  async edit(index: number, { ts }: Post, content: Content): Promise<void> {
    const { api } = this.#options;
    try {
      await api.update(ts, await this.#part(index), content);
      this.#showed(index, ts, content);
    } catch (error) {
      if (isStreamingStill(error) && this.#conflicts < maxConflicts) {
        this.#conflicts += 1;
        this.posts[index] = postOfUnknownText(ts, 0);
        return;
      }
      if (!isGone(error) || this.#isReposted) throw error;
      // Posted anew, once: whoever deletes the second one as well does not want it.
      this.#isReposted = true;
      this.posts.splice(index);
    }
  }

  async removeLast({ ts }: Post): Promise<void> {
    await this.#options.api.remove(ts);
    this.posts.pop();
  }

  async #stream(index: number, thread: string, text: string): Promise<void> {
    const { api, workspace } = this.#options;
    try {
      const streamsUntil = performance.now() + streamLife;
      const ts = await api.startStream(thread, text);
      workspace.streaming.worked();
      workspace.streams.add(ts);
      this.#setPost(index, { ts, shown: text, below: noBlocks, streamsUntil });
    } catch (error) {
      // This reply is posted and edited; so are all others for a while where the workspace has no streams.
      this.#canStream = false;
      if (isThreadRefusal(error)) throw error;
      if (isUnsure(error)) {
        this.#lostStreams.words = text;
        this.#notePosts();
      } else if (!isLimited(error)) workspace.streaming.refused(isStreamRefusal(error));
    }
  }

  /** The thread in which the next message streams; undefined where it does not. */
  get #streamThread(): string | undefined {
    const { api, workspace, delivery } = this.#options;
    // A reply that is delivered again is posted, since posts bear a mark and streams none.
    return this.#canStream && !delivery.isRepeated && workspace.streaming.isThere ? api.thread : undefined;
  }

  /** Looks for the post whose answer was lost; where Slack does not let the bot look, it is posted again. */
  async #find(index: number): Promise<void> {
    const ts = await this.#options.api.find(await this.#part(index)).catch((error: unknown) => {
      // Better twice than never. Looking needs the scopes channels:history, im:history …
      if (isFinal(error)) return undefined;
      throw error;
    });
    this.#mayBePosted = false;
    this.#lookedFor = index + 1;
    if (ts !== undefined) this.#setPost(index, postOfUnknownText(ts, undefined));
  }

  /**
   * The name that a post bears in its metadata. What is said in place of an answer, where the message was not taken
   * here, is no part of the answer that another process may give.
   */
  async #part(index: number): Promise<string> {
    return (await this.#options.delivery.taken.catch(() => false)) ? `${index}` : `n${index}`;
  }

  #showed(index: number, ts: string, { text, isPlain, below }: Content): void {
    if (!isPlain) this.#options.workspace.markdown.worked();
    this.#setPost(index, { ts, shown: text, below: JSON.stringify(below) });
  }

  #setPost(index: number, post: Post): void {
    this.posts[index] = post;
    this.#notePosts();
  }

  #notePosts(): void {
    const { words } = this.#lostStreams;
    this.#options.delivery.posted({
      posts: this.posts.map(({ ts, streamsUntil }) => ({ ts, streams: streamsUntil !== undefined })),
      ...(words === undefined ? {} : { words }),
    });
  }
}

/** A message of which it is not certain what it shows. */
function postOfUnknownText(ts: string, streamsUntil: number | undefined): Post {
  return { ts, shown: undefined, below: noBlocks, streamsUntil };
}

/** The posts of a process that died over this reply. A stream of it is ended, and edited from then on. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  if (!Array.isArray(posts)) return [];
  return posts.flatMap(({ ts, streams }: { readonly ts?: unknown; readonly streams?: unknown }) =>
    isId(ts) ? postOfUnknownText(ts, streams === true ? 0 : undefined) : [],
  );
}
