import { AparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { LeftTurn, Place } from "../lane/place.ts";
import type { ScopedSpeaker } from "../speaker/scope.ts";
import {
  type ConversationRecord,
  lastSeen,
  readRecord,
  type SessionRecord,
  type UndeliveredAnswer,
} from "./record.ts";

/** How exact the time of the last turn is, in milliseconds: one that follows soon has nothing to write. */
const exactness = 60_000;

/** A session whose lane this process runs: nobody else changes its record meanwhile. */
export class Session {
  readonly name: string;
  /** Nothing was kept of it before. */
  readonly isNew: boolean;
  readonly #place: Place;
  readonly #stop: { readonly signal: AbortSignal };
  #record: SessionRecord;
  #isChanged = false;
  #isErased = false;
  #forgets = false;

  /**
   * @param stop has the signal that ends what runs in the lane
   * @param record null where there is none, undefined where it cannot be understood
   * @param isToGo it is erased, also where its record cannot be read
   * @throws {AparteError} `store-unreadable` when the record is of a newer version, or damaged
   */
  constructor(
    name: string,
    speaker: ScopedSpeaker,
    place: Place,
    stop: { readonly signal: AbortSignal },
    record: unknown,
    isToGo = false,
  ) {
    this.name = name;
    this.#stop = stop;
    this.#place = place;
    this.isNew = record === null;
    this.#record = known(record, isToGo) ?? { v: 1, speaker, createdAt: wholeMs(place), conversations: {} };
  }

  /** See {@link SessionCall.permit}. */
  readonly permit = (): Promise<void> => this.#place.permit();

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** See {@link Place.parkedWithin}. Those of a person who was forgotten are nobody's any more. */
  parkedWithin(ms: number): readonly LeftTurn[] {
    return this.#forgets ? [] : this.#place.parkedWithin(ms);
  }

  get record(): SessionRecord {
    return this.#record;
  }

  /** What is to be written when the turn ends: null deletes the record, undefined leaves it as it is. */
  get changed(): JsonValue | null | undefined {
    if (this.#isErased) return null;
    return this.#isChanged ? (this.#record as unknown as JsonValue) : undefined;
  }

  /** Whether its person was forgotten meanwhile, by all agents, also where something is kept of them again since. */
  get forgets(): boolean {
    return this.#forgets;
  }

  /** How long ago the last turn was, or the session began where there was none, in milliseconds. */
  get idleMs(): number {
    return this.#place.storeNow() - lastSeen(this.#record);
  }

  /** An agent is asked now. */
  touch(): void {
    const { lastTurnAt = Number.NEGATIVE_INFINITY } = this.#record;
    const now = wholeMs(this.#place);
    if (now - lastTurnAt < exactness) return;
    this.#record = { ...this.#record, lastTurnAt: now };
    this.#isChanged = true;
  }

  conversation(agent: string): ConversationRecord | undefined {
    return Object.hasOwn(this.#record.conversations, agent) ? this.#record.conversations[agent] : undefined;
  }

  /** Changes what is kept of one conversation; undefined forgets it. It is written when the turn ends. */
  changeConversation(agent: string, conversation: ConversationRecord | undefined): void {
    const { [agent]: _, ...others } = this.#record.conversations;
    const conversations = conversation === undefined ? others : { ...others, [agent]: conversation };
    this.#change({ ...this.#record, conversations });
  }

  /** The agent has forgotten its conversations. Where there is no other one, nobody has the words of parked turns any more. */
  forgetConversation(agent: string): void {
    if (this.conversation(agent) !== undefined) this.changeConversation(agent, undefined);
    if (Object.keys(this.#record.conversations).length === 0) this.#forgets = true;
  }

  /** The person's own choice of agent. */
  choose(agent: string): void {
    this.#change({ ...this.#record, agent });
  }

  /** An answer that could not be delivered; undefined: the person was told of it. */
  keepUndelivered(undelivered: UndeliveredAnswer | undefined): void {
    const { undelivered: _, ...record } = this.#record;
    this.#record = undelivered === undefined ? record : { ...record, undelivered };
    this.#isChanged = true;
  }

  /** Keeps the agents silent, or no longer. */
  pause(isPaused: boolean): void {
    const { isPaused: _, ...record } = this.#record;
    this.#change(isPaused ? { ...record, isPaused } : record);
  }

  /** Has the record written as it is, and with it encrypted with the first secret. */
  rewrite(): void {
    this.#isChanged = true;
  }

  /** Deletes the record when the turn ends. What is changed in the turn afterwards begins a new one. */
  erase(): void {
    const { speaker } = this.#record;
    this.#record = { v: 1, speaker, createdAt: wholeMs(this.#place), conversations: {} };
    this.#isErased = true;
    this.#forgets = true;
  }

  #change(record: SessionRecord): void {
    this.#record = record;
    this.#isChanged = true;
    this.#isErased = false;
  }

  /** Writes the record now, where it changed. */
  async save(): Promise<void> {
    const saved = this.#record;
    await this.#place.advance({}, this.changed, this.#place.patienceMs, this.#forgets);
    // What was changed meanwhile is written when the turn ends.
    if (this.#record === saved) this.#isChanged = false;
  }
}

/** The store's time; within a process it has fractions. */
function wholeMs(place: Place): number {
  return Math.floor(place.storeNow());
}

/** What cannot be read is not overwritten. */
function known(record: unknown, isToGo: boolean): SessionRecord | undefined {
  try {
    if (record === undefined) throw recordDamaged();
    return readRecord(record);
  } catch (error) {
    if (isToGo) return undefined;
    throw error;
  }
}

function recordDamaged(): AparteError {
  return new AparteError(
    "store-unreadable",
    "What is kept of this session is damaged. Look at its record in the store, or forget the session.",
  );
}
