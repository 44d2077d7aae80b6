import { Showing, type ShowingStep } from "aparte/adapter";
import type { Content } from "./api.ts";
import type { DeliverOptions } from "./deliver.ts";
import { isBlockRefusal, isThreadRefusal, readFailure } from "./failures.ts";
import type { Pace } from "./pace.ts";
import { type Post, ShownPosts, type ShownPostsOptions } from "./shown-posts.ts";

/** The end of a sentence or a line: with less than that a draft does not begin, since a notification shows no more. */
const sentenceEnd = /[.!?…:]["'”’)\]*_]*\s|[。！？]|\n/;

export interface PostsOptions extends DeliverOptions, ShownPostsOptions {
  /** The texts that the messages are to show, as far as the reply has come. */
  readonly texts: (isPlain: boolean) => readonly string[];
  /** The blocks below the last of them. */
  readonly below: (isWhole: boolean) => readonly object[];
  /** Shows links in the place of images. @returns whether that changes anything */
  readonly dropImages: () => boolean;
}

/**
 * The messages that show one reply. A stream can only grow: where the text changes otherwise, or the stream has ended,
 * the message is edited.
 */
export class Posts {
  readonly #options: PostsOptions;
  readonly #showing: Showing;
  readonly #shown: ShownPosts;
  /** A draft waits no longer than this for the end of its first sentence. */
  #firstWait: NodeJS.Timeout | undefined;
  #isFirstWaitOver = false;
  /** Slack took the blocks of this reply for wrong. */
  #isPlain: boolean;

  constructor(options: PostsOptions) {
    this.#options = options;
    this.#showing = new Showing({
      delivery: options.delivery,
      next: (isComplete) => this.#nextStep(isComplete),
      failure: readFailure,
    });
    this.#shown = new ShownPosts(options);
    this.#isPlain = !options.workspace.markdown.isThere;
  }

  changed(): void {
    this.#showing.changed();
  }

  /** Resolves when all of the reply is on Slack. Rejects with Slack's error when it cannot be. */
  async finish(): Promise<void> {
    clearTimeout(this.#firstWait);
    let texts: readonly string[] | undefined;
    try {
      await this.#showing.finish();
      texts = this.#options.texts(this.#isPlain);
    } finally {
      await this.#shown.end(texts);
    }
  }

  /** A call in whose place another one is made where Slack refuses the blocks, or the thread. */
  async #try(call: () => Promise<void>): Promise<void> {
    const { workspace, api, warn, dropImages } = this.#options;
    try {
      await call();
    } catch (error) {
      // Of an image that it cannot load Slack says no more than that the blocks are wrong.
      if (isBlockRefusal(error) && dropImages()) return;
      if (isBlockRefusal(error) && !this.#isPlain) {
        this.#isPlain = true;
        workspace.markdown.refused(false);
      } else if (isThreadRefusal(error) && api.thread !== undefined) {
        api.thread = undefined;
        warn("Slack takes no answer in the thread: it goes to the channel", error);
      } else throw error;
    }
  }

  /** The next call that brings Slack nearer to the texts; undefined when it shows them. */
  #nextStep(isComplete: boolean): ShowingStep | undefined {
    const { posts } = this.#shown;
    const texts = this.#options.texts(this.#isPlain);
    for (const [index, text] of texts.entries()) {
      const post = posts[index];
      const isLast = index === texts.length - 1;
      const below = isLast && !this.#isPlain ? this.#options.below(isComplete) : [];
      const content = { text, isPlain: this.#isPlain, below };
      if (post === undefined) return this.#firstStep(index, content, isComplete, !isLast);
      const step = this.#stepOf(index, post, content, isComplete || !isLast);
      if (step !== undefined) return step;
    }
    const surplus = posts.length > texts.length ? posts.at(-1) : undefined;
    if (!isComplete || surplus === undefined) return undefined;
    // A draft may shrink and grow again; only what is left over in the end goes.
    if (surplus.streamsUntil === undefined) return this.#step(() => this.#shown.removeLast(surplus));
    return this.#step(() => this.#shown.stop(posts.length - 1, surplus, []));
  }

  #firstStep(index: number, content: Content, isComplete: boolean, isLong: boolean): ShowingStep | undefined {
    // A whole answer needs no stream.
    const call = () => this.#shown.begin(index, content, !isComplete);
    if (isComplete) return this.#step(call);
    if (index === 0 && !isLong && !this.#isWorthNotice(content.text)) return undefined;
    return this.#step(call, this.#options.workspace.firsts);
  }

  /** Whether a draft is worth the notification that comes with it. */
  #isWorthNotice(text: string): boolean {
    this.#firstWait ??= setTimeout(() => {
      this.#isFirstWaitOver = true;
      this.changed();
    }, this.#options.settings.editInterval);
    return this.#isFirstWaitOver || sentenceEnd.test(text);
  }

  #stepOf(index: number, post: Post, content: Content, isDone: boolean): ShowingStep | undefined {
    const { edits, appends } = this.#options.workspace;
    const { shown, streamsUntil } = post;
    const { text, below } = content;
    if (streamsUntil === undefined) {
      const isShown = shown === text && post.below === JSON.stringify(below);
      return isShown ? undefined : this.#step(() => this.#shown.edit(index, post, content), edits);
    }
    const grows = shown !== undefined && text.startsWith(shown) && performance.now() < streamsUntil;
    if (grows && shown.length < text.length)
      return this.#step(() => this.#shown.append(index, post, text), appends);
    return grows && !isDone
      ? undefined
      : this.#step(() => this.#shown.stop(index, post, isDone ? below : []));
  }

  /** @param pace the allowance that the call uses */
  #step(call: () => Promise<void>, pace?: Pace): ShowingStep {
    return { call: () => this.#try(call), room: pace && ((complete) => pace.turn(complete)) };
  }
}
