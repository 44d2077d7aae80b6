import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { Adapter } from "./adapter/adapter.ts";
import type { Backend } from "./backends/backend.ts";
import { pace } from "./backends/http/pace.ts";
import { AparteError } from "./errors.ts";
import { type HeldLane, LaneClient } from "./lane/lane.ts";
import { describeError } from "./logger.ts";
import { checkOptions, type MapperOptions, type Settings } from "./options.ts";
import { conversationId, HeldSession } from "./session/conversation.ts";
import {
  clearConversation,
  eraseSession,
  exportSession,
  renameConversation,
  type SessionExport,
  type SessionSummary,
  summarize,
} from "./session/operations.ts";
import { StoredTokens } from "./session/shared-tokens.ts";
import { SessionNames } from "./speaker/session-names.ts";
import { checkSpeaker, type Speaker } from "./speaker/speaker.ts";
import { withDeadline } from "./stores/deadline.ts";
import { type SessionRecord, type Store, sessionKey } from "./stores/old-store.ts";
import { memoryRates } from "./stores/rates.ts";
import { Limits } from "./turn/limits.ts";
import { checkMessage, type Message, type Reply, ReplySource } from "./turn/message.ts";
import { storeMessage, storeOperation } from "./turn/stored-turn.ts";
import { type Middleware, notices, TurnRunner, turnFailed } from "./turn/turn-runner.ts";

/** What a session is at the agent's service. */
export interface Mapping {
  readonly sessionName: string;
  readonly conversationId: string;
  /** The session's own token; undefined where the service has none per session. */
  readonly accessToken: string | undefined;
}

/** How long `close()` waits for running turns, in milliseconds. */
const drainTimeout = 25_000;

/**
 * Gives each speaker a session of its own with each agent, and runs the session's turns one at a time, in
 * order, once each.
 *
 * platform event → speaker → session → lane → conversation → backend → reply → platform message
 */
export class SessionMapper {
  readonly #settings: Settings;
  readonly #store: Store;
  readonly #names: SessionNames;
  readonly #lanes: LaneClient;
  readonly #runner: TurnRunner;
  readonly #adapters = new Map<string, Adapter>();
  readonly #middlewares: Middleware[] = [];
  /** The session whose turn a middleware runs in: its operations must not wait for that very turn. */
  readonly #current = new AsyncLocalStorage<HeldSession>();
  /** Turns and operations that were taken and have not ended. */
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @throws {AparteError} `option-invalid` with the option's name as `field`. */
  constructor(options: MapperOptions) {
    this.#settings = checkOptions(options);
    const { store, storeTimeout, leaseTime, waitTimeout, logger, agents } = this.#settings;
    this.#store = withDeadline(store, storeTimeout);
    this.#names = new SessionNames(this.#settings, this.#store.records);
    const { rates = memoryRates() } = this.#store;
    const { limits } = this.#settings;
    this.#runner = new TurnRunner({
      settings: this.#settings,
      limits: limits === undefined ? undefined : new Limits(limits, rates),
      records: this.#store.records,
      adapters: this.#adapters,
      middlewares: this.#middlewares,
      current: this.#current,
      backend: (agent) => this.#backend(agent),
      agentFor: (session, message) => this.#agentFor(session, message),
    });
    this.#lanes = new LaneClient({
      store: this.#store,
      leaseTime,
      waitTimeout,
      logger,
      platforms: () => [...this.#adapters.keys()],
      takenOver: (held) => this.#track(this.#runner.takeOver(held)),
    });
    if (store.name === "keyv") {
      logger.warn("this Keyv offers no atomic steps: run one process only; turns under way end with it");
    }
    const { records, shared } = this.#store;
    const host = {
      ...(shared ? { sharedTokens: new StoredTokens(records, this.#settings.secrets) } : {}),
      pace: (key: string, perSecond: number, signal: AbortSignal) => pace(rates, key, perSecond, signal),
    };
    for (const backend of agents.values()) backend.attach?.(host);
  }

  /**
   * Takes a message and returns its reply. Calls for the same person run in the order in which they are made.
   * The turn runs whether the reply is read or not. Nothing is thrown here: reading the reply throws an
   * {@link AparteError} when the message is wrong or the turn failed.
   */
  handle(message: Message): Reply {
    const source = new ReplySource();
    this.#track(this.#take(message, source));
    return source.reply;
  }

  /**
   * Takes a message for the adapter of its platform, which will deliver the reply. Resolves when the message
   * is recorded, so that the platform may be told so: true if it will be answered, false if it was taken
   * before or is not taken now.
   * @throws {AparteError} when the message is wrong or the store failed; the adapter has told the person.
   */
  receive(message: Message): Promise<boolean> {
    const source = new ReplySource();
    const adapter = this.#adapters.get(message.platform);
    if (adapter === undefined) {
      source.fail(
        new AparteError("input-invalid", "No adapter is connected for this platform.", { field: "platform" }),
      );
    } else this.#track(this.#take(message, source, adapter));
    return source.reply.taken;
  }

  /** Registers the adapter that delivers the replies of its platform. */
  connect(adapter: Adapter): void {
    this.#adapters.set(adapter.platform, adapter);
    this.#lanes.start();
  }

  /** Adds a middleware; the first one added is the outermost. */
  use(middleware: Middleware): this {
    if (typeof middleware !== "function") {
      throw new AparteError("option-invalid", "A middleware must be a function (turn, next).", {
        field: "use",
      });
    }
    this.#middlewares.push(middleware);
    return this;
  }

  async #take(message: Message, source: ReplySource, adapter?: Adapter): Promise<void> {
    let delivery: Promise<void> | undefined;
    const delivered = () => {
      delivery ??=
        adapter === undefined ? source.drained.promise : this.#runner.deliver(adapter, message, source);
      return delivery;
    };
    let dropFiles = (_isCarried: boolean) => {};
    try {
      this.#assertOpen();
      checkMessage(message);
      if (message.agent !== undefined) this.#backend(message.agent);
      // Awaited only where it must be: without hooks, messages enter their lane in the order of the calls.
      const found = this.#names.find(message);
      const session = found instanceof Promise ? await found : found;
      const lane = session.name;
      const key = eventKey(message);
      dropFiles = this.#runner.keepFiles(lane, key, message.files);
      const entry = await this.#lanes.enter(
        {
          lane,
          key,
          overlap: this.#settings.overlap,
          mergeKey: mergeKey(message),
          limit: this.#settings.queueLimit,
          body: storeMessage(message, session.speaker, adapter !== undefined),
          ...(adapter === undefined ? {} : { platform: adapter.platform }),
        },
        ({ is }, leave) => {
          source.onCancel(leave);
          source.taken.resolve(is === "run" || is === "wait");
          if (is !== "duplicate") void delivered();
        },
      );
      dropFiles(entry.is === "merged");
      if (entry.is === "run") {
        await this.#runner.run(entry.held, session, message, source, delivered());
        return;
      }
      if (entry.is === "left") {
        // Another process will answer: this one says nothing more on the platform.
        source.held = () => false;
        throw new AparteError("closed", "Another process goes on with the turn.");
      }
      source.push({ type: "notice", ...notices[entry.is] });
      source.end();
      await delivery;
    } catch (error) {
      dropFiles(false);
      const failure = turnFailed(error);
      this.#settings.logger.error("a message was not taken", describeError(failure));
      source.fail(failure);
      await delivered();
    }
  }

  /**
   * The session's name, its conversation with an agent (opened if there is none) and its access token, for
   * code that calls the agent service itself.
   * @param agent without it, the first one.
   */
  async resolve(speaker: Speaker, agent: string = this.#settings.firstAgent): Promise<Mapping> {
    this.#assertOpen();
    const backend = this.#backend(agent);
    const { name, record } = await this.#session(speaker);
    const signal = AbortSignal.timeout(this.#settings.turnTimeout);
    const { alwaysFind } = this.#settings;
    const id =
      record?.conversations[agent]?.id ??
      (await this.#inSession(speaker, "resolve", (session) =>
        conversationId({ session, agent, backend, signal, alwaysFind }),
      ));
    const accessToken = await backend.accessToken?.({ sessionName: name, agent, signal });
    return { sessionName: name, conversationId: id, accessToken };
  }

  /**
   * Lets the agent forget what was said. Where the service can, the conversation stays and its context is
   * cleared; otherwise the next message opens a new one.
   * @param agent without it, the one the person talks to.
   */
  reset(speaker: Speaker, agent?: string): Promise<void> {
    return this.#inSession(speaker, "reset", (session) => {
      const name = agent ?? this.#chosen(session);
      return clearConversation(session, name, this.#backend(name));
    });
  }

  /**
   * Gives the conversation a name at the service, now or when it is opened.
   * @throws {AparteError} `backend-unsupported` where the service knows no names.
   */
  rename(speaker: Speaker, title: string, agent?: string): Promise<void> {
    return this.#inSession(speaker, "rename", (session) => {
      const name = agent ?? this.#chosen(session);
      return renameConversation(session, name, this.#backend(name), title);
    });
  }

  /** The person's own choice of agent, until another one is chosen. */
  async select(speaker: Speaker, agent: string): Promise<void> {
    this.#backend(agent);
    await this.#inSession(speaker, "select", (session) => session.choose(agent));
  }

  /** Erases the session: its conversations at the services where they can, and all that is kept here. */
  forget(speaker: Speaker): Promise<void> {
    return this.#inSession(speaker, "forget", async (session) => {
      await eraseSession(session, this.#settings.agents);
      this.#names.forget(session.name);
    });
  }

  /** All that is kept of a session, here and at the services. Undefined for a speaker without one. */
  async export(speaker: Speaker): Promise<SessionExport | undefined> {
    const { name, record } = await this.#session(speaker);
    const signal = AbortSignal.timeout(this.#settings.turnTimeout);
    return record === undefined ? undefined : exportSession(name, record, this.#settings.agents, signal);
  }

  /** All sessions of the store, in no particular order. */
  async *sessions(): AsyncGenerator<SessionSummary> {
    const prefix = sessionKey("");
    for await (const [key, record] of this.#store.records.entries<SessionRecord>(prefix)) {
      yield summarize(key.slice(prefix.length), record);
    }
  }

  /**
   * Takes nothing new, ends what runs (and what waits, unless the store keeps it for the next process), and
   * closes the store.
   * @param options.drainTimeout how long to wait for that, in milliseconds; 25000 by default
   */
  close(options: { readonly drainTimeout?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainTimeout ?? drainTimeout);
    return this.#closing;
  }

  async #close(withinMs: number): Promise<void> {
    const { logger } = this.#settings;
    if (this.#store.durable) {
      await this.#lanes
        .leave()
        .catch((error) => logger.warn("waiting turns could not be left", describeError(error)));
    }
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.#drained(), overdue]);
    clearTimeout(timer);
    this.#lanes.stop();
    await this.#store.close();
  }

  async #drained(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #session(speaker: Speaker): Promise<{ name: string; record: SessionRecord | undefined }> {
    checkSpeaker(speaker);
    const { name } = await this.#names.find(speaker);
    return { name, record: await this.#store.records.get<SessionRecord>(sessionKey(name)) };
  }

  /**
   * Runs an operation in the session's lane, after the turns that came before it. Within a middleware it runs
   * as part of the middleware's own turn.
   */
  async #inSession<T>(
    speaker: Speaker,
    operation: string,
    run: (session: HeldSession) => T | Promise<T>,
  ): Promise<T> {
    this.#assertOpen();
    checkSpeaker(speaker);
    const found = this.#names.find(speaker);
    const identity = found instanceof Promise ? await found : found;
    const current = this.#current.getStore();
    if (current?.name === identity.name) return run(current);
    const work = this.#inLane(identity.name, operation, async (held) => {
      const session = new HeldSession(identity.name, held, await this.#runner.record(held), identity.speaker);
      const result = await run(session);
      await session.end();
      return result;
    });
    this.#track(work.catch(() => {})); // The caller is told.
    return work;
  }

  async #inLane<T>(lane: string, operation: string, run: (held: HeldLane) => Promise<T>): Promise<T> {
    const entry = await this.#lanes.enter(
      {
        lane,
        key: `${operation}:${randomUUID()}`,
        overlap: "queue",
        mergeKey: "",
        limit: Number.MAX_SAFE_INTEGER,
        body: storeOperation(operation),
      },
      () => {},
    );
    if (entry.is !== "run") throw new AparteError("wait-timeout", `"${operation}" did not get its turn.`);
    try {
      return await run(entry.held);
    } catch (error) {
      // The lane goes on; what the operation failed with is the caller's to know.
      const { logger } = this.#settings;
      await entry.held.end().catch((failure) => logger.warn("a lane was left", describeError(failure)));
      throw error;
    }
  }

  #agentFor(session: HeldSession, message: Message): string | Promise<string> {
    if (message.agent !== undefined) return message.agent;
    const { route } = this.#settings;
    return route === undefined ? this.#chosen(session) : this.#routed(session, message, route);
  }

  async #routed(
    session: HeldSession,
    message: Message,
    route: NonNullable<MapperOptions["route"]>,
  ): Promise<string> {
    const agent = await route(message);
    if (agent === undefined) return this.#chosen(session);
    this.#backend(agent);
    return agent;
  }

  /** The agent of the person's own choice, if it still exists, else the first one. */
  #chosen(session: HeldSession): string {
    const { agent } = session.record;
    return agent !== undefined && this.#settings.agents.has(agent) ? agent : this.#settings.firstAgent;
  }

  #backend(agent: string): Backend {
    const backend = this.#settings.agents.get(agent);
    if (backend !== undefined) return backend;
    const names = [...this.#settings.agents.keys()].join(", ");
    throw new AparteError("agent-unknown", `There is no agent of that name. There are: ${names}.`, {
      field: "agent",
    });
  }

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw new AparteError("closed", "The mapper is closing and takes nothing new.");
  }

  #track(work: Promise<unknown>): void {
    const tracked = work.catch((error) => this.#settings.logger.error("a turn failed", describeError(error)));
    this.#underWay.add(tracked);
    void tracked.then(() => this.#underWay.delete(tracked));
  }
}

/** Messages that may be answered together: for one agent, in one place. */
function mergeKey({ agent, channel, thread }: Message): string {
  return agent === undefined && channel === undefined ? "" : JSON.stringify([agent, channel, thread]);
}

/** The event's name in its lane. A shared lane has several people, and their ids may be equal. */
function eventKey({ platform, tenant, user, id }: Message): string {
  return JSON.stringify([platform, tenant, user, id]);
}
