import type { Backend, JsonValue, SessionCall } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { HeldLane } from "../lane/lane.ts";
import type { ScopedSpeaker } from "../speaker/speaker.ts";
import type { ConversationRecord, SessionRecord } from "../stores/old-store.ts";

/** A session whose lane this process holds: nobody else changes its record meanwhile. */
export class HeldSession {
  readonly name: string;
  readonly held: HeldLane;
  #record: SessionRecord;
  #isChanged = false;
  #isErased = false;

  constructor(
    name: string,
    held: HeldLane,
    record: SessionRecord | null | undefined,
    speaker: ScopedSpeaker,
  ) {
    this.name = name;
    this.held = held;
    this.#record = record ?? { v: 1, speaker, conversations: {} };
  }

  get record(): SessionRecord {
    return this.#record;
  }

  conversation(agent: string): ConversationRecord | undefined {
    return Object.hasOwn(this.#record.conversations, agent) ? this.#record.conversations[agent] : undefined;
  }

  /** Changes the record; it is written when the turn ends. */
  change(patch: Partial<Pick<SessionRecord, "agent" | "conversations">>): void {
    this.#record = { ...this.#record, ...patch };
    this.#isChanged = true;
  }

  /** Changes what is kept of one conversation; undefined forgets it. */
  changeConversation(agent: string, conversation: ConversationRecord | undefined): void {
    const { [agent]: _, ...others } = this.#record.conversations;
    this.change({
      conversations: conversation === undefined ? others : { ...others, [agent]: conversation },
    });
  }

  /** The person's own choice; undefined takes it back. */
  choose(agent: string | undefined): void {
    const { agent: _, ...record } = this.#record;
    this.#record = agent === undefined ? record : { ...record, agent };
    this.#isChanged = true;
  }

  /** Deletes the record when the turn ends. */
  erase(): void {
    this.#isErased = true;
  }

  /** Writes the record now. */
  async save(): Promise<void> {
    await this.held.save(this.#record);
    this.#isChanged = false;
  }

  /** Ends the turn, and writes the record if it changed. */
  async end(): Promise<void> {
    if (this.#isErased) await this.held.end(null);
    else await this.held.end(this.#isChanged ? this.#record : undefined);
  }
}

export interface OpenConversation {
  readonly session: HeldSession;
  readonly agent: string;
  readonly backend: Backend;
  readonly signal: AbortSignal;
  /** Names the conversation where it is opened now. */
  readonly title?: string | undefined;
  /** Asks the service for every conversation that the store does not know: for a store that was lost. */
  readonly alwaysFind: boolean;
}

/**
 * The id of the session's conversation with an agent, opened if there is none.
 *
 * Before it is opened, the intent to do so is written; after it, the id. Whoever finds an intent without an id
 * knows that a process died in between, and looks at the service for a conversation it may have opened.
 */
export async function conversationId(options: OpenConversation): Promise<string> {
  const { session, agent, backend, signal, title, alwaysFind } = options;
  const known = session.conversation(agent);
  if (known?.id !== undefined) return known.id;

  const call: SessionCall = { sessionName: session.name, agent, signal };
  const wasOpening = known !== undefined;
  if (!wasOpening) {
    session.changeConversation(agent, {});
    await session.save();
  }
  let id = wasOpening || alwaysFind ? await backend.find?.(call) : undefined;
  if (id === undefined) {
    const name = known?.title ?? title;
    id = await backend.open({ ...call, ...(name === undefined ? {} : { title: name }) });
    if (typeof id !== "string" || id === "") {
      throw new AparteError(
        "backend-protocol",
        `The backend "${backend.name}" opened a conversation without an id.`,
      );
    }
  }
  session.changeConversation(agent, { ...known, id });
  await session.save();
  return id;
}

/** Forgets a conversation that the service has lost. The name its owner gave it is kept for the next one. */
export function dropConversation(session: HeldSession, agent: string): void {
  const title = session.conversation(agent)?.title;
  session.changeConversation(agent, title === undefined ? undefined : { title });
}

/** Keeps a backend's own notes with the conversation. */
export function keepState(session: HeldSession, agent: string, state: JsonValue): void {
  const conversation = session.conversation(agent);
  if (conversation !== undefined) session.changeConversation(agent, { ...conversation, state });
}
