import type { Adapter, DeliveryFailure } from "../adapter/adapter.ts";
import { timer, within } from "../clock.ts";
import { isJson, type JsonValue } from "../json.ts";
import type { Place } from "../lane/place.ts";
import { leaseLost } from "../lane/place.ts";
import { describeError } from "../logger.ts";
import type { Settings } from "../options.ts";
import type { Session } from "../session/session.ts";
import type { Texts } from "../texts/texts.ts";
import type { Closing } from "./closing.ts";
import type { Message } from "./message.ts";
import type { ReplyEvent } from "./reply-event.ts";
import type { ReplyLog, StoredAnswer } from "./reply-log.ts";

/** The first pause before an answer is delivered again, and the longest, in milliseconds; doubled each time. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;

/** How long an answer may take to reach its platform before it is written down, in milliseconds. */
const momentMs = 2_000;

/**
 * A turn's reply, for the adapter that shows it: an async iterable of {@link ReplyEvent}, from the beginning of the
 * reply on. Reading it throws an {@link AparteError} when the turn failed: its `say` is for the person.
 */
export class Delivery implements AsyncIterable<ReplyEvent> {
  /** Whether the turn was recorded, so that its failure is its own and not the store's. */
  readonly taken: Promise<boolean>;
  readonly #deliverer: Deliverer;
  readonly #isFirst: boolean;
  #isOver = false;

  constructor(deliverer: Deliverer, taken: Promise<boolean>, isFirst: boolean) {
    this.#deliverer = deliverer;
    this.taken = taken;
    this.#isFirst = isFirst;
  }

  /**
   * Resolves when this process may send something of this reply. Await it directly before every call to the platform.
   * @returns aborted when it may not any more: for calls that a platform's client keeps waiting before it sends them
   * @throws {AparteError} `lease-lost` when another process goes on with the reply: send nothing more
   */
  async permit(): Promise<AbortSignal> {
    const { place } = this.#deliverer;
    if (!this.#isOver) await place?.permit();
    if (this.#isOver) throw leaseLost();
    // Of a message that was not taken nobody else tells.
    return place?.permission ?? new AbortController().signal;
  }

  /** aparte's own sentences in the language of the person whom the reply is for. */
  get texts(): Texts {
    return this.#deliverer.texts;
  }

  /** What stands on the platform of this reply, as {@link Delivery.posted} was told. Known with the first event. */
  get posts(): JsonValue | undefined {
    return this.#deliverer.posts;
  }

  /**
   * Whether the reply was delivered before, here or by a process that died: there may be a post that
   * {@link Delivery.posts} does not tell of. Where the platform can be asked for it, it is, before anything is posted.
   */
  get isRepeated(): boolean {
    return !this.#isFirst || (this.#deliverer.place?.attempt ?? 1) > 1;
  }

  /** Writes down what stands on the platform, so that whoever goes on with the reply edits it and posts no second one. */
  posted(posts: JsonValue): void {
    if (!this.#isOver) this.#deliverer.posted(posts);
  }

  /** The delivery is given up: whatever its adapter still does comes to nothing. */
  revoke(): void {
    this.#isOver = true;
    this.#deliverer.place?.revoke();
  }

  [Symbol.asyncIterator](): AsyncIterator<ReplyEvent> {
    return this.#deliverer.log.read();
  }
}

/** How a delivery ended. `left`: this process closes, and others go on. */
export type Delivered = "shown" | "refused" | "late" | "lost" | "left";

export interface DelivererOptions {
  /** Undefined where whoever handed the message in reads the reply. */
  readonly adapter: Adapter | undefined;
  readonly message: Message;
  readonly log: ReplyLog;
  readonly taken: Promise<boolean>;
  readonly texts: Texts;
  readonly settings: Pick<Settings, "clock" | "logger" | "onError" | "turnTimeout" | "undeliveredTime">;
  /** When the process closes, what the platform does not take now is left to others. */
  readonly closing: Closing;
}

/** Brings one whole reply to its platform, however often that takes, or to whoever reads it. */
export class Deliverer {
  /** The turn's place in its lane. Undefined before it has one, and of what was not taken. */
  place: Place | undefined;
  readonly log: ReplyLog;
  /** When the answer is given up, by the clock; undefined before it is whole. */
  #giveUpAt: number | undefined;
  /** Resolves when the whole answer could not be delivered and will be tried again. */
  readonly #failed: Promise<void>;
  #fail: () => void = () => {};
  #running: Promise<Delivered> | undefined;
  readonly #options: DelivererOptions;
  #posts: JsonValue | undefined;
  #cancelWrite: (() => void) | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.log = options.log;
    this.#failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  get texts(): Texts {
    return this.#options.texts;
  }

  get posts(): JsonValue | undefined {
    return this.#posts ?? this.place?.turn?.posts;
  }

  /** Written at once, unless the turn ends at once, too. */
  posted(posts: JsonValue): void {
    const { clock, logger } = this.#options.settings;
    this.#posts = posts;
    // No store could write anything else down either: the lane would stand for good.
    if (!isJson(posts)) {
      logger.error("an adapter told in what is no JSON what was posted, so that it is not written");
      return;
    }
    this.#cancelWrite ??= clock.after(0, () => {
      this.place?.advance(this.#postsToWrite()).catch((error) => {
        logger.warn("it could not be written what was posted", describeError(error));
      });
    });
  }

  /** What stands on the platform, for a commit that is made now: none is made for it alone any more. */
  #postsToWrite(): { posts?: JsonValue } {
    this.#cancelWrite?.();
    this.#cancelWrite = undefined;
    return isJson(this.#posts) ? { posts: this.#posts } : {};
  }

  /** Begins to deliver what is said; once, however often it is called. */
  run(): Promise<Delivered> {
    const { adapter } = this.#options;
    this.#running ??= adapter === undefined ? this.#read() : this.#deliver(adapter);
    return this.#running;
  }

  /**
   * Waits for the platform to have the whole answer. One that it refuses for now, or does not have within a moment, is
   * written down, as is one that is left to others.
   * @param session whose record is written with it
   * @param isKept whether there is something to write down
   */
  async whole(place: Place, session: Session | undefined, isKept: boolean): Promise<Delivered> {
    const { adapter, closing, settings } = this.#options;
    const { clock, undeliveredTime } = settings;
    if (adapter === undefined) return this.run();
    const stored = place.turn?.answer as unknown as StoredAnswer | undefined;
    const age = stored === undefined ? 0 : place.storeNow() - stored.at;
    this.#giveUpAt = clock.now() + undeliveredTime - age;
    const delivered = this.run();
    const moment = timer(clock, momentMs);
    const unwatch = closing.watch(moment.end);
    const first = await Promise.race([delivered, moment.over, this.#failed]);
    unwatch();
    moment.end();
    if (first !== undefined) return first;
    if (isKept && place.turn?.phase !== "answered") {
      const answer = this.log.stored(place.storeNow());
      await place.advance({ phase: "answered", answer, ...this.#postsToWrite() }, session?.changed);
    }
    return delivered;
  }

  /** Without an adapter a reply is delivered when its caller has read it, or does not read it. */
  async #read(): Promise<Delivered> {
    const { clock, turnTimeout } = this.#options.settings;
    await this.log.ended();
    const wait = timer(clock, turnTimeout);
    await Promise.race([this.log.drained(), wait.over]);
    wait.end();
    return "shown";
  }

  async #deliver(adapter: Adapter): Promise<Delivered> {
    const { message, closing, settings, taken } = this.#options;
    const { clock, logger, onError, undeliveredTime } = settings;
    for (let tries = 0; ; tries += 1) {
      const delivery = new Delivery(this, taken, tries === 0);
      const error = await this.#try(adapter, delivery);
      if (error === undefined) return "shown";
      delivery.revoke();
      // There is nothing to try again before the answer is whole.
      await this.log.ended();
      // Of what is no turn's answer, nobody else says so.
      this.#giveUpAt ??= clock.now() + undeliveredTime;
      if (this.place?.isLost) return "lost";
      const { passes = true, retryAfterMs, reason } = this.#meaningOf(adapter, error);
      if (tries === 0 || !passes) {
        logger.warn("an answer could not be delivered", {
          platform: message.platform,
          willTryAgain: passes,
          ...(reason === undefined ? {} : { reason }),
          ...describeError(error),
        });
        const { lane: sessionName, mark: turnId } = this.place ?? {};
        onError(error, { stage: "deliver", sessionName, turnId });
      }
      if (!passes) return "refused";
      const backoff = Math.min(firstPauseMs * 2 ** tries, longestPauseMs) * (0.75 + clock.random() / 4);
      const waitMs = retryAfterMs ?? backoff;
      if (clock.now() + waitMs > this.#giveUpAt) return "late";
      this.#fail();
      const wait = timer(clock, waitMs);
      const unwatch = closing.watch(wait.end);
      await wait.over;
      unwatch();
      if (closing.isBegun) return "left";
    }
  }

  /** What the adapter reads in a failure. One that fails at that, too, says nothing: the lane goes on all the same. */
  #meaningOf(adapter: Adapter, error: unknown): Partial<DeliveryFailure> {
    try {
      return adapter.failure?.(error) ?? {};
    } catch (mistake) {
      const { logger } = this.#options.settings;
      logger.error("an adapter could not tell what a failure means", describeError(mistake));
      return {};
    }
  }

  /** @returns what it failed with */
  async #try(adapter: Adapter, delivery: Delivery): Promise<unknown> {
    const { message, settings } = this.#options;
    const late = () => new Error("The platform did not take the reply in time.");
    const delivering = (async () => adapter.deliver(message, delivery))();
    try {
      // How long it takes to say all is the agent's affair.
      await Promise.race([delivering, this.log.ended()]);
      await within(settings.clock, settings.turnTimeout, delivering, late);
      return undefined;
    } catch (error) {
      return error ?? new Error("The adapter failed without an error.");
    }
  }
}
