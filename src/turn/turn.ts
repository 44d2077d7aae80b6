import type { AsyncLocalStorage } from "node:async_hooks";
import type { Adapter } from "../adapter/adapter.ts";
import type { Backend, FileInput } from "../backends/backend.ts";
import type { Pace } from "../backends/http/pace.ts";
import { type Clock, timer, within } from "../clock.ts";
import { AparteError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import type { CarriedTurn } from "../lane/machine.ts";
import type { Owner } from "../lane/owner.ts";
import type { Begun, Place } from "../lane/place.ts";
import { describeError } from "../logger.ts";
import type { Settings } from "../options.ts";
import { clearConversation } from "../session/operations.ts";
import { Session } from "../session/session.ts";
import type { ScopedSpeaker } from "../speaker/scope.ts";
import type { SessionIdentity, SessionNames } from "../speaker/session-names.ts";
import { deliveryPlace, isFrom, type Speaker } from "../speaker/speaker.ts";
import { type Texts, textsFor } from "../texts/texts.ts";
import type { Agents } from "./agents.ts";
import { ask, type Question, recover } from "./ask.ts";
import type { Closing } from "./closing.ts";
import { checkContext } from "./context.ts";
import { type Delivered, Deliverer } from "./delivery.ts";
import type { Limits } from "./limits.ts";
import { LinkGuard } from "./links.ts";
import {
  checkMessage,
  eventKey,
  type Message,
  mergeKey,
  restoreMessage,
  type StoredMessage,
  storeMessage,
} from "./message.ts";
import { type Emit, type Middleware, type TurnContext, through, turnOver } from "./middleware.ts";
import { conversationOver, fileLost, limited, type Notice, notice, undelivered } from "./notices.ts";
import { Reply } from "./reply.ts";
import { type ReplyEvent, Transcript } from "./reply-event.ts";
import { ReplyLog, type StoredAnswer, turnFailed } from "./reply-log.ts";
import { Stop } from "./stop.ts";
import { type TurnEvent, type TurnMoment, tell } from "./watching.ts";

/** A message's turn as its lane's document keeps it. */
export interface StoredTurn {
  readonly v: 1;
  readonly speaker: ScopedSpeaker;
  readonly message: StoredMessage;
  /** The message goes to the person, and no agent is asked. */
  readonly isOutgoing?: true;
}

/** The lane in which the calling code runs. */
export interface CurrentLane {
  /** Undefined once it has gone on. */
  readonly session: Session | undefined;
  readonly agent: string | undefined;
}

/** What turns have of the mapper that runs them. */
export interface TurnHost {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly owner: Owner;
  readonly names: SessionNames;
  /** Undefined where there are none. */
  readonly limits: Limits | undefined;
  readonly pace: Pace;
  /** By {@link deliveryPlace}. */
  readonly adapters: ReadonlyMap<string, Adapter>;
  readonly middlewares: readonly Middleware[];
  readonly current: AsyncLocalStorage<CurrentLane>;
  readonly turns: LiveTurns;
  readonly closing: Closing;
  readonly agents: Agents;
}

/** What the agent is asked. */
type Asked = Pick<TurnContext, "agent" | "text" | "files" | "context">;

/** The turns of this process that have not ended, by lane and event. */
export type LiveTurns = Map<string, Turn>;

/**
 * How often a turn is tried whose process dies each time. An owner that was buried while it stood still counts as dead,
 * and whoever waits behind a turn that kills its process dies with it: fewer would set turns aside that harm nobody.
 */
const maxAttempts = 10;

/** How long an answer may take to reach its platform before it is written down, in milliseconds. */
const momentMs = 2_000;

/** How long what the service says of a turn is gathered before it is written, in milliseconds: most turns end before. */
const gatherMs = 250;

/** How long a platform may take to give a message again, in milliseconds. */
const rereadMs = 5_000;

/** One message in, one answer out: from when it is taken until the platform shows its answer. */
export class Turn {
  readonly reply: Reply;
  /** As its person has it: it may be read again when its turn has waited. */
  message: Message;
  readonly #host: TurnHost;
  /** In the person's language. */
  readonly #texts: Texts;
  readonly #log: ReplyLog;
  /** Undefined where links may lead anywhere. */
  readonly #guard: LinkGuard | undefined;
  readonly #adapter: Adapter | undefined;
  readonly #deliverer: Deliverer | undefined;
  readonly #stop = new Stop();
  #delivered: Promise<Delivered> | undefined;
  #resolveTaken: (isTaken: boolean) => void = () => {};
  #rejectTaken: (error: unknown) => void = () => {};
  #place: Place | undefined;
  #isOutgoing = false;
  #session: Session | undefined;
  /** In {@link LiveTurns}. */
  #name: string | undefined;
  #hasWaited = false;
  #agent: string | undefined;
  /** When it began to run, by the clock. */
  #begunAt = 0;
  #isSent = false;
  #mayComeAgain = false;
  /** Interrupted before it had an answer, or a failure to tell of. */
  #isInterrupted = false;
  #isOver = false;
  #cancelNote: (() => void) | undefined;

  /** @param adapter delivers the reply; without it, only the caller reads it */
  constructor(host: TurnHost, message: Message, adapter?: Adapter, answer?: StoredAnswer) {
    this.#host = host;
    this.message = message;
    this.#adapter = adapter;
    this.#texts = textsFor(message ?? {}, host.settings.texts);
    this.#log = answer === undefined ? new ReplyLog(this.#texts) : ReplyLog.of(answer, this.#texts);
    const { linkHosts } = host.settings;
    this.#guard = linkHosts && new LinkGuard(linkHosts);
    const taken = new Promise<boolean>((resolve, reject) => {
      this.#resolveTaken = resolve;
      this.#rejectTaken = reject;
    });
    this.reply = new Reply(this.#log, taken, () => this.#stop.stop("stopped"));
    const { clock, settings, closing } = host;
    this.#deliverer =
      adapter &&
      new Deliverer({
        adapter,
        message,
        taken,
        clock,
        closing,
        log: this.#log,
        logger: settings.logger,
        texts: this.#texts,
        turnTimeout: settings.turnTimeout,
      });
  }

  /** A turn that says a text to the person, after those before it. */
  static outgoing(host: TurnHost, message: Message, adapter: Adapter): Turn {
    const turn = new Turn(host, message, adapter);
    turn.#isOutgoing = true;
    return turn;
  }

  /** A turn whose owner died, as its lane has it. Undefined where this process cannot go on with it. */
  static takenOver(host: TurnHost, place: Place): Turn | undefined {
    const { body, place: where, phase, answer, attempt = 1 } = place.turn ?? {};
    const { message, isOutgoing = false } = (body ?? {}) as Partial<StoredTurn>;
    const adapter = where === undefined ? undefined : host.adapters.get(where);
    if (message === undefined || adapter === undefined) return undefined;
    const restored = restoreMessage(message, adapter);
    const stored = phase === "answered" ? (answer as unknown as StoredAnswer) : undefined;
    const turn = new Turn(host, restored ?? { ...message, files: [] }, adapter, stored);
    if (restored === undefined && stored === undefined) turn.#log.fail(filesLost());
    turn.#place = place;
    turn.#isOutgoing = isOutgoing;
    // It waited when its owner died. Of one that ran, the agent may have been asked already.
    turn.#hasWaited = attempt === 1;
    return turn;
  }

  /** Whether the turn has ended: what was made for it works no more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The session, while the turn runs. */
  get session(): Session | undefined {
    return this.#isOver ? undefined : this.#session;
  }

  /** The agent that is asked, once it is known. */
  get agent(): string | undefined {
    return this.#agent;
  }

  /** Goes from "taken" to "delivered". Never rejects: what fails is told by the reply. */
  async live(): Promise<void> {
    const given = this.message?.signal;
    // What is none is refused with the message.
    const signal = given instanceof AbortSignal ? given : undefined;
    const cancel = () => this.#stop.stop("stopped");
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel);
    try {
      await this.#live();
    } catch (error) {
      this.#host.settings.logger.error("a turn failed", describeError(error));
      this.#log.fail(error);
    } finally {
      this.#isOver = true;
      // A signal may be that of many messages, and live as long as the process.
      signal?.removeEventListener("abort", cancel);
      const { turns } = this.#host;
      if (this.#name !== undefined && turns.get(this.#name) === this) turns.delete(this.#name);
    }
  }

  async #live(): Promise<void> {
    const host = this.#host;
    const isForOthers = this.#place === undefined && host.closing.isBegun;
    const identity = await this.#enter();
    const place = this.#place;
    if (place === undefined || identity === undefined) return;
    const name = `${place.lane} ${place.key}`;
    this.#name = name;
    host.turns.set(name, this);
    if (this.#deliverer !== undefined) this.#deliverer.place = place;
    // Begun before the platform is told that the message was taken.
    void this.#deliver();
    this.#resolveTaken(true);
    // What came before this process closed, and runs, ends here.
    const isLeft = host.closing.isBegun && (isForOthers || !place.isRunning);
    if (isLeft) await host.owner.release([place]);
    const begun = isLeft ? "lost" : await this.#wait(place);
    if (begun === "runs") await this.#run(place, identity);
    else if (begun === "merged") {
      this.#log.push(notice("merged", this.#texts));
      this.#log.end();
      // The turn that carries it may still want its files.
      this.#name = undefined;
      host.clock.after(host.settings.turnTimeout, () => host.turns.delete(name), true);
    } else if (begun === "withdrawn") {
      if (!this.#log.hasEnded) this.#log.push(notice("stopped", this.#texts));
      this.#log.end();
      await this.#delivered;
    } else this.#log.fail(new AparteError("closed", "Another process goes on with the turn."));
  }

  /** Takes the message into its lane. @returns undefined where it was not taken, and the person was told. */
  async #enter(): Promise<SessionIdentity | undefined> {
    const { settings, names, owner, turns, current, closing, agents } = this.#host;
    const { message } = this;
    if (this.#place?.turn !== undefined) {
      const { speaker } = this.#place.turn.body as unknown as StoredTurn;
      return { name: this.#place.lane, speaker };
    }
    try {
      closing.assertTakes(this.#adapter !== undefined);
      checkMessage(message);
      if (message.agent !== undefined) agents.backend(message.agent);
      // Awaited only where it must be: without hooks, messages enter their lane in the order of the calls.
      const found = names.find(message);
      const identity = found instanceof Promise ? await found : found;
      if (!this.#isOutgoing && current.getStore()?.session?.name === identity.name) {
        throw new AparteError(
          "input-invalid",
          "A message was handed in from within the lane of its own session: it would wait for itself.",
          { field: "message" },
        );
      }
      const name = `${identity.name} ${eventKey(message)}`;
      const first = turns.get(name);
      if (first !== undefined) {
        await this.#readAlong(first);
        return undefined;
      }
      this.#name = name;
      turns.set(name, this);
      const waitMs = this.#isOutgoing ? 0 : (this.#host.limits?.known(message) ?? 0);
      if (waitMs > 0) return await this.#refuse(limited(waitMs, this.#texts));
      const body: StoredTurn = { v: 1, speaker: identity.speaker, message: storeMessage(message) };
      const isOutgoing = this.#isOutgoing;
      const taken = await owner.lane(identity.name).take(
        {
          key: eventKey(message),
          overlap: isOutgoing ? "queue" : settings.overlap,
          // Unlike all others: no message of the person interrupts it.
          mergeKey: isOutgoing ? "" : mergeKey(message),
          body: { ...body, ...(isOutgoing ? { isOutgoing } : {}) } as unknown as JsonValue,
          ...(this.#adapter === undefined ? {} : { place: deliveryPlace(message) }),
        },
        settings.queueLimit,
        settings.storeTimeout,
      );
      if (taken.is === "taken") {
        this.#place = taken.place;
        return identity;
      }
      return await this.#refuse(notice(taken.is, this.#texts));
    } catch (error) {
      const failure = turnFailed(error);
      settings.logger.error("a message was not taken", describeError(failure));
      this.#log.fail(failure);
      this.#rejectTaken(failure);
      await this.#deliver();
    }
    return undefined;
  }

  /** Tells that the message is not taken. One that was handled before is nothing to tell of. */
  async #refuse(why: Notice): Promise<undefined> {
    this.#resolveTaken(false);
    this.#log.push(why);
    this.#log.end();
    if (why.code !== "duplicate") await this.#deliver();
  }

  /** The same message is being answered here: whoever asks again reads along, and its platform is told no more. */
  async #readAlong(first: Turn): Promise<void> {
    try {
      await first.reply.taken;
      this.#resolveTaken(false);
    } catch (error) {
      this.#rejectTaken(error);
    }
    await this.#log.follow(first.#log);
  }

  /** Waits until the turn runs, or will not. */
  async #wait(place: Place): Promise<Begun> {
    const { clock, settings } = this.#host;
    if (place.isRunning) return "runs";
    this.#hasWaited = true;
    let isLate = false;
    const leave = (isStopped = false) => {
      if (!place.isLost) place.withdraw(isStopped).catch(() => {}); // It is another owner's by now.
    };
    const cancelTimer = clock.after(settings.waitTimeout, () => {
      isLate = true;
      leave();
    });
    void place.stopped.then((reason) => reason === "stopped" && this.#stop.stop("stopped"));
    // A caller of its own may send again what it cancelled; a platform may bring again what its person has stopped.
    void this.#stop.stopped.then(() => leave(this.#adapter !== undefined));
    const begun = await place.begun;
    cancelTimer();
    if (begun === "withdrawn" && isLate) {
      this.#log.fail(
        new AparteError("wait-timeout", "The turn waited too long behind others and was not run."),
      );
    }
    return begun;
  }

  async #run(place: Place, { name, speaker }: SessionIdentity): Promise<void> {
    const { clock, settings } = this.#host;
    const { turnTimeout, logger } = settings;
    const cancelTimer = clock.after(turnTimeout, () => {
      this.#stop.stop(
        new AparteError("turn-timeout", `The turn took longer than ${turnTimeout} ms and was stopped.`),
      );
    });
    // A process that died may have sent it: until that is known, no other turn may carry its words.
    if (!this.#log.hasEnded && (place.turn?.attempt ?? 1) > 1) this.#stop.hold();
    void place.stopped.then((reason) => this.#stop.stop(reason));
    this.#begunAt = clock.now();
    this.#tell("start", place);
    try {
      if (place.record === undefined) throw recordDamaged();
      this.#session = new Session(name, speaker, place, this.#stop, place.record);
      if (!this.#log.hasEnded) {
        if ((place.turn?.attempt ?? 1) > maxAttempts) throw diedTooOften();
        await this.#stop.withGrace(this.#answer(this.#session, place), clock);
        this.#sayRest();
        this.#log.end();
      }
    } catch (error) {
      this.#fail(error, place);
    }
    cancelTimer();
    this.#cancelNote?.();
    try {
      await this.#end(place);
    } catch (error) {
      // Another owner's by now, which is no failure of this one.
      if (!place.isLost) logger.error("a turn could not be ended", describeError(error));
    }
    this.#tell("end", place);
  }

  /** Tells whoever watches the process's turns. */
  #tell(moment: TurnMoment, place: Place, more: Pick<TurnEvent, "usage" | "code"> = {}): void {
    tell(moment, () => ({
      sessionName: place.lane,
      turnId: place.mark,
      platform: this.message.platform,
      attempt: place.turn?.attempt ?? 1,
      ...(this.#agent === undefined ? {} : { agent: this.#agent }),
      elapsedMs: this.#host.clock.now() - this.#begunAt,
      ...more,
    }));
  }

  /** Middlewares, then the agent. */
  async #answer(session: Session, place: Place): Promise<void> {
    const { settings, middlewares, current, agents, limits } = this.#host;
    const attempt = place.turn?.attempt ?? 1;
    if (this.#isOutgoing) {
      this.#say({ type: "message", text: this.message.text });
      return;
    }
    if (this.#hasWaited && !(await this.#reread())) return;
    const { message } = this;
    this.#tellUndelivered(session);
    // A turn that is taken up again was counted before.
    const waitMs = limits === undefined || attempt > 1 ? 0 : await limits.take(message);
    if (waitMs > 0) {
      this.#log.push(limited(waitMs, this.#texts));
      // A caller sends it again; a platform may bring it twice, and the person is told once.
      this.#mayComeAgain = this.#adapter === undefined;
      return;
    }
    const found = agents.reachedBy(message, session.record.agent);
    const agent = typeof found === "string" ? found : await found;
    this.#agent = agent;
    const carried = place.turn?.carries ?? [];
    const words = [...carried.map(textOf), message.text].filter((text) => text !== "").join("\n");
    const asked: Asked = {
      agent,
      text: words,
      files: this.#files(place, carried),
      context: Object.assign({}, ...carried.map(contextOf), message.context),
    };
    const emit = (event: ReplyEvent) => this.#say(event);
    const last = (into: Emit) => this.#ask(session, place, asked, into);
    if (middlewares.length === 0) return last(emit);
    const forgotten = () =>
      settings.logger.error("a middleware did not await next(): write `await next()` or `return next()`");
    const context = this.#context(session, attempt, asked);
    await current.run(this, () => through(middlewares, context, last, emit, forgotten));
    // A middleware that answers for an agent that failed does not answer for one that was stopped.
    this.#stop.throwIfStopped();
  }

  #say(event: ReplyEvent): void {
    if (this.#isOver) throw turnOver();
    if (this.#stop.reason !== undefined) return;
    for (const shown of this.#guard?.shown(event) ?? [event]) this.#log.push(shown);
  }

  /** What was held back of an answer that ends here. */
  #sayRest(): void {
    for (const event of this.#guard?.rest ?? []) this.#log.push(event);
  }

  /** @returns false when its person took the message back */
  async #reread(): Promise<boolean> {
    const { message } = this;
    const late = () => new AparteError("turn-timeout", "The platform did not give the message in time.");
    try {
      const again = this.#adapter?.reread?.(message, this.#stop.signal);
      const read = again === undefined ? message : await within(this.#host.clock, rereadMs, again, late);
      if (read !== undefined) this.message = { ...message, ...read };
      return read !== undefined;
    } catch (error) {
      this.#host.settings.logger.warn("a message could not be read again", describeError(error));
      return true;
    }
  }

  /** The turn as middlewares see it, who may change what is asked. */
  #context(session: Session, attempt: number, asked: Asked): TurnContext {
    const answer = () => this.#log.answer(this.#guard?.rest);
    const stop = this.#stop;
    const change = (changed: Partial<Asked>) => {
      if (this.#isOver) throw turnOver();
      if (changed.agent !== undefined) this.#host.agents.backend(changed.agent);
      if (changed.context !== undefined) checkContext(changed.context);
      Object.assign(asked, changed);
      this.#agent = asked.agent;
    };
    const context = {
      message: this.message,
      sessionName: session.name,
      attempt,
      locals: {},
      get signal() {
        return stop.signal;
      },
      get answer() {
        return answer();
      },
      say: (said: string) => this.#say({ type: "message", text: said }),
    };
    for (const name of ["agent", "text", "files", "context"] as const) {
      const set = (value: unknown) => change({ [name]: value });
      Object.defineProperty(context, name, { enumerable: true, get: () => asked[name], set });
    }
    return context as unknown as TurnContext;
  }

  async #ask(
    session: Session,
    place: Place,
    { agent, text, files, context }: Asked,
    emit: Emit,
  ): Promise<void> {
    const { settings, agents, pace } = this.#host;
    const stop = this.#stop;
    const backend = agents.backend(agent);
    const { known, phase, attempt = 1 } = place.turn ?? {};
    const question: Question = {
      session,
      agent,
      backend,
      text,
      files,
      context,
      stop,
      turnId: place.mark,
      title: settings.title(this.message),
      alwaysFind: settings.alwaysFind,
      texts: this.#texts,
      beforeAsk: () => {
        const before = this.#beforeAsk(place, backend);
        if (before !== undefined) return before.then(() => this.#send(place));
        this.#send(place);
        return undefined;
      },
      found: (isSent) => {
        this.#isSent ||= isSent;
        stop.release();
      },
      note: (said) => this.#note(place, said),
      pace: (key, perSecond) => {
        const tenant = JSON.stringify([this.message.platform, this.message.tenant]);
        return pace.turn({ key, perSecond, tenant, signal: stop.signal });
      },
    };
    if (session.record.isPaused) {
      emit(notice("paused", this.#texts));
      return;
    }
    if (session.idleMs >= settings.freshAfter) await this.#startAfresh(session, agent, emit);
    session.touch();
    if (!this.#host.owner.isAlive) await place.permit();
    stop.throwIfStopped();
    const said = attempt > 1 ? recover(question, known, phase === "asked") : ask(question);
    let hasSpoken = false;
    for await (const event of said) {
      stop.throwIfStopped();
      if (event.type === "usage") {
        const { type: _, ...usage } = event;
        this.#tell("usage", place, { usage });
      } else if (event.type === "handoff") session.pause(true);
      else if (!hasSpoken && ["text", "message", "file"].includes(event.type)) {
        hasSpoken = true;
        this.#tell("first-word", place);
      }
      emit(event);
    }
    stop.throwIfStopped();
  }

  /** After long silence no agent is to know what was said before. Written down before one is asked. */
  async #startAfresh(session: Session, asked: string, emit: Emit): Promise<void> {
    const { agents } = this.#host.settings;
    const hadConversation = session.conversation(asked)?.id !== undefined;
    for (const agent of Object.keys(session.record.conversations)) {
      const backend = agents.get(agent);
      if (backend !== undefined) await clearConversation(session, agent, backend);
    }
    session.touch();
    await session.save();
    if (hadConversation) emit(conversationOver(this.#texts));
  }

  /** From here on the service may have the turn. */
  #send(place: Place): void {
    this.#stop.throwIfStopped();
    this.#isSent = true;
    this.#tell("asked", place);
  }

  /** Where the service cannot be asked for the turn afterwards, it is written down that it got it. */
  #beforeAsk(place: Place, backend: Backend): Promise<void> | undefined {
    const isUnwritten = backend.recover === undefined && place.turn?.phase === "taken";
    if (isUnwritten) return place.advance({ phase: "asked" }, undefined, place.patienceMs);
    return this.#host.owner.isAlive ? undefined : place.permit();
  }

  #note(place: Place, known: JsonValue): void {
    const { clock, settings } = this.#host;
    this.#cancelNote?.();
    this.#cancelNote = clock.after(gatherMs, () => {
      place.advance({ phase: "asked", known }).catch((error) => {
        if (!place.isLost) settings.logger.warn("a turn could not be noted", describeError(error));
      });
    });
  }

  /** The files of the message, and of those whose words it carries. */
  #files(place: Place, carried: readonly CarriedTurn[]): readonly FileInput[] {
    const { files = [] } = this.message;
    if (carried.length === 0) return files;
    const { turns } = this.#host;
    const earlier = carried.flatMap(({ key, body }) => {
      const name = `${place.lane} ${key}`;
      const live = turns.get(name)?.message;
      turns.delete(name);
      const restored = live ?? restoreMessage((body as unknown as StoredTurn).message, this.#adapter);
      if (restored === undefined) this.#log.push(fileLost(this.#texts));
      return restored?.files ?? [];
    });
    return [...earlier, ...files];
  }

  /** Ends a reply whose turn did not get to its end by itself. */
  #fail(error: unknown, place: Place): void {
    this.#sayRest();
    const { reason } = this.#stop;
    if (reason === "stopped" || reason === "interrupted") {
      this.#isInterrupted = reason === "interrupted";
      this.#log.push(notice(reason, this.#texts));
      this.#log.end();
      return;
    }
    const failure = turnFailed(reason ?? error);
    // A lost lease is another process's turn now, and no failure.
    if (failure.code !== "lease-lost") {
      const { logger } = this.#host.settings;
      logger.error("a turn failed", { ...describeError(failure), session: place.lane });
    }
    this.#tell("error", place, { code: failure.code });
    this.#log.fail(failure);
  }

  #deliver(): Promise<Delivered> {
    this.#delivered ??= this.#deliverer === undefined ? this.#read() : this.#deliverer.run();
    return this.#delivered;
  }

  /** A reply without an adapter is delivered when its caller has read it, or does not read it. */
  async #read(): Promise<Delivered> {
    const { clock, settings } = this.#host;
    await this.#log.ended();
    if (!this.#log.isRead) return "shown";
    const wait = timer(clock, settings.turnTimeout);
    await Promise.race([this.#log.drained(), wait.over]);
    wait.end();
    return "shown";
  }

  /** Waits until the platform has the answer, and ends the turn in its lane. */
  async #end(place: Place): Promise<void> {
    if (place.isLost) return;
    const { owner } = this.#host;
    const outcome = await this.#shown(place);
    if (outcome === "lost" || place.isLost) return;
    const session = this.#session;
    if (outcome === "left") {
      await this.#keepAnswer(place);
      await owner.release([place]);
      return;
    }
    if (outcome === "refused" || outcome === "late") this.#giveUp(session, outcome);
    this.#deliverer?.stopWriting();
    await place.end(session?.changed, { isUnsent: this.#isUnsent, mayComeAgain: this.#mayComeAgain });
  }

  /** Interrupted before the agent got it: its words go to the turn that interrupted it, or run again. */
  get #isUnsent(): boolean {
    return this.#isInterrupted && !this.#isSent;
  }

  /** Waits for the platform. An answer that it refused for now, or does not have within a moment, is written down. */
  async #shown(place: Place): Promise<Delivered> {
    const { clock, owner, settings } = this.#host;
    const deliverer = this.#deliverer;
    if (deliverer === undefined) return this.#deliver();
    const kept = place.turn?.answer as unknown as StoredAnswer | undefined;
    const age = kept === undefined ? 0 : owner.storeNow() - kept.at;
    deliverer.giveUpAt = clock.now() + settings.undeliveredTime - age;
    const delivered = this.#deliver();
    const moment = timer(clock, momentMs);
    const unwatch = this.#host.closing.watch(moment.end);
    const first = await Promise.race([delivered, moment.over, deliverer.failed]);
    unwatch();
    moment.end();
    if (first !== undefined) return first;
    await this.#keepAnswer(place);
    return delivered;
  }

  async #keepAnswer(place: Place): Promise<void> {
    // Words that nobody got yet run again, where their turn is left to others.
    if (place.turn?.phase === "answered" || this.#isUnsent) return;
    const answer = this.#log.stored(this.#host.owner.storeNow());
    const record = this.#session?.changed;
    const posts = this.#deliverer?.takeUnwritten();
    await place.advance({ phase: "answered", answer, ...posts }, record ?? undefined);
  }

  /** The platform will not have the answer: the person is told when they come back. */
  #giveUp(session: Session | undefined, why: "refused" | "late"): void {
    const { logger } = this.#host.settings;
    logger.error("an answer was given up: the platform did not take it", { session: session?.name, why });
    const transcript = new Transcript();
    for (const event of this.#log.stored(0).events) transcript.add(event);
    if (transcript.answer === "") return;
    session?.keepUndelivered({ place: mergeKey(this.message), text: transcript.answer });
  }

  #tellUndelivered(session: Session): void {
    const { undelivered: lost } = session.record;
    if (lost === undefined || this.#adapter === undefined) return;
    this.#log.push(undelivered(lost.place === mergeKey(this.message) ? lost.text : undefined, this.#texts));
    session.keepUndelivered(undefined);
  }
}

/** Whether a turn, as its lane has it, is somebody's question there. */
export function isAsked(body: JsonValue, speaker: Speaker): boolean {
  const { message, isOutgoing } = body as unknown as StoredTurn;
  return isOutgoing !== true && isFrom(message, speaker);
}

function filesLost(): AparteError {
  return new AparteError("answer-lost", "The turn's process died, and with it the message's files.");
}

function recordDamaged(): AparteError {
  return new AparteError(
    "store-unreadable",
    "What is kept of this session is damaged. Look at its record in the store, or remove it.",
  );
}

function diedTooOften(): AparteError {
  return new AparteError("answer-lost", "The turn was set aside: each process that ran it died.");
}

function textOf({ body }: CarriedTurn): string {
  return (body as unknown as StoredTurn).message.text;
}

function contextOf({ body }: CarriedTurn): JsonObject | undefined {
  return (body as unknown as StoredTurn).message.context;
}
