import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, Recovered } from "../backend.ts";
import { fieldsOf, textOf } from "../http/json.ts";
import { answerState, askedIn, goOn } from "./actions.ts";
import { answersOf, ChatProgress, judge, lookUntil, waitForChat } from "./chat.ts";
import type { CozeClient } from "./client.ts";
import { CozeFailure } from "./failure.ts";
import { messages, traceOf } from "./rest.ts";
import type { CozeChat } from "./wire.ts";

/** Fetches the answer of a turn whose process died. Never sends the turn. */
export async function recover(client: CozeClient, turn: AskCall, facts: unknown): Promise<Recovered> {
  const { note: _, ...quiet } = turn;
  const progress = new ChatProgress(quiet);
  const until = performance.now() + client.settings.chatTimeout;
  let chatId = textOf(fieldsOf(facts).chatId);
  const asked = askedIn(turn.state);
  if (asked !== undefined && (chatId === undefined || chatId === asked.chatId)) {
    // The turn may have been the answer to the agent's question.
    const state = await lookUntil(until, client, turn, () => answerState(client, turn, asked));
    if (state === "waits") return "not-sent";
    if (state === "answered") {
      chatId = asked.chatId;
      for (const id of asked.shown) progress.delivered.add(id);
    }
  }
  const trace = await traceOf(client, turn, chatId, until);
  if (typeof trace === "string") return trace;
  if ("answers" in trace) return trace.answers.length > 0 ? messages(trace.answers, progress) : "unknown";
  try {
    const chat = await waitForChat(client, turn, trace.chatId, until);
    if (chat === undefined)
      throw new AparteError("backend-timeout", "Coze: the chat does not come to its end.");
    if (chat.status === "canceled" || chat.status === "cancelled") return "unknown";
    progress.began(trace.chatId);
    return replyOf(client, turn, chat, progress, until);
  } catch (error) {
    // 4001: Coze has forgotten the chat, not the conversation.
    if (error instanceof CozeFailure && error.number === 4001) return "unknown";
    throw error;
  }
}

async function* replyOf(
  client: CozeClient,
  turn: AskCall,
  chat: CozeChat,
  progress: ChatProgress,
  until: number,
): AsyncGenerator<ReplyEvent> {
  judge(chat, progress);
  yield* answersOf(client, turn, chat, progress, until);
  yield* goOn(client, turn, progress);
}
