import type { FileInput } from "../backends/backend.ts";
import { AparteError, asAparteError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import type { Message } from "./message.ts";
import { isReplyEvent, type ReplyEvent } from "./reply-event.ts";
import { ReplyLog } from "./reply-log.ts";

/** What middlewares hand each other in {@link TurnContext.locals}: declare its fields by merging this interface. */
// biome-ignore lint/suspicious/noEmptyInterface: applications fill it
export interface TurnLocals {}

/** A turn as a middleware sees it. Used after the turn has ended, it throws. */
export interface TurnContext<Agent extends string = string> {
  readonly message: Message;
  readonly sessionName: string;
  /**
   * The agent that is asked; a middleware may choose another one before `next()`.
   * @throws {AparteError} `agent-unknown` when it is set to one that is not configured
   */
  agent: Agent;
  /** How often this turn was begun: more than 1 where an earlier process died over it. */
  readonly attempt: number;
  /** What the agent is asked; a middleware may change it before `next()`. */
  text: string;
  /** What the agent gets with the text; a middleware may change them before `next()`. */
  files: readonly FileInput[];
  /** What the person was answered so far, drafts included; the whole answer behind `await next()`. */
  readonly answer: string;
  /**
   * What the agent is to know with this turn, to begin with the message's own; a middleware may set another one before
   * `next()`. A turn whose process dies goes through the middlewares again.
   * @throws {AparteError} `input-invalid` when it is set to what JSON cannot say, or to more than 16 KiB of it
   */
  context: JsonObject;
  /** The application's own things, from one middleware to the next. Not kept when the process dies. */
  readonly locals: Partial<TurnLocals>;
  /** Aborted when the turn is stopped. */
  readonly signal: AbortSignal;
  /** Answers the person; a middleware that says all there is to say need not call `next()`. */
  say(text: string): void;
}

/**
 * The reply as it comes from further in: the agent's, as inner middlewares left it. Awaited, it goes on to the person
 * as it comes, and what it said is the result. Iterated, it comes to the middleware instead, which says what goes on.
 * Either throws what the agent failed with; a middleware that catches it answers in the agent's place.
 */
export interface Answer extends Promise<readonly ReplyEvent[]>, AsyncIterable<ReplyEvent> {}

/**
 * Runs around each turn, in its lane; `next` asks the agent. A generator's events are the reply:
 *
 * `mapper.use(async function* (turn, next) { for await (const event of next()) yield masked(event); })`
 */
export type Middleware<Agent extends string = string> = (
  turn: TurnContext<Agent>,
  next: () => Answer,
) => Through | Promise<Through> | AsyncIterable<ReplyEvent>;

/** Nothing, or what `next()` resolved to: `return next()` reads well. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing is a middleware
type Through = void | readonly ReplyEvent[];

/** Takes an event one step further out. */
export type Emit = (event: ReplyEvent) => void;

/**
 * Runs the middlewares, the first one outermost, and `last` innermost. An inner part that was not awaited is awaited
 * here, so that nothing of a turn is left behind when it ends.
 * @param seen the turn, for a middleware whose words are emitted so
 * @param forgotten told of a middleware that did not await `next()`
 */
export async function through(
  middlewares: readonly Middleware[],
  seen: (emit: Emit) => TurnContext,
  last: (emit: Emit) => Promise<void>,
  emit: Emit,
  forgotten: () => void,
): Promise<void> {
  const [middleware, ...inner] = middlewares;
  if (middleware === undefined) return last(emit);
  const reply = new InnerReply((into) => through(inner, seen, last, into, forgotten), emit);
  let isAsked = false;
  const next = (): Answer => {
    if (isAsked) {
      throw new AparteError("input-invalid", "A middleware called next() twice.", { field: "next" });
    }
    isAsked = true;
    return reply;
  };
  try {
    const result = middleware(seen(emit), next);
    if (isIterable(result)) for await (const event of result) emit(checked(event));
    else reply.assertOwn(await result);
  } catch (error) {
    await reply.over();
    throw asAparteError(error, "hook-failed", "A middleware failed. The cause is kept in the error.");
  }
  if (isAsked && !reply.isOver) {
    if (!reply.isTaken) forgotten();
    await reply.rest();
  }
}

/** The reply of all that lies within one middleware, begun when the middleware looks at it. */
class InnerReply implements Answer {
  readonly [Symbol.toStringTag] = "Answer";
  readonly #begin: (emit: Emit) => Promise<void>;
  readonly #outwards: Emit;
  readonly #log = new ReplyLog();
  readonly #said: ReplyEvent[] = [];
  #running: Promise<readonly ReplyEvent[]> | undefined;
  #isLeft = false;
  isOver = false;
  /** Whether the middleware takes the events itself, so that they do not go on as they come. */
  isTaken = false;

  constructor(begin: (emit: Emit) => Promise<void>, outwards: Emit) {
    this.#begin = begin;
    this.#outwards = outwards;
  }

  // biome-ignore lint/suspicious/noThenProperty: only what is awaited goes on by itself
  then: Answer["then"] = (whole, failed) => this.#run().then(whole, failed);

  catch: Answer["catch"] = (failed) => this.#run().catch(failed);

  finally: Answer["finally"] = (over) => this.#run().finally(over);

  async *[Symbol.asyncIterator](): AsyncGenerator<ReplyEvent> {
    if (this.#running === undefined) this.isTaken = true;
    this.#run().catch(() => {}); // Thrown to the reader of the log.
    let isWhole = false;
    try {
      yield* this.#log.read();
      isWhole = true;
    } finally {
      this.#isLeft ||= this.isTaken && !isWhole;
    }
  }

  /** Resolves when nothing of it runs any more. */
  async over(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  /** Lets what comes go on, or waits for what the middleware left; its failure is the turn's if it was not left. */
  async rest(): Promise<void> {
    if (this.isTaken) await this.over();
    else await this.#run();
  }

  /** Events that a middleware returns would reach nobody: those that go on are yielded. */
  assertOwn(result: unknown): void {
    if (!Array.isArray(result) || result === this.#said) return;
    throw new AparteError(
      "hook-failed",
      "A middleware returned events: yield them, in an `async function*`.",
    );
  }

  #run(): Promise<readonly ReplyEvent[]> {
    this.#running ??= this.#whole();
    return this.#running;
  }

  async #whole(): Promise<readonly ReplyEvent[]> {
    try {
      await this.#begin((event) => this.#take(event));
      this.#log.end();
      return this.#said;
    } catch (error) {
      this.#log.fail(error);
      throw error;
    } finally {
      this.isOver = true;
    }
  }

  #take(event: ReplyEvent): void {
    // What is within ends, too, when the middleware has left its loop.
    if (this.#isLeft || this.isOver) throw turnOver();
    this.#said.push(event);
    this.#log.push(event);
    if (!this.isTaken) this.#outwards(event);
  }
}

export function turnOver(): AparteError {
  return new AparteError("turn-over", "The turn has ended: this came too late.");
}

function isIterable(result: unknown): result is AsyncIterable<ReplyEvent> {
  return typeof result === "object" && result !== null && Symbol.asyncIterator in result;
}

/** @throws {AparteError} `hook-failed` where it is none: it could be shown to nobody, or kept in no store */
export function checked(event: ReplyEvent): ReplyEvent {
  if (isReplyEvent(event)) return event;
  throw new AparteError("hook-failed", "A middleware yielded what is not an event of a reply.");
}
