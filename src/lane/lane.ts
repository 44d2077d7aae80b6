import { timer } from "../clock.ts";
import { AparteError, asAparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { Commit, Committed, FoundLane } from "../stores/store.ts";
import { type Command, findTurn, type LaneDocument, type LaneTurn, type Outcome } from "./machine.ts";
import type { Owner } from "./owner.ts";
import { leaseLost, markOf, Place } from "./place.ts";
import { isHeld, isTaking, planCommit, type Wanted } from "./plan.ts";

/** A turn as it is handed to a lane. */
export type NewTurn = Omit<LaneTurn, "owner" | "attempt" | "phase">;

/** What became of a turn that was handed to a lane. */
export type Taken =
  /** It is recorded. */
  | { readonly is: "taken"; readonly place: Place }
  /** Taken before. `place`: it is under way in this process. */
  | { readonly is: "duplicate"; readonly place?: Place }
  /** Not taken, and not remembered: one runs and the turn's overlap is `reject`, or too many wait. */
  | { readonly is: "busy" | "full" };

/** A command that was not yet committed. */
interface Pending extends Wanted {
  /** The owner's clock, from which on the command is given up while the store fails. */
  readonly giveUpAt: number;
  /** Of a take: tells whoever brought the turn that it is not taken. False where that is left to others. */
  readonly tell: (() => Promise<boolean>) | undefined;
  /** It was sent to the store, which may do it until then, by the store's time. */
  sentUntil: number | undefined;
  isUnsure: boolean;
  isMarked: boolean;
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
}

interface Applied {
  readonly outcome: Outcome;
  /** Of a turn that was taken. */
  readonly place?: Place;
}

/** The longest pause before a failing store is tried again, in milliseconds, and the first one. */
const longestPause = 500;
const firstPause = 25;

/** How often a commit may lose against others before it waits a little, and how long at most, in milliseconds. */
const patientTries = 3;
const conflictPause = 10;

/**
 * This owner's side of one lane. Commands are applied one after another; those that gather while a commit is under way
 * go together in the next one, so that a process never races itself. A commit goes against what was seen last: it
 * tells what is true where that was out of date, and the commands are decided anew.
 */
export class Lane {
  readonly name: string;
  readonly #owner: Owner;
  #seen: Pick<FoundLane, "version" | "document" | "record"> = {
    version: 0,
    document: undefined,
    record: undefined,
  };
  #pending: Pending[] = [];
  readonly #places = new Map<string, Place>();
  /**
   * Turns that are being taken back: should the store have them, they are not run, and nobody carries their words. With
   * the store's time until when it may still do what was asked of it.
   */
  readonly #withdrawn = new Map<string, number | undefined>();
  #mustLook = false;
  #isWorking = false;
  #isLost = false;
  /** When the lane was last seen as the store has it, by the owner's clock. */
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, owner: Owner) {
    this.name = name;
    this.#owner = owner;
  }

  get #document(): LaneDocument | undefined {
    return this.#seen.document as LaneDocument | undefined;
  }

  /** Whether nothing of this owner is under way here. */
  get isIdle(): boolean {
    const isWaitedFor = this.#places.size > 0 || this.#pending.length > 0 || this.#hasWaiting;
    return !isWaitedFor && !this.#isWorking && !this.#mustLook && this.#withdrawn.size === 0;
  }

  /** Whether turns of this owner wait here: those that were taken over have no place before they run. */
  get #hasWaiting(): boolean {
    const { id } = this.#owner;
    return this.#document?.waiting.some(({ owner }) => owner === id) ?? false;
  }

  get places(): Iterable<Place> {
    return this.#places.values();
  }

  /**
   * Takes a turn. Resolves when it is recorded, or not taken.
   * @param limit how many turns may wait
   * @param patienceMs how long a store that fails is waited for
   * @param tell tells the person of a turn that is not taken; false where this process closes and could not
   * @throws {AparteError} `store-failed`, `store-timeout`: it was not taken. Should the store have done it all the
   * same, it is taken back once its person was told.
   */
  async take(
    turn: NewTurn,
    limit: number,
    patienceMs: number,
    tell?: () => Promise<boolean>,
  ): Promise<Taken> {
    const known = this.#places.get(turn.key);
    if (known !== undefined) return { is: "duplicate", place: known };
    const isTaking = this.#pending.some(({ command }) => broughtKey(command) === turn.key);
    if (isTaking) return { is: "duplicate" };
    // What is spread stands last: what follows a spread costs V8 two microseconds a field.
    const owned: LaneTurn = { owner: this.#owner.id, attempt: 0, phase: "taken", ...turn };
    const command: Command = { do: "take", turn: owned, limit };
    const giveUpAt = this.#owner.clock.now() + patienceMs;
    let applied: Applied;
    try {
      // It may be wanted again, after it was taken in vain: then it was sent before.
      applied = await this.#apply(command, giveUpAt, { sentUntil: this.#withdrawn.get(turn.key), tell });
    } catch (error) {
      if (!this.#isLost || this.#owner.isStopped) throw error;
      // The owner was taken for dead, and goes on under a new id. Should the store have the turn under the former one,
      // it tells, and others go on with it: so its time begins anew, since nobody may be told before that it was not taken.
      return this.#owner.lane(this.name).take(turn, limit, patienceMs, tell);
    }
    const { outcome, place } = applied;
    if (place !== undefined) return { is: "taken", place };
    const leftMs = () => Math.max(0, giveUpAt - this.#owner.clock.now());
    if (outcome === "duplicate" && (await this.#isLeft(turn.key, leftMs()))) {
      return this.#owner.lane(this.name).take(turn, limit, leftMs(), tell);
    }
    return { is: outcome === "busy" || outcome === "full" ? outcome : "duplicate" };
  }

  /**
   * Applies a command to the lane's document, and commits it.
   * @param record the session's; null deletes it, undefined leaves it as it is
   * @param patienceMs how long a store that fails is waited for; otherwise as long as it must
   * @throws {AparteError} `lease-lost` when the turn is not this owner's any more
   */
  async change(
    command: Command,
    record?: JsonValue | null,
    patienceMs: number = Number.POSITIVE_INFINITY,
  ): Promise<Outcome> {
    const { outcome } = await this.#apply(command, this.#owner.clock.now() + patienceMs, { record });
    if (outcome === "lost") throw leaseLost();
    return outcome;
  }

  /** Takes back a turn that waits. @returns false if it runs, or is not this owner's any more. */
  async withdraw(place: Place, isStopped: boolean): Promise<boolean> {
    const { key } = place;
    // Merged: whoever carries its words runs.
    if (place.isRunning || this.#places.get(key) !== place) return false;
    place.isEnding = true;
    this.#withdrawn.set(key, undefined);
    const command: Command = { do: "withdraw", key, owner: this.#owner.id, isStopped };
    const { outcome } = await this.#apply(command, Number.POSITIVE_INFINITY);
    if (outcome === "lost") {
      // Merged meanwhile, or taken over: the document tells.
      place.isEnding = false;
      this.#observe();
      return false;
    }
    this.#places.delete(key);
    return true;
  }

  /** Whether a turn was that of an owner that is dead: where its event comes again, nobody may have looked yet. */
  async #isLeft(key: string, patienceMs: number): Promise<boolean> {
    const { is, turn } = findTurn(this.#document, key) ?? {};
    // What its person wanted to stop is not gone on with for this call.
    if (turn === undefined || is === "parked" || turn.isStopped) return false;
    // It stays the dead one's, however often it is looked at here.
    if (turn.place !== undefined && !this.#owner.canDeliver(turn.place)) return false;
    // A store that fails does not say that it is dead.
    return this.#owner.succeed(turn.owner, this, patienceMs).catch(() => false);
  }

  /** Goes on with the turns of an owner that is dead. */
  async takeOver(from: string): Promise<void> {
    const { id, canDeliver } = this.#owner;
    await this.#apply({ do: "takeOver", from, owner: id, canDeliver }, Number.POSITIVE_INFINITY);
  }

  /** Wants turns to stop, of whichever owner. @param isMeant tells which, by their bodies. @returns whether there were any */
  async stop(isMeant: (body: JsonValue) => boolean): Promise<boolean> {
    const { clock, storeTimeout } = this.#owner;
    try {
      return (await this.#apply({ do: "stop", isMeant }, clock.now() + storeTimeout)).outcome === "done";
    } catch (error) {
      if (!this.#isLost || this.#owner.isStopped) throw error;
      // The owner was taken for dead: it goes on under a new id, and whoever has the turns now is told.
      return this.#owner.lane(this.name).stop(isMeant);
    }
  }

  /** Puts marks of events that ended a moment ago back into a store that lost them. */
  async restoreMarks(restoredMarks: readonly string[]): Promise<void> {
    await this.#apply(undefined, Number.POSITIVE_INFINITY, { restoredMarks });
  }

  /** Looks what the store has, after other commands that are under way. */
  look(): void {
    this.#mustLook = true;
    this.#start();
  }

  /** Looks if news is waited for here and none was heard for a while: a wake may have been lost. */
  lookIfOverdue(): void {
    const { clock, leaseTime } = this.#owner;
    if (clock.now() - this.#seenAt < leaseTime) return;
    if (!this.#hasWaiting && this.#places.size === 0) return;
    const { running } = this.#document ?? {};
    if (running !== undefined && running.owner !== this.#owner.id) this.#owner.suspect(running.owner, this);
    this.look();
  }

  /** The place is over: its turn has ended, or is another owner's. */
  drop(place: Place): void {
    if (this.#places.get(place.key) === place) this.#places.delete(place.key);
    if (this.isIdle) this.#owner.forget(this);
  }

  /** The owner was taken for dead: all that is here is another's. */
  lose(): void {
    this.#isLost = true;
    for (const place of this.#places.values()) place.lose();
    for (const { reject } of this.#pending.splice(0)) reject(leaseLost());
    this.#places.clear();
  }

  #apply(
    command: Command | undefined,
    giveUpAt: number,
    { record, restoredMarks, sentUntil, tell }: Partial<Pending> = {},
  ): Promise<Applied> {
    if (this.#isLost) return Promise.reject(leaseLost());
    // It would wait for a sign of life that never comes.
    if (this.#owner.isStopped) {
      return Promise.reject(new AparteError("closed", "The mapper is closing and takes nothing new."));
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        command,
        record,
        restoredMarks,
        giveUpAt,
        tell,
        sentUntil,
        isUnsure: sentUntil !== undefined,
        isMarked: false,
        resolve,
        reject,
      };
      const at = goesFirst(pending)
        ? this.#pending.findIndex(({ command }) => command?.do !== "restore")
        : -1;
      this.#pending.splice(at < 0 ? this.#pending.length : at, 0, pending);
      this.#start();
    });
  }

  #start(): void {
    if (this.#isWorking || this.#isLost) return;
    this.#isWorking = true;
    this.#work().catch((error) => {
      this.#isWorking = false;
      this.#owner.failed("a lane could not go on", error, { session: this.name });
    });
  }

  async #work(): Promise<void> {
    const { store } = this.#owner;
    // Whether what was seen last is what the store has at this moment: only then may it refuse a command.
    let isFresh = false;
    let failures = 0;
    let conflicts = 0;
    while ((this.#pending.length > 0 || this.#mustLook) && !this.#isLost) {
      if (!this.#owner.isAlive) {
        isFresh = false;
        // Not as long as those that wait now can: what comes meanwhile may be given up earlier.
        await this.#owner.alive(Math.min(this.#patience(), longestPause));
        this.#giveUp(storeWasAway());
        continue;
      }
      const batch = [...this.#pending];
      const plan = isFresh || !this.#mustLook ? this.#plan(batch) : undefined;
      if (plan !== undefined && plan.commit === undefined && isFresh) {
        this.#settle(batch, plan.outcomes);
        this.#observe();
        // Whoever woke this lane meanwhile may know of something newer.
        isFresh = false;
        continue;
      }
      let answer: Committed | FoundLane;
      const mustLook = this.#mustLook;
      try {
        if (plan?.commit === undefined) {
          // What wakes this lane from now on may be newer than what is read.
          this.#mustLook = false;
          answer = await store.read(this.name);
        } else {
          for (const [index, pending] of batch.entries()) {
            // What is not taken by it, since it is here already or refused, need not be taken back either.
            const isInIt = pending.command?.do !== "take" || isHeld(plan.outcomes[index] ?? "lost");
            if (isInIt) pending.sentUntil = plan.commit.until;
          }
          answer = await store.commit(plan.commit);
        }
      } catch (error) {
        isFresh = false;
        this.#mustLook ||= mustLook;
        failures += 1;
        for (const pending of batch) pending.isUnsure = pending.sentUntil !== undefined;
        this.#giveUp(
          asAparteError(error, "store-failed", "The store failed. The cause is kept in the error."),
        );
        const wait = Math.min(firstPause * 2 ** failures, longestPause, this.#patience());
        await this.#owner.pause(wait * (0.5 + this.#owner.clock.random() / 2));
        continue;
      }
      failures = 0;
      if (this.#isLost) break;
      this.#owner.heard(answer.now);
      this.#seenAt = this.#owner.clock.now();
      if (plan !== undefined && "is" in answer && answer.is === "done") {
        const { record = answer.record, document } = plan.commit ?? {};
        this.#seen = { version: answer.version, document, record };
        isFresh = false;
        this.#settle(batch, plan.outcomes);
        this.#observe();
        for (const owner of answer.unheard) this.#owner.suspect(owner, this);
        continue;
      }
      isFresh = true;
      const refused = "is" in answer ? answer : undefined;
      if (refused?.is === "late") this.#giveUp(storeWasAway());
      else if (refused?.is === "duplicate") this.#noteMarks(batch, refused.duplicates);
      else if (refused?.is === "changed") {
        conflicts += 1;
        if (conflicts > patientTries) {
          await this.#owner.pause(this.#owner.clock.random() * conflictPause);
          isFresh = false;
        }
      }
      this.#see(answer as FoundLane);
    }
    // In the same breath as the last look at what is pending: what comes next must find that nobody works.
    this.#isWorking = false;
    if (this.isIdle) this.#owner.forget(this);
  }

  /** What the store has, as it was just told. */
  #see({ version, document, record }: FoundLane): void {
    const isOlder = version < this.#seen.version;
    if (document !== undefined && (document as { v?: unknown }).v !== 1) {
      this.#refuseDocument();
      return;
    }
    this.#seen = { version, document, record };
    this.#observe(isOlder);
  }

  /** A document of a newer version, or none of ours: nothing is done in this lane, and nothing overwritten. */
  #refuseDocument(): void {
    const error = new AparteError(
      "store-unreadable",
      "The lane's document is of a newer version of aparte, or damaged. Update aparte, or remove the document.",
    );
    this.#owner.failed("a lane cannot be read", error, { session: this.name });
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }

  #plan(batch: readonly Pending[]): { readonly outcomes: readonly Outcome[]; readonly commit?: Commit } {
    const now = this.#owner.storeNow();
    const { outcomes, commit } = planCommit(this.name, this.#document, batch, this.#owner.id, now);
    if (commit === undefined) return { outcomes };
    // Not done after it was given up: whoever gave it was told so.
    const until = now + Math.max(1, Math.min(this.#owner.storeTimeout, this.#patience()));
    return { outcomes, commit: { lane: this.name, version: this.#seen.version, until, ...commit } };
  }

  #settle(batch: readonly Pending[], outcomes: readonly Outcome[]): void {
    // What came meanwhile stands behind the batch; what was given up meanwhile is no longer in it.
    this.#pending = this.#pending.filter((pending) => !batch.includes(pending));
    for (const [index, pending] of batch.entries()) {
      const { command, isUnsure, resolve } = pending;
      const outcome = outcomes[index] ?? "lost";
      // An earlier try was sent, and may come to the store once more.
      const isRefused = outcome === "busy" || outcome === "full";
      if (command?.do === "take" && isRefused) this.#takeBack(pending);
      if (command?.do === "take" && isHeld(outcome)) {
        const { key } = command.turn;
        const place = new Place(key, this, this.#owner);
        this.#places.set(key, place);
        this.#keepTaken(key);
        this.#owner.remember(place);
        resolve({ outcome, place });
        continue;
      }
      if (command?.do === "withdraw" && !this.#mayCome(command.key)) this.#withdrawn.delete(command.key);
      if (command?.do === "restore") {
        if (outcome === "lost") this.#places.get(command.turn.key)?.lose();
        else this.#owner.lostByStore();
      }
      // Its turn is gone since the first try was done, whose answer never came.
      const wasDone = isUnsure && outcome === "lost" && leaves(command);
      resolve({ outcome: wasDone ? "done" : outcome });
    }
  }

  /**
   * Tells the places of this owner what has become of their turns.
   * @param isOlder the store went back to an earlier time
   */
  #observe(isOlder = false): void {
    const document = this.#document;
    const { id } = this.#owner;
    for (const place of [...this.#places.values()]) {
      const found = findTurn(document, place.key);
      if (place.isEnding) {
        // Its end is still to be written, with the session's record: a store that has lost the turn gets it back first.
        if (found === undefined && place.isRunning && this.#isLeaving(place)) this.#restore(place);
        continue;
      }
      const isOwn = found?.turn.owner === id;
      if (found?.is === "merged") place.merge();
      else if (found === undefined || isOlder) this.#restore(place);
      else if (!isOwn) place.lose();
      else if (found.is === "runs") {
        if (!this.#isHeldBack(found.turn)) place.run(found.turn, this.#seen.record, document);
      } else if (place.isRunning) place.lose();
      else place.wait(found.turn);
    }
    const { running } = document ?? {};
    if (running === undefined || running.owner !== id || this.#places.has(running.key)) return;
    if (this.#isHeldBack(running)) return;
    const place = new Place(running.key, this, this.#owner);
    this.#places.set(running.key, place);
    place.run(running, this.#seen.record, document);
    this.#owner.adopt(place);
  }

  /** Whether it is still open which words the turn has: one of its messages is being taken, or taken back. */
  #isHeldBack({ key, carries = [] }: LaneTurn): boolean {
    return [key, ...carries.map((carried) => carried.key)].some(
      (one) => this.#withdrawn.has(one) || this.#pending.some(({ command }) => broughtKey(command) === one),
    );
  }

  #isLeaving(place: Place): boolean {
    return this.#pending.some(({ command }) => leaves(command) && command.key === place.key);
  }

  /** The store has lost a turn of this owner, or what was written of it. */
  #restore(place: Place): void {
    const { turn } = place;
    if (turn === undefined) {
      place.lose();
      return;
    }
    const isPending = this.#pending.some(
      ({ command }) => command?.do === "restore" && broughtKey(command) === place.key,
    );
    if (isPending) return;
    this.#apply({ do: "restore", turn, wasRunning: place.isRunning }, Number.POSITIVE_INFINITY).catch(
      () => {},
    );
  }

  #noteMarks(batch: readonly Pending[], duplicates: readonly string[]): void {
    const found = new Set(duplicates);
    for (const pending of batch) {
      const { command } = pending;
      if (isTaking(command) && found.has(markOf(this.name, command.turn.key))) pending.isMarked = true;
    }
  }

  /** How long the next command that is given up can still wait, in milliseconds. */
  #patience(): number {
    const first = Math.min(...this.#pending.map(({ giveUpAt }) => giveUpAt));
    return Math.max(0, first - this.#owner.clock.now());
  }

  /** Gives up commands whose time is over. Where one may have been done all the same, it is taken back. */
  #giveUp(error: AparteError): void {
    const now = this.#owner.clock.now();
    const over = this.#pending.filter(({ giveUpAt }) => giveUpAt <= now);
    if (over.length === 0) return;
    this.#pending = this.#pending.filter((pending) => !over.includes(pending));
    for (const pending of over) {
      this.#takeBack(pending);
      pending.reject(error);
    }
  }

  /** It was wanted again, and is taken: what was to take it back, for which only the end of the process waits, is not done. */
  #keepTaken(key: string): void {
    this.#withdrawn.delete(key);
    const takesBack = ({ command }: Pending) =>
      command?.do === "withdraw" && command.isUntaken === true && command.key === key;
    const undone = this.#pending.filter(takesBack);
    this.#pending = this.#pending.filter((pending) => !undone.includes(pending));
    for (const { resolve } of undone) resolve({ outcome: "lost" });
  }

  /** Takes back what is not wanted any more. A request that is late, or comes twice, may still do it until then. */
  #takeBack({ command, sentUntil, tell }: Pending): void {
    const key = broughtKey(command);
    if (key === undefined || sentUntil === undefined) return;
    this.#withdrawn.set(key, sentUntil);
    const { clock, storeTimeout } = this.#owner;
    const overdue = () => timer(clock, Math.max(0, sentUntil - this.#owner.storeNow())).over;
    const withdraw = async () => {
      await overdue();
      // Others may have seen it taken: should this process die before its person was told, they go on with it.
      const late = timer(clock, storeTimeout);
      const telling = tell?.().catch(() => false) ?? true;
      const isTold = await Promise.race([telling, late.over.then(() => false)]);
      late.end();
      // A process that closes, and could not tell its person, leaves the turn to others.
      if (!isTold && this.#owner.isLeaving) return;
      while (this.#withdrawn.get(key) === sentUntil) {
        const command: Command = { do: "withdraw", key, owner: this.#owner.id, isUntaken: true };
        await this.#apply(command, Number.POSITIVE_INFINITY);
        // The store has told its time: it may be earlier than was believed.
        await overdue();
      }
    };
    this.#owner.track(withdraw());
  }

  /** Whether the store may still take a turn that is not wanted any more. */
  #mayCome(key: string): boolean {
    return (this.#withdrawn.get(key) ?? Number.NEGATIVE_INFINITY) > this.#owner.storeNow();
  }
}

/**
 * What is put back goes before what is to be done with it; and what is taken back before what others do, who might carry
 * its words: the last of several first, since each may carry those before it.
 */
function goesFirst({ command }: Pending): boolean {
  return command?.do === "withdraw" || command?.do === "restore";
}

type Leaving = Command & ({ do: "end" } | { do: "release" } | { do: "withdraw" });

/** Whether the command takes a turn out of the lane, or to another owner. */
function leaves(command: Command | undefined): command is Leaving {
  return command?.do === "end" || command?.do === "release" || command?.do === "withdraw";
}

/** The key of the turn that a command brings into the lane; undefined for other commands. */
function broughtKey(command: Command | undefined): string | undefined {
  return isTaking(command) ? command.turn.key : undefined;
}

export function storeWasAway(): AparteError {
  return new AparteError(
    "store-timeout",
    "The store was away for longer than `storeTimeout`. Look whether its server is up.",
  );
}
