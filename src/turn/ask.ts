import type { AskCall, Backend, FileInput, JsonValue, RecoverCall } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import { conversationId, dropConversation, type HeldSession, keepState } from "../session/conversation.ts";
import type { ReplyEvent } from "./reply-event.ts";

/** One turn with an agent. */
export interface Question {
  readonly session: HeldSession;
  readonly agent: string;
  readonly backend: Backend;
  readonly text: string;
  readonly files: readonly FileInput[];
  readonly signal: AbortSignal;
  /** Names the conversation where it is opened now. */
  readonly title: string | undefined;
  readonly alwaysFind: boolean;
  readonly note: (facts: JsonValue) => void;
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
    for await (const event of question.backend.ask(callOf(question, id))) {
      hasSpoken = true;
      yield event;
    }
  } catch (error) {
    if (hasSpoken || !(error instanceof AparteError) || error.code !== "conversation-lost") throw error;
    dropConversation(question.session, question.agent);
    const id = await opened(question);
    yield {
      type: "notice",
      code: "new-conversation",
      text: "Our earlier conversation is gone, so we start a new one.",
    };
    yield* question.backend.ask(callOf(question, id));
  }
}

/** What became of the answer to a turn that was running when its process died. */
export async function* recover(question: Question, facts: JsonValue | undefined): AsyncGenerator<ReplyEvent> {
  const id = knownId(question);
  // Without a conversation there was nothing the turn could have been sent to.
  if (id === undefined) {
    yield* ask(question);
    return;
  }
  const call: RecoverCall = { ...callOf(question, id), ...(facts === undefined ? {} : { facts }) };
  const recovered = (await question.backend.recover?.(call)) ?? "unknown";
  if (recovered === "not-sent") yield* ask(question);
  else if (recovered === "unknown") {
    yield {
      type: "notice",
      code: "answer-lost",
      text: "I was interrupted, and my answer to your last message is lost. Please send it again.",
    };
  } else yield* recovered;
}

function knownId({ session, agent }: Question): string | undefined {
  return session.conversation(agent)?.id;
}

function opened({ session, agent, backend, signal, title, alwaysFind }: Question): Promise<string> {
  return conversationId({ session, agent, backend, signal, title, alwaysFind });
}

function callOf({ session, agent, text, files, signal, note }: Question, conversationId: string): AskCall {
  const state = session.conversation(agent)?.state;
  return {
    sessionName: session.name,
    agent,
    conversationId,
    text,
    files,
    signal,
    ...(state === undefined ? {} : { state }),
    keep: (kept) => keepState(session, agent, kept),
    note,
  };
}

/** How long a backend may take to stop cleanly (cancel at the service) after its signal was aborted. */
const graceMs = 5_000;

/** Passes events on, and throws the signal's reason once it is aborted, even if the source never ends. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  // The agent is asked before anything else is made ready.
  let next = iterator.next();
  let onAbort = () => {};
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(signal.reason), graceMs);
    };
    signal.addEventListener("abort", onAbort);
  });
  overdue.catch(() => {}); // Looked at only while an event is awaited.
  if (signal.aborted) onAbort();
  try {
    for (;;) {
      const step = await Promise.race([next, overdue]);
      if (signal.aborted) throw signal.reason;
      if (step.done) return;
      yield step.value;
      next = iterator.next();
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearTimeout(timer);
    // Not awaited: a backend that does not end must not hold the lane.
    iterator.return?.().catch(() => {});
  }
}
