import { BriefMap } from "../brief-map.ts";
import type { JsonValue } from "../json.ts";
import { Listeners } from "./listeners.ts";
import { Marks } from "./marks.ts";
import {
  type Beat,
  burialMs,
  type Commit,
  type Committed,
  type DeadOwner,
  type FoundLane,
  type Records,
  type Store,
  sessionKey,
} from "./store.ts";

interface Kept {
  readonly version: number;
  readonly document: JsonValue;
  /** When it is gone, by the store's time; undefined for never. */
  readonly until: number | undefined;
}

interface KnownOwner {
  /** Until when it is taken for alive, by the store's time. */
  until: number;
  buriedAt: number | undefined;
}

/** How many lanes of one dead owner are listed at a time. */
const listedLanes = 500;

/** Gets the session's record; undefined where it cannot be understood, null where there is none. */
export type ReadRecord = (
  key: string,
) => Promise<JsonValue | null | undefined> | JsonValue | null | undefined;

/**
 * Unix time in milliseconds as the process began with it, and since then of a clock that nobody can set: where somebody
 * sets the wall clock, nobody's lease ends.
 */
export const steadyNow = (): number => performance.timeOrigin + performance.now();

type LaneStore = Pick<Store, "commit" | "read" | "beat" | "bury" | "dead" | "listen">;

/**
 * Lanes and owners in this process's memory, with the records of any Keyv. Documents are kept as the objects that they
 * are: nobody changes them.
 */
export class LocalLanes implements LaneStore {
  readonly #records: Pick<Records, "set" | "delete">;
  readonly #readRecord: ReadRecord;
  readonly #now: () => number;
  readonly #lanes = new BriefMap<Kept>();
  readonly #marks: Marks;
  readonly #owners = new Map<string, KnownOwner>();
  /** Of each owner that has turns, the lanes that they are in. */
  readonly #lanesOf = new Map<string, Set<string>>();
  readonly #listeners = new Listeners();
  /** The last call of each lane that waits for the Keyv: calls of a lane come one after another. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #lastVersion = 0;

  /** @param now the store's time, in milliseconds */
  constructor(records: Pick<Records, "set" | "delete">, readRecord: ReadRecord, now: () => number) {
    this.#records = records;
    this.#readRecord = readRecord;
    this.#now = now;
    this.#marks = new Marks(now());
  }

  commit(commit: Commit): Promise<Committed> {
    return this.#inTurn(commit.lane, () => this.#commit(commit));
  }

  read(lane: string): Promise<FoundLane> {
    return this.#inTurn(lane, () => this.#found(lane));
  }

  async beat(owner: string, leaseMs: number): Promise<Beat> {
    const now = this.#now();
    const known = this.#owners.get(owner);
    if (known?.buriedAt !== undefined) return { isBuried: true, until: known.until, now };
    const until = known?.until;
    if (known === undefined) {
      this.#owners.set(owner, { until: now + leaseMs, buriedAt: undefined });
    } else known.until = now + leaseMs;
    return { isBuried: false, until, now };
  }

  async bury(owner: string, isUnknownToo = false): Promise<"dead" | "alive" | "unknown"> {
    const now = this.#now();
    const known = this.#owners.get(owner);
    if (known === undefined) {
      if (!isUnknownToo) return "unknown";
      this.#owners.set(owner, { until: now, buriedAt: now });
      return "dead";
    }
    if (known.until > now) return "alive";
    known.buriedAt ??= now;
    return "dead";
  }

  async dead(): Promise<readonly DeadOwner[]> {
    const now = this.#now();
    const dead: DeadOwner[] = [];
    for (const [owner, { until, buriedAt }] of this.#owners) {
      if (until > now) continue;
      const lanes = this.#lanesOf.get(owner);
      if (lanes !== undefined) dead.push({ owner, lanes: nextOf(lanes, listedLanes) });
      else if (now - (buriedAt ?? until) > burialMs) this.#owners.delete(owner);
    }
    return dead;
  }

  async listen(owner: string, wake: (lane: string | undefined) => void): Promise<() => void> {
    return this.#listeners.add(owner, wake);
  }

  /** Runs a call at once where it can, and after those of the same lane that wait for the Keyv. */
  #inTurn<T>(lane: string, run: () => T | Promise<T>): Promise<T> {
    const busy = this.#busy.get(lane);
    let result: T | Promise<T>;
    try {
      result = busy === undefined ? run() : busy.then(run, run);
    } catch (error) {
      return Promise.reject(error);
    }
    if (!(result instanceof Promise)) return Promise.resolve(result);
    this.#busy.set(lane, result);
    const free = () => {
      if (this.#busy.get(lane) === result) this.#busy.delete(lane);
    };
    result.then(free, free);
    return result;
  }

  #kept(lane: string, now: number): Kept | undefined {
    const kept = this.#lanes.get(lane);
    if (kept?.until === undefined || kept.until > now) return kept;
    this.#lanes.delete(lane);
    return undefined;
  }

  #found(lane: string): FoundLane | Promise<FoundLane> {
    const found = (record: JsonValue | null | undefined): FoundLane => {
      const now = this.#now();
      const kept = this.#kept(lane, now);
      return { version: kept?.version ?? 0, document: kept?.document, record, now };
    };
    const record = this.#readRecord(sessionKey(lane));
    return record instanceof Promise ? record.then(found) : found(record);
  }

  #commit(commit: Commit): Committed | Promise<Committed> {
    const now = this.#now();
    // Nobody needs the record of an idle lane.
    if (commit.document === undefined && this.#refusal(commit, now) === undefined) {
      return this.#write(commit, now);
    }
    const record = this.#readRecord(sessionKey(commit.lane));
    // Read first: where the Keyv fails, nothing was done.
    return record instanceof Promise
      ? record.then((read) => this.#decide(commit, read))
      : this.#decide(commit, record);
  }

  #decide(commit: Commit, record: JsonValue | null | undefined): Committed | Promise<Committed> {
    const now = this.#now();
    const refusal = this.#refusal(commit, now);
    if (refusal === undefined) return this.#write(commit, now, record);
    const { version = 0, document } = this.#kept(commit.lane, now) ?? {};
    return { version, document, record, now, ...refusal };
  }

  #refusal(
    { lane, version, until, marks = [] }: Commit,
    now: number,
  ): Pick<Committed & { is: "changed" | "duplicate" | "late" }, "is" | "duplicates"> | undefined {
    if (now >= until) return { is: "late", duplicates: [] };
    if ((this.#kept(lane, now)?.version ?? 0) !== version) return { is: "changed", duplicates: [] };
    const duplicates = marks.filter((mark) => this.#marks.has(mark));
    return duplicates.length > 0 ? { is: "duplicate", duplicates } : undefined;
  }

  #write(commit: Commit, now: number, record?: JsonValue | null): Committed | Promise<Committed> {
    if (commit.record === undefined) return this.#written(commit, now, record);
    const key = sessionKey(commit.lane);
    const writing =
      commit.record === null ? this.#records.delete(key) : this.#records.set(key, commit.record);
    return writing.then(() => this.#written(commit, now, record));
  }

  #written(commit: Commit, now: number, record: JsonValue | null | undefined): Committed {
    const { lane, document, marks, restoredMarks, removedMarks, entering, leaving, wakes, ttlMs } = commit;
    const unheard = wakes?.filter((owner) => !this.#listeners.tell(owner, lane)) ?? [];
    this.#lastVersion = Math.max(this.#lastVersion + 1, Math.floor(now * 1000));
    const version = document === undefined ? 0 : this.#lastVersion;
    if (document === undefined) this.#lanes.delete(lane);
    else {
      this.#lanes.set(lane, { version, document, until: ttlMs === undefined ? undefined : now + ttlMs });
    }
    if (marks !== undefined) for (const mark of marks) this.#marks.add(mark, now);
    if (restoredMarks !== undefined) for (const mark of restoredMarks) this.#marks.add(mark, now);
    if (removedMarks !== undefined) for (const mark of removedMarks) this.#marks.delete(mark);
    if (entering !== undefined) for (const owner of entering) this.#enter(owner, lane);
    if (leaving !== undefined) for (const owner of leaving) this.#leave(owner, lane);
    return { is: "done", version, record, now, unheard };
  }

  #enter(owner: string, lane: string): void {
    const lanes = this.#lanesOf.get(owner);
    if (lanes === undefined) this.#lanesOf.set(owner, new Set([lane]));
    else lanes.add(lane);
  }

  #leave(owner: string, lane: string): void {
    const lanes = this.#lanesOf.get(owner);
    if (lanes?.delete(lane) && lanes.size === 0) this.#lanesOf.delete(owner);
  }
}

/** The first ones, which stand last from then on: those that stay in the list keep none of the others up. */
function nextOf(lanes: Set<string>, count: number): string[] {
  const next: string[] = [];
  for (const lane of lanes) {
    if (next.length === count) break;
    next.push(lane);
  }
  if (next.length === lanes.size) return next;
  for (const lane of next) {
    lanes.delete(lane);
    lanes.add(lane);
  }
  return next;
}
