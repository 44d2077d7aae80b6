import { setTimeout as pause } from "node:timers/promises";
import { cut, type Delivery, type JsonValue, type ReplyEvent, ReplyText } from "aparte";
import type { Sender } from "./sender.ts";

/** One message of the reply. */
interface Post {
  /** Undefined where the platform does not tell it. */
  readonly id: string | undefined;
  /** What it shows; undefined when an earlier owner of the turn sent it. */
  shown: string | undefined;
}

export interface DeliveryOptions {
  /** The longest message, in characters. */
  readonly maxLength: number;
  /** The shortest time between two edits of a draft, in milliseconds. */
  readonly editInterval: number;
}

/** Shows a reply: each answer when it is finished and, where messages can be edited, as it comes. */
export async function deliver(sender: Sender, delivery: Delivery, options: DeliveryOptions): Promise<void> {
  const posts = new Posts(sender, delivery, options);
  const events = delivery[Symbol.asyncIterator]();
  let text = new ReplyText(delivery.texts);
  let questions: readonly string[] = [];
  for (;;) {
    const event = await next(events, text);
    if (event === undefined) break;
    if (event.type === "suggestions" && sender.suggest !== undefined) {
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

/** The messages that show one reply, over all of its answers. */
class Posts {
  readonly #sender: Sender;
  readonly #delivery: Delivery;
  readonly #options: DeliveryOptions;
  #known: Post[] | undefined;
  /** How many of them show finished answers. */
  #finished = 0;
  #draft: string | undefined;
  #drafting: Promise<void> | undefined;
  #complete = new AbortController();

  constructor(sender: Sender, delivery: Delivery, options: DeliveryOptions) {
    this.#sender = sender;
    this.#delivery = delivery;
    this.#options = options;
  }

  /** Read when there is something to show: a reply is handed over before its turn runs. */
  get #posts(): Post[] {
    this.#known ??= earlierPosts(this.#delivery.posts);
    return this.#known;
  }

  /** Shows the beginning of an answer in the background, where that is possible. */
  draft(text: string): void {
    if (this.#sender.edit === undefined) return;
    this.#draft = text;
    this.#drafting ??= this.#showDrafts();
  }

  /** Resolves when the whole of an answer is on the platform. */
  async finish(text: string): Promise<void> {
    this.#complete.abort();
    await this.#drafting;
    this.#complete = new AbortController();
    this.#drafting = undefined;
    if (text === "") return;
    this.#finished += await this.#show(text);
  }

  /** Offers questions below the reply, once. */
  async suggest(questions: readonly string[]): Promise<void> {
    const index = this.#finished;
    this.#finished += 1;
    if (this.#posts[index] !== undefined) return;
    await this.#delivery.permit();
    this.#posts[index] = {
      id: await this.#sender.suggest?.(questions, this.#delivery.texts("you-could-ask")),
      shown: undefined,
    };
    this.#delivery.posted({ posts: this.#posts.map(({ id }) => id ?? "") } satisfies JsonValue);
  }

  /** Of a draft that was longer than what came of it. */
  async removeSurplus(): Promise<void> {
    const { remove } = this.#sender;
    for (const { id } of this.#posts.splice(this.#finished)) {
      await this.#delivery.permit();
      if (id !== undefined) await remove?.(id);
    }
  }

  async #showDrafts(): Promise<void> {
    const { signal } = this.#complete;
    while (!signal.aborted && this.#draft !== undefined) {
      const text = this.#draft;
      this.#draft = undefined;
      // What fails is told when the answer is whole, which needs the same call.
      await this.#show(text).catch(() => {});
      await pause(this.#options.editInterval, undefined, { signal }).catch(() => {});
    }
    this.#draft = undefined;
    if (!signal.aborted) this.#drafting = undefined;
  }

  /** @returns how many messages it takes */
  async #show(text: string): Promise<number> {
    const parts = cut(text, this.#options.maxLength);
    for (const [index, part] of parts.entries()) await this.#showPart(this.#finished + index, part);
    return parts.length;
  }

  async #showPart(index: number, text: string): Promise<void> {
    const { send, edit } = this.#sender;
    const post = this.#posts[index];
    if (post?.shown === text) return;
    await this.#delivery.permit();
    if (post === undefined) {
      this.#posts[index] = { id: await send(text), shown: text };
      this.#delivery.posted({ posts: this.#posts.map(({ id }) => id ?? "") } satisfies JsonValue);
    } else if (edit !== undefined && post.id !== undefined) {
      await edit(post.id, text);
      post.shown = text;
    }
  }
}

/** The messages of a process that died over this reply. */
function earlierPosts(address: JsonValue | undefined): Post[] {
  const { posts } = (address ?? {}) as { readonly posts?: unknown };
  if (!Array.isArray(posts)) return [];
  return posts.map((id) => ({
    id: typeof id === "string" && id !== "" ? id : undefined,
    shown: undefined,
  }));
}
