import type { AccessToken, Backend, JsonValue, SessionCall } from "../backends/backend.ts";
import { conversationId, dropConversation } from "./conversation.ts";
import type { ConversationRecord } from "./record.ts";
import type { Session } from "./session.ts";

/** What a session is at the agent's service. */
export interface Mapping {
  readonly sessionName: string;
  readonly conversationId: string;
  /** The session's own token; undefined where the service has none per session. */
  readonly accessToken: string | undefined;
  /** Until when the token is used, as Unix time in milliseconds; undefined where there is none, or nobody knows. */
  readonly expiresAt: number | undefined;
  /** What the service needs with the next turn beside the id (Dialogflow: page and parameters to begin with). */
  readonly start?: JsonValue;
}

/** A session's mapping while its lane is one's own. */
export interface InLane extends Mapping {
  /** Aborted when the lane goes on without the call: it took longer than `turnTimeout`, or the process lost the lane. */
  readonly signal: AbortSignal;
}

export interface MappingOptions {
  /** Asks the service for every conversation that the store does not know. */
  readonly alwaysFind: boolean;
  /** Another token, and another conversation if the service has lost the one that is known. */
  readonly isFresh: boolean;
}

/** The mapping of a session whose lane this process runs; its conversation is opened if there is none. */
export async function mappingIn(
  session: Session,
  agent: string,
  backend: Backend,
  { alwaysFind, isFresh }: MappingOptions,
): Promise<Mapping> {
  const { name: sessionName, signal } = session;
  const call = { sessionName, agent, signal };
  // Before the service is asked for the conversation with it.
  const token = isFresh ? await backend.accessToken?.({ ...call, isFresh }) : undefined;
  const id = session.conversation(agent)?.id;
  if (isFresh && id !== undefined && (await backend.exists?.({ ...call, conversationId: id })) === false) {
    dropConversation(session, agent);
  }
  await conversationId({ session, agent, backend, signal, alwaysFind });
  return mappingOf(call, backend, session.conversation(agent) ?? {}, token);
}

/** @param given the session's token, where it is at hand */
export async function mappingOf(
  call: SessionCall,
  backend: Backend,
  { id: conversationId = "", state }: ConversationRecord,
  given?: string | AccessToken,
): Promise<Mapping> {
  const token = given ?? (await backend.accessToken?.(call));
  const { token: accessToken, expiresAt } =
    typeof token === "object" ? token : { token, expiresAt: undefined };
  const located = await backend.locate?.({
    ...call,
    conversationId,
    ...(state === undefined ? {} : { state }),
  });
  return { sessionName: call.sessionName, conversationId, accessToken, expiresAt, ...located };
}
