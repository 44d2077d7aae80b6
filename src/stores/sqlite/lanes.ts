import type { JsonValue } from "../../backends/backend.ts";
import { AparteError } from "../../errors.ts";
import { countMerged } from "../merge.ts";
import type { Begun, Grant, LaneOwner, Lanes, NewTurn, SessionRecord } from "../old-store.ts";
import type { SqliteFile } from "./file.ts";
import type { SqliteRecords } from "./records.ts";
import { eventName, type Holder, SqliteTurns } from "./turns.ts";
import { SqliteWakes, type Wake } from "./wakes.ts";

/** An owner of this process. */
interface Joined {
  readonly owner: LaneOwner;
  hasLeft: boolean;
  /** The platforms it can deliver to, as it last said. */
  platforms: readonly string[];
  /** `performance.now()` of its last sign of life in the file. */
  beatAt: number;
  /** Its turns that wait, by the names of their events. */
  readonly waiting: Map<string, WaitingTurn>;
}

interface WaitingTurn {
  readonly lane: string;
  readonly key: string;
  /** When it was last looked for, it waited no more, and no wake had told why. */
  isMissing: boolean;
}

/** What is told when a step is done. */
type Told = (() => void)[];

/** The lanes of a SQLite file. Each step is one transaction. */
export class SqliteLanes {
  readonly #file: SqliteFile;
  readonly #turns: SqliteTurns;
  readonly #wakes: SqliteWakes;
  readonly #joined = new Map<string, Joined>();

  constructor(file: SqliteFile, records: SqliteRecords) {
    this.#file = file;
    this.#turns = new SqliteTurns(file, records);
    this.#wakes = new SqliteWakes(
      file,
      () => this.#isWaiting(),
      () => this.#receive(),
    );
  }

  join(owner: LaneOwner): Lanes {
    const joined: Joined = {
      owner,
      hasLeft: false,
      platforms: [],
      beatAt: Number.NEGATIVE_INFINITY,
      waiting: new Map(),
    };
    this.#joined.set(owner.id, joined);
    return {
      begin: async (turn) => this.#begin(turn, joined),
      note: async (grant, facts) => this.#note(grant, facts),
      save: async (grant, record) => this.#save(grant, record),
      end: async (grant, record) => this.#end(grant, record, joined),
      withdraw: async (lane, key) => this.#withdraw(lane, key, joined),
      renew: async (grants) => this.#renew(grants, joined),
      park: async (grant) => this.#park(grant, joined),
      takeOver: async (platforms) => this.#takeOver(platforms, joined),
      leave: async () => this.#leave(joined),
    };
  }

  close(): void {
    this.#wakes.close();
  }

  #begin(turn: NewTurn, joined: Joined): Begun {
    const { lane, key } = turn;
    const event = eventName(lane, key);
    const begun = this.#step((told): Begun => {
      this.#beat(joined, told);
      let view = this.#turns.view(lane, event);
      if (view.seen !== null && view.seen.parked === undefined) return this.#again(turn, event, joined, told);
      const { parked } = view.seen ?? {};
      if (view.running === null && view.waiting > 0) {
        // Their owners are gone: they come first.
        this.#next(lane, joined, told);
        view = this.#turns.view(lane, event);
      }
      if (view.seen === null) this.#turns.markSeen(event);
      const { owner } = joined;
      const place = view.lastPlace + 1;
      if (view.running === null && view.waiting === 0) {
        if (parked !== undefined) this.#turns.unpark(event);
        const grant = this.#turns.insert(turn, event, owner.id, place, parked, owner) as Grant;
        return { is: "run", grant: { ...grant, record: view.record } };
      }
      if (turn.overlap === "reject") return { is: "busy" };
      if (view.waiting >= turn.limit) return { is: "full" };
      if (parked !== undefined) this.#turns.unpark(event);
      this.#turns.insert(turn, event, owner.id, place, parked);
      joined.waiting.set(nameOf(event), { lane, key, isMissing: false });
      if (turn.overlap === "interrupt" && view.running !== null) this.#interrupt(lane, view.running, told);
      return { is: "wait", ahead: view.waiting + (view.running === null ? 0 : 1) };
    });
    this.#watch(joined, begun.is === "run");
    return begun;
  }

  /** A second delivery: whoever gets it becomes the owner of a turn whose owner is gone. */
  #again({ lane, key }: NewTurn, event: Uint8Array, joined: Joined, told: Told): Begun {
    const found = this.#turns.find(lane, event);
    // A carried turn is answered with the one that carries it.
    if (found === undefined || found.isCarried) return { is: "duplicate" };
    if (found.fence !== null) {
      if (!found.hasRunOut) return { is: "duplicate" };
      return { is: "run", grant: this.#regrant(lane, found.fence, joined.owner) };
    }
    if (this.#alive(found.owner) !== undefined) return { is: "duplicate" };
    this.#turns.adopt(lane, found.place, joined.owner.id);
    const ahead = this.#turns.ahead(lane, found.place);
    joined.waiting.set(nameOf(event), { lane, key, isMissing: false });
    // Nobody runs, since all owners were gone: this turn's grant may follow at once.
    if (this.#turns.view(lane, event).running === null) this.#next(lane, joined, told);
    return { is: "wait", ahead };
  }

  #interrupt(lane: string, fence: number, told: Told): void {
    const running = this.#turns.running(lane, fence);
    if (running !== undefined) this.#tell(running.owner, { is: "interrupted", lane, key: running.key }, told);
  }

  #note(grant: Grant, facts: JsonValue): void {
    this.#file.step(() => {
      if (!this.#turns.note(grant.lane, grant.fence, facts)) throw leaseLost();
    });
  }

  #save(grant: Grant, record: SessionRecord): void {
    this.#file.step(() => {
      if (!this.#turns.isHeld(grant.lane, grant.fence)) throw leaseLost();
      this.#turns.writeRecord(grant.lane, record);
    });
  }

  #end(grant: Grant, record: SessionRecord | null | undefined, joined: Joined): void {
    const { lane, fence } = grant;
    this.#step((told) => {
      if (!this.#turns.remove(lane, fence)) throw leaseLost();
      if (record !== undefined) this.#turns.writeRecord(lane, record);
      if (!this.#turns.isEmpty(lane)) this.#next(lane, joined, told);
    });
  }

  #park({ lane, fence }: Grant, joined: Joined): void {
    this.#step((told) => {
      if (!this.#turns.isHeld(lane, fence)) throw leaseLost();
      this.#turns.park(lane, fence);
      this.#turns.remove(lane, fence);
      this.#next(lane, joined, told);
    });
  }

  #withdraw(lane: string, key: string, joined: Joined): boolean {
    const event = eventName(lane, key);
    const isWithdrawn = this.#file.step(() => this.#turns.withdraw(lane, event));
    if (isWithdrawn) joined.waiting.delete(nameOf(event));
    return isWithdrawn;
  }

  #renew(grants: readonly Grant[], joined: Joined): Grant[] {
    const { owner } = joined;
    const lost = this.#step((told) => {
      this.#turns.beat(owner);
      this.#turns.sweep();
      this.#lookForMissing(joined, told);
      return grants.filter(({ lane, fence }) => !this.#turns.renew(lane, fence, owner.leaseMs));
    });
    this.#watch(joined, lost.length < grants.length);
    return lost;
  }

  /** Within a step: turns that others took while this process stood still are not waited for any more. */
  #lookForMissing({ owner, waiting }: Joined, told: Told): void {
    const still = new Set(this.#turns.waitingOf(owner.id).map(nameOf));
    for (const [event, turn] of waiting) {
      if (still.has(event)) turn.isMissing = false;
      // A wake may be under way.
      else if (!turn.isMissing) turn.isMissing = true;
      else {
        waiting.delete(event);
        told.push(() => owner.taken(turn.lane, turn.key));
      }
    }
  }

  #takeOver(platforms: readonly string[], joined: Joined): Grant[] {
    joined.platforms = platforms;
    if (joined.hasLeft || this.#turns.stale().length === 0) return [];
    const grants = this.#step((told) => {
      this.#beat(joined, told);
      const taken: Grant[] = [];
      for (const { lane, fence, platform } of this.#turns.stale()) {
        if (fence === null) {
          const grant = this.#next(lane, joined, told, true);
          if (grant !== undefined) taken.push(grant);
        } else if (canDeliver(joined, platform)) taken.push(this.#regrant(lane, fence, joined.owner));
      }
      return taken;
    });
    this.#watch(joined, grants.length > 0);
    return grants;
  }

  #leave(joined: Joined): void {
    this.#step(() => {
      joined.hasLeft = true;
      this.#turns.leave(joined.owner.id);
    });
    joined.waiting.clear();
  }

  /**
   * Grants an idle lane to those that wait: to their owner, or to this one where that is gone. If neither can
   * have it, the lane is left to {@link Lanes.takeOver}.
   * @param isReturned gives this owner's grant back instead of telling it.
   */
  #next(lane: string, joined: Joined, told: Told, isReturned = false): Grant | undefined {
    const waiting = this.#turns.waiting(lane);
    const merged = waiting.slice(0, countMerged(waiting));
    const carrier = merged.pop();
    if (carrier === undefined) return undefined;
    const holder =
      this.#alive(carrier.owner) ?? (canDeliver(joined, carrier.platform) ? joined.owner : undefined);
    if (holder === undefined) return undefined;
    const fence = this.#turns.grantFirst(lane, waiting, holder);
    for (const { owner, key } of merged) this.#tell(owner, { is: "merged", lane, key }, told);
    if (isReturned && holder.id === joined.owner.id) return this.#turns.grant(lane, fence);
    this.#tell(holder.id, { is: "granted", lane, fence }, told);
    return undefined;
  }

  #regrant(lane: string, fence: number, holder: Holder): Grant {
    return this.#turns.grant(lane, this.#turns.regrant(lane, fence, holder)) as Grant;
  }

  /** The owner, if it is alive and has not left. */
  #alive(id: string | null): Holder | undefined {
    const local = id === null ? undefined : this.#joined.get(id);
    if (local === undefined) return this.#turns.alive(id);
    return local.hasLeft ? undefined : this.#turns.alive(id);
  }

  /** Within a step: tells an owner, now if it is of this process. */
  #tell(owner: string | null, wake: Wake, told: Told): void {
    if (owner === null) return;
    const joined = this.#joined.get(owner);
    if (joined === undefined) this.#wakes.send(owner, wake);
    else told.push(this.#wake(joined, wake));
  }

  /** Within a step: what to call when it is done. */
  #wake(joined: Joined, wake: Wake): () => void {
    const { owner } = joined;
    if (wake.is === "merged") {
      joined.waiting.delete(nameOf(eventName(wake.lane, wake.key)));
      return () => owner.merged(wake.lane, wake.key);
    }
    if (wake.is === "interrupted") return () => owner.interrupted(wake.lane, wake.key);
    const grant = this.#turns.grant(wake.lane, wake.fence);
    // Taken over meanwhile.
    if (grant === undefined) return () => {};
    joined.waiting.delete(nameOf(eventName(wake.lane, grant.turn.key)));
    return () => {
      this.#watch(joined, true);
      owner.granted(grant);
    };
  }

  /** Tells the owners of this process what other processes have left for them. */
  #receive(): void {
    for (const [id, joined] of this.#joined) {
      for (const tell of this.#wakes.receive(id, (wake) => this.#wake(joined, wake))) tell();
    }
  }

  #step<T>(run: (told: Told) => T): T {
    const told: Told = [];
    const result = this.#file.step(() => run(told));
    for (const tell of told) tell();
    return result;
  }

  /** Within a step: a sign of life, if the last one is getting old. */
  #beat(joined: Joined, told: Told): void {
    const now = performance.now();
    if (now - joined.beatAt < joined.owner.leaseMs / 3) return;
    this.#turns.beat(joined.owner);
    told.push(() => {
      joined.beatAt = now;
    });
  }

  #watch({ owner }: Joined, runs: boolean): void {
    this.#wakes.watch(runs ? performance.now() + owner.leaseMs : 0);
  }

  #isWaiting(): boolean {
    for (const { waiting } of this.#joined.values()) if (waiting.size > 0) return true;
    return false;
  }
}

function canDeliver({ hasLeft, platforms }: Joined, platform: string | undefined): boolean {
  return !hasLeft && (platform === undefined || platforms.includes(platform));
}

function nameOf(event: Uint8Array): string {
  return Buffer.from(event).toString("latin1");
}

function leaseLost(): AparteError {
  return new AparteError("lease-lost", "The turn's lease ran out and another owner took it over.");
}
