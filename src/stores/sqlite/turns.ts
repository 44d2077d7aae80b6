import { hash } from "node:crypto";
import type { JsonValue } from "../../backends/backend.ts";
import { machineNow } from "../machine-clock.ts";
import { countMerged } from "../merge.ts";
import {
  eventMemoryMs,
  type Grant,
  type NewTurn,
  type Overlap,
  type SessionRecord,
  sessionKey,
  type TakenTurn,
} from "../old-store.ts";
import type { Query, SqliteFile, SqlValue } from "./file.ts";
import { rowKey, type SqliteRecords } from "./records.ts";

/** What a parked turn had come to. */
interface Parked {
  readonly attempt: number;
  readonly facts: string | null;
  /** What it carried. */
  readonly merged: readonly TakenTurn[];
}

/** The text of a turn; a parked one that comes again still carries others. */
interface KeptTurn extends TakenTurn {
  readonly merged?: readonly TakenTurn[];
}

/** What a step needs to know of a lane before it takes a turn. */
export interface LaneView {
  /** Null if the event was never seen. */
  readonly seen: { readonly parked: Parked | undefined } | null;
  /** The fence of the running turn. */
  readonly running: number | null;
  readonly waiting: number;
  readonly lastPlace: number;
  readonly record: SessionRecord | null;
}

/** A turn that waits. */
export interface WaitingTurn {
  readonly place: number;
  readonly owner: string | null;
  readonly overlap: Overlap;
  readonly mergeKey: string;
  readonly platform: string | undefined;
  readonly event: Uint8Array;
  readonly key: string;
}

/** What is kept of an event's turn. */
export interface FoundTurn {
  readonly place: number;
  readonly owner: string | null;
  readonly fence: number | null;
  readonly isCarried: boolean;
  readonly hasRunOut: boolean;
}

/** Who gets a turn. */
export interface Holder {
  readonly id: string;
  readonly leaseMs: number;
}

/** The name of an event: its digest, so that rows are short, and nobody's id is kept. */
export function eventName(lane: string, key: string): Uint8Array {
  return hash("sha256", JSON.stringify([lane, key]), "buffer").subarray(0, 16);
}

/** Old events forgotten with each renewal: more than are taken meanwhile. */
const sweepSize = 500;

const leaseRunsOut = "NOT (lease_from <= ?1 AND ?1 < lease_until)";

/** The rows of turns, events and owners. Each method is one statement or few; steps put them together. */
export class SqliteTurns {
  readonly #records: SqliteRecords;
  readonly #queries: ReturnType<typeof prepare>;

  constructor(file: SqliteFile, records: SqliteRecords) {
    this.#records = records;
    this.#queries = prepare(file);
  }

  view(lane: string, event: Uint8Array): LaneView {
    const row = this.#queries.view.first(generation(), event, lane, rowKey(sessionKey(lane))) ?? [];
    const [seen = null, running = null, waiting = 0, lastPlace = 0, record = null] = row;
    return {
      seen: seen === null ? null : { parked: seen === "" ? undefined : (JSON.parse(String(seen)) as Parked) },
      running: running as number | null,
      waiting: Number(waiting),
      lastPlace: Number(lastPlace),
      record: this.#parse(record),
    };
  }

  markSeen(event: Uint8Array): void {
    this.#queries.see.run(generation(), event);
  }

  park(lane: string, fence: number): void {
    const row = this.#queries.carrier.first(lane, fence) ?? [];
    const [event = null, attempt, facts = null] = row;
    const merged = this.grant(lane, fence)?.merged ?? [];
    const parked: Parked = { attempt: Number(attempt), facts: facts as string | null, merged };
    this.#queries.park.run(generation(), event, JSON.stringify(parked));
  }

  unpark(event: Uint8Array): void {
    this.#queries.park.run(generation(), event, null);
  }

  /** @param holder runs it at once; otherwise it waits for its owner. */
  insert(
    turn: NewTurn,
    event: Uint8Array,
    owner: string,
    place: number,
    parked: Parked | undefined,
    holder?: Holder,
  ): Grant | undefined {
    const { lane, key, body, overlap, mergeKey, platform = null } = turn;
    const fence = holder === undefined ? null : this.#nextFence();
    const now = machineNow();
    const attempt = (parked?.attempt ?? 0) + (holder === undefined ? 0 : 1);
    const facts = parked?.facts ?? null;
    const merged = parked?.merged ?? [];
    const text = JSON.stringify({ key, body, ...(merged.length === 0 ? {} : { merged }) } satisfies KeptTurn);
    const lease: SqlValue[] = holder === undefined ? [null, null] : [now, now + holder.leaseMs];
    this.#queries.insert.run(
      ...[lane, place, event, owner, overlap, mergeKey, platform, fence],
      ...[...lease, attempt, facts, text],
    );
    return fence === null
      ? undefined
      : { lane, turn: { key, body }, merged, fence, attempt, ...parsedFacts(facts) };
  }

  find(lane: string, event: Uint8Array): FoundTurn | undefined {
    const row = this.#queries.find.first(machineNow(), lane, event);
    if (row === undefined) return undefined;
    const [place, owner = null, fence = null, isCarried, hasRunOut] = row;
    return {
      place: Number(place),
      owner: owner as string | null,
      fence: fence as number | null,
      isCarried: isCarried === 1,
      hasRunOut: hasRunOut === 1,
    };
  }

  /** How many turns run or wait before this place. */
  ahead(lane: string, place: number): number {
    return Number(this.#queries.ahead.first(lane, place)?.[0]);
  }

  adopt(lane: string, place: number, owner: string): void {
    this.#queries.adopt.run(owner, lane, place);
  }

  waiting(lane: string): WaitingTurn[] {
    return this.#queries.waiting
      .all(lane)
      .map(([place, owner = null, overlap, mergeKey, platform, event, turn]) => ({
        place: Number(place),
        owner: owner as string | null,
        overlap: overlap as Overlap,
        mergeKey: String(mergeKey),
        platform: typeof platform === "string" ? platform : undefined,
        event: event as Uint8Array,
        key: (JSON.parse(String(turn)) as TakenTurn).key,
      }));
  }

  /** Grants the first of those that wait. @returns the new fence. */
  grantFirst(lane: string, waiting: readonly WaitingTurn[], holder: Holder): number {
    const carrier = waiting[countMerged(waiting) - 1];
    const fence = this.#nextFence();
    const now = machineNow();
    this.#queries.grant.run(fence, now, now + holder.leaseMs, holder.id, lane, carrier?.place ?? 0);
    return fence;
  }

  /** Grants a turn whose lease has run out to another owner. @returns the new fence. */
  regrant(lane: string, fence: number, holder: Holder): number {
    const next = this.#nextFence();
    const now = machineNow();
    this.#queries.regrant.run(next, now, now + holder.leaseMs, holder.id, lane, fence);
    return next;
  }

  /** The grant of a running turn, with the session's record; undefined if the fence is no longer the lane's. */
  grant(lane: string, fence: number): Grant | undefined {
    const rows = this.#queries.load.all(lane, fence, rowKey(sessionKey(lane)));
    const carrier = rows.at(-1);
    if (carrier === undefined) return undefined;
    const turns = rows.flatMap(([text]) => {
      const { key, body, merged = [] } = JSON.parse(String(text)) as KeptTurn;
      return [...merged, { key, body }];
    });
    const turn = turns.pop();
    const [, attempt, facts = null, record = null] = carrier;
    if (turn === undefined) return undefined;
    return {
      ...{ lane, turn, merged: turns, fence, attempt: Number(attempt) },
      ...parsedFacts(facts),
      record: this.#parse(record),
    };
  }

  /** The owner and the key of the turn that runs. */
  running(lane: string, fence: number): { owner: string | null; key: string } | undefined {
    const row = this.#queries.running.first(lane, fence);
    if (row === undefined) return undefined;
    const [owner = null, turn] = row;
    return { owner: owner as string | null, key: (JSON.parse(String(turn)) as TakenTurn).key };
  }

  isHeld(lane: string, fence: number): boolean {
    return this.#queries.running.first(lane, fence) !== undefined;
  }

  /** @returns false if the fence is no longer the lane's. */
  note(lane: string, fence: number, facts: JsonValue): boolean {
    return this.#queries.note.run(JSON.stringify(facts), lane, fence) > 0;
  }

  /** @returns false if the fence is no longer the lane's. */
  remove(lane: string, fence: number): boolean {
    return this.#queries.remove.run(lane, fence) > 0;
  }

  withdraw(lane: string, event: Uint8Array): boolean {
    return this.#queries.withdraw.run(lane, event) > 0;
  }

  /** @returns false if the fence is no longer the lane's. */
  renew(lane: string, fence: number, leaseMs: number): boolean {
    const now = machineNow();
    return this.#queries.renew.run(now, now + leaseMs, lane, fence) > 0;
  }

  isEmpty(lane: string): boolean {
    return this.#queries.any.first(lane) === undefined;
  }

  /** Lanes whose running turn's lease has run out, and lanes in which turns wait and none runs. */
  stale(): { lane: string; fence: number | null; platform: string | undefined }[] {
    return this.#queries.stale.all(machineNow()).map(([lane, fence = null, platform]) => ({
      lane: String(lane),
      fence: fence as number | null,
      platform: typeof platform === "string" ? platform : undefined,
    }));
  }

  writeRecord(lane: string, record: SessionRecord | null): void {
    if (record === null) this.#records.now.delete(sessionKey(lane));
    else this.#records.now.set(sessionKey(lane), record);
  }

  beat({ id, leaseMs }: Holder): void {
    const now = machineNow();
    this.#queries.beat.run(id, now, now + leaseMs);
  }

  /** The owner, if it is alive. */
  alive(id: string | null): Holder | undefined {
    if (id === null) return undefined;
    const [leaseMs] = this.#queries.alive.first(machineNow(), id) ?? [];
    return leaseMs === undefined ? undefined : { id, leaseMs: Number(leaseMs) };
  }

  leave(owner: string): void {
    this.#queries.leave.run(owner);
  }

  /** The events of the owner's turns that wait. */
  waitingOf(owner: string): Uint8Array[] {
    return this.#queries.waitingOf.all(owner).map(([event]) => event as Uint8Array);
  }

  /** Forgets some of what is out of date. */
  sweep(): void {
    this.#queries.forgetOwners.run(machineNow());
    this.#queries.forgetWakes.run();
    this.#queries.forgetSeen.run(generation());
  }

  #nextFence(): number {
    return Number(this.#queries.nextFence.first()?.[0]);
  }

  #parse(record: SqlValue): SessionRecord | null {
    return record === null ? null : (this.#records.now.parse<SessionRecord>(String(record)) ?? null);
  }
}

/** Events are remembered for one to two generations, and when the clock is set back by less than one. */
function generation(): number {
  return Math.floor(Date.now() / eventMemoryMs);
}

function parsedFacts(facts: SqlValue): { facts?: JsonValue } {
  return facts === null ? {} : { facts: JSON.parse(String(facts)) as JsonValue };
}

function prepare(file: SqliteFile) {
  const turns = "aparte_turns";
  const seen = "aparte_seen WHERE generation IN (?1 - 1, ?1, ?1 + 1) AND event = ?2";
  const query = (sql: string): Query => file.query(sql);
  return {
    view: query(`SELECT
      (SELECT coalesce(parked, '') FROM ${seen}),
      (SELECT fence FROM ${turns} WHERE lane = ?3 AND fence IS NOT NULL LIMIT 1),
      (SELECT count(*) FROM ${turns} WHERE lane = ?3 AND fence IS NULL),
      (SELECT coalesce(max(place), 0) FROM ${turns} WHERE lane = ?3),
      (SELECT value FROM keyv WHERE key = ?4)`),
    see: query("INSERT INTO aparte_seen (generation, event) VALUES (?, ?)"),
    park: query(`UPDATE aparte_seen SET parked = ?3 WHERE generation IN (?1 - 1, ?1, ?1 + 1) AND event = ?2`),
    carrier: query(
      `SELECT event, attempt, facts FROM ${turns} WHERE lane = ? AND fence = ? AND is_carried = 0`,
    ),
    insert: query(`INSERT INTO ${turns}
      (lane, place, event, owner, overlap, merge_key, platform, fence,
        is_carried, lease_from, lease_until, attempt, facts, turn)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`),
    nextFence: query("UPDATE aparte_fence SET last = last + 1 RETURNING last"),
    find: query(`SELECT place, owner, fence, is_carried, coalesce(${leaseRunsOut}, 0) FROM ${turns}
      WHERE lane = ?2 AND event = ?3`),
    ahead: query(`SELECT count(*) FROM ${turns} WHERE lane = ? AND place < ? AND is_carried = 0`),
    adopt: query(`UPDATE ${turns} SET owner = ? WHERE lane = ? AND place = ?`),
    waiting: query(`SELECT place, owner, overlap, merge_key, platform, event, turn FROM ${turns}
      WHERE lane = ? AND fence IS NULL ORDER BY place`),
    grant: query(`UPDATE ${turns} SET fence = ?1, lease_from = ?2, lease_until = ?3,
      owner = CASE place WHEN ?6 THEN ?4 ELSE owner END, is_carried = place <> ?6, attempt = attempt + (place = ?6)
      WHERE lane = ?5 AND fence IS NULL AND place <= ?6`),
    regrant: query(`UPDATE ${turns} SET fence = ?1, lease_from = ?2, lease_until = ?3,
      owner = CASE is_carried WHEN 0 THEN ?4 ELSE owner END, attempt = attempt + 1 - is_carried
      WHERE lane = ?5 AND fence = ?6`),
    load: query(`SELECT turn, attempt, facts, (SELECT value FROM keyv WHERE key = ?3) FROM ${turns}
      WHERE lane = ?1 AND fence = ?2 ORDER BY place`),
    running: query(`SELECT owner, turn FROM ${turns} WHERE lane = ? AND fence = ? AND is_carried = 0`),
    note: query(`UPDATE ${turns} SET facts = ? WHERE lane = ? AND fence = ? AND is_carried = 0`),
    remove: query(`DELETE FROM ${turns} WHERE lane = ? AND fence = ?`),
    withdraw: query(`DELETE FROM ${turns} WHERE lane = ? AND event = ? AND fence IS NULL`),
    renew: query(`UPDATE ${turns} SET lease_from = ?, lease_until = ? WHERE lane = ? AND fence = ?`),
    any: query(`SELECT 1 FROM ${turns} WHERE lane = ? LIMIT 1`),
    stale: query(`SELECT lane, fence, platform FROM ${turns} WHERE is_carried = 0 AND ${leaseRunsOut}
      UNION ALL SELECT lane, NULL, NULL FROM ${turns} GROUP BY lane HAVING count(fence) = 0`),
    beat: query("INSERT OR REPLACE INTO aparte_owners (id, lease_from, lease_until) VALUES (?, ?, ?)"),
    alive: query(
      `SELECT lease_until - lease_from FROM aparte_owners WHERE id = ?2 AND NOT (${leaseRunsOut})`,
    ),
    leave: query(`UPDATE ${turns} SET owner = NULL WHERE owner = ? AND fence IS NULL`),
    waitingOf: query(`SELECT event FROM ${turns} WHERE owner = ? AND fence IS NULL`),
    forgetOwners: query(`DELETE FROM aparte_owners WHERE ${leaseRunsOut}`),
    forgetWakes: query("DELETE FROM aparte_wakes WHERE owner NOT IN (SELECT id FROM aparte_owners)"),
    forgetSeen: query(`DELETE FROM aparte_seen WHERE (generation, event) IN
      (SELECT generation, event FROM aparte_seen WHERE generation < ? - 1 LIMIT ${sweepSize})`),
  };
}
