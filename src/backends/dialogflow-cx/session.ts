import { createHash, randomUUID } from "node:crypto";
import type { JsonValue } from "../backend.ts";
import type { Place, PlaceOwner, PlaceSeal } from "./sealed-place.ts";

/** What is kept of a conversation from turn to turn. */
interface KeptState {
  readonly v: 1;
  /** Which of the conversation's sessions at the service is the current one. */
  readonly generation: number;
  /** When that session began, in Unix milliseconds. */
  readonly bornAt: number;
  readonly lastUsedAt: number;
  /** How long the service keeps the session after its last turn, in seconds. */
  readonly ttl: number;
  /** The agent ended the session. */
  readonly ended?: true;
  /** Page and parameters after the last turn, encrypted. */
  readonly place?: string;
}

/** The session at the service that a turn goes to. */
export interface SessionPlan {
  readonly id: string;
  readonly generation: number;
  readonly bornAt: number;
  /** Whether this turn is the session's first. */
  readonly starts: boolean;
  /** Where the person was: sent along with this turn, and never with another one. */
  readonly place?: Place;
  /** The session has lapsed, and something of where the person was could not be brought back. */
  readonly isForgotten: boolean;
}

/** Later than this, the service leaves a session's turns out of its conversation history. */
const oldestSessionMs = 48 * 3_600_000;
/** A turn takes time to arrive: sessions count as lapsed this much early. */
const marginMs = 10_000;

/** A new conversation's id: 32 characters of which no two are the same, whoever speaks. It fits the service's 36 bytes. */
export function newConversationId(sessionName: string, agent: string): string {
  return hash(["conversation", sessionName, agent, randomUUID()]);
}

/** Whether {@link newConversationId} made it. Other services' ids are left behind when an agent changes its backend. */
export function isConversationId(id: string): boolean {
  return /^[0-9a-f]{32}$/.test(id);
}

/** Chooses the Dialogflow session of a turn: the conversation's current one, or a new one where that has ended or expired. */
export async function planSession(
  owner: PlaceOwner,
  kept: JsonValue | undefined,
  now: number,
  seal: PlaceSeal | undefined,
): Promise<SessionPlan> {
  const state = readState(kept);
  if (state === undefined) return session(owner, 0, now, { starts: true });
  const { generation, bornAt, lastUsedAt } = state;
  if (state.ended) return session(owner, generation + 1, now, { starts: true });
  const ttlMs = state.ttl * 1000;
  const hasLapsed = now - lastUsedAt >= ttlMs - Math.min(marginMs, ttlMs / 20);
  if (!hasLapsed && now - bornAt < oldestSessionMs)
    return session(owner, generation, bornAt, { starts: false });

  const place = state.place === undefined ? undefined : await seal?.open(state.place, owner);
  const isWhole = place?.parameters !== undefined;
  // A session that lives is not given up for its history when its person could not be brought along.
  if (!hasLapsed && !isWhole) return session(owner, generation, bornAt, { starts: false });
  return session(owner, generation + 1, now, {
    starts: true,
    isForgotten: !isWhole,
    ...(place && { place }),
  });
}

/** The same turn on a session that begins at the beginning: the service refused the place, e.g. its page is gone. */
export function withoutPlace({ place: _, ...plan }: SessionPlan): SessionPlan {
  return { ...plan, isForgotten: true };
}

export interface TurnEnd {
  readonly owner: PlaceOwner;
  readonly plan: SessionPlan;
  readonly sentAt: number;
  readonly ttl: number;
  readonly hasEnded: boolean;
  readonly place: Place;
}

/** What to keep for the next turn. */
export async function stateAfter(end: TurnEnd, seal: PlaceSeal | undefined): Promise<JsonValue> {
  const { plan, hasEnded } = end;
  return {
    v: 1,
    generation: plan.generation,
    bornAt: plan.bornAt,
    lastUsedAt: end.sentAt,
    ttl: end.ttl,
    ...(hasEnded ? { ended: true } : seal && { place: await seal.seal(end.place, end.owner) }),
  };
}

function session(
  { agent, conversationId }: PlaceOwner,
  generation: number,
  bornAt: number,
  facts: { readonly starts: boolean; readonly isForgotten?: boolean; readonly place?: Place },
): SessionPlan {
  const id = generation === 0 ? conversationId : hash(["session", agent, conversationId, String(generation)]);
  return { id, generation, bornAt, isForgotten: false, ...facts };
}

/** The fields with their lengths in front, so that no two lists meet; half of SHA-256, as 32 characters. */
function hash(fields: readonly string[]): string {
  const digest = createHash("sha256");
  for (const field of fields) digest.update(`${Buffer.byteLength(field)}:${field}`);
  return digest.digest("hex").slice(0, 32);
}

function readState(kept: JsonValue | undefined): KeptState | undefined {
  if (typeof kept !== "object" || kept === null || !("v" in kept) || kept.v !== 1) return undefined;
  const { generation, bornAt, lastUsedAt, ttl, ended, place } = kept;
  const numbers = [generation, bornAt, lastUsedAt, ttl];
  if (!numbers.every((value) => typeof value === "number")) return undefined;
  return {
    v: 1,
    generation: Number(generation),
    bornAt: Number(bornAt),
    lastUsedAt: Number(lastUsedAt),
    ttl: Number(ttl),
    ...(ended === true ? { ended: true } : {}),
    ...(typeof place === "string" ? { place } : {}),
  };
}
