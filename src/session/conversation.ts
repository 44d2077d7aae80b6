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
 * Before it is opened, the intent to do so is written; after it, the id. Whoever finds the intent knows that it was
 * not learned what became of it, and looks at the service for a conversation that may have been opened.
 */
export async function conversationId(options: OpenConversation): Promise<string> {
  const { session, agent, backend, signal, title, alwaysFind } = options;
  const known = session.conversation(agent);
  if (known?.id !== undefined) return known.id;

  const call: SessionCall = { sessionName: session.name, agent, signal, permit: session.permit };
  const isLookedFor = known === undefined ? alwaysFind : known.isOpening === true;
  if (!known?.isOpening) {
    session.changeConversation(agent, { ...known, isOpening: true });
    await session.save();
  }
  // A backend of one's own may be no TypeScript, and say with null that there is none.
  let id = isLookedFor ? ((await backend.find?.(call)) ?? undefined) : undefined;
  if (id === undefined || known?.earlier?.includes(id)) {
    const name = known?.title ?? title;
    id = await backend.open({ ...call, ...(name === undefined ? {} : { title: name }) });
  }
  if (typeof id !== "string" || id === "") {
    throw new AparteError(
      "backend-protocol",
      `The backend "${backend.name}" opened a conversation without an id.`,
    );
  }
  const { isOpening: _, ...kept } = known ?? {};
  session.changeConversation(agent, { ...kept, id });
  await session.save();
  return id;
}

/**
 * The next conversation is a new one: the service has lost this one, or it is to be forgotten. So it is not looked for.
 * The name its owner gave it is kept for the next one.
 */
export function dropConversation(session: Session, agent: string): void {
  const { id: _, isOpening: __, state: ___, ...kept } = session.conversation(agent) ?? {};
  session.changeConversation(agent, kept);
}

/**
 * Leaves a conversation as it is at the service. The next one is another, even where the service finds this one.
 * @param isKept its name stays its own; otherwise it is the next one's
 */
export function leaveConversation(session: Session, agent: string, backend: Backend, isKept = false): void {
  const { id, earlier = [], title } = session.conversation(agent) ?? {};
  // What is still being opened holds no words, and is looked for by the next turn.
  if (id === undefined) return;
  const isOfUse = backend.find ?? backend.remove ?? backend.history;
  session.changeConversation(agent, {
    ...(title === undefined || isKept ? {} : { title }),
    ...(isOfUse === undefined ? {} : { earlier: [...earlier, id] }),
  });
}

/** Keeps a backend's own notes with the conversation. */
export function keepState(session: Session, agent: string, state: JsonValue): void {
  const conversation = session.conversation(agent);
  if (conversation !== undefined) session.changeConversation(agent, { ...conversation, state });
}
