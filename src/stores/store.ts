import type { JsonValue } from "../json.ts";

/** The Keyv namespace of all that is kept, and the beginning of the names of all keys beside it. */
export const namespace = "aparte";

/** How long an event is remembered, so that a late delivery is known: Slack retries for up to 24 hours. */
export const eventMemoryMs: number = 24 * 60 * 60_000;

/** How long a dead owner is remembered, so that it learns of its death when it comes back, in milliseconds. */
export const burialMs: number = 24 * 60 * 60_000;

/**
 * The records of a store. A call that fails throws; a failure is never answered as "nothing there".
 * Times are in milliseconds.
 */
export interface Records {
  get<T>(key: string): Promise<T | undefined>;
  /** @param ttlMs how long the record lives; without it, for ever. */
  set(key: string, value: unknown, ttlMs?: number): Promise<void>;
  /** Writes only if nothing is there. @returns whether it was written. */
  setIfAbsent(key: string, value: unknown, ttlMs?: number): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** All records whose key starts with `prefix`, in no particular order. */
  entries<T>(prefix: string): AsyncIterable<[key: string, value: T]>;
}

/** Replaces a lane's document, if it is still the one that was seen, and writes what belongs to it. */
export interface Commit {
  /** The session's name: a session has one lane. */
  readonly lane: string;
  /** The version that was seen last; 0 where there was no document. */
  readonly version: number;
  /** The new document. Undefined: the lane is idle from now on and has none. */
  readonly document: JsonValue | undefined;
  /** The session's record is written, or deleted (null), or left as it is (undefined). */
  readonly record?: JsonValue | null | undefined;
  /** Marks of events that are taken now. Where one of them is there already, nothing is done. */
  readonly marks?: readonly string[] | undefined;
  /** Marks that are put back into a store which lost them. They may be there. */
  readonly restoredMarks?: readonly string[] | undefined;
  /** Marks of events that were taken and not run: they may come again. */
  readonly removedMarks?: readonly string[] | undefined;
  /** How long the document lives, in milliseconds. Without it, until it is replaced. */
  readonly ttlMs?: number | undefined;
  /** Owners whose list of lanes gains this one. */
  readonly entering?: readonly string[] | undefined;
  /** Owners whose list of lanes loses this one. */
  readonly leaving?: readonly string[] | undefined;
  /** Owners that are told that this lane has news. */
  readonly wakes?: readonly string[] | undefined;
  /**
   * The store's time from which on the commit is not done any more, in milliseconds. So nothing is done long after it
   * was given up.
   */
  readonly until: number;
}

/** What the store has of a lane. */
export interface FoundLane {
  /** Microseconds of the store's time, at least one more than the version before; 0 where there is no document. */
  readonly version: number;
  /** Undefined where there is none. */
  readonly document: JsonValue | undefined;
  /** The session's record; null where there is none, undefined where it cannot be understood. */
  readonly record: JsonValue | null | undefined;
  /** The store's time, in milliseconds. */
  readonly now: number;
}

/** What a store answers to a commit: what came of it, and what it found. */
export type Committed =
  | {
      readonly is: "done";
      /** The new document's; 0 where there is none. */
      readonly version: number;
      /**
       * The session's record as it stood before. Of a lane that is idle now it may be left out: nobody runs in it who
       * would need the record.
       */
      readonly record?: JsonValue | null | undefined;
      readonly now: number;
      /** Owners that were to be woken, and did not listen. */
      readonly unheard: readonly string[];
    }
  /** Nothing was done: the document is another one, a mark was there, or it is too late. */
  | (FoundLane & {
      readonly is: "changed" | "duplicate" | "late";
      /** Which of the marks were there, if it is a duplicate. */
      readonly duplicates: readonly string[];
    });

/** An answer to a sign of life. */
export interface Beat {
  /** Others have taken the owner for dead: its lanes are theirs. The sign of life was not taken. */
  readonly isBuried: boolean;
  /** Until when the owner was taken for alive before, by the store's time; undefined if it was not known. */
  readonly until: number | undefined;
  readonly now: number;
}

/** An owner whose time is over. */
export interface DeadOwner {
  readonly owner: string;
  /** Lanes in which it has turns: some hundred at most, the others when these are gone. */
  readonly lanes: readonly string[];
}

/** Counts uses in spans of time. */
export interface Rates {
  /**
   * Takes one use of `key`.
   * @param limit how many uses a span has
   * @param spanMs how long it is, in milliseconds: whole seconds
   * @returns 0 if there was one left, else how long until there are some again, in milliseconds
   */
  take(key: string, limit: number, spanMs: number): Promise<number>;
}

/**
 * Keyv for the records, and beside it what Keyv lacks: a document for each lane that is in use, replaced by comparing
 * and committing, and signs of life of owners. It knows nothing of what a document says.
 *
 * Each operation is atomic over all processes that share the store. Each answers or fails in time by itself, also
 * while its server is away; one that failed may have been done all the same. What fails throws an `AparteError` with
 * the code `store-failed` or `store-timeout`.
 */
export interface Store {
  /** For people: `"memory"`, `"sqlite"`, `"redis"`, `"keyv"`. */
  readonly name: string;
  /** Whether several processes that open this store share what is in it. */
  readonly shared: boolean;
  /** Whether taken turns outlive the process. */
  readonly durable: boolean;
  readonly records: Records;
  /** Missing: limits are counted by each process for itself. */
  readonly rates?: Rates;

  commit(commit: Commit): Promise<Committed>;

  read(lane: string): Promise<FoundLane>;

  /**
   * Takes an owner for alive for `leaseMs` from now on, unless it is buried.
   * @param leaseMs 0: its time is over at once
   */
  beat(owner: string, leaseMs: number): Promise<Beat>;

  /**
   * Declares an owner dead, if its time is over. Once it is buried, no sign of life brings it back.
   * @param isUnknownToo also if the store does not know it
   */
  bury(owner: string, isUnknownToo?: boolean): Promise<"dead" | "alive" | "unknown">;

  /** Owners whose time is over, buried or not, that still have lanes. */
  dead(): Promise<readonly DeadOwner[]>;

  /**
   * Listens to the news of an owner's lanes, from when this resolves.
   * @param wake told which lane has news; undefined: some may have been missed
   * @returns ends it
   */
  listen(owner: string, wake: (lane: string | undefined) => void): Promise<() => void>;

  close(): Promise<void>;
}

/** The key of a session's record. */
export function sessionKey(sessionName: string): string {
  return `session:${sessionName}`;
}
