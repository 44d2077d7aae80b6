import type { Backend, ConversationCall, FeedbackCall, HistoryMessage } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { ScopedSpeaker } from "../speaker/scope.ts";
import { dropConversation, leaveConversation } from "./conversation.ts";
import { lastSeen, type SessionRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { UnfinishedErasures } from "./unfinished-erasures.ts";

/** A session as `sessions()` lists it. */
export interface SessionSummary {
  readonly sessionName: string;
  readonly speaker: ScopedSpeaker;
  /** The person's own choice of agent. */
  readonly agent?: string;
  /** The conversations' ids by agent name. */
  readonly conversations: { readonly [agent: string]: string };
  /** Those before them that the services still have, by agent name, oldest first. */
  readonly earlier?: { readonly [agent: string]: readonly string[] };
  /** Whether the agents are silent, since a human answers. */
  readonly isPaused?: true;
  /** When it began, and when an agent was asked last (to the minute), as Unix time in milliseconds. */
  readonly createdAt?: number;
  readonly lastTurnAt?: number;
}

/** All that is kept of a session, here and at the services. */
export interface SessionExport extends SessionSummary {
  /** What was said, by agent name, oldest first; agents whose service cannot tell are missing. */
  readonly messages: { readonly [agent: string]: readonly HistoryMessage[] };
}

export function summarize(
  sessionName: string,
  { speaker, agent, conversations, isPaused, createdAt, lastTurnAt }: SessionRecord,
): SessionSummary {
  // Maps, since an agent may be called as a member that every object has.
  const ids = new Map<string, string>();
  const before = new Map<string, readonly string[]>();
  for (const [name, { id, earlier }] of Object.entries(conversations)) {
    if (id !== undefined) ids.set(name, id);
    if (earlier !== undefined) before.set(name, earlier);
  }
  return {
    sessionName,
    speaker,
    ...(agent === undefined ? {} : { agent }),
    conversations: Object.fromEntries(ids),
    ...(before.size === 0 ? {} : { earlier: Object.fromEntries(before) }),
    ...(isPaused === undefined ? {} : { isPaused }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(lastTurnAt === undefined ? {} : { lastTurnAt }),
  };
}

/** Which sessions are listed: those to which all that is given applies. */
export interface SessionFilter {
  readonly platform?: string;
  readonly tenant?: string;
  readonly user?: string;
  /** No agent was asked since then; Unix time in milliseconds, or a date. */
  readonly idleSince?: number | Date;
}

/** @throws {AparteError} `input-invalid` */
export function checkFilter(filter: SessionFilter): void {
  for (const [field, value] of Object.entries(filter)) {
    const isKnown = ["platform", "tenant", "user", "idleSince"].includes(field);
    const isFine =
      field === "idleSince"
        ? Number.isFinite(Number(value))
        : value === undefined || typeof value === "string";
    if (!isKnown || !isFine) {
      const problem = isKnown ? "is not of its type" : "does not exist";
      throw new AparteError("input-invalid", `The filter "${field}" of sessions() ${problem}.`, { field });
    }
  }
}

export function applies(
  { platform, tenant, user, idleSince }: SessionFilter,
  record: SessionRecord,
): boolean {
  const { speaker } = record;
  return (
    (platform === undefined || speaker.platform === platform) &&
    (tenant === undefined || speaker.tenant === tenant) &&
    (user === undefined || speaker.user === user) &&
    (idleSince === undefined || lastSeen(record) < Number(idleSince))
  );
}

export async function exportSession(
  name: string,
  record: SessionRecord,
  agents: ReadonlyMap<string, Backend>,
  signal: AbortSignal,
): Promise<SessionExport> {
  const summary = summarize(name, record);
  const messages = new Map<string, readonly HistoryMessage[]>();
  for (const [agent, { id, state, earlier = [] }] of Object.entries(record.conversations)) {
    for (const each of id === undefined ? earlier : [...earlier, id]) {
      const call: ConversationCall = { sessionName: name, agent, conversationId: each, signal };
      const kept = each === id && state !== undefined ? { state } : {};
      const said = await agents.get(agent)?.history?.({ ...call, ...kept });
      if (said !== undefined) messages.set(agent, [...(messages.get(agent) ?? []), ...said]);
    }
  }
  return { ...summary, messages: Object.fromEntries(messages) };
}

/** The agent forgets: the service clears the context, or the conversation is left for a new one. */
export async function clearConversation(session: Session, agent: string, backend: Backend): Promise<void> {
  if (backend.clear === undefined) return leaveConversation(session, agent, backend);
  const conversation = session.conversation(agent);
  // What is still being opened holds no words, and is looked for by the next turn.
  if (conversation?.id === undefined) return;
  const { id, state: _, ...kept } = conversation;
  try {
    await backend.clear(conversationCall(session, agent, id));
    session.changeConversation(agent, { ...kept, id });
    return;
  } catch (error) {
    if (!(error instanceof AparteError) || error.code !== "conversation-lost") throw error;
  }
  dropConversation(session, agent);
}

/** @throws {AparteError} `input-invalid`, or `backend-unsupported` where the service knows no names. */
export async function renameConversation(
  session: Session,
  agent: string,
  backend: Backend,
  title: string,
): Promise<string> {
  if (typeof title !== "string" || title.trim() === "") {
    throw new AparteError("input-invalid", "The title must be a text that is not empty.", { field: "title" });
  }
  if (backend.rename === undefined) {
    throw new AparteError(
      "backend-unsupported",
      `The service "${backend.name}" knows no names for conversations.`,
    );
  }
  const conversation = session.conversation(agent);
  const named =
    conversation?.id !== undefined &&
    (await backend.rename({ ...conversationCall(session, agent, conversation.id), title }));
  const name = named || title;
  session.changeConversation(agent, { ...conversation, title: name });
  return name;
}

/** @throws {AparteError} `input-invalid`, or `backend-unsupported` where the service takes no feedback. */
export async function giveFeedback(
  session: Session,
  agent: string,
  backend: Backend,
  { answer, rating, words }: Pick<FeedbackCall, "answer" | "rating" | "words">,
): Promise<void> {
  if (typeof answer !== "string" || answer.trim() === "") {
    throw new AparteError("input-invalid", "The answer must be the id of a message event.", {
      field: "answer",
    });
  }
  if (rating !== "up" && rating !== "down") {
    throw new AparteError("input-invalid", 'The rating must be "up" or "down".', { field: "rating" });
  }
  if (backend.feedback === undefined) {
    throw new AparteError("backend-unsupported", `The service "${backend.name}" takes no feedback.`);
  }
  const id = session.conversation(agent)?.id;
  if (id === undefined) {
    throw new AparteError("conversation-lost", "There is no conversation with that agent any more.");
  }
  await backend.feedback({
    ...conversationCall(session, agent, id),
    answer,
    rating,
    ...(words === undefined ? {} : { words }),
  });
}

/** What became of a session that was to be erased. It holds nothing of the person. */
export interface Erasure {
  /** When, as Unix time in milliseconds. */
  readonly at: number;
  /** Whether there was a session. */
  readonly found: boolean;
  /**
   * What became of the conversation with each agent: `erased`; `later` where the service failed, which is tried until
   * it is done; `unsupported` where the service cannot erase; `unconfigured` where the mapper has no such agent (any more).
   */
  readonly conversations: { readonly [agent: string]: "erased" | "later" | "unsupported" | "unconfigured" };
}

/**
 * Deletes the session's conversations at the services that can, its tokens, and its record when the turn ends.
 * @param only the agent of the one conversation to delete; the rest of the session stays
 */
export async function eraseSession(
  session: Session,
  agents: ReadonlyMap<string, Backend>,
  unfinished: Pick<UnfinishedErasures, "add">,
  only?: string,
): Promise<Erasure> {
  const { name, record } = session;
  const found = only === undefined ? !session.isNew : session.conversation(only) !== undefined;
  if (only !== undefined && !found && !agents.has(only)) {
    throw new AparteError(
      "agent-unknown",
      "Nothing is kept of an agent of that name, and none is configured.",
      {
        field: "agent",
      },
    );
  }
  const fates = new Map<string, Erasure["conversations"][string]>();
  for (const [agent, { id, earlier = [] }] of Object.entries(record.conversations)) {
    const ids = id === undefined ? earlier : [...earlier, id];
    if (ids.length === 0 || (only !== undefined && agent !== only)) continue;
    const backend = agents.get(agent);
    if (backend === undefined) fates.set(agent, "unconfigured");
    else if (backend.remove === undefined) fates.set(agent, "unsupported");
    else {
      for (const each of ids) {
        const isErased = await backend.remove(conversationCall(session, agent, each)).then(
          () => true,
          (error) => {
            // Whoever waits for it is gone: then it is not known what is to be done.
            if (session.signal.aborted) throw error;
            return false;
          },
        );
        if (!isErased) await unfinished.add({ sessionName: name, agent, conversationId: each });
        if (fates.get(agent) !== "later") fates.set(agent, isErased ? "erased" : "later");
      }
    }
  }
  for (const [agent, backend] of agents) {
    if (only === undefined || agent === only) await backend.forget?.({ sessionName: name });
  }
  if (only === undefined) session.erase();
  else session.forgetConversation(only);
  return { at: Date.now(), found, conversations: Object.fromEntries(fates) };
}

export function conversationCall(session: Session, agent: string, id: string): ConversationCall {
  return { sessionName: session.name, agent, conversationId: id, signal: session.signal };
}
