import { hash } from "node:crypto";
import { AparteError } from "../errors.ts";
import { countMerged } from "./merge.ts";
import {
  type Begun,
  eventMemoryMs,
  type Grant,
  type LaneOwner,
  type Lanes,
  type NewTurn,
  type Records,
  type SessionRecord,
  sessionKey,
  type TakenTurn,
} from "./old-store.ts";

interface Waiting {
  readonly turn: NewTurn;
  owner: LaneOwner | undefined;
  /** What an earlier delivery of a parked turn had come to. */
  readonly parked?: Parked | undefined;
}

type Parked = Pick<Grant, "attempt" | "facts" | "merged">;

interface Running {
  grant: Grant;
  readonly turn: NewTurn;
  owner: LaneOwner | undefined;
  /** `performance.now()` at which the lease runs out. */
  until: number;
}

interface Lane {
  running: Running;
  readonly waiting: Waiting[];
}

/** How many events one generation of {@link SeenEvents} holds before it is dropped early. */
const maxEvents = 500_000;

/** Remembers events for at least `eventMemoryMs`, in two generations, so that forgetting costs nothing. */
class SeenEvents {
  #young = new Set<string>();
  #old = new Set<string>();
  readonly #parked = new Map<string, Parked>();
  #born = performance.now();

  /** @returns false if the event was seen before. */
  add(event: string): boolean {
    if (performance.now() - this.#born > eventMemoryMs || this.#young.size >= maxEvents) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#born = performance.now();
    }
    if (this.#young.has(event) || this.#old.has(event)) return false;
    this.#young.add(event);
    return true;
  }

  delete(event: string): void {
    this.#young.delete(event);
    this.#old.delete(event);
  }

  park(event: string, parked: Parked): void {
    this.#parked.set(event, parked);
  }

  /** What the event's parked turn had come to. */
  parked(event: string): Parked | undefined {
    return this.#parked.get(event);
  }

  unpark(event: string): void {
    this.#parked.delete(event);
  }
}

/** The lanes of one process, kept in its memory; a lane that is idle takes no room. */
export class LocalLanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #seen = new SeenEvents();
  readonly #records: Records;
  #fence = 0;

  constructor(records: Records) {
    this.#records = records;
  }

  join(owner: LaneOwner): Lanes {
    return {
      begin: (turn) => this.#begin(turn, owner),
      note: async (grant, facts) => {
        const running = this.#held(grant);
        running.grant = { ...running.grant, facts };
      },
      save: async (grant, record) => {
        this.#held(grant);
        await this.#records.set(sessionKey(grant.lane), record);
      },
      end: (grant, record) => this.#end(grant, record),
      withdraw: async (lane, key) => {
        const waiting = this.#lanes.get(lane)?.waiting ?? [];
        const index = waiting.findIndex((entry) => entry.turn.key === key);
        if (index >= 0) waiting.splice(index, 1);
        return index >= 0;
      },
      park: async (grant) => {
        const running = this.#held(grant);
        const { attempt, facts, merged } = running.grant;
        const parked: Parked = { attempt, merged, ...(facts === undefined ? {} : { facts }) };
        this.#seen.park(eventOf(running.turn), parked);
        this.#next(grant.lane);
      },
      renew: async (grants) => grants.filter((grant) => !this.#renew(grant, owner)),
      takeOver: async (platforms) => this.#takeOver(owner, platforms),
      leave: async () => this.#leave(owner),
    };
  }

  async #begin(turn: NewTurn, owner: LaneOwner): Promise<Begun> {
    const event = eventOf(turn);
    const parked = this.#seen.parked(event);
    const lane = this.#lanes.get(turn.lane);
    if (!this.#seen.add(event) && parked === undefined) return this.#again(turn, lane, owner);
    if (lane !== undefined) {
      if (turn.overlap === "reject") return { is: "busy" };
      if (lane.waiting.length >= turn.limit) return { is: "full" };
      this.#seen.unpark(event);
      lane.waiting.push({ turn, owner, parked });
      if (turn.overlap === "interrupt") {
        lane.running.owner?.interrupted(turn.lane, lane.running.grant.turn.key);
      }
      return { is: "wait", ahead: lane.waiting.length };
    }
    this.#seen.unpark(event);
    const grant = this.#grant(turn, [], parked);
    this.#lanes.set(turn.lane, { running: { grant, turn, owner, until: leaseEnd(owner) }, waiting: [] });
    try {
      const record = await this.#records.get<SessionRecord>(sessionKey(turn.lane));
      return { is: "run", grant: { ...grant, record: record ?? null } };
    } catch (error) {
      // Not taken: a later delivery of the same event may try again.
      if (parked === undefined) this.#seen.delete(event);
      else this.#seen.park(event, parked);
      this.#next(turn.lane);
      throw error;
    }
  }

  /** A second delivery: whoever gets it becomes the owner of a turn that has none any more. */
  #again(turn: NewTurn, lane: Lane | undefined, owner: LaneOwner): Begun {
    if (lane === undefined) return { is: "duplicate" };
    const { running, waiting } = lane;
    if (running.turn.key === turn.key && running.until <= performance.now()) {
      return { is: "run", grant: this.#take(lane, owner) };
    }
    const index = waiting.findIndex((entry) => entry.turn.key === turn.key && entry.owner === undefined);
    const left = waiting[index];
    if (left === undefined) return { is: "duplicate" };
    left.owner = owner;
    return { is: "wait", ahead: index + 1 };
  }

  async #end(grant: Grant, record: SessionRecord | null | undefined): Promise<void> {
    this.#held(grant);
    try {
      if (record === null) await this.#records.delete(sessionKey(grant.lane));
      else if (record !== undefined) await this.#records.set(sessionKey(grant.lane), record);
    } finally {
      this.#next(grant.lane);
    }
  }

  /** Grants the lane to those that wait, or drops it. */
  #next(name: string): void {
    const lane = this.#lanes.get(name);
    const merged = lane?.waiting.splice(0, countMerged(lane.waiting.map(({ turn }) => turn)));
    const last = merged?.pop();
    if (lane === undefined || merged === undefined || last === undefined) {
      this.#lanes.delete(name);
      return;
    }
    const turns = merged.flatMap(({ turn, parked }) => [
      ...(parked?.merged ?? []),
      { key: turn.key, body: turn.body },
    ]);
    const grant = this.#grant(last.turn, turns, last.parked);
    const { owner, turn } = last;
    lane.running = { grant, turn, owner, until: owner === undefined ? 0 : leaseEnd(owner) };
    for (const { turn, owner } of merged) owner?.merged(name, turn.key);
    owner?.granted(grant);
  }

  #grant(turn: NewTurn, merged: readonly TakenTurn[], parked: Parked | undefined): Grant {
    this.#fence += 1;
    return {
      lane: turn.lane,
      turn: { key: turn.key, body: turn.body },
      merged: [...merged, ...(parked?.merged ?? [])],
      fence: this.#fence,
      attempt: (parked?.attempt ?? 0) + 1,
      ...(parked?.facts === undefined ? {} : { facts: parked.facts }),
    };
  }

  #held(grant: Grant): Running {
    const running = this.#lanes.get(grant.lane)?.running;
    if (running?.grant.fence !== grant.fence) {
      throw new AparteError("lease-lost", "The turn's lease ran out and another owner took it over.");
    }
    return running;
  }

  #renew(grant: Grant, owner: LaneOwner): boolean {
    const running = this.#lanes.get(grant.lane)?.running;
    if (running?.grant.fence !== grant.fence) return false;
    running.until = leaseEnd(owner);
    return true;
  }

  #takeOver(owner: LaneOwner, platforms: readonly string[]): Grant[] {
    const now = performance.now();
    const grants: Grant[] = [];
    for (const lane of this.#lanes.values()) {
      const { turn, until } = lane.running;
      if (until > now) continue;
      if (turn.platform !== undefined && !platforms.includes(turn.platform)) continue;
      grants.push(this.#take(lane, owner));
    }
    return grants;
  }

  /** Grants a lane's turn to another owner. */
  #take(lane: Lane, owner: LaneOwner): Grant {
    const { grant, turn, owner: earlier } = lane.running;
    this.#fence += 1;
    // A turn whose owner left while it waited never ran.
    const attempt = earlier === undefined ? grant.attempt : grant.attempt + 1;
    const taken: Grant = { ...grant, fence: this.#fence, attempt };
    lane.running = { grant: taken, turn, owner, until: leaseEnd(owner) };
    return taken;
  }

  #leave(owner: LaneOwner): void {
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.waiting) if (entry.owner === owner) entry.owner = undefined;
    }
  }
}

/** The event's digest: a flat string of 32 bytes, whatever the ids' length, for there are very many. */
function eventOf(turn: NewTurn): string {
  return hash("sha256", `${turn.lane} ${turn.key}`, "binary");
}

function leaseEnd(owner: LaneOwner): number {
  return performance.now() + owner.leaseMs;
}
