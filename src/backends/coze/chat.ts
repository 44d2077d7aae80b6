import { AparteError } from "../../errors.ts";
import { plainTexts, type Texts } from "../../texts/texts.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, ConversationCall } from "../backend.ts";
import { pause } from "../http/deadline.ts";
import { ranPerhaps, refusedForGood, ServiceFailure } from "../http/failure.ts";
import { fieldsOf, listOf, numberOf, textOf } from "../http/json.ts";
import { noAnswer } from "../http/no-answer.ts";
import type { CozeClient, CozeRequest } from "./client.ts";
import { CozeFailure, chatFailure } from "./failure.ts";
import { type CozeSettings, forTurn } from "./options.ts";
import type { Question } from "./question.ts";
import { turnMark } from "./question.ts";
import {
  type CozeCall,
  type CozeChat,
  type CozeMessage,
  idOf,
  partsOf,
  readableText,
  readChat,
  readMessage,
} from "./wire.ts";

/** How far one turn's chat has come. */
export class ChatProgress {
  /** In the person's language. */
  readonly texts: Texts;
  readonly #note: ((facts: { chatId: string }) => void) | undefined;
  /** Undefined until Coze has told it. */
  chatId: string | undefined;
  /** `running` from the moment that Coze may have it, until Coze says that it has ended. */
  state: "unsent" | "running" | "over" = "unsent";
  /** Ids of the answers that the person has got. */
  readonly delivered: Set<string> = new Set();
  /** How many answers the person has got. */
  answers = 0;
  /** What the chat has stopped for. */
  calls: readonly CozeCall[] = [];

  constructor({ note, texts = plainTexts }: Pick<AskCall, "note" | "texts">) {
    this.#note = note;
    this.texts = texts;
  }

  began(chatId: string): void {
    if (chatId === "" || this.chatId !== undefined) return;
    this.chatId = chatId;
    this.#note?.({ chatId });
  }
}

/** The request that starts a chat. It is sent again only where it certainly did not run. */
export function chatRequest({ settings }: CozeClient, turn: AskCall, question: Question): CozeRequest {
  const { sessionName, conversationId, signal, pace, permit } = turn;
  const common = { method: "POST", isHarmless: false, sessionName, signal, pace, permit } as const;
  const about = aboutTurn(settings, turn);
  const { workflow } = settings;
  if (workflow === undefined) {
    return {
      ...common,
      path: "/v3/chat",
      query: { conversation_id: conversationId },
      body: {
        ...settings.extra,
        bot_id: settings.botId,
        user_id: sessionName,
        stream: settings.stream,
        auto_save_history: true,
        additional_messages: [question],
        ...about,
        meta_data: { ...about.meta_data, [turnMark]: turn.turnId },
      },
      isAboutConversation: true,
    };
  }
  return {
    ...common,
    path: "/v1/workflows/chat",
    body: {
      ...settings.extra,
      workflow_id: workflow.id,
      workflow_version: workflow.version,
      app_id: workflow.appId,
      bot_id: settings.botId,
      conversation_id: conversationId,
      connector_id: settings.connectorId,
      additional_messages: [question],
      parameters: about.parameters ?? {},
      ext: { user_id: sessionName },
    },
  };
}

/** What the agent is to know with the turn: for a prompt as texts, for a chatflow as it is. */
function aboutTurn(
  settings: CozeSettings,
  { context = {}, ...turn }: AskCall,
): { readonly custom_variables?: object; readonly parameters?: object; readonly meta_data?: object } {
  const texts = Object.entries(context)
    .filter(([name]) => /^[A-Za-z_]+$/.test(name))
    .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  const own = { ...turn, context };
  const variables = {
    ...Object.fromEntries(texts),
    ...forTurn("customVariables", settings.customVariables, own),
  };
  const parameters = { ...context, ...forTurn("parameters", settings.parameters, own) };
  const metaData = forTurn("metaData", settings.metaData, own);
  return {
    ...(metaData === undefined ? {} : { meta_data: metaData }),
    ...(Object.keys(variables).length === 0 ? {} : { custom_variables: variables }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
}

/** Asks Coze whether it has what was sent: undefined where it surely has not. */
export type Lookup = () => Promise<FoundQuestion | "unknown" | undefined>;

/** How often a turn is sent again that Coze, when asked, does not have. */
const mostResends = 2;

/**
 * Starts a chat. While another one runs in the conversation (4016; one of a process that died, say), it waits. Where
 * nobody can tell whether the chat was begun, Coze is asked for it, and it is sent again if it is not there.
 * @returns undefined where the chat turned out to have begun: it can be asked for.
 * @throws {AparteError} `conversation-busy` when another chat runs longer than `waitTimeout`.
 */
export async function startChat<T>(
  client: CozeClient,
  turn: AskCall,
  progress: ChatProgress,
  start: () => Promise<T>,
  isThere: Lookup = () => findTurn(client, turn),
): Promise<T | undefined> {
  const { waitTimeout, pollInterval } = client.settings;
  const until = performance.now() + waitTimeout;
  let doubts = 0;
  for (let wait = pollInterval; ; wait *= 1.5) {
    let failure: ServiceFailure;
    try {
      progress.state = "running";
      return await start();
    } catch (error) {
      if (!(error instanceof ServiceFailure)) throw error;
      failure = error;
    }
    if (failure.mayHaveRun) doubts += 1;
    if (doubts === 0) progress.state = "unsent";
    const isLast = performance.now() + wait > until || doubts > mostResends;
    if (doubts > 0) {
      // What is under way there gets a moment to come to light.
      await pause(Math.min(wait, 5 * pollInterval), turn.signal);
      const found = await lookUntil(until, client, turn, isThere).catch(() => "unknown" as const);
      if (found === "unknown")
        throw new CozeFailure(failure.code, "it is not known whether the turn ran", ranPerhaps, {
          cause: failure,
        });
      if (found !== undefined) {
        progress.began(found.chatId ?? "");
        return undefined;
      }
      progress.state = "unsent";
      if (isLast)
        throw new CozeFailure("backend-unavailable", "the turn did not get through", refusedForGood, {
          cause: failure,
        });
      continue;
    }
    if (failure.code !== "conversation-busy" || isLast) throw failure;
    await pause(Math.min(wait, 5 * pollInterval), turn.signal);
  }
}

/** `created` and `in_progress` go on. */
const finalStates = new Set(["completed", "failed", "requires_action", "canceled", "cancelled"]);

/** Looks at a chat until it has ended. Undefined when it still runs at `until`, by `performance.now()`. */
export async function waitForChat(
  client: CozeClient,
  turn: ConversationCall,
  chatId: string,
  until: number,
): Promise<CozeChat | undefined> {
  for (;;) {
    const chat = await lookUntil(until, client, turn, () => retrieveChat(client, turn, chatId));
    if (finalStates.has(chat.status)) return chat;
    const wait = client.settings.pollInterval;
    if (performance.now() + wait > until) return undefined;
    await pause(wait, turn.signal);
  }
}

/**
 * Looks again where Coze fails for now, is silent, or something before it answers (a gateway's page, a redirect):
 * what was sent runs on meanwhile, and looking does no harm.
 * @param until by `performance.now()`
 * @throws {AparteError} what the last look failed with
 */
export async function lookUntil<T>(
  until: number,
  { settings }: CozeClient,
  { signal }: ConversationCall,
  look: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof ServiceFailure)) throw error;
      const { isPassing, code, retryAfterMs = 0 } = error;
      const wait = Math.max(settings.pollInterval, retryAfterMs);
      const mayPass = isPassing || code === "backend-protocol" || code === "backend-timeout";
      if (!mayPass || performance.now() + wait > until) throw error;
      await pause(wait, signal);
    }
  }
}

export async function retrieveChat(
  client: CozeClient,
  turn: ConversationCall,
  chatId: string,
): Promise<CozeChat> {
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

/**
 * The answers of a completed chat, apart from those that the person has got, and what follows them.
 * @param until how long to try, by `performance.now()`
 */
export async function* answersOf(
  client: CozeClient,
  turn: ConversationCall,
  chat: CozeChat,
  progress: ChatProgress,
  until: number,
): AsyncGenerator<ReplyEvent> {
  const request = {
    method: "GET",
    path: "/v3/chat/message/list",
    query: { conversation_id: turn.conversationId, chat_id: idOf(chat.id, "a chat") },
    isHarmless: true,
    isAboutConversation: true,
    sessionName: turn.sessionName,
    signal: turn.signal,
  } as const;
  const answer = await lookUntil(until, client, turn, () => client.call(request));
  const messages = listOf(answer.data).map(readMessage);
  for (const message of messages) {
    if (message.type === "answer") yield* deliver(message.id, message, progress);
  }
  yield* closing(chat, messages, progress);
}

/** One complete answer, unless the person has got it or it is empty. */
export function* deliver(
  id: string | undefined,
  message: Pick<CozeMessage, "content" | "contentType">,
  progress: ChatProgress,
): Generator<ReplyEvent> {
  const { text, files } = partsOf(message);
  const isEmpty = text.trim() === "";
  if ((isEmpty && files.length === 0) || (id !== undefined && progress.delivered.has(id))) return;
  if (id !== undefined) progress.delivered.add(id);
  progress.answers += 1;
  if (!isEmpty) yield { type: "message", text, ...(id === undefined || id === "" ? {} : { id }) };
  yield* files;
}

/** What follows the answers: suggestions and what the chat cost. */
export function* closing(
  chat: CozeChat | undefined,
  messages: readonly CozeMessage[],
  progress: ChatProgress,
): Generator<ReplyEvent> {
  // A chat that has stopped goes on.
  if (progress.calls.length > 0) return;
  if (progress.answers === 0) yield noAnswer(progress);
  const items = messages.filter((message) => message.type === "follow_up").map(readableText);
  const suggestions = items.filter((item) => item !== "");
  if (suggestions.length > 0) yield { type: "suggestions", items: suggestions };
  const usage = fieldsOf(chat?.usage);
  const counts = {
    input: numberOf(usage.input_count),
    output: numberOf(usage.output_count),
    total: numberOf(usage.token_count),
  };
  const told = Object.entries(counts).filter(([, count]) => count !== undefined);
  if (told.length > 0) yield { type: "usage", ...Object.fromEntries(told) };
}

/**
 * Passes a chat that is completed, or has stopped for something.
 * @throws {AparteError} for one that ended otherwise.
 */
export function judge(chat: CozeChat, progress: ChatProgress): void {
  progress.state = "over";
  if (chat.status === "canceled" || chat.status === "cancelled") {
    throw new AparteError("stopped", "Coze: the chat was cancelled there.");
  }
  progress.calls = chat.status === "requires_action" ? chat.calls : [];
  if (chat.status === "failed" || chat.errorCode !== 0) {
    throw chatFailure({ number: chat.errorCode || undefined, words: chat.errorWords });
  }
}

/** The longest we wait for a chat to be cancelled when a turn ends early. */
const cancelTimeoutMs = 3000;

/** Frees the conversation after a turn that ended early. Whatever goes wrong here, the turn's own error counts. */
export async function freeConversation(
  client: CozeClient,
  turn: AskCall,
  chatId: string | undefined,
): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  const call = { ...turn, signal };
  try {
    const found = chatId === undefined ? await findTurn(client, call) : { chatId };
    if (typeof found === "object" && found.chatId !== undefined) await cancelChat(client, call, found.chatId);
  } catch {
    // Its chat ends by itself.
  }
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

/** A question in a conversation, with the answers that came after it. */
export interface FoundQuestion {
  readonly chatId: string | undefined;
  readonly answers: readonly CozeMessage[];
}

/** Other messages may have come into the conversation since a turn was sent; no more than these are looked through. */
const pagesOfTurn = 4;

/** The question of this very turn: undefined where Coze surely does not have it. */
export async function findTurn(
  client: CozeClient,
  turn: AskCall,
): Promise<FoundQuestion | "unknown" | undefined> {
  return await findQuestion(client, turn, pagesOfTurn, ({ metaData }) => metaData[turnMark] === turn.turnId);
}

async function newestQuestion(
  client: CozeClient,
  turn: ConversationCall,
): Promise<FoundQuestion | undefined> {
  const found = await findQuestion(client, turn, 1, ({ role }) => role === "user");
  return found === "unknown" ? undefined : found;
}

async function findQuestion(
  client: CozeClient,
  turn: ConversationCall,
  pages: number,
  fits: (message: CozeMessage) => boolean,
): Promise<FoundQuestion | "unknown" | undefined> {
  let answers: CozeMessage[] = [];
  let after: string | undefined;
  for (let page = 0; page < pages; page++) {
    const answer = await client.call({
      method: "POST",
      path: "/v1/conversation/message/list",
      query: { conversation_id: turn.conversationId },
      body: { order: "desc", limit: 50, after_id: after },
      isHarmless: true,
      isAboutConversation: true,
      sessionName: turn.sessionName,
      signal: turn.signal,
    });
    if (!Array.isArray(answer.data)) return "unknown";
    for (const message of answer.data.map(readMessage)) {
      if (fits(message)) return { chatId: message.chatId, answers: answers.reverse() };
      if (message.role === "user") answers = [];
      else if (message.type === "answer") answers.push(message);
    }
    after = textOf(answer.last_id);
    if (answer.has_more !== true || !after) return undefined;
  }
  return "unknown";
}
