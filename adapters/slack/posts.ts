import { setTimeout as pause } from "node:timers/promises";
import type { Content } from "./api.ts";
import { isBlockRefusal, isFinal, isThreadRefusal, waitOf } from "./failures.ts";
import { FirstWords } from "./first-words.ts";
import type { Pace } from "./pace.ts";
import { type Post, ShownPosts, type ShownPostsOptions } from "./shown-posts.ts";

/** The shortest pause before a call that was one too many, in milliseconds. Slack tells how long it should be. */
const minWaitMs = 100;

/** The longest such pause: a longer one is the mapper's to wait, which leaves the answer to others if it closes. */
const maxWaitMs = 15_000;

interface Step {
  /** The allowance that the call uses. */
  readonly pace?: Pace;
  readonly call: () => Promise<void>;
}

export interface PostsOptions extends ShownPostsOptions {
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
  readonly #shown: ShownPosts;
  readonly #firstWords: FirstWords;
  readonly #complete = new AbortController();
  #running: Promise<void> | undefined;
  #isRunning = false;
  #failure: { readonly error: unknown } | undefined;
  /** Slack took the blocks of this reply for wrong. */
  #isPlain: boolean;

  constructor(options: PostsOptions) {
    this.#options = options;
    this.#shown = new ShownPosts(options);
    this.#firstWords = new FirstWords(options.firstWait, () => this.changed());
    this.#isPlain = !options.workspace.markdown.isThere;
  }

  get #isComplete(): boolean {
    return this.#complete.signal.aborted;
  }

  /** There is more to show. Shown in the background; what cannot be shown now is left to {@link Posts.finish}. */
  changed(): void {
    if (this.#failure === undefined && !this.#isRunning) this.#running = this.#catchUp();
  }

  /** The reply is complete: resolves when all of it is on Slack. Rejects with Slack's error when it cannot be. */
  async finish(): Promise<void> {
    this.#complete.abort();
    this.#firstWords.end();
    await this.#running;
    if (!isFinal(this.#failure?.error)) {
      this.#failure = undefined;
      await this.#catchUp();
    }
    const [text = ""] = this.#options.texts(this.#isPlain);
    await this.#shown.end(this.#failure === undefined ? text : undefined);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #catchUp(): Promise<void> {
    this.#isRunning = true;
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
    const { posts } = this.#shown;
    const texts = this.#options.texts(this.#isPlain);
    for (const [index, text] of texts.entries()) {
      const post = posts[index];
      const isLast = index === texts.length - 1;
      const below = isLast && !this.#isPlain ? this.#options.below(this.#isComplete) : [];
      const content = { text, isPlain: this.#isPlain, below };
      if (post === undefined) return this.#firstStep(index, content, !isLast);
      const step = this.#stepOf(index, post, content, this.#isComplete || !isLast);
      if (step !== undefined) return step;
    }
    const surplus = posts.length > texts.length ? posts.at(-1) : undefined;
    if (!this.#isComplete || surplus === undefined) return undefined;
    // A draft may shrink and grow again; only what is left over in the end goes.
    if (surplus.streamsUntil === undefined) return { call: () => this.#shown.removeLast() };
    return { call: () => this.#shown.stop(posts.length - 1, []) };
  }

  #firstStep(index: number, content: Content, isLong: boolean): Step | undefined {
    // A whole answer needs no stream.
    const call = () => this.#shown.begin(index, content, !this.#isComplete);
    if (this.#isComplete) return { call };
    if (index === 0 && !isLong && !this.#firstWords.areEnough(content.text)) return undefined;
    return { call, pace: this.#options.workspace.firsts };
  }

  #stepOf(index: number, post: Post, content: Content, isDone: boolean): Step | undefined {
    const { edits, appends } = this.#options.workspace;
    const { shown, streamsUntil } = post;
    const { text, below } = content;
    if (streamsUntil === undefined) {
      const isShown = shown === text && post.below === JSON.stringify(below);
      return isShown ? undefined : { pace: edits, call: () => this.#shown.edit(index, content) };
    }
    const grows = shown !== undefined && text.startsWith(shown) && performance.now() < streamsUntil;
    if (grows && shown.length < text.length) {
      return { pace: appends, call: () => this.#shown.append(index, text) };
    }
    return grows && !isDone ? undefined : { call: () => this.#shown.stop(index, isDone ? below : []) };
  }
}
