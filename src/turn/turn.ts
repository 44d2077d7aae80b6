import type { Adapter } from "../adapter/adapter.ts";
import { within } from "../clock.ts";
import { AparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { Begun, Place } from "../lane/place.ts";
import { describeError } from "../logger.ts";
import { Session } from "../session/session.ts";
import type { SessionIdentity } from "../speaker/session-names.ts";
import { deliveryPlace } from "../speaker/speaker.ts";
import { type Texts, textsFor } from "../texts/texts.ts";
import { Answering } from "./answering.ts";
import { Deliverer } from "./delivery.ts";
import type { LiveTurn, TurnHost } from "./host.ts";
import { LinkGuard } from "./links.ts";
import {
  checkMessage,
  eventKey,
  type Message,
  mergeKey,
  restoreMessage,
  type StoredTurn,
  storeMessage,
} from "./message.ts";
import { limited, type Notice, notice } from "./notices.ts";
import { Reply } from "./reply.ts";
import { ReplyLog, type StoredAnswer, turnFailed } from "./reply-log.ts";
import { Stop } from "./stop.ts";
import { type TurnFailure, TurnWatch } from "./watching.ts";

/**
 * How often a turn is tried whose process dies each time. An owner that was buried while it stood still counts as dead,
 * and whoever waits behind a turn that kills its process dies with it: fewer would set turns aside that harm nobody.
 */
const maxAttempts = 10;

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
  readonly #adapter: Adapter | undefined;
  readonly #deliverer: Deliverer;
  readonly #stop = new Stop();
  #resolveTaken: (isTaken: boolean) => void = () => {};
  #rejectTaken: (error: unknown) => void = () => {};
  #place: Place | undefined;
  #isOutgoing = false;
  /** Undefined before the turn runs, and where its record is damaged. */
  #session: Session | undefined;
  #answering: Answering | undefined;
  /** In the turns of this process. */
  #name: string | undefined;
  #hasWaited = false;
  /** Interrupted before it had an answer, or a failure to tell of. */
  #isInterrupted = false;

  /** @param adapter delivers the reply; without it, only the caller reads it */
  constructor(host: TurnHost, message: Message, adapter?: Adapter, answer?: StoredAnswer) {
    this.#host = host;
    this.message = message;
    this.#adapter = adapter;
    this.#texts = textsFor(message ?? {}, host.settings.texts);
    const { closing, settings } = host;
    const guard = settings.linkHosts && new LinkGuard(settings.linkHosts);
    this.#log = answer === undefined ? new ReplyLog(this.#texts, guard) : ReplyLog.of(answer, this.#texts);
    const taken = new Promise<boolean>((resolve, reject) => {
      this.#resolveTaken = resolve;
      this.#rejectTaken = reject;
    });
    this.reply = new Reply(this.#log, taken, () => this.#stop.stop("stopped"));
    const [log, texts] = [this.#log, this.#texts];
    this.#deliverer = new Deliverer({ adapter, message, taken, log, texts, settings, closing });
  }

  /** A turn that says a text to the person, after those before it. */
  static outgoing(host: TurnHost, message: Message, adapter: Adapter): Turn {
    const turn = new Turn(host, message, adapter);
    turn.#isOutgoing = true;
    return turn;
  }

  /** A turn whose owner died, as its lane has it. Undefined where this process cannot go on with it. */
  static takenOver(host: TurnHost, place: Place): Turn | undefined {
    const { body, place: where, answer } = place.turn ?? {};
    const { message, isOutgoing = false } = (body ?? {}) as Partial<StoredTurn>;
    const adapter = where === undefined ? undefined : host.adapters.get(where);
    if (message === undefined || adapter === undefined) return undefined;
    const restored = restoreMessage(message, adapter);
    const stored = { ...message, files: [] };
    const turn = new Turn(host, restored ?? stored, adapter, answer as unknown as StoredAnswer | undefined);
    // An answer that is whole stands.
    if (restored === undefined) turn.#log.fail(filesLost());
    turn.#place = place;
    turn.#isOutgoing = isOutgoing;
    // It waited when its owner died. Of one that ran, the agent may have been asked already.
    turn.#hasWaited = place.attempt === 1;
    return turn;
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
      this.#report(error, "end");
      this.#log.fail(error);
    } finally {
      this.#answering?.end();
      // A signal may be that of many messages, and live as long as the process.
      signal?.removeEventListener("abort", cancel);
      const { turns } = this.#host;
      if (this.#name !== undefined && turns.get(this.#name) === this) turns.delete(this.#name);
    }
  }

  async #live(): Promise<void> {
    const host = this.#host;
    const isForOthers = host.closing.isBegun;
    const identity = await this.#enter();
    const place = this.#place;
    if (place === undefined || identity === undefined) return;
    this.#deliverer.place = place;
    // What came before this process closed, and runs, ends here.
    const isLeft = host.closing.isBegun && (isForOthers || !place.isRunning);
    // Begun before the platform is told that the message was taken. Of what is left to others nothing is shown here.
    if (!isLeft) void this.#deliverer.run();
    this.#resolveTaken(true);
    if (isLeft) await host.owner.release([place]);
    const begun = isLeft ? "lost" : await this.#wait(place);
    if (begun === "runs") await this.#run(place, identity);
    else if (begun === "merged") {
      this.#log.push(notice("merged", this.#texts));
      this.#log.end();
      // The turn that carries it may still want its files.
      const name = this.#name ?? "";
      this.#name = undefined;
      host.clock.after(host.settings.turnTimeout, () => host.turns.delete(name), true);
    } else if (begun === "withdrawn") {
      this.#log.push(notice("stopped", this.#texts));
      this.#log.end();
      await this.#deliverer.run();
    } else this.#log.fail(new AparteError("closed", "Another process goes on with the turn."));
  }

  /** Takes the message into its lane. @returns undefined where it was not taken, and the person was told. */
  async #enter(): Promise<SessionIdentity | undefined> {
    const { settings, names, owner, turns, current, closing, agents } = this.#host;
    const { message } = this;
    if (this.#place?.turn !== undefined) {
      const { lane, key, turn } = this.#place;
      this.#enlist(lane, key);
      return { name: lane, speaker: (turn.body as unknown as StoredTurn).speaker };
    }
    let sessionName: string | undefined;
    try {
      closing.assertOpen(this.#adapter !== undefined);
      checkMessage(message);
      if (message.agent !== undefined) agents.backend(message.agent);
      // Awaited only where it must be: without hooks, messages enter their lane in the order of the calls.
      const found = names.find(message);
      const identity = found instanceof Promise ? await found : found;
      sessionName = identity.name;
      if (!this.#isOutgoing && current.getStore()?.session?.name === identity.name) {
        throw new AparteError(
          "input-invalid",
          "A message was handed in from within the lane of its own session: it would wait for itself.",
          { field: "message" },
        );
      }
      const key = eventKey(message);
      const name = `${identity.name} ${key}`;
      const first = turns.get(name);
      const answer = this.#host.answers.get(name);
      if (first !== undefined) return await this.#readAlong(first);
      if (answer !== undefined) {
        this.#resolveTaken(false);
        return await this.#log.follow(ReplyLog.of(answer, this.#texts).read());
      }
      this.#enlist(identity.name, key);
      const waitMs = this.#isOutgoing ? 0 : (this.#host.limits?.known(message) ?? 0);
      if (waitMs > 0) return await this.#refuse(limited(waitMs, this.#texts));
      const body: StoredTurn = { v: 1, speaker: identity.speaker, message: storeMessage(message) };
      const isOutgoing = this.#isOutgoing;
      const taken = await owner.lane(identity.name).take(
        {
          key,
          overlap: isOutgoing ? "queue" : settings.overlap,
          // Unlike all others: no message of the person interrupts it.
          mergeKey: isOutgoing ? "" : mergeKey(message),
          body: { ...body, ...(isOutgoing ? { isOutgoing } : {}) } as unknown as JsonValue,
          ...(this.#adapter === undefined ? {} : { place: deliveryPlace(message) }),
        },
        settings.queueLimit,
        settings.storeTimeout,
        this.#adapter && (async () => (await this.#deliverer.run()) !== "left"),
      );
      if (taken.is === "taken") {
        this.#place = taken.place;
        return identity;
      }
      return await this.#refuse(notice(taken.is, this.#texts));
    } catch (error) {
      const failure = turnFailed(error);
      settings.logger.error("a message was not taken", describeError(failure));
      settings.onError(failure, { stage: "take", sessionName });
      this.#log.fail(failure);
      this.#rejectTaken(failure);
      await this.#deliverer.run();
    }
    return undefined;
  }

  /** Is one of the turns of this process until it ends. */
  #enlist(lane: string, key: string): void {
    this.#name = `${lane} ${key}`;
    this.#host.turns.set(this.#name, this);
  }

  /** Tells that the message is not taken. One that was handled before is nothing to tell of. */
  async #refuse(why: Notice): Promise<undefined> {
    this.#resolveTaken(false);
    this.#log.push(why);
    this.#log.end();
    if (why.code !== "duplicate") await this.#deliverer.run();
  }

  /** The same message is being answered here: whoever asks again reads along, and its platform is told no more. */
  async #readAlong(first: LiveTurn): Promise<undefined> {
    try {
      await first.reply.taken;
      this.#resolveTaken(false);
    } catch (error) {
      this.#rejectTaken(error);
    }
    await this.#log.follow(first.reply);
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
    if (place.attempt > 1) this.#stop.hold();
    void place.stopped.then((reason) => this.#stop.stop(reason));
    const watch = new TurnWatch(place, this.message.platform, clock);
    try {
      this.#session = new Session(name, speaker, place, this.#stop, place.record);
      if (!this.#log.hasEnded) {
        if (place.attempt > maxAttempts) throw diedTooOften();
        await this.#stop.withGrace(this.#answer(place, this.#session, watch), clock);
        this.#log.sayRest();
        this.#log.end();
      }
    } catch (error) {
      this.#fail(error, place, watch);
    }
    cancelTimer();
    this.#answering?.dropNote();
    try {
      await this.#end(place);
    } catch (error) {
      // Another owner's by now, which is no failure of this one.
      if (!place.isLost) {
        logger.error("a turn could not be ended", describeError(error));
        this.#report(error, "end");
      }
    }
    watch.tell("end");
  }

  async #answer(place: Place, session: Session, watch: TurnWatch): Promise<void> {
    if (this.#isOutgoing) {
      this.#log.say({ type: "message", text: this.message.text });
      return;
    }
    if (this.#hasWaited && !(await this.#reread())) return;
    this.#answering = new Answering({
      host: this.#host,
      place,
      session,
      message: this.message,
      adapter: this.#adapter,
      texts: this.#texts,
      log: this.#log,
      stop: this.#stop,
      watch,
    });
    await this.#answering.run();
  }

  /** @returns false when its person took the message back */
  async #reread(): Promise<boolean> {
    const { message } = this;
    const giveUp = new AbortController();
    const late = () => {
      giveUp.abort();
      return new AparteError("turn-timeout", "The platform did not give the message in time.");
    };
    try {
      const again = this.#adapter?.reread?.(message, AbortSignal.any([this.#stop.signal, giveUp.signal]));
      const read = again === undefined ? message : await within(this.#host.clock, rereadMs, again, late);
      if (read !== undefined) this.message = { ...message, ...read };
      return read !== undefined;
    } catch (error) {
      this.#host.settings.logger.warn("a message could not be read again", describeError(error));
      return true;
    }
  }

  /** Ends a reply whose turn did not get to its end by itself. */
  #fail(error: unknown, place: Place, watch: TurnWatch): void {
    this.#log.sayRest();
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
      this.#report(failure, "answer");
    }
    watch.tell("error", { code: failure.code });
    this.#log.fail(failure);
  }

  #report(error: unknown, stage: TurnFailure["stage"]): void {
    const { lane: sessionName, mark: turnId } = this.#place ?? {};
    this.#host.settings.onError(error, { stage, sessionName, turnId, agent: this.#answering?.agent });
  }

  /** Waits until the platform has the answer, and ends the turn in its lane. */
  async #end(place: Place): Promise<void> {
    if (place.isLost) return;
    const session = this.#session;
    const outcome = await this.#deliverer.whole(place, session, !this.#isUnsent);
    if (place.isLost) return;
    if (outcome === "left") return this.#host.owner.release([place]);
    if (outcome === "refused" || outcome === "late") this.#giveUp(session, outcome);
    const mayComeAgain = this.#mayComeAgain;
    const hasFailed =
      this.#stop.reason !== undefined || this.#log.failure !== undefined || mayComeAgain !== undefined;
    // Before the turn ends: what erases the session next erases this, too.
    if (this.#adapter === undefined && !hasFailed && session?.changed !== null) {
      this.#host.answers.add(`${place.lane} ${place.key}`, this.#log.stored(0));
    }
    const how = { isUnsent: this.#isUnsent, mayComeAgain, forgets: session?.forgets };
    await place.end(session?.changed, how);
  }

  /**
   * Whether a caller may make the same call again, as its error says. A platform may bring an event twice, and the person is
   * told once.
   */
  get #mayComeAgain(): "own" | "all" | undefined {
    if (this.#adapter !== undefined) return undefined;
    if (this.#answering?.isLimited) return "all";
    return this.#log.failure?.retryable || this.#stop.reason === "stopped" ? "own" : undefined;
  }

  /** Interrupted before the agent got it: its words go to the turn that interrupted it, or run again. */
  get #isUnsent(): boolean {
    return this.#isInterrupted && this.#answering?.isSent !== true;
  }

  /** The platform will not have the answer: the person is told when they come back. */
  #giveUp(session: Session | undefined, why: "refused" | "late"): void {
    const { logger } = this.#host.settings;
    logger.error("an answer was given up: the platform did not take it", { session: session?.name, why });
    const text = this.#log.answer;
    if (text !== "") session?.keepUndelivered({ place: mergeKey(this.message), text });
  }
}

function filesLost(): AparteError {
  return new AparteError("answer-lost", "The turn's process died, and with it the message's files.");
}

function diedTooOften(): AparteError {
  return new AparteError("answer-lost", "The turn was set aside: each process that ran it died.");
}
