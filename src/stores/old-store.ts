import type { JsonValue } from "../backends/backend.ts";
import type { ScopedSpeaker } from "../speaker/speaker.ts";

/** What is kept of one conversation of a session. */
export interface ConversationRecord {
  /** The service's id. Missing while the conversation is being opened, or if the process died doing so. */
  readonly id?: string;
  /** The name the application gave; without it the first message named the conversation. */
  readonly title?: string;
  /** What the backend keeps from turn to turn. */
  readonly state?: JsonValue;
}

/** What is kept of one session, under {@link sessionKey}. */
export interface SessionRecord {
  /** The version of this format. */
  readonly v: 1;
  readonly speaker: ScopedSpeaker;
  /** The agent that the person chose; without it the first one or the route decides. */
  readonly agent?: string;
  /** By agent name. */
  readonly conversations: { readonly [agent: string]: ConversationRecord };
}

/** The key of a session's record. The Keyv namespace is `aparte`. */
export function sessionKey(sessionName: string): string {
  return `session:${sessionName}`;
}

export const namespace = "aparte";

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

/**
 * What a turn does that arrives while another one runs in its lane:
 * - `queue`: it waits; each gets its reply, in order.
 * - `merge`: those waiting become one turn, run by the last of them.
 * - `interrupt`: the running turn is stopped; those waiting become one turn.
 * - `reject`: it is not taken.
 */
export type Overlap = "queue" | "merge" | "interrupt" | "reject";

/** A turn as it is handed to a lane. */
export interface NewTurn {
  /** The session's name: a session has one lane. */
  readonly lane: string;
  /** The turn's name within its lane, the same for every delivery of the same event. */
  readonly key: string;
  readonly overlap: Overlap;
  /** Only turns with equal `mergeKey` are merged: a reply has one agent and one place. */
  readonly mergeKey: string;
  /** How many turns may wait behind the running one. */
  readonly limit: number;
  /** The platform whose adapter delivers the reply; missing where only the caller itself can. */
  readonly platform?: string;
  /** All that another process needs to run the turn; `JSON.stringify` keeps it whole. */
  readonly body: unknown;
}

export interface TakenTurn {
  readonly key: string;
  readonly body: unknown;
}

/** The right to run a turn: nobody else runs one in this lane until it ends or its lease runs out. */
export interface Grant {
  readonly lane: string;
  readonly turn: TakenTurn;
  /** Earlier turns of this lane that run as part of this one, oldest first. */
  readonly merged: readonly TakenTurn[];
  /** Grows with every grant of the lane; a write with an older number is refused. */
  readonly fence: number;
  /** How often this turn was granted; more than 1 means that an earlier owner died. */
  readonly attempt: number;
  /** What {@link Lanes.note} kept of an earlier attempt. */
  readonly facts?: JsonValue;
  /** The session's record, or null if there is none; undefined where the step did not read it. */
  readonly record?: SessionRecord | null;
}

export type Begun =
  | { readonly is: "run"; readonly grant: Grant }
  /** `ahead`: how many turns come first. {@link LaneOwner.granted} follows. */
  | { readonly is: "wait"; readonly ahead: number }
  /** Taken before. */
  | { readonly is: "duplicate" }
  /** Not taken: too many wait. */
  | { readonly is: "full" }
  /** Not taken: one runs, and the turn's overlap is `reject`. */
  | { readonly is: "busy" };

/** One process (one mapper) that runs turns. */
export interface LaneOwner {
  /** Unique to this run of the process. */
  readonly id: string;
  /** How long a grant is good for without being renewed. */
  readonly leaseMs: number;
  /**
   * A turn that waited is now the one to run; or one whose `begin` or `takeOver` was answered after its deadline.
   * @param since `performance.now()` before the step that granted it: the lease runs from then. @default now
   */
  granted(grant: Grant, since?: number): void;
  /** A waiting turn of this owner will not run by itself: a later one carries it. */
  merged(lane: string, key: string): void;
  /** A waiting turn of this owner is another owner's by now, since this one could not be reached. */
  taken(lane: string, key: string): void;
  /** A running turn of this owner shall stop, since a later one interrupts it. */
  interrupted(lane: string, key: string): void;
}

/**
 * The atomic steps of lanes, as seen by one owner. Every step is all or nothing, also over processes.
 * A step with a grant that is no longer the lane's throws `lease-lost`.
 */
export interface Lanes {
  /**
   * Takes a turn into its lane, unless it is a {@link Begun | duplicate} or not taken. When this resolves, the turn
   * is recorded. A free lane gives the grant at once.
   */
  begin(turn: NewTurn): Promise<Begun>;
  /** Keeps facts that let another owner go on after this one has died. Replaces earlier facts. */
  note(grant: Grant, facts: JsonValue): Promise<void>;
  /** Writes the session's record in mid-turn. */
  save(grant: Grant, record: SessionRecord): Promise<void>;
  /**
   * Ends the turn and those merged into it, and grants the next one.
   * @param record written if given; `null` deletes the session's record.
   */
  end(grant: Grant, record?: SessionRecord | null): Promise<void>;
  /** Takes a waiting turn out of its lane. @returns false if it does not wait (it runs, or is gone). */
  withdraw(lane: string, key: string): Promise<boolean>;
  /** Prolongs the leases. @returns the grants that are lost. */
  renew(grants: readonly Grant[]): Promise<readonly Grant[]>;
  /**
   * Ends the turn without an answer, since its caller died: the next delivery of the same event goes on with it, with
   * its facts and its attempts.
   */
  park(grant: Grant): Promise<void>;
  /**
   * Grants of lanes whose lease has run out, or whose turn has an owner that left.
   * @param platforms those that this process can deliver to: turns of others are left alone.
   */
  takeOver(platforms: readonly string[]): Promise<readonly Grant[]>;
  /** Leaves: turns of this owner that wait are left for others to take over; nothing is granted any more. */
  leave(): Promise<void>;
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

/** Keyv, plus the few atomic operations that Keyv lacks. */
export interface Store {
  /** For people: `"memory"`, `"sqlite"`, `"redis"`, `"keyv"`. */
  readonly name: string;
  /** Whether several processes that open this store share lanes, records and tokens. */
  readonly shared: boolean;
  /** Whether taken turns outlive the process. */
  readonly durable: boolean;
  /** Whether every call answers or fails in time by itself; otherwise the mapper sets a deadline on each. */
  readonly isBounded?: boolean;
  readonly records: Records;
  /** Missing: limits are counted by each process for itself. */
  readonly rates?: Rates;
  /** Joins the lanes as one owner. */
  join(owner: LaneOwner): Lanes;
  close(): Promise<void>;
}

/** How long an event is remembered, so that a late delivery is known: Slack retries for up to 24 hours. */
export const eventMemoryMs: number = 24 * 60 * 60_000;
