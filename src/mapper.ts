import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { Adapter } from "./adapter/adapter.ts";
import { Pace } from "./backends/http/pace.ts";
import { BriefMap } from "./brief-map.ts";
import { timer } from "./clock.ts";
import { AparteError } from "./errors.ts";
import type { JsonValue } from "./json.ts";
import { Owner } from "./lane/owner.ts";
import type { Place } from "./lane/place.ts";
import { describeError, type Logger } from "./logger.ts";
import { checkOptions, type MapperOptions, type Settings } from "./options.ts";
import { leaveConversation } from "./session/conversation.ts";
import { type InLane, type Mapping, mappingIn, mappingOf } from "./session/mapping.ts";
import {
  applies,
  checkFilter,
  type Erasure,
  eraseSession,
  exportSession,
  giveFeedback,
  renameConversation,
  type SessionExport,
  type SessionFilter,
  type SessionSummary,
  summarize,
} from "./session/operations.ts";
import { readRecord, type SessionRecord } from "./session/record.ts";
import { sessionRecords } from "./session/records.ts";
import { Retention } from "./session/retention.ts";
import type { Session } from "./session/session.ts";
import { StoredTokens } from "./session/shared-tokens.ts";
import { UnfinishedErasures } from "./session/unfinished-erasures.ts";
import { type Rekeyed, RekeyedNames } from "./speaker/rekeyed.ts";
import { SessionNames } from "./speaker/session-names.ts";
import { checkSpeaker, deliveryPlace, isFrom, type Speaker, speakerOf } from "./speaker/speaker.ts";
import { checkRates, memoryRates } from "./stores/rates.ts";
import { type Rates, sessionKey } from "./stores/store.ts";
import { type Texts, textsFor } from "./texts/texts.ts";
import { Agents } from "./turn/agents.ts";
import { Closing } from "./turn/closing.ts";
import type { CurrentLane, TurnHost } from "./turn/host.ts";
import { Limits } from "./turn/limits.ts";
import { isAsked, type Message } from "./turn/message.ts";
import type { Middleware } from "./turn/middleware.ts";
import { Operations } from "./turn/operations.ts";
import { RecentAnswers } from "./turn/recent-answers.ts";
import type { Reply } from "./turn/reply.ts";
import { Turn } from "./turn/turn.ts";

/** How long `close()` waits for running turns, in milliseconds. */
const drainTimeout = 25_000;

/**
 * Gives each speaker a session of its own with each agent, and runs the session's turns one at a time, in
 * order, once each.
 *
 * platform event → adapter → message → speaker → session → lane → turn → conversation → backend → reply → delivery
 */
export class SessionMapper<Agent extends string = string> implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #rekeyed: RekeyedNames;
  readonly #owner: Owner;
  readonly #agents: Agents;
  readonly #host: TurnHost;
  readonly #operations: Operations;
  /** By place: the platform, and the bot where there are several. */
  readonly #adapters = new Map<string, Adapter>();
  readonly #middlewares: Middleware[] = [];
  readonly #closing = new Closing();
  readonly #unfinished: UnfinishedErasures;
  #retention: Retention | undefined;
  #closed: Promise<void> | undefined;

  /** @throws {AparteError} `option-invalid` with the option's name as `field`. */
  constructor(options: MapperOptions<Agent>) {
    this.#settings = checkOptions(options);
    const { store, secrets, scope, identify, clock, logger, agents, limits } = this.#settings;
    const { storeTimeout, leaseTime, turnTimeout, idleTime: idleMs } = this.#settings;
    const { records, rates = memoryRates() } = store;
    if (limits !== undefined) checkRates(rates);
    const needsOther = "needsOther" in store ? store.needsOther : undefined;
    this.#rekeyed = new RekeyedNames(records, secrets[0], clock, storeTimeout, needsOther);
    // Known before the first message comes, as a rule; otherwise that one asks again.
    this.#rekeyed.read().catch(() => {});
    const unfinished = { records, agents, clock, logger, callTimeout: turnTimeout };
    this.#unfinished = new UnfinishedErasures(unfinished);
    this.#owner = new Owner({
      ...{ store, leaseTime, storeTimeout, clock, logger },
      canDeliver: (place) => this.#adapters.has(place),
      adopt: (place) => this.#takeOver(place),
      track: (work) => this.#closing.track(work),
    });
    this.#agents = new Agents(this.#settings);
    this.#host = {
      clock,
      settings: this.#settings,
      owner: this.#owner,
      names: new SessionNames({
        ...{ secrets, scope, identify, records, clock, rekeyed: this.#rekeyed, hookTimeout: turnTimeout },
      }),
      agents: this.#agents,
      adapters: this.#adapters,
      middlewares: this.#middlewares,
      current: new AsyncLocalStorage<CurrentLane>(),
      limits: limits === undefined ? undefined : new Limits(limits, rates, clock),
      pace: new Pace(rates),
      turns: new BriefMap(),
      answers: new RecentAnswers(clock),
      closing: this.#closing,
    };
    this.#operations = new Operations(this.#host);
    if (idleMs !== undefined) {
      this.#retention = new Retention({
        ...{ records, clock, logger, idleMs },
        storeNow: () => this.#owner.storeNow(),
        erase: (name, record) => this.#eraseIdle(name, record, idleMs),
      });
    }
    if (store.name === "keyv") {
      logger.warn("this Keyv offers no atomic steps: run one process only; turns under way end with it");
    }
    const backendHost = store.shared ? { sharedTokens: new StoredTokens(records, secrets) } : {};
    for (const backend of agents.values()) backend.attach?.(backendHost);
    if (secrets.length > 1) this.#closing.track(this.#rekeyed.tell(sessionRecords(records, logger), logger));
  }

  /** Where the mapper logs; its adapters do, too. */
  get logger(): Logger {
    return this.#settings.logger;
  }

  /** Counts uses over all processes that share the store, for adapters' budgets; undefined where it is this one's alone. */
  get rates(): Rates | undefined {
    return this.#settings.store.shared ? this.#settings.store.rates : undefined;
  }

  /** The names of all agents that are configured; {@link SessionMapper.agents} says who may talk to which. */
  get agentNames(): readonly Agent[] {
    return this.#agents.names as readonly Agent[];
  }

  /**
   * Takes a message and returns its reply. Calls for the same person run in the order in which they are made.
   * The turn runs whether the reply is read or not. Nothing is thrown here: reading the reply throws an
   * {@link AparteError} when the message is wrong or the turn failed. The same `id` again, while its turn runs in this
   * process and for a minute afterwards, reads the same reply; later it is a `duplicate`.
   */
  handle(message: Message<Agent>): Reply {
    return this.#begin(new Turn(this.#host, message));
  }

  /**
   * Takes a message for the adapter of its platform, which will deliver the reply. Resolves when the message
   * is recorded, so that the platform may be told so: true if it will be answered, false if it was taken
   * before or is not taken now.
   * @param options.comesAgain the platform brings the message to another process, or to the next one, where this one is
   * closing and its store keeps nothing for others: its person is not told to send it again. @default false
   * @throws {AparteError} when the message is wrong or the store failed; the adapter has told the person, but of
   * `closed` where the message comes again.
   */
  receive(
    message: Message,
    { comesAgain = false }: { readonly comesAgain?: boolean } = {},
  ): Promise<boolean> {
    let adapter: Adapter;
    try {
      adapter = this.#adapterOf(message);
      if (comesAgain) this.#closing.assertOpen(true);
    } catch (error) {
      return Promise.reject(error);
    }
    const turn = new Turn(this.#host, message, adapter);
    const life = turn.live();
    this.#closing.track(life);
    return turn.reply.taken.catch(async (error) => {
      // Told first: should this process die before, its platform must not have heard that the message was received.
      await life;
      throw error;
    });
  }

  /**
   * Says something to a person of one's own accord ("your report is ready"): in their place, after the turns before it.
   * No agent is asked, or learns of it. Resolves when it is recorded; from then on it is delivered as an answer is.
   * @param to a speaker, with the `replyTo` of an earlier message where the adapter cannot tell the place by itself
   * @param options.id names what is said, so that it is said once. @default a new one
   * @returns false where it was said before, or too many turns wait
   * @throws {AparteError} `input-invalid` where no adapter is connected for the platform, or the place is not known
   */
  async send(
    to: Speaker & { readonly replyTo?: JsonValue },
    text: string,
    { id = randomUUID() }: { readonly id?: string } = {},
  ): Promise<boolean> {
    this.#closing.assertOpen();
    checkSpeaker(to);
    const adapter = this.#adapterOf(to);
    // Not the address of an answer that was given before, where there is one for this alone.
    const replyTo = (await adapter.address?.(to)) ?? to.replyTo;
    if (replyTo === undefined) {
      throw new AparteError("input-invalid", "It is not known where to post this: give `replyTo`.", {
        field: "replyTo",
      });
    }
    const message = { ...speakerOf(to), id: `send:${id}`, text, replyTo };
    return this.#begin(Turn.outgoing(this.#host, message, adapter)).taken;
  }

  /**
   * Keeps the agents of a session silent, since a human answers; the agent's `handoff` does so, too. Messages still go
   * through the middlewares; {@link SessionMapper.send} brings the human's words.
   * @param who a speaker, or a session's name
   */
  pause(who: Speaker | string): Promise<void> {
    return this.#operations.run(who, "pause", (session) => session.pause(true));
  }

  /** Lets the agents answer again, as `reset` does. */
  resume(who: Speaker | string): Promise<void> {
    return this.#operations.run(who, "resume", (session) => session.pause(false));
  }

  /**
   * Registers the adapter that delivers the replies of its platform, and bot.
   * @throws {AparteError} `option-invalid` where it is no adapter, or another one does that already: one bot's answers would
   * go by the other
   */
  connect<ReplyTo>(adapter: Adapter<ReplyTo>): void {
    if (typeof adapter?.platform !== "string" || typeof adapter.deliver !== "function") {
      throw new AparteError("option-invalid", "An adapter must be an object with platform and deliver.", {
        field: "connect",
      });
    }
    const place = deliveryPlace(adapter);
    // What it finds in `replyTo` is what it put there.
    const connected = adapter as unknown as Adapter;
    if ((this.#adapters.get(place) ?? connected) !== connected) {
      throw new AparteError(
        "option-invalid",
        `This mapper has an adapter for ${adapter.platform} already. Several bots of one platform need a "bot" each, which names them.`,
        { field: "bot" },
      );
    }
    // Those of an earlier process.
    this.#closing.track(this.#unfinished.begin());
    this.#adapters.set(place, connected);
    this.#owner.start();
  }

  /** What aparte itself says, for a person: in their language, and in the words of the option `texts`. */
  texts(speaker: Partial<Speaker>): Texts {
    return textsFor(speaker, this.#settings.texts);
  }

  /** Adds a middleware; the first one added is the outermost. */
  use(middleware: Middleware<Agent>): this {
    if (typeof middleware !== "function") {
      throw new AparteError("option-invalid", "A middleware must be a function (turn, next).", {
        field: "use",
      });
    }
    this.#middlewares.push(middleware as Middleware);
    return this;
  }

  /**
   * The session's name, its conversation with an agent (opened if there is none) and its access token, for
   * code that calls the agent service itself.
   * @param named the agent; without it, the one that a message from the speaker would reach
   * @param options.fresh after the service refused what was given before: brings another token, and another
   * conversation if the service has lost the one that is known
   */
  async resolve(
    speaker: Speaker,
    named?: Agent,
    { fresh = false }: { readonly fresh?: boolean } = {},
  ): Promise<Mapping> {
    this.#closing.assertOpen();
    const { name, record } = await this.#session(speaker);
    const agent = named ?? (await this.#operations.agentFor(name, record?.agent, speaker));
    if (named !== undefined) await this.#agents.assertAllowed(speaker, named);
    const backend = this.#agents.backend(agent);
    const { alwaysFind, turnTimeout } = this.#settings;
    const signal = AbortSignal.timeout(turnTimeout);
    const known = record?.conversations[agent];
    if (known?.id !== undefined && !fresh)
      return mappingOf({ sessionName: name, agent, signal }, backend, known);
    return this.#operations.run(speaker, "resolve", (session) =>
      mappingIn(session, agent, backend, { alwaysFind, isFresh: fresh }),
    );
  }

  /**
   * Runs calls of the application's own to the agent's service in the session's lane: after the turns before them, and
   * before those that come later. In a middleware they run as part of its turn. Operations on the session that are
   * called within run at once.
   * @param agent without it, the one that a message from the speaker would reach
   * @param run its result, or what it throws, is the caller's
   */
  inLane<T>(speaker: Speaker, run: (lane: InLane) => T | Promise<T>): Promise<T>;
  inLane<T>(speaker: Speaker, agent: Agent | undefined, run: (lane: InLane) => T | Promise<T>): Promise<T>;
  async inLane<T>(
    speaker: Speaker,
    named: string | undefined | ((lane: InLane) => T | Promise<T>),
    given?: (lane: InLane) => T | Promise<T>,
  ): Promise<T> {
    const [agentName, run] = typeof named === "function" ? [undefined, named] : [named, given];
    if (typeof run !== "function") {
      throw new AparteError("input-invalid", "inLane needs a function to run.", { field: "run" });
    }
    if (agentName !== undefined) await this.#agents.assertAllowed(speaker, agentName);
    return this.#operations.runWith(speaker, "inLane", agentName, async (session, agent, backend) => {
      const { alwaysFind } = this.#settings;
      const mapping = await mappingIn(session, agent, backend, { alwaysFind, isFresh: false });
      const { signal } = session;
      let isOver = false;
      const current: CurrentLane = {
        agent,
        get session() {
          // Aborted: the lane has gone on, and what is changed later would be written nowhere.
          return isOver || signal.aborted ? undefined : session;
        },
      };
      try {
        return await this.#host.current.run(current, () => run({ ...mapping, signal }));
      } finally {
        isOver = true;
      }
    });
  }

  /**
   * The names of the agents that a person may talk to; the first one answers where none was chosen.
   * @throws {AparteError} `hook-failed` when the option `allow` throws
   */
  agents(speaker: Speaker): Promise<readonly Agent[]> {
    return this.#agents.allowedTo(speaker) as Promise<readonly Agent[]>;
  }

  /**
   * Lets the agent forget what was said. Where the service can, the conversation stays and its context is
   * cleared; otherwise the next message opens a new one.
   * @param who a speaker, or a session's name as {@link SessionMapper.sessions} lists it
   * @param agent without it, the one that a message from the speaker would reach; in a middleware, the turn's
   * @param options.keep the conversation stays as it is at the service, and the next message opens one beside it
   */
  reset(who: Speaker | string, agent?: Agent, options: { readonly keep?: boolean } = {}): Promise<void> {
    return this.#operations.runWith(who, "reset", agent, async (session, name, backend) => {
      if (session.record.isPaused) session.pause(false);
      if (options.keep === true) leaveConversation(session, name, backend, true);
      else await this.#operations.clear(session, name, backend);
    });
  }

  /**
   * Gives the conversation a name at the service, now or when it is opened.
   * @param who a speaker, or a session's name
   * @param agent without it, the one that a message from the speaker would reach; in a middleware, the turn's
   * @returns the name, as the service has it where it tells
   * @throws {AparteError} `backend-unsupported` where the service knows no names.
   */
  rename(who: Speaker | string, title: string, agent?: Agent): Promise<string> {
    return this.#operations.runWith(who, "rename", agent, (session, name, backend) =>
      renameConversation(session, name, backend, title),
    );
  }

  /**
   * Tells the agent's service what the person thinks of an answer.
   * @param answer the `id` of the answer's `message` event
   * @param options.words what the person says about it
   * @param options.agent without it, the one that a message from the speaker would reach
   * @throws {AparteError} `backend-unsupported` where the service takes no feedback.
   */
  feedback(
    speaker: Speaker,
    answer: string,
    rating: "up" | "down",
    { words, agent }: { readonly words?: string; readonly agent?: Agent } = {},
  ): Promise<void> {
    return this.#operations.runWith(speaker, "feedback", agent, (session, name, backend) =>
      giveFeedback(session, name, backend, { answer, rating, ...(words === undefined ? {} : { words }) }),
    );
  }

  /**
   * Stops what a person asked, in whichever process it runs or waits: what was answered by then stands, and the reply
   * ends with the notice `stopped`.
   * @param speaker who asked, and where: without a thread or channel, in all of those that share the session, and in all
   * that this process answers
   * @returns whether there was anything to stop
   */
  async stop(speaker: Speaker): Promise<boolean> {
    this.#closing.assertOpen();
    const { name } = await this.#operations.find(speaker);
    const lanes = new Set([name]);
    for (const [turn, { message }] of this.#host.turns.entries()) {
      if (isFrom(message, speaker)) lanes.add(turn.slice(0, turn.indexOf(" ")));
    }
    const stopped = [...lanes].map((lane) => this.#owner.lane(lane).stop((body) => isAsked(body, speaker)));
    return (await Promise.all(stopped)).includes(true);
  }

  /** The person's own choice of agent, until another one is chosen. */
  async select(speaker: Speaker, agent: Agent): Promise<void> {
    this.#agents.backend(agent);
    await this.#agents.assertAllowed(speaker, agent);
    await this.#operations.run(speaker, "select", (session) => session.choose(agent));
  }

  /**
   * Erases the session: its conversations at the services where they can, and all that is kept here. A service that
   * fails at this moment is asked again until it is done. Of a record that cannot be read it is not known which
   * conversations there are: it is erased here alone.
   * @param who a speaker, or a session's name
   * @param agent only the conversation with this one, which may be one that is no longer configured
   * @returns what was erased, and what was not
   */
  forget(who: Speaker | string, agent?: string): Promise<Erasure> {
    return this.#operations.run(who, "forget", (session) => {
      this.#closing.track(this.#unfinished.begin());
      return this.#erase(session, agent);
    });
  }

  /**
   * All that is kept of a session, here and at the services. Undefined for a speaker without one.
   * @param who a speaker, or a session's name
   */
  async export(who: Speaker | string): Promise<SessionExport | undefined> {
    const { name, record } = await this.#session(who);
    const signal = AbortSignal.timeout(this.#settings.turnTimeout);
    return record === undefined ? undefined : exportSession(name, record, this.#settings.agents, signal);
  }

  /**
   * The sessions of the store, in no particular order. Those that cannot be read are logged and left out.
   * @throws {AparteError} `input-invalid` for a filter that does not exist
   */
  async *sessions(filter: SessionFilter = {}): AsyncGenerator<SessionSummary> {
    checkFilter(filter);
    for await (const [name, record] of sessionRecords(this.#settings.store.records, this.logger)) {
      if (applies(filter, record)) yield summarize(name, record);
    }
  }

  /**
   * Ends a rotation of secrets: sessions that another secret named are found without it from now on, under the name that
   * they have. Call it once all copies have the new secret first, and drop the old one from all of them afterwards.
   */
  rekey(): Promise<Rekeyed> {
    const sessions = sessionRecords(this.#settings.store.records, this.logger);
    return this.#rekeyed.end(sessions, (name, speaker) =>
      this.#operations.runIn({ name, speaker }, "rekey", (session) => {
        if (!session.isNew) session.rewrite();
      }),
    );
  }

  /**
   * Takes nothing new, ends what runs (and what waits, unless the store keeps it for the next process), and
   * closes the store. An answer that its platform does not take at this moment is left to the other processes.
   * @param options.drainTimeout how long to wait for that, in milliseconds; 25000 by default
   */
  close(options: { readonly drainTimeout?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.drainTimeout ?? drainTimeout);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(withinMs: number): Promise<void> {
    const { logger, clock } = this.#settings;
    this.#unfinished.close();
    this.#rekeyed.close();
    this.#closing.begin(this.#settings.store.durable);
    this.#retention?.close();
    this.#closing.track(
      this.#owner
        .leave()
        .catch((error) => logger.warn("waiting turns could not be left", describeError(error))),
    );
    const wait = timer(clock, withinMs);
    await Promise.race([this.#closing.drained(), wait.over]);
    wait.end();
    this.#closing.end();
    await this.#owner.stop();
    await this.#settings.store.close();
  }

  #begin(turn: Turn): Reply {
    this.#closing.track(turn.live());
    return turn.reply;
  }

  /** Goes on with a turn of an owner that died. */
  #takeOver(place: Place): void {
    const turn = Turn.takenOver(this.#host, place);
    // An operation ends with its caller; a turn that cannot be gone on with here is left to others.
    const work =
      turn?.live() ??
      (place.turn?.isOperation ? place.end() : this.#owner.release([place])).catch((error) =>
        this.#settings.logger.warn("a turn could not be gone on with", describeError(error)),
      );
    this.#closing.track(work);
  }

  async #session(who: Speaker | string): Promise<{ name: string; record: SessionRecord | undefined }> {
    const { name } = await this.#operations.find(who);
    return { name, record: readRecord(await this.#settings.store.records.get(sessionKey(name))) };
  }

  /** The person may have come back meanwhile. */
  async #eraseIdle(name: string, { speaker }: SessionRecord, idleMs: number): Promise<void> {
    await this.#operations.runIn({ name, speaker }, "retention", (session) =>
      session.idleMs < idleMs ? undefined : this.#erase(session),
    );
  }

  #erase(session: Session, agent?: string): Promise<Erasure> {
    this.#host.answers.forget(session.name);
    return eraseSession(session, this.#settings.agents, this.#unfinished, agent);
  }

  #adapterOf(speaker: Speaker): Adapter {
    const adapter = this.#adapters.get(deliveryPlace(speaker ?? {}));
    if (adapter !== undefined) return adapter;
    const { platform, bot } = speaker ?? {};
    const which = `the platform ${JSON.stringify(platform)}${bot === undefined ? "" : ` and the bot ${JSON.stringify(bot)}`}`;
    throw new AparteError("input-invalid", `No adapter is connected for ${which}: connect() one first.`, {
      field: "platform",
    });
  }
}
