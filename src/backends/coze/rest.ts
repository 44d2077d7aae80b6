import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall } from "../backend.ts";
import { ServiceFailure } from "../http/failure.ts";
import { answersOf, type ChatProgress, deliver, findTurn, judge, lookUntil, waitForChat } from "./chat.ts";
import type { CozeClient } from "./client.ts";
import type { CozeChat, CozeMessage } from "./wire.ts";

/** What became of a turn that was sent: its chat, or its answers, or that Coze does not have the turn. */
export type Trace =
  | { readonly chatId: string }
  | { readonly answers: readonly CozeMessage[] }
  | "not-sent"
  | "unknown";

/**
 * Fetches what the person has not got of a turn that was sent: it was polled for, or its stream was cut. The
 * turn is never sent again, since it may have run; so no error from here invites to.
 * @param ms how long to wait for the chat to end, and to try to fetch it.
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
    error instanceof ServiceFailure && error.retryable
      ? new AparteError(broken.code, broken.message, { cause: error })
      : error;
  const until = performance.now() + ms;
  let chat: CozeChat | undefined;
  try {
    const trace = await traceOf(client, turn, progress.chatId, until);
    if (typeof trace === "string") throw broken;
    if ("answers" in trace) {
      if (trace.answers.length === 0) throw broken;
      return yield* messages(trace.answers, progress);
    }
    progress.began(trace.chatId);
    chat = await waitForChat(client, turn, trace.chatId, until);
    if (chat === undefined) throw broken;
  } catch (error) {
    throw final(error);
  }
  // What the chat itself ended with is told as it is.
  judge(chat, progress);
  try {
    yield* answersOf(client, turn, chat, progress, until);
  } catch (error) {
    throw final(error);
  }
}

/**
 * By the chat's id where it is known; otherwise by the turn's id, which Coze keeps with the question.
 * @param until how long to try, by `performance.now()`
 */
export async function traceOf(
  client: CozeClient,
  turn: AskCall,
  chatId: string | undefined,
  until: number,
): Promise<Trace> {
  if (chatId !== undefined) return { chatId };
  const found = await lookUntil(until, client, turn, () => findTurn(client, turn));
  if (found === undefined) return "not-sent";
  if (found === "unknown") return "unknown";
  return found.chatId === undefined ? { answers: found.answers } : { chatId: found.chatId };
}

export async function* messages(
  answers: readonly CozeMessage[],
  progress: ChatProgress,
): AsyncGenerator<ReplyEvent> {
  progress.state = "over";
  for (const answer of answers) yield* deliver(answer.id, answer, progress);
}
