import type { Backend, JsonValue, SessionCall } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { Session } from "./session.ts";

export interface OpenConversation {
  readonly session: Session;
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
  const { isUnopened = known === undefined, ...kept } = known ?? {};
  if (isUnopened) {
    session.changeConversation(agent, kept);
    await session.save();
  }
  let id = !isUnopened || alwaysFind ? await backend.find?.(call) : undefined;
  if (id === undefined || known?.earlier?.includes(id)) {
    const name = known?.title ?? title;
    id = await backend.open({ ...call, ...(name === undefined ? {} : { title: name }) });
    if (typeof id !== "string" || id === "") {
      throw new AparteError(
        "backend-protocol",
        `The backend "${backend.name}" opened a conversation without an id.`,
      );
    }
  }
  session.changeConversation(agent, { ...kept, id });
  await session.save();
  return id;
}

/** Forgets a conversation that the service has lost. The name its owner gave it is kept for the next one. */
export function dropConversation(session: Session, agent: string): void {
  const { title, earlier } = session.conversation(agent) ?? {};
  const kept = {
    ...(title === undefined ? {} : { title }),
    ...(earlier === undefined ? {} : { earlier }),
  };
  session.changeConversation(agent, Object.keys(kept).length === 0 ? undefined : kept);
}

/**
 * Leaves a conversation as it is at the service. The next one is another, even where the service finds this one.
 * @param isKept its name stays its own; otherwise it is the next one's
 */
export function leaveConversation(session: Session, agent: string, backend: Backend, isKept = false): void {
  const { id, earlier = [], title } = session.conversation(agent) ?? {};
  dropConversation(session, agent);
  const isOfUse = backend.find ?? backend.remove ?? backend.history;
  if (id === undefined || isOfUse === undefined) return;
  const named = title === undefined || isKept ? {} : { title };
  session.changeConversation(agent, { ...named, isUnopened: true, earlier: [...earlier, id] });
}

/** Keeps a backend's own notes with the conversation. */
export function keepState(session: Session, agent: string, state: JsonValue): void {
  const conversation = session.conversation(agent);
  if (conversation !== undefined) session.changeConversation(agent, { ...conversation, state });
}
