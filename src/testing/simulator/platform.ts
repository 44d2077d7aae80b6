import type { Adapter } from "../../adapter/adapter.ts";
import { AparteError } from "../../errors.ts";
import type { JsonValue } from "../../json.ts";
import type { Delivery } from "../../turn/delivery.ts";
import type { Message } from "../../turn/message.ts";
import { silentNotices } from "../../turn/reply-event.ts";
import type { Link } from "./link.ts";
import type { Setting } from "./schedule.ts";
import type { Timeline } from "./timeline.ts";

/** One message on the platform. */
export interface Post {
  readonly id: string;
  /** The person in whose channel it stands. */
  readonly person: string;
  /** The event that it answers. */
  readonly event: string;
  readonly at: number;
  /** The process that sent it. */
  readonly by: number;
  text: string;
  /** When it first showed an answer, by the timeline. */
  answeredAt: number | undefined;
  /** When it was written down that it stands here, by the timeline. */
  notedAt: number | undefined;
}

/** The chat platform: it shows what it is told to show. */
export class PlatformServer {
  readonly posts: Post[] = [];
  /** Called with an event that a process could not take, and is to tell of: it may die over it. */
  readonly refused: (event: string) => void;
  readonly #timeline: Timeline;
  readonly #byId = new Map<string, Post>();

  constructor(timeline: Timeline, refused: (event: string) => void) {
    this.#timeline = timeline;
    this.refused = refused;
  }

  post(person: string, event: string, text: string, by: number): string {
    const id = `post ${this.posts.length + 1}`;
    const at = this.#timeline.now;
    const post: Post = {
      id,
      person,
      event,
      by,
      at,
      text: "",
      answeredAt: undefined,
      notedAt: undefined,
    };
    this.posts.push(post);
    this.#byId.set(id, post);
    this.edit(id, text);
    return id;
  }

  edit(id: string, text: string): void {
    const post = this.#byId.get(id);
    if (post === undefined) return;
    post.text = text;
    if (text !== draft && !text.startsWith(toldPrefix)) post.answeredAt ??= this.#timeline.now;
  }

  find(person: string, event: string): string | undefined {
    // What tells the person of a delivery that was not taken has no mark: it is never edited.
    const isMarked = (post: Post) => post.person === person && !post.text.startsWith(toldPrefix);
    return this.posts.findLast((post) => isMarked(post) && post.event === event)?.id;
  }

  /** It was written down what stands here. */
  noted(posts: unknown): void {
    const post = typeof posts === "string" ? this.#byId.get(posts) : undefined;
    if (post !== undefined) post.notedAt ??= this.#timeline.now;
  }
}

/** How long a call of the platform may take, in milliseconds. */
export const platformCallMs = 1_500;

/** What a failed turn's post begins with; the error's code follows. Or a notice's. */
export const toldPrefix = "told: ";

/** What a post shows before there is an answer. */
const draft = "…";

/** The platform never takes the answer. */
export class Refusal extends Error {}

/**
 * The adapter of one process. Where it streams, it posts a draft, which becomes the answer.
 */
export function simulatedAdapter(
  server: PlatformServer,
  link: Link,
  process: number,
  { platformFinds: finds, streams }: Setting,
): Adapter {
  const deliver = async ({ user, id: event }: Message, delivery: Delivery): Promise<void> => {
    let id: string | undefined;
    let shown: string | undefined;
    let isKnown = false;
    /** A post that was sent here may stand there or not. */
    let isUnsure = false;
    const show = async (text: string) => {
      if (shown === text) return;
      if (!isKnown) {
        if (typeof delivery.posts === "string") id = delivery.posts;
        else if (finds && (delivery.isRepeated || isUnsure)) {
          id = await link.call("look", () => server.find(user, event));
          if (id !== undefined) delivery.posted(id satisfies JsonValue);
        }
        isKnown = true;
      }
      await delivery.permit();
      const known = id;
      if (known !== undefined) await link.call("edit", () => server.edit(known, text));
      else {
        isUnsure = true;
        isKnown = false;
        id = await link.call("post", () => server.post(user, event, text, process));
        isKnown = true;
        delivery.posted(id satisfies JsonValue);
      }
      shown = text;
    };
    const texts: string[] = [];
    void delivery.taken.catch(() => server.refused(event));
    try {
      for await (const said of delivery) {
        if (said.type === "text" && streams && texts.length === 0) {
          // A draft that fails is made up for by the answer, which needs the same call.
          await show(draft).catch(() => {});
        } else if (said.type === "message") texts.push(said.text);
        else if (said.type === "notice" && !silentNotices.has(said.code)) {
          texts.push(`${toldPrefix}${said.code}`);
        }
      }
    } catch (error) {
      texts.push(`${toldPrefix}${error instanceof AparteError ? error.code : String(error)}`);
    }
    if (texts.length > 0) await show(texts.join("\n"));
  };
  return { platform: "simulated", deliver, failure: (error) => ({ passes: !(error instanceof Refusal) }) };
}
