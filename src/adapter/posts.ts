import { setTimeout as pause } from "node:timers/promises";
import type { JsonValue } from "../json.ts";
import type { Delivery } from "../turn/delivery.ts";
import type { ReplyEvent } from "../turn/reply-event.ts";
import type { DeliveryFailure } from "./adapter.ts";
import { cut } from "./cut.ts";
import { ReplyText } from "./reply-text.ts";

/** What a platform tells a message's id as. */
export type PostId = string | number;

/**
 * A platform's calls and limits, as far as a reply needs them. Each call gets a signal that is aborted when another process
 * goes on with the reply: for clients that keep calls waiting before they send them.
 */
export interface PostingPlatform<Id extends PostId> {
  /**
   * Posts a text.
   * @param part which post of the reply it is, from 0: the same for the same part when it is posted again
   * @returns the message's id; undefined where the platform does not tell it
   */
  post(text: string, part: number, signal: AbortSignal): Promise<Id | undefined>;
  /** Missing where messages stay as they are: each answer is shown when it is whole, and no draft before. */
  edit?(id: Id, text: string, signal: AbortSignal): Promise<void>;
  /** Takes back what a draft had too many of. */
  remove?(id: Id, signal: AbortSignal): Promise<void>;
  /** Offers follow-up questions; missing where they are told as text. */
  suggest?(questions: readonly string[], signal: AbortSignal): Promise<Id | undefined>;
  /** The longest message, in units of `size`. */
  readonly maxLength: number;
  /** How the platform counts. @default UTF-16 code units */
  readonly size?: (text: string) => number;
  /** The shortest time between two edits of a draft, in milliseconds. @default 1500 */
  readonly editInterval?: number;
  /** The adapter's `failure`: how long to leave drafts alone after a call that was one too many. */
  failure?(error: unknown): DeliveryFailure;
}

/** The longest pause that is waited here, in milliseconds: a longer one is the mapper's to wait. */
const maxWaitMs = 15_000;

/**
 * Shows a reply as posts that grow by edits where the platform can, each answer in posts of its own, and resolves when
 * all of it stands there. A draft that the platform refuses is passed over; the whole answer is not: what it fails with
 * is thrown, and the mapper delivers again.
 */
export async function deliverPosts<Id extends PostId>(
  delivery: Delivery,
  platform: PostingPlatform<Id>,
): Promise<void> {
  const posts = new Posts(delivery, platform);
  const events = delivery[Symbol.asyncIterator]();
  let text = new ReplyText(delivery.texts);
  let questions: readonly string[] = [];
  for (;;) {
    const event = await next(events, text);
    if (event === undefined) break;
    if (event.type === "suggestions" && platform.suggest !== undefined) {
      questions = event.items;
      continue;
    }
    text.add(event);
    if (event.type === "text") posts.draft(text.text);
    if (event.type !== "message") continue;
    await posts.finish(text.text);
    text = new ReplyText(delivery.texts);
  }
  await posts.finish(text.text);
  if (questions.length > 0) await posts.suggest(questions);
  await posts.removeSurplus();
}

/** The next event; undefined at the reply's end. What the turn failed with becomes part of the text. */
async function next(events: AsyncIterator<ReplyEvent>, text: ReplyText): Promise<ReplyEvent | undefined> {
  try {
    const step = await events.next();
    return step.done ? undefined : step.value;
  } catch (error) {
    text.fail(error);
    return undefined;
  }
}

/** One message of the reply. */
interface Post<Id> {
  /** Undefined where the platform does not tell it. */
  readonly id: Id | undefined;
  /** What it shows; undefined when an earlier process sent it. */
  shown: string | undefined;
}

/** The messages that show one reply, over all of its answers. */
class Posts<Id extends PostId> {
  readonly #delivery: Delivery;
  readonly #platform: PostingPlatform<Id>;
  #known: Post<Id>[] | undefined;
  /** How many of them show finished answers. */
  #finished = 0;
  #draft: string | undefined;
  #drafting: Promise<void> | undefined;
  #complete = new AbortController();
  /** Until when the platform takes no call, of `performance.now()`. */
  #closedUntil = 0;

  constructor(delivery: Delivery, platform: PostingPlatform<Id>) {
    this.#delivery = delivery;
    this.#platform = platform;
  }

  /** Read when there is something to show: a reply is handed over before its turn runs. */
  get #posts(): Post<Id>[] {
    this.#known ??= earlierPosts<Id>(this.#delivery.posts);
    return this.#known;
  }

  /** Shows the beginning of an answer in the background, where that is possible. */
  draft(text: string): void {
    if (this.#platform.edit === undefined) return;
    this.#draft = text;
    this.#drafting ??= this.#showDrafts();
  }

  /** Resolves when the whole of an answer is on the platform. */
  async finish(text: string): Promise<void> {
    this.#complete.abort();
    await this.#drafting;
    this.#complete = new AbortController();
    this.#drafting = undefined;
    if (text.trim() === "") return;
    const waitMs = this.#closedUntil - performance.now();
    if (waitMs > 0) await pause(Math.min(waitMs, maxWaitMs));
    this.#finished += await this.#show(text);
  }

  /** Offers questions below the reply, once. */
  async suggest(questions: readonly string[]): Promise<void> {
    const index = this.#finished;
    this.#finished += 1;
    if (this.#posts[index] !== undefined) return;
    const signal = await this.#delivery.permit();
    this.#posted(index, await this.#platform.suggest?.(questions, signal));
  }

  /** Of a draft that was longer than what came of it. */
  async removeSurplus(): Promise<void> {
    for (const { id } of this.#posts.splice(this.#finished)) {
      const signal = await this.#delivery.permit();
      if (id !== undefined) await this.#platform.remove?.(id, signal);
    }
  }

  async #showDrafts(): Promise<void> {
    const { signal } = this.#complete;
    const { editInterval = 1_500, failure } = this.#platform;
    while (!signal.aborted && this.#draft !== undefined) {
      const text = this.#draft;
      this.#draft = undefined;
      let waitMs = editInterval;
      try {
        await this.#show(text);
      } catch (error) {
        // What fails for good is told when the answer is whole, which needs the same call.
        waitMs = Math.max(failure?.(error).retryAfterMs ?? 0, editInterval);
        this.#closedUntil = performance.now() + waitMs;
      }
      await pause(waitMs, undefined, { signal }).catch(() => {});
    }
    this.#draft = undefined;
    if (!signal.aborted) this.#drafting = undefined;
  }

  /** @returns how many messages it takes */
  async #show(text: string): Promise<number> {
    const { maxLength, size } = this.#platform;
    const parts = cut(text, maxLength, size);
    for (const [index, part] of parts.entries()) await this.#showPart(this.#finished + index, part);
    return parts.length;
  }

  async #showPart(index: number, text: string): Promise<void> {
    const post = this.#posts[index];
    if (post?.shown === text) return;
    const signal = await this.#delivery.permit();
    if (post === undefined) this.#posted(index, await this.#platform.post(text, index, signal), text);
    else if (this.#platform.edit !== undefined && post.id !== undefined) {
      await this.#platform.edit(post.id, text, signal);
      post.shown = text;
    }
  }

  #posted(index: number, id: Id | undefined, shown?: string): void {
    this.#posts[index] = { id, shown };
    this.#delivery.posted(this.#posts.map((post) => post.id ?? null));
  }
}

/** The posts of a process that died over this reply. */
function earlierPosts<Id extends PostId>(posts: JsonValue | undefined): Post<Id>[] {
  if (!Array.isArray(posts)) return [];
  return posts.map((id: Id | null) => ({ id: id ?? undefined, shown: undefined }));
}
