import type { AsyncLocalStorage } from "node:async_hooks";
import type { Adapter } from "../adapter/adapter.ts";
import type { Backend, FileInput } from "../backends/backend.ts";
import { AparteError, asAparteError } from "../errors.ts";
import type { Entry, HeldLane } from "../lane/lane.ts";
import { describeError } from "../logger.ts";
import type { Settings } from "../options.ts";
import { HeldSession } from "../session/conversation.ts";
import type { SessionIdentity } from "../speaker/session-names.ts";
import { type Records, type SessionRecord, sessionKey, type TakenTurn } from "../stores/old-store.ts";
import { ask, type Question, recover, untilAborted } from "./ask.ts";
import type { Limits } from "./limits.ts";
import { type Message, ReplySource, type StopReason } from "./message.ts";
import type { NoticeCode, ReplyEvent } from "./reply-event.ts";
import { restoreMessage, type StoredTurn } from "./stored-turn.ts";
import { TurnFacts } from "./turn-facts.ts";

/** A turn as a middleware sees it. */
export interface Turn {
  readonly message: Message;
  readonly sessionName: string;
  readonly agent: string;
  /** What the agent is asked; a middleware may change it before `next()`. */
  text: string;
  readonly files: readonly FileInput[];
  /** Aborted when the turn is stopped. */
  readonly signal: AbortSignal;
  /** Answers the person; a middleware that says all there is to say need not call `next()`. */
  say(text: string): void;
}

/** Runs around each turn, in its lane. `next` asks the agent and resolves when the reply is complete. */
export type Middleware = (turn: Turn, next: () => Promise<void>) => void | Promise<void>;

/** What aparte itself tells of a turn that gets no answer of its own. */
export const notices: Record<Exclude<Entry["is"], "run" | "left"> | "stopped" | "interrupted", Notice> = {
  duplicate: { code: "duplicate", text: "This message was handled before." },
  merged: { code: "merged", text: "This message is answered together with a later one." },
  busy: { code: "busy", text: "One moment, please: I am still answering your last message." },
  full: {
    code: "full",
    text: "One moment, please: too many of your messages are waiting. Send this one again later.",
  },
  interrupted: { code: "interrupted", text: "Stopped, since a new message came." },
  stopped: { code: "stopped", text: "Stopped." },
  withdrawn: { code: "stopped", text: "Stopped." },
};

interface Notice {
  readonly code: NoticeCode;
  readonly text: string;
}

/** How often a turn is tried whose process dies each time. */
const maxAttempts = 3;

/** How long a reply may take to reach the platform after the agent has finished, in milliseconds. */
const deliveryMs = 120_000;

export interface TurnRunnerOptions {
  readonly settings: Settings;
  /** Undefined where there are none. */
  readonly limits: Limits | undefined;
  readonly records: Records;
  readonly adapters: ReadonlyMap<string, Adapter>;
  readonly middlewares: readonly Middleware[];
  /** The session whose turn the calling middleware runs in. */
  readonly current: AsyncLocalStorage<HeldSession>;
  /** @throws {AparteError} `agent-unknown` */
  readonly backend: (agent: string) => Backend;
  /** The agent for a session's message: its own, the route's, the person's choice, the first one. */
  readonly agentFor: (session: HeldSession, message: Message) => string | Promise<string>;
}

/** Runs the turns that hold their lane: middlewares, agent, delivery. */
export class TurnRunner {
  readonly #options: TurnRunnerOptions;
  /** Files of turns that came to this process, until the turn has run: a merged turn needs those of others. */
  readonly #files = new Map<string, readonly FileInput[]>();

  constructor(options: TurnRunnerOptions) {
    this.#options = options;
  }

  /**
   * Keeps a waiting turn's files at hand.
   * @returns to be called when it waits no more: a turn that carries it may still take its files
   */
  keepFiles(
    lane: string,
    key: string,
    files: readonly FileInput[] | undefined,
  ): (isCarried: boolean) => void {
    if (files === undefined || files.length === 0) return () => {};
    const name = `${lane} ${key}`;
    this.#files.set(name, files);
    const drop = () => this.#files.delete(name);
    return (isCarried) => {
      if (isCarried) setTimeout(drop, this.#options.settings.turnTimeout).unref();
      else drop();
    };
  }

  /** Runs a turn to the end of its delivery, and ends it in its lane. Failures are told by the reply. */
  async run(
    held: HeldLane,
    { name, speaker }: SessionIdentity,
    message: Message,
    source: ReplySource,
    delivered: Promise<void>,
  ): Promise<void> {
    const { turnTimeout, logger } = this.#options.settings;
    const timer = setTimeout(() => {
      held.stop(
        new AparteError("turn-timeout", `The turn took longer than ${turnTimeout} ms and was stopped.`),
      );
    }, turnTimeout);
    const facts = new TurnFacts(held, (error) =>
      logger.warn("a turn could not be noted", describeError(error)),
    );
    source.held = () => held.isHeld;
    source.onCancel((reason) => held.stop(reason));
    held.allowInterrupt();
    source.earlierPost = facts.posted;
    source.isResumed = held.grant.attempt > 1;
    source.onPosted = (posted) => facts.keep({ posted });
    let session: HeldSession | undefined;
    try {
      const { record } = held.grant;
      session = new HeldSession(name, held, record === undefined ? await this.record(held) : record, speaker);
      const { limits } = this.#options;
      // A turn that is taken up again was counted before.
      const waitMs = limits === undefined || held.grant.attempt > 1 ? 0 : await limits.take(message);
      if (waitMs > 0) source.push(limited(waitMs));
      else await this.#answer(session, message, source, facts);
      source.end();
    } catch (error) {
      this.#fail(held, source, error);
    }
    clearTimeout(timer);
    try {
      await this.#delivered(delivered, held);
      facts.stop();
      if (!held.isHeld) held.abandon();
      else await (session ?? held).end();
    } catch (error) {
      held.abandon();
      logger.error("a turn could not be ended", describeError(error));
    }
  }

  /** The session's record: as the grant brought it, else read now. */
  async record(held: HeldLane): Promise<SessionRecord | undefined> {
    const { record, lane } = held.grant;
    if (record !== undefined) return record ?? undefined;
    return this.#options.records.get<SessionRecord>(sessionKey(lane));
  }

  /** Goes on with a turn whose owner died: it runs, or its answer is fetched, or the person is told. */
  async takeOver(held: HeldLane): Promise<void> {
    const { logger } = this.#options.settings;
    const stored = held.grant.turn.body as StoredTurn;
    if ("operation" in stored) return held.end();
    const { message: kept, speaker, isDelivered } = stored;
    // A turn that came by handle() has nobody but its caller; a turn of an adapter has an adapter here.
    const adapter = isDelivered ? this.#options.adapters.get(kept.platform) : undefined;
    if (adapter === undefined) {
      logger.warn("a turn ended with its process: its caller is gone", { session: held.grant.lane });
      return held.park();
    }
    const source = new ReplySource();
    source.earlierPost = new TurnFacts(held, () => {}).posted;
    source.isResumed = true;
    source.held = () => held.isHeld;
    const message = restoreMessage(kept, adapter);
    const delivered = this.deliver(adapter, message ?? { ...kept, files: [] }, source);
    if (message === undefined || held.grant.attempt > maxAttempts) {
      logger.error("a turn was given up", { session: held.grant.lane, attempts: held.grant.attempt });
      source.fail(
        new AparteError("answer-lost", "The turn's process died too often, or with the turn's files."),
      );
      await this.#delivered(delivered, held);
      return held.end();
    }
    return this.run(held, { name: held.grant.lane, speaker }, message, source, delivered);
  }

  async deliver(adapter: Adapter, message: Message, source: ReplySource): Promise<void> {
    try {
      await adapter.deliver(message, source.reply);
    } catch (error) {
      this.#options.settings.logger.error("a reply could not be delivered", {
        platform: adapter.platform,
        ...describeError(error),
      });
    }
  }

  /** Middlewares, then the agent. */
  async #answer(
    session: HeldSession,
    message: Message,
    source: ReplySource,
    facts: TurnFacts,
  ): Promise<void> {
    const { settings, middlewares, current, backend, agentFor } = this.#options;
    const { signal, grant } = session.held;
    const found = agentFor(session, message);
    const agent = typeof found === "string" ? found : await found;
    const turn: Turn = {
      message,
      sessionName: session.name,
      agent,
      text: [...grant.merged.map(textOf), message.text].filter((text) => text !== "").join("\n"),
      files: this.#gatherFiles(grant.lane, grant.merged, message, source),
      signal,
      say: (text) => source.push({ type: "message", text }),
    };
    const next = async () => {
      const question: Question = {
        session,
        agent,
        backend: backend(agent),
        text: turn.text,
        files: turn.files,
        signal,
        title: settings.title(message),
        alwaysFind: settings.alwaysFind,
        note: (service) => facts.keep({ service }),
      };
      const events = grant.attempt > 1 ? recover(question, facts.service) : ask(question);
      for await (const event of untilAborted(events, signal)) {
        session.held.assertHeld();
        source.push(event);
      }
    };
    if (middlewares.length === 0) await next();
    else await current.run(session, () => through(middlewares, turn, next));
  }

  #gatherFiles(
    lane: string,
    merged: readonly TakenTurn[],
    message: Message,
    source: ReplySource,
  ): readonly FileInput[] {
    const { files = [] } = message;
    if (merged.length === 0) return files;
    const adapter = this.#options.adapters.get(message.platform);
    const earlier = merged.flatMap(({ key, body }) => {
      const name = `${lane} ${key}`;
      const kept = this.#files.get(name);
      this.#files.delete(name);
      const stored = body as StoredTurn;
      if (kept !== undefined || "operation" in stored) return kept ?? [];
      const restored = restoreMessage(stored.message, adapter);
      if (restored === undefined) {
        source.push({
          type: "notice",
          code: "answer-lost",
          text: "A file of an earlier message was lost. Please send it again.",
        });
      }
      return restored?.files ?? [];
    });
    return [...earlier, ...files];
  }

  /** Ends a reply whose turn did not get to its end by itself. */
  #fail(held: HeldLane, source: ReplySource, error: unknown): void {
    const { reason } = held.signal;
    if (reason === "stopped" || reason === "interrupted") {
      source.push({ type: "notice", ...notices[reason as StopReason] });
      source.end();
      return;
    }
    const failure = turnFailed(held.signal.aborted ? reason : error);
    // A lost lease is another process's turn now, and no failure.
    if (failure.code !== "lease-lost") {
      this.#options.settings.logger.error("a turn failed", {
        ...describeError(failure),
        session: held.grant.lane,
      });
    }
    source.fail(failure);
  }

  /** Waits until the reply is on the platform, or the lease is lost, or it takes too long. */
  async #delivered(delivered: Promise<void>, held: HeldLane): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<void>((resolve) => {
      held.onLost = resolve;
      timer = setTimeout(resolve, deliveryMs);
    });
    await Promise.race([delivered, overdue]);
    clearTimeout(timer);
  }
}

function limited(waitMs: number): ReplyEvent {
  const seconds = Math.ceil(waitMs / 1000);
  const text = `That was a lot in a short time. Please come back in ${seconds} second${seconds === 1 ? "" : "s"}.`;
  return { type: "notice", code: "limited", text, retryAfterMs: waitMs };
}

export function turnFailed(error: unknown): AparteError {
  return asAparteError(error, "backend-failed", "The turn failed. The cause is kept in the error.");
}

async function through(
  middlewares: readonly Middleware[],
  turn: Turn,
  last: () => Promise<void>,
): Promise<void> {
  const [middleware, ...inner] = middlewares;
  if (middleware === undefined) return last();
  let isCalled = false;
  await middleware(turn, () => {
    if (isCalled)
      throw new AparteError("input-invalid", "A middleware called next() twice.", { field: "next" });
    isCalled = true;
    return through(inner, turn, last);
  });
}

function textOf({ body }: TakenTurn): string {
  const stored = body as StoredTurn;
  return "operation" in stored ? "" : stored.message.text;
}
