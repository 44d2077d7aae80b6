import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, Recovered } from "../backend.ts";
import { fieldsOf, textOf } from "../http/json.ts";
import { answersOf, ChatProgress, deliver, findTurn, judge, waitForChat } from "./chat.ts";
import type { CozeClient } from "./client.ts";
import { CozeFailure } from "./failure.ts";
import { type CozeChat, type CozeMessage, readableText } from "./wire.ts";

/** What became of a turn that was sent: its chat, or its answers, or that Coze does not have the turn. */
type Trace =
  | { readonly chatId: string }
  | { readonly answers: readonly CozeMessage[] }
  | "not-sent"
  | "unknown";

/** Fetches the answer of a turn whose process died. Never sends the turn. */
export async function recover(client: CozeClient, turn: AskCall, facts: unknown): Promise<Recovered> {
  const progress = new ChatProgress({});
  const trace = await traceOf(client, turn, textOf(fieldsOf(facts).chatId));
  if (typeof trace === "string") return trace;
  if ("answers" in trace) return trace.answers.length > 0 ? messages(trace.answers, progress) : "unknown";
  try {
    const chat = await waitForChat(client, turn, trace.chatId, client.settings.chatTimeout);
    if (chat === undefined)
      throw new AparteError("backend-timeout", "Coze: the chat does not come to its end.");
    if (chat.status === "canceled" || chat.status === "cancelled") return "unknown";
    return replyOf(client, turn, chat, progress);
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
): AsyncGenerator<ReplyEvent> {
  yield* judge(chat, progress);
  yield* answersOf(client, turn, chat, progress);
}

/**
 * Fetches what the person has not got of a turn that was sent: it was polled for, or its stream was cut. The
 * turn is never sent again, since it may have run; so no error from here invites to.
 * @param ms how long to wait for the chat to end.
 * @throws {AparteError} `broken` when the chat is not found, does not end, or cannot be asked for.
 */
export async function* fetchRest(
  client: CozeClient,
  turn: AskCall,
  progress: ChatProgress,
  ms: number,
  broken: AparteError,
): AsyncGenerator<ReplyEvent> {
  const final = (error: unknown): unknown =>
    error instanceof CozeFailure && error.retryable
      ? new AparteError(broken.code, broken.message, { cause: error })
      : error;
  let chat: CozeChat | undefined;
  try {
    const trace = await traceOf(client, turn, progress.chatId);
    if (typeof trace === "string") throw broken;
    if ("answers" in trace) {
      if (trace.answers.length === 0) throw broken;
      return yield* messages(trace.answers, progress);
    }
    progress.began(trace.chatId);
    chat = await waitForChat(client, turn, trace.chatId, ms);
    if (chat === undefined) throw broken;
  } catch (error) {
    throw final(error);
  }
  // What the chat itself ended with is told as it is.
  yield* judge(chat, progress);
  try {
    yield* answersOf(client, turn, chat, progress);
  } catch (error) {
    throw final(error);
  }
}

/** By the chat's id where it is known; otherwise by the turn's id, which Coze keeps with the question. */
async function traceOf(client: CozeClient, turn: AskCall, chatId: string | undefined): Promise<Trace> {
  if (chatId !== undefined) return { chatId };
  const found = await findTurn(client, turn);
  if (found === undefined) return "not-sent";
  if (found === "unknown") return "unknown";
  return found.chatId === undefined ? { answers: found.answers } : { chatId: found.chatId };
}

async function* messages(
  answers: readonly CozeMessage[],
  progress: ChatProgress,
): AsyncGenerator<ReplyEvent> {
  progress.state = "over";
  for (const answer of answers) yield* deliver(answer.id, readableText(answer), progress);
}
