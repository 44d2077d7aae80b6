import { AparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { ScopedSpeaker } from "../speaker/scope.ts";

/** What is kept of one conversation of a session. */
export interface ConversationRecord {
  /** The service's id. Missing before the conversation is opened. */
  readonly id?: string;
  /** It was begun to open the conversation, and is not known what came of it. */
  readonly isOpening?: true;
  /** The name the application gave; without it the first message named the conversation. */
  readonly title?: string;
  /** What the backend keeps from turn to turn. */
  readonly state?: JsonValue;
  /** Conversations before this one that the service still has: they are not taken for it, and are forgotten with it. */
  readonly earlier?: readonly string[];
}

/** An answer that could not be delivered: the person is told when they come back. */
export interface UndeliveredAnswer {
  /** Where it was to go: shown there only, since another place may have other readers. */
  readonly place: string;
  readonly text: string;
}

/** What is kept of one session. */
export interface SessionRecord {
  /** The version of this format. */
  readonly v: 1;
  readonly speaker: ScopedSpeaker;
  /** When it began, and when an agent was asked last (to the minute), by the store's time in milliseconds. */
  readonly createdAt?: number;
  readonly lastTurnAt?: number;
  /** The agent that the person chose; without it the first one or the route decides. */
  readonly agent?: string;
  /** By agent name. */
  readonly conversations: { readonly [agent: string]: ConversationRecord };
  readonly undelivered?: UndeliveredAnswer;
  /** No agent is asked: a human answers the person. */
  readonly isPaused?: true;
}

/**
 * The record as the store has it.
 * @param value null or undefined where there is none
 * @throws {AparteError} `store-unreadable` when it is of a newer version, or none of ours: it is not overwritten.
 */
export function readRecord(value: unknown): SessionRecord | undefined {
  if (value === null || value === undefined) return undefined;
  const { v, speaker, conversations } = value as Partial<SessionRecord>;
  const isRecord = v === 1 && isObject(speaker) && isObject(conversations);
  if (isRecord && Object.values(conversations).every(isObject)) return value as SessionRecord;
  throw new AparteError(
    "store-unreadable",
    "What is kept of this session is of a newer version of aparte, or damaged. Update aparte, or forget the session.",
  );
}

/** When a person was last there, by the store's time in milliseconds. */
export function lastSeen({ lastTurnAt, createdAt }: SessionRecord): number {
  return lastTurnAt ?? createdAt ?? Number.POSITIVE_INFINITY;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
