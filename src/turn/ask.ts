import type { AskCall, Backend, FileInput, RecoverCall } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { conversationId, dropConversation, keepState } from "../session/conversation.ts";
import type { Session } from "../session/session.ts";
import type { Texts } from "../texts/texts.ts";
import { notice } from "./notices.ts";
import type { ReplyEvent } from "./reply-event.ts";
import type { Stop } from "./stop.ts";

/** One turn with an agent. */
export interface Question {
  readonly session: Session;
  readonly agent: string;
  readonly backend: Backend;
  readonly turnId: string;
  readonly text: string;
  readonly files: readonly FileInput[];
  readonly context: JsonObject;
  readonly stop: Stop;
  /** Names the conversation where it is opened now. */
  readonly title: string | undefined;
  readonly alwaysFind: boolean;
  /** In the person's language. */
  readonly texts: Texts;
  /** Called directly before the service gets the turn. */
  readonly beforeAsk: () => Promise<void> | undefined;
  /** Told, of a turn whose process died, whether the service may have got it from there. */
  readonly found: (isSent: boolean) => void;
  /** Waits for a service's rate. */
  readonly pace: (key: string, perSecond: number) => Promise<void>;
  /** Writes down what the service said of the turn. */
  readonly note: (known: JsonValue) => void;
}

/**
 * Asks the agent in the session's conversation. Where the service has lost the conversation, a new one is
 * opened, the person is told, and the turn goes on: once, and only while nothing has been said.
 */
export async function* ask(question: Question): AsyncGenerator<ReplyEvent> {
  let hasSpoken = false;
  try {
    // Not awaited where it is known: the agent is asked at once.
    const id = knownId(question) ?? (await opened(question));
    const before = question.beforeAsk();
    if (before !== undefined) await before;
    for await (const event of question.backend.ask(callOf(question, id))) {
      hasSpoken = true;
      yield event;
    }
  } catch (error) {
    if (hasSpoken || !(error instanceof AparteError) || error.code !== "conversation-lost") throw error;
    dropConversation(question.session, question.agent);
    const id = await opened(question);
    yield notice("new-conversation", question.texts);
    yield* question.backend.ask(callOf(question, id));
  }
}

/**
 * Goes on with a turn whose process died, perhaps after the service got it. The service is asked for the turn where it
 * can be; what it surely never got is asked now.
 * @param known what the service said of the turn, if that was written down
 * @param wasAsked whether it was written down that the service got it
 */
export async function* recover(
  question: Question,
  known: JsonValue | undefined,
  wasAsked: boolean,
): AsyncGenerator<ReplyEvent> {
  const { backend } = question;
  const id = knownId(question);
  // Without a conversation there was nothing the turn could have been sent to.
  const isUnsent = id === undefined || (backend.recover === undefined && !wasAsked);
  if (isUnsent) {
    yield* askAfterAll(question);
    return;
  }
  const call: RecoverCall = { ...callOf(question, id), ...(known === undefined ? {} : { facts: known }) };
  const recovered = (await backend.recover?.(call)) ?? "unknown";
  if (recovered === "not-sent") yield* askAfterAll(question);
  else if (recovered === "unknown") {
    yield notice("answer-lost", question.texts);
    question.found(true);
  } else {
    question.found(true);
    yield* recovered;
  }
}

/** What a process that died never sent is sent now, unless somebody stopped it meanwhile. */
async function* askAfterAll(question: Question): AsyncGenerator<ReplyEvent> {
  question.found(false);
  question.stop.throwIfStopped();
  yield* ask(question);
}

function knownId({ session, agent }: Question): string | undefined {
  return session.conversation(agent)?.id;
}

/** Not broken off: the next turn would look for the conversation before the service has it, and open another one. */
async function opened(question: Question): Promise<string> {
  const { session, agent, backend, stop, title, alwaysFind } = question;
  const { signal } = stop;
  const id = await stop.holding(() => conversationId({ session, agent, backend, signal, title, alwaysFind }));
  stop.throwIfStopped();
  return id;
}

function callOf(question: Question, conversationId: string): AskCall {
  const { session, agent, turnId, text, files, context, stop, texts, note, pace } = question;
  const state = session.conversation(agent)?.state;
  return {
    sessionName: session.name,
    agent,
    conversationId,
    turnId,
    text,
    files,
    context,
    texts,
    get signal() {
      return stop.signal;
    },
    ...(state === undefined ? {} : { state }),
    keep: (kept) => keepState(session, agent, kept),
    note,
    pace,
    permit: session.permit,
  };
}
