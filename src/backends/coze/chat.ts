import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, ConversationCall } from "../backend.ts";
import { pause } from "../http/deadline.ts";
import type { CozeClient, CozeRequest } from "./client.ts";
import { CozeFailure, chatFailure } from "./failure.ts";
import type { Question } from "./question.ts";
import {
  type CozeChat,
  type CozeMessage,
  fieldsOf,
  idOf,
  listOf,
  numberOf,
  readableText,
  readChat,
  readMessage,
} from "./wire.ts";

/** How far one turn's chat has come. */
export class ChatProgress {
  readonly #note: ((facts: { chatId: string }) => void) | undefined;
  /** Undefined until Coze has told it. */
  chatId: string | undefined;
  /** `running` from the moment that Coze may have it, until Coze says that it has ended. */
  state: "unsent" | "running" | "over" = "unsent";
  /** Ids of the answers that the person has got. */
  readonly delivered: Set<string> = new Set();

  constructor(turn: Pick<AskCall, "note">) {
    this.#note = turn.note;
  }

  began(chatId: string): void {
    if (chatId === "" || this.chatId !== undefined) return;
    this.chatId = chatId;
    this.#note?.({ chatId });
  }
}

/** The request that starts a chat. It is sent again only where it certainly did not run. */
export function chatRequest(
  { settings }: CozeClient,
  turn: ConversationCall,
  question: Question,
): CozeRequest {
  return {
    method: "POST",
    path: "/v3/chat",
    query: { conversation_id: turn.conversationId },
    body: {
      bot_id: settings.botId,
      user_id: turn.sessionName,
      stream: settings.stream,
      auto_save_history: true,
      additional_messages: [question],
      custom_variables: settings.customVariables,
      parameters: settings.parameters,
      meta_data: settings.metaData,
    },
    isHarmless: false,
    isAboutConversation: true,
    isPaced: true,
    sessionName: turn.sessionName,
    signal: turn.signal,
  };
}

/**
 * Starts a chat. While another one runs in the conversation (4016; one of a process that died, say), it waits.
 * @throws {AparteError} `conversation-busy` when that one runs longer than `waitTimeout`.
 */
export async function startChat<T>(
  { settings }: CozeClient,
  { signal }: ConversationCall,
  progress: ChatProgress,
  start: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + settings.waitTimeout;
  for (let wait = settings.pollInterval; ; wait *= 1.5) {
    try {
      progress.state = "running";
      return await start();
    } catch (error) {
      if (error instanceof CozeFailure && !error.mayHaveRun) progress.state = "unsent";
      const isBusy = error instanceof CozeFailure && error.code === "conversation-busy";
      if (!isBusy || performance.now() + wait > until) throw error;
    }
    await pause(Math.min(wait, 5 * settings.pollInterval), signal);
  }
}

/** `created` and `in_progress` go on. */
const finalStates = new Set(["completed", "failed", "requires_action", "canceled", "cancelled"]);

/** Looks at a chat until it has ended. Undefined when it still runs after `ms`. */
export async function waitForChat(
  client: CozeClient,
  turn: ConversationCall,
  chatId: string,
  ms: number,
): Promise<CozeChat | undefined> {
  const until = performance.now() + ms;
  for (;;) {
    const chat = await retrieveChat(client, turn, chatId);
    if (finalStates.has(chat.status)) return chat;
    const wait = client.settings.pollInterval;
    if (performance.now() + wait > until) return undefined;
    await pause(wait, turn.signal);
  }
}

async function retrieveChat(client: CozeClient, turn: ConversationCall, chatId: string): Promise<CozeChat> {
  const answer = await client.call({
    method: "GET",
    path: "/v3/chat/retrieve",
    query: { conversation_id: turn.conversationId, chat_id: chatId },
    isHarmless: true,
    isAboutConversation: true,
    sessionName: turn.sessionName,
    signal: turn.signal,
  });
  return readChat(answer.data);
}

/** The answers of a completed chat, apart from those that the person has got, and what follows them. */
export async function* answersOf(
  client: CozeClient,
  turn: ConversationCall,
  chat: CozeChat,
  progress: ChatProgress,
): AsyncGenerator<ReplyEvent> {
  const answer = await client.call({
    method: "GET",
    path: "/v3/chat/message/list",
    query: { conversation_id: turn.conversationId, chat_id: idOf(chat.id, "a chat") },
    isHarmless: true,
    isAboutConversation: true,
    sessionName: turn.sessionName,
    signal: turn.signal,
  });
  const messages = listOf(answer.data).map(readMessage);
  for (const message of messages) {
    if (message.type === "answer") yield* deliver(message, progress);
  }
  yield* closing(chat, messages);
}

/** One complete answer, unless the person has got it or it is empty. */
export function* deliver(message: CozeMessage, progress: ChatProgress, draft = ""): Generator<ReplyEvent> {
  const text = readableText(message) || draft;
  if (text === "" || progress.delivered.has(message.id)) return;
  progress.delivered.add(message.id);
  yield { type: "message", text };
}

/** What follows the answers: suggestions and what the chat cost. */
export function* closing(chat: CozeChat, messages: readonly CozeMessage[]): Generator<ReplyEvent> {
  const items = messages.filter((message) => message.type === "follow_up").map(readableText);
  const suggestions = items.filter((item) => item !== "");
  if (suggestions.length > 0) yield { type: "suggestions", items: suggestions };
  const usage = fieldsOf(chat.usage);
  const counts = {
    input: numberOf(usage.input_count),
    output: numberOf(usage.output_count),
    total: numberOf(usage.token_count),
  };
  const told = Object.entries(counts).filter(([, count]) => count !== undefined);
  if (told.length > 0) yield { type: "usage", ...Object.fromEntries(told) };
}

/**
 * Passes a completed chat.
 * @throws {AparteError} for one that ended otherwise.
 */
export function* judge(chat: CozeChat, progress: ChatProgress): Generator<ReplyEvent> {
  if (chat.status === "requires_action") {
    for (const text of chat.wantedTools) yield { type: "status", text };
    throw new AparteError(
      "action-required",
      "Coze: the agent waits for the result of a tool that has to run on our side, which aparte does not do. " +
        "Use tools that Coze runs itself, and workflows without question nodes.",
    );
  }
  progress.state = "over";
  if (chat.status === "canceled" || chat.status === "cancelled") {
    throw new AparteError("stopped", "Coze: the chat was cancelled there.");
  }
  if (chat.status === "failed" || chat.errorCode !== 0) {
    throw chatFailure({ number: chat.errorCode || undefined, words: chat.errorWords });
  }
}

/** The longest we wait for a chat to be cancelled when a turn ends early. */
const cancelTimeoutMs = 3000;

/** Frees the conversation after a turn that ended early. Whatever goes wrong here, the turn's own error counts. */
export async function freeConversation(
  client: CozeClient,
  turn: ConversationCall,
  chatId: string | undefined,
): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  await cancelChat(client, { ...turn, signal }, chatId).catch(() => {});
}

/**
 * Cancels a chat; without its id, the one that runs in the conversation. One that has ended, or is gone, is no
 * error (4104; 4001, 4002). Cancelling does not end the stream: its reader closes the socket.
 */
export async function cancelChat(
  client: CozeClient,
  turn: ConversationCall,
  chatId: string | undefined,
): Promise<void> {
  const { conversationId, sessionName, signal } = turn;
  try {
    const id = chatId ?? (await newestQuestion(client, turn))?.chatId;
    if (id === undefined) return;
    await client.call({
      method: "POST",
      path: "/v3/chat/cancel",
      body: { chat_id: id, conversation_id: conversationId },
      isHarmless: true,
      sessionName,
      signal,
    });
  } catch (error) {
    const isOver = error instanceof CozeFailure && [4001, 4002, 4104].includes(error.number ?? 0);
    if (!isOver) throw error;
  }
}

/** The conversation's newest question, with the answers that came after it. */
export async function newestQuestion(
  client: CozeClient,
  turn: ConversationCall,
): Promise<(CozeMessage & { readonly answers: readonly CozeMessage[] }) | undefined> {
  const answer = await client.call({
    method: "POST",
    path: "/v1/conversation/message/list",
    query: { conversation_id: turn.conversationId },
    body: { order: "desc", limit: 50 },
    isHarmless: true,
    isAboutConversation: true,
    sessionName: turn.sessionName,
    signal: turn.signal,
  });
  const messages = listOf(answer.data).map(readMessage);
  const at = messages.findIndex((message) => message.role === "user");
  const question = messages[at];
  if (question === undefined) return undefined;
  const answers = messages.slice(0, at).filter((message) => message.role === "assistant");
  return { ...question, answers: answers.reverse() };
}
