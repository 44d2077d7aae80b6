import { randomUUID } from "node:crypto";
import { BriefMap } from "../brief-map.ts";
import { type Clock, timer, within } from "../clock.ts";
import { describeError, type Logger } from "../logger.ts";
import type { Store } from "../stores/store.ts";
import { Lane, storeWasAway } from "./lane.ts";
import type { Place } from "./place.ts";

export interface OwnerOptions {
  readonly store: Store;
  /** How long a process that has died keeps its turns from others, in milliseconds. */
  readonly leaseTime: number;
  /** How long a command may take from when it was given to when the store has done it, in milliseconds. */
  readonly storeTimeout: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether this process can deliver to a place. */
  readonly canDeliver: (place: string) => boolean;
  /** Runs a turn that nobody in this process waits for: another owner of it died. */
  readonly adopt: (place: Place) => void;
  /** What is to end before this process does. */
  readonly track: (work: Promise<unknown>) => void;
}

/** The part of a lease that is kept free: what is sent later might reach the platform after its end. */
const sendMargin = 0.1;

/**
 * The store may have been away where two signs of life are further apart than this part of a lease: signs come each third
 * of one, so that nobody is overdue for an outage of less than two thirds.
 */
const missedShare = 0.6;

/** How many lanes of dead owners are gone on with at the same time. */
const takenAtOnce = 100;

/** How long marks are remembered that a store which goes back in time may have lost, in milliseconds; and how many. */
const rememberedMs = 5_000;
const rememberedMarks = 20_000;

/** How often what a store has lost is put back at most, in milliseconds: many lanes show one loss. */
const putBackEvery = 1_000;

/**
 * One running mapper, as the store knows it: alive or dead. It gives signs of life, keeps its sides of the lanes, and
 * goes on with the turns of owners that are dead.
 *
 * It trusts its own monotonic clock, started before a sign of life was sent: past its lease it sends nothing until one
 * has gone through again. So whoever buries an owner knows that it is silent. One that comes back unburied goes on as
 * if nothing had been; one that finds itself buried drops its turns and starts under a new id.
 */
export class Owner {
  readonly store: Store;
  readonly clock: Clock;
  readonly leaseTime: number;
  readonly storeTimeout: number;
  readonly canDeliver: (place: string) => boolean;
  readonly #options: OwnerOptions;
  readonly #lanes = new BriefMap<Lane>();
  #id: string = randomUUID();
  /** Until when this process may send something, by its own clock. */
  #trustedUntil = Number.NEGATIVE_INFINITY;
  /** Until when the store takes it for alive, by the store's time, as far as was heard. */
  #until: number | undefined;
  /** The store's time less this process's own; undefined before it was heard. */
  #storeOffset: number | undefined;
  #beating: Promise<void> | undefined;
  #cancelBeat = () => {};
  #cancelLapse = () => {};
  #isStarted = false;
  #isLeaving = false;
  #isStopped = false;
  #listening: Promise<() => void> | undefined;
  readonly #waiting = new Set<() => void>();
  /** Owners that the store does not know, since when, by this process's clock. */
  readonly #unknown = new Map<string, number>();
  readonly #suspected = new Set<string>();
  #remembered: { readonly lane: string; readonly mark: string; readonly at: number }[] = [];
  #isTakingOver = false;
  /** When the last sign of life that went through was sent, by this process's clock; before, when it started. */
  #lastSign = 0;
  /** Until when nobody is buried, by this process's clock. */
  #buriesFrom = Number.NEGATIVE_INFINITY;
  #lastPutBack = Number.NEGATIVE_INFINITY;

  constructor(options: OwnerOptions) {
    this.#options = options;
    this.store = options.store;
    this.clock = options.clock;
    this.leaseTime = options.leaseTime;
    this.storeTimeout = options.storeTimeout;
    this.canDeliver = options.canDeliver;
  }

  get id(): string {
    return this.#id;
  }

  /** Whether this process may send and take something at this moment. */
  get isAlive(): boolean {
    return this.clock.now() < this.#trustedUntil && !this.#isStopped;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether it ends soon, and leaves what it has to others. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Resolves when the store has heard of this owner, or after a while. */
  async alive(withinMs: number): Promise<void> {
    this.start();
    if (this.isAlive) return;
    const settled = new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (withinMs === Number.POSITIVE_INFINITY) return settled;
    const wait = timer(this.clock, withinMs);
    await Promise.race([settled, wait.over]);
    wait.end();
  }

  pause(ms: number): Promise<void> {
    return timer(this.clock, ms).over;
  }

  lane(name: string): Lane {
    const lane = this.#lanes.get(name) ?? new Lane(name, this);
    this.#lanes.set(name, lane);
    return lane;
  }

  forget(lane: Lane): void {
    if (this.#lanes.get(lane.name) === lane) this.#lanes.delete(lane.name);
  }

  /** The store's time as far as this process knows it, in milliseconds. */
  storeNow(): number {
    return this.clock.now() + (this.#storeOffset ?? 0);
  }

  /** The store told its time. */
  heard(now: number): void {
    const ownNow = this.clock.now();
    const offset = now - ownNow;
    // Its clock was set, or it is another server's: leases seem to be over that are not. They get one more.
    if (offset - (this.#storeOffset ?? offset) > this.leaseTime * missedShare) {
      this.#buriesFrom = ownNow + this.leaseTime;
    }
    this.#storeOffset = offset;
  }

  /** An event's mark was written a moment ago: should the store lose it, it is put back. */
  remember(place: Place): void {
    if (!this.store.durable) return;
    const remembered = this.#remembered;
    remembered.push({ lane: place.lane, mark: place.mark, at: this.clock.now() });
    if (remembered.length > rememberedMarks) remembered.splice(0, rememberedMarks / 2);
  }

  /** A lane has shown that the store lost what was written last. */
  lostByStore(): void {
    if (this.clock.now() - this.#lastPutBack >= putBackEvery) this.#putBack();
  }

  adopt(place: Place): void {
    this.#options.adopt(place);
  }

  track(work: Promise<unknown>): void {
    this.#options.track(work);
  }

  failed(message: string, error: unknown, fields: Record<string, unknown> = {}): void {
    this.#options.logger.error(message, { ...describeError(error), ...fields });
  }

  /** Gives signs of life from now on, and looks for owners that are dead. */
  start(): void {
    if (this.#isStarted || this.#isStopped) return;
    this.#isStarted = true;
    this.#lastSign = this.clock.now();
    void this.#beat();
  }

  /** Somebody did not listen, or keeps others waiting: is it still alive? */
  suspect(owner: string, lane: Lane): void {
    if (this.#suspected.has(owner)) return;
    this.#suspected.add(owner);
    this.succeed(owner, lane, this.storeTimeout)
      .catch(() => {}) // Looked at again, as long as somebody waits.
      .finally(() => this.#suspected.delete(owner));
  }

  /**
   * Goes on with the turns of another owner in a lane, if it is dead.
   * @param patienceMs how long a store that fails is waited for. It goes on with them all the same: should the store have
   * done it, nobody else does.
   * @returns whether it is
   */
  async succeed(owner: string, { name }: Lane, patienceMs: number): Promise<boolean> {
    if (owner === this.#id || this.#isLeaving || this.#isStopped || !(await this.#bury(owner))) return false;
    await within(this.clock, patienceMs, this.lane(name).takeOver(owner), storeWasAway);
    return true;
  }

  /**
   * Leaves: turns that wait are left for others to go on with, where the store keeps them; nothing is taken over any
   * more. Those that run go on.
   */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    if (!this.store.durable) return;
    const waiting = () => {
      const places = this.#lanes.values().flatMap((lane) => [...lane.places]);
      return places.filter(({ isRunning, isEnding }) => !isRunning && !isEnding);
    };
    await this.#release(waiting);
  }

  /**
   * Leaves some turns for whoever looks first. Tried until the store has done it, or this owner leaves itself: nobody runs
   * them before.
   */
  async release(places: readonly Place[]): Promise<void> {
    for (;;) {
      try {
        return await this.#release(() => places.filter(({ isLost }) => !isLost));
      } catch (error) {
        if (this.#isLeaving) {
          // This owner ends soon, and with it they are others': until then nobody is told anything of them.
          for (const place of places) place.lose();
          return this.failed("a turn could not be left", error);
        }
        await this.pause(this.#retryPause());
      }
    }
  }

  async #release(places: () => readonly Place[]): Promise<void> {
    if (places().length === 0) return;
    // An owner of its own, that is dead from the beginning: others need not wait for this one's end.
    const left = `${this.#id}~`;
    await this.store.beat(left, 0);
    // Asked for again: one that waited may run by now.
    const released = await Promise.allSettled(places().map((place) => place.release(left)));
    for (const result of released) {
      if (result.status === "rejected") this.failed("a turn could not be left", result.reason);
    }
  }

  /** Gives no sign of life any more: whatever it still has is others' at once. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancelBeat();
    this.#cancelLapse();
    for (const lane of this.#lanes.values()) lane.lose();
    this.#lanes.clear();
    this.#wakeAll();
    if (!this.#isStarted) return;
    try {
      (await this.#listening)?.();
      await this.store.beat(this.#id, 0);
    } catch {
      // Others find out by its lease.
    }
  }

  async #beat(): Promise<void> {
    this.#cancelBeat();
    this.#beating ??= this.#giveSign();
    let pauseMs = this.leaseTime / 3;
    try {
      await this.#beating;
    } catch (error) {
      this.#options.logger.warn("the store does not hear this process", describeError(error));
      pauseMs = this.#retryPause();
    }
    this.#beating = undefined;
    if (this.#isStopped) return;
    this.#cancelBeat();
    this.#cancelBeat = this.clock.after(pauseMs, () => void this.#beat(), this.#waiting.size === 0);
    if (!this.isAlive) return;
    for (const lane of this.#lanes.values()) lane.lookIfOverdue();
    if (!this.#isLeaving) void this.#takeOver();
  }

  /** How long to wait before a store that failed is tried again, in milliseconds. */
  #retryPause(): number {
    return Math.min(this.leaseTime / 3, 250) * (0.5 + this.clock.random() / 2);
  }

  async #giveSign(): Promise<void> {
    const id = this.#id;
    const from = this.clock.now();
    await this.#listen();
    const beat = await this.store.beat(id, this.leaseTime);
    this.heard(beat.now);
    // Where this process was without the store, the others may have been, too: they get a lease to come back.
    if (from - this.#lastSign > this.leaseTime * missedShare) {
      this.#buriesFrom = this.clock.now() + this.leaseTime;
    }
    this.#lastSign = from;
    // A late answer to a former id says nothing of this one.
    if (id !== this.#id || this.#isStopped) return;
    if (beat.isBuried) return this.#startAnew();
    const isSetBack = this.#until !== undefined && (beat.until === undefined || beat.until < this.#until);
    this.#until = beat.now + this.leaseTime;
    this.#trustedUntil = from + this.leaseTime * (1 - sendMargin);
    this.#cancelLapse();
    this.#cancelLapse = this.clock.after(this.#trustedUntil - this.clock.now(), () => this.#lapse(), true);
    this.#wakeAll();
    if (isSetBack) this.#putBack();
    const old = this.clock.now() - rememberedMs;
    if ((this.#remembered[0]?.at ?? old) < old) {
      this.#remembered = this.#remembered.filter(({ at }) => at >= old);
    }
  }

  /** Past its lease this process sends nothing, not even what waits in a platform's client. */
  #lapse(): void {
    for (const lane of this.#lanes.values()) for (const place of lane.places) place.revoke();
  }

  #listen(): Promise<() => void> {
    this.#listening ??= this.store
      .listen(this.#id, (name) => {
        if (name !== undefined) this.lane(name).look();
        else for (const lane of this.#lanes.values()) lane.look();
      })
      .catch((error) => {
        this.#listening = undefined;
        throw error;
      });
    return this.#listening;
  }

  /** Others took this owner for dead, and have its turns by now. */
  async #startAnew(): Promise<void> {
    this.#options.logger.warn("this process was taken for dead, and others go on with its turns");
    const listening = this.#listening;
    const lanes = this.#lanes.values();
    this.#id = randomUUID();
    this.#until = undefined;
    this.#listening = undefined;
    this.#lanes.clear();
    for (const lane of lanes) lane.lose();
    (await listening)?.();
    await this.#giveSign();
  }

  /** The store went back in time, and lost what was written last. */
  #putBack(): void {
    this.#lastPutBack = this.clock.now();
    this.#options.logger.warn(
      "the store has lost what was written last; it is put back as far as it is known",
    );
    for (const lane of this.#lanes.values()) lane.look();
    const marksOf = new Map<string, string[]>();
    for (const { lane, mark } of this.#remembered) {
      marksOf.set(lane, [...(marksOf.get(lane) ?? []), mark]);
    }
    for (const [name, marks] of marksOf) {
      this.lane(name)
        .restoreMarks(marks)
        .catch(() => {}); // It is another owner's by now.
    }
  }

  async #takeOver(): Promise<void> {
    if (this.#isTakingOver) return;
    this.#isTakingOver = true;
    try {
      for (const { owner, lanes } of await this.store.dead()) {
        if (owner === this.#id || !(await this.#bury(owner))) continue;
        for (let from = 0; from < lanes.length && this.isAlive; from += takenAtOnce) {
          const some = lanes.slice(from, from + takenAtOnce);
          await Promise.allSettled(some.map((name) => this.lane(name).takeOver(owner)));
        }
      }
    } catch (error) {
      this.#options.logger.warn("turns of dead processes could not be looked for", describeError(error));
    } finally {
      this.#isTakingOver = false;
    }
  }

  /** @returns whether the owner is dead */
  async #bury(owner: string): Promise<boolean> {
    if (this.clock.now() < this.#buriesFrom) return false;
    const state = await this.store.bury(owner);
    if (state !== "unknown") {
      this.#unknown.delete(owner);
      return state === "dead";
    }
    // The store may have lost it: it gets a whole lease to be heard again.
    const since = this.#unknown.get(owner) ?? this.clock.now();
    this.#unknown.set(owner, since);
    if (this.clock.now() - since < this.leaseTime) return false;
    this.#unknown.delete(owner);
    return (await this.store.bury(owner, true)) === "dead";
  }

  #wakeAll(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
