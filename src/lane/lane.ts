import { randomUUID } from "node:crypto";
import type { JsonValue } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import { describeError, type Logger } from "../logger.ts";
import type { Begun, Grant, LaneOwner, Lanes, NewTurn, SessionRecord, Store } from "../stores/old-store.ts";
import type { StopReason } from "../turn/message.ts";

/** How a turn got on in its lane. */
export type Entry =
  | { readonly is: "run"; readonly held: HeldLane }
  /** `left`: another process runs the turn, since this one closes or could not be reached. */
  | { readonly is: "duplicate" | "full" | "busy" | "merged" | "withdrawn" | "left" };

/** What ends a turn's waiting. */
type Woken = Grant | "merged" | "left";

/** The part of a lease that is kept free: a send that starts later might reach the platform after its end. */
const sendMargin = 0.1;

/** The longest pause before a failing store is tried again, in milliseconds. */
const longestPause = 500;

/** A lane whose turn this process runs, for as long as the lease is renewed. */
export class HeldLane {
  readonly grant: Grant;
  readonly #lanes: Lanes;
  readonly #leave: () => void;
  readonly #isPatient: () => boolean;
  readonly #abort = new AbortController();
  /** Called once when the lease is found to be lost. */
  onLost: () => void = () => {};
  #until: number;
  #isLost = false;
  #isInterrupted = false;
  #mayBeInterrupted = false;

  /** @param isPatient whether a store that fails is waited for */
  constructor(grant: Grant, lanes: Lanes, until: number, leave: () => void, isPatient: () => boolean) {
    this.grant = grant;
    this.#lanes = lanes;
    this.#until = until;
    this.#leave = leave;
    this.#isPatient = isPatient;
  }

  /**
   * Aborted when the turn must stop. `signal.reason` is an {@link AparteError} (`lease-lost`) or a
   * {@link StopReason}.
   */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether the lease still runs, by this process's monotonic clock: after a freeze it is found out at once. */
  get isHeld(): boolean {
    if (performance.now() >= this.#until) this.lose();
    return !this.#isLost;
  }

  /** @throws {AparteError} `lease-lost` */
  assertHeld(): void {
    if (!this.isHeld) throw leaseLost();
  }

  renewed(until: number): void {
    this.#until = until;
  }

  lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#abort.abort(leaseLost());
    this.onLost();
  }

  /** A later turn interrupts this one: stops it, if it may be interrupted (operations may not). */
  interrupt(): void {
    this.#isInterrupted = true;
    if (this.#mayBeInterrupted) this.stop("interrupted");
  }

  /** Lets later turns interrupt this one. */
  allowInterrupt(): void {
    this.#mayBeInterrupted = true;
    if (this.#isInterrupted) this.stop("interrupted");
  }

  /** @param reason why, or the error that the reply shall end with. */
  stop(reason: StopReason | AparteError): void {
    this.#abort.abort(reason);
  }

  note(facts: JsonValue): Promise<void> {
    return this.#lanes.note(this.grant, facts);
  }

  save(record: SessionRecord): Promise<void> {
    return this.#lanes.save(this.grant, record);
  }

  /**
   * Ends the turn. Where the store keeps turns, a failing one is tried again until it is back: the reply is out,
   * and whoever took the turn over would send it again.
   */
  async end(record?: SessionRecord | null): Promise<void> {
    try {
      for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, longestPause)) {
        try {
          return await this.#lanes.end(this.grant, record);
        } catch (error) {
          if (!(error instanceof AparteError)) throw error;
          // After a failure of which nobody knows what it did, the turn may well have ended.
          if (error.code === "lease-lost" && waitMs > 50) return;
          if (!this.#isPatient() || !error.code.startsWith("store-")) throw error;
        }
        await pause(waitMs);
      }
    } finally {
      this.#leave();
    }
  }

  /** Ends the turn without an answer; the next delivery of its event goes on with it. */
  async park(): Promise<void> {
    this.#leave();
    await this.#lanes.park(this.grant);
  }

  /** Lets the lease run out: another owner, or this process after its restart, goes on with the turn. */
  abandon(): void {
    this.#leave();
  }
}

export interface LaneClientOptions {
  readonly store: Store;
  readonly leaseTime: number;
  readonly waitTimeout: number;
  readonly logger: Logger;
  /** The platforms to which this process can deliver. */
  readonly platforms: () => readonly string[];
  /** Runs a turn whose owner died. */
  readonly takenOver: (held: HeldLane) => void;
}

/** This process's part in the lanes: enters turns, waits for their grants, renews leases, takes over. */
export class LaneClient {
  readonly #options: LaneClientOptions;
  readonly #lanes: Lanes;
  readonly #held = new Map<string, HeldLane>();
  readonly #waiting = new Map<string, (entry: Woken) => void>();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;
  #left = false;
  #isStopped = false;

  constructor(options: LaneClientOptions) {
    this.#options = options;
    const owner: LaneOwner = {
      id: randomUUID(),
      leaseMs: options.leaseTime,
      granted: (grant, since) => this.#granted(grant, since),
      merged: (lane, key) => this.#waiting.get(name(lane, key))?.("merged"),
      taken: (lane, key) => this.#waiting.get(name(lane, key))?.("left"),
      interrupted: (lane, key) => this.#held.get(name(lane, key))?.interrupt(),
    };
    this.#lanes = options.store.join(owner);
  }

  /** Looks for turns that died with another process, now and from then on. */
  start(): void {
    if (this.#timer !== undefined || this.#left) return;
    this.#timer = setInterval(() => this.#tick(), this.#options.leaseTime / 3);
    this.#timer.unref();
    this.#tick();
  }

  /**
   * Takes a turn into its lane and waits until it may run.
   * @param taken called when the turn is recorded; `leave` takes it out again while it waits.
   * @throws {AparteError} `store-…`: the turn was not taken, as far as is known; `wait-timeout`.
   */
  async enter(turn: NewTurn, taken: (begun: Begun, leave: () => void) => void): Promise<Entry> {
    this.start();
    const id = name(turn.lane, turn.key);
    // The grant of a waiting turn may come before the answer of `begin`.
    let wake: (entry: Woken) => void = () => {};
    let granted: Grant | undefined;
    const woken = new Promise<Woken>((resolve) => {
      wake = (entry) => {
        if (typeof entry === "object") granted = entry;
        resolve(entry);
      };
    });
    const from = performance.now();
    let begun: Begun;
    const earlier = this.#waiting.get(id);
    if (earlier === undefined) this.#waiting.set(id, wake);
    try {
      begun = await this.#lanes.begin(turn);
    } catch (error) {
      if (earlier === undefined) this.#waiting.delete(id);
      if (granted === undefined) throw error;
      begun = { is: "run", grant: granted };
    }
    // The grant of an earlier delivery, whose `begin` was answered too late: nobody else waits for it.
    if (begun.is !== "run" && begun.is !== "wait" && granted !== undefined)
      begun = { is: "run", grant: granted };
    if (begun.is === "run") {
      this.#waiting.delete(id);
      const known = this.#held.get(id);
      const held = known?.grant === begun.grant ? known : this.#hold(begun.grant, from);
      taken(begun, noop);
      return { is: "run", held };
    }
    if (begun.is !== "wait") {
      if (earlier === undefined) this.#waiting.delete(id);
      taken(begun, noop);
      return begun;
    }
    this.#waiting.set(id, wake);
    let leave = noop;
    const left = new Promise<"left-by-caller">((resolve) => {
      leave = () => resolve("left-by-caller");
    });
    taken(begun, leave);
    return this.#wait(turn, woken, left);
  }

  async #wait(turn: NewTurn, woken: Promise<Woken>, left: Promise<"left-by-caller">): Promise<Entry> {
    const id = name(turn.lane, turn.key);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), this.#options.waitTimeout);
    });
    try {
      let entry = await Promise.race([woken, left, late]);
      if (entry === "late" || entry === "left-by-caller") {
        const why = entry;
        if (await this.#lanes.withdraw(turn.lane, turn.key)) {
          if (why === "left-by-caller") return { is: "withdrawn" };
          throw new AparteError("wait-timeout", "The turn waited too long behind others and was not run.");
        }
        // Its turn has just come, or another process has adopted it while this one was frozen.
        entry = await Promise.race([woken, after(this.#options.leaseTime)]);
      }
      if (entry === "merged" || entry === "left") return { is: entry };
      return { is: "run", held: this.#held.get(id) ?? this.#hold(entry, performance.now()) };
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #granted(grant: Grant, since = performance.now()): void {
    const held = this.#hold(grant, since);
    const waiting = this.#waiting.get(name(grant.lane, grant.turn.key));
    if (waiting !== undefined) waiting(grant);
    // Nobody waits here: the owner died, the answer of `begin` was lost on its way, or the caller gave up.
    else this.#options.takenOver(held);
  }

  #hold(grant: Grant, from: number): HeldLane {
    const id = name(grant.lane, grant.turn.key);
    const leave = () => {
      if (this.#held.get(id) === held) this.#held.delete(id);
    };
    const isPatient = () => this.#options.store.durable && !this.#isStopped;
    const held: HeldLane = new HeldLane(grant, this.#lanes, this.#leaseEnd(from), leave, isPatient);
    this.#held.set(id, held);
    return held;
  }

  #leaseEnd(from: number): number {
    return from + this.#options.leaseTime * (1 - sendMargin);
  }

  #tick(): void {
    this.#ticking ??= this.#renewAndTakeOver()
      .catch((error) => {
        this.#options.logger.warn("leases could not be renewed", describeError(error));
        // Those that have run out by now stop their turns.
        for (const held of this.#held.values()) void held.isHeld;
      })
      .finally(() => {
        this.#ticking = undefined;
      });
  }

  async #renewAndTakeOver(): Promise<void> {
    const held = [...this.#held.values()];
    const from = performance.now();
    const lost = new Set(await this.#lanes.renew(held.map(({ grant }) => grant)));
    for (const lane of held) {
      if (lost.has(lane.grant)) lane.lose();
      else lane.renewed(this.#leaseEnd(from));
    }
    if (this.#left) return;
    for (const grant of await this.#lanes.takeOver(this.#options.platforms())) this.#granted(grant, from);
  }

  /** Takes no turn any more; those that wait are left to other processes. Leases go on being renewed. */
  async leave(): Promise<void> {
    this.#left = true;
    await this.#lanes.leave();
    for (const wake of this.#waiting.values()) wake("left");
  }

  stop(): void {
    this.#left = true;
    this.#isStopped = true;
    clearInterval(this.#timer);
  }
}

function after(milliseconds: number): Promise<"left"> {
  return new Promise((resolve) => setTimeout(() => resolve("left"), milliseconds).unref());
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function noop(): void {}

function leaseLost(): AparteError {
  return new AparteError("lease-lost", "The turn's lease ran out; another process goes on with the turn.");
}

function name(lane: string, key: string): string {
  return `${lane} ${key}`;
}
