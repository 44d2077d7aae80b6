import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { type ChatProgress, chatRequest, closing, deliver, judge, startChat } from "./chat.ts";
import type { CozeClient } from "./client.ts";
import { CozeEvents } from "./events.ts";
import { CozeFailure, chatFailure, conversationRefusal, type FailureFacts } from "./failure.ts";
import type { Question } from "./question.ts";
import { fetchRest } from "./recover.ts";
import type { CozeMessage } from "./wire.ts";
import { fieldsOf, numberOf, readableText, readChat, readMessage, textOf, toolName } from "./wire.ts";

/**
 * Asks in the streaming way (Coze docs: developer_guides/chat_v3). A stream has ended well only when an event
 * says so; one that just stops was cut, and the rest is fetched.
 */
export async function* streamChat(
  client: CozeClient,
  turn: AskCall,
  question: Question,
  progress: ChatProgress,
): AsyncGenerator<ReplyEvent> {
  const { chatTimeout, idleTimeout, waitTimeout } = client.settings;
  const whole = new Deadline(turn.signal, chatTimeout);
  let idle = new Deadline(whole.signal, idleTimeout);
  let isWhole = false;
  let cause: unknown;
  try {
    const events = await startChat(client, turn, progress, async () => {
      idle.end();
      idle = new Deadline(whole.signal, idleTimeout);
      return await client.stream(chatRequest(client, turn, question), idle, async (body) => {
        return await begun(new CozeEvents(body, idle, turn.signal));
      });
    });
    yield* replyFrom(events, progress);
    isWhole = progress.state === "over";
    if (isWhole) return events.finish();
  } catch (error) {
    const isBroken = error instanceof CozeFailure && error.mayHaveRun && progress.state === "running";
    if (!isBroken) throw error;
    cause = error;
  } finally {
    if (!isWhole) idle.abort();
    whole.end();
  }
  if (whole.isOver) throw new AparteError("backend-timeout", "Coze: the chat took too long.", { cause });
  const message = "Coze: the answer's stream was cut, and the rest could not be fetched.";
  yield* fetchRest(
    client,
    turn,
    progress,
    waitTimeout,
    new AparteError("backend-stream-cut", message, { cause }),
  );
}

/** The stream, once its first event shows that the chat was taken. */
async function begun(events: CozeEvents): Promise<CozeEvents> {
  const first = await events.next();
  if (first?.name === "error") throw conversationRefusal(errorFacts(first.data));
  if (first !== undefined) events.unread(first);
  return events;
}

/** Turns the events into a reply, up to the one that ends the chat, or to the end of a stream that was cut. */
async function* replyFrom(events: CozeEvents, progress: ChatProgress): AsyncGenerator<ReplyEvent> {
  const followUps: CozeMessage[] = [];
  let draft = "";
  for (;;) {
    const event = await events.next();
    if (event === undefined || event.name === "done") return;
    const { name, data } = event;
    if (name === "error") {
      progress.state = "over";
      throw chatFailure(errorFacts(data));
    }
    const isChat = name.startsWith("conversation.chat.");
    if (!isChat && !name.startsWith("conversation.message.")) continue;
    if (typeof data !== "object" || data === null) {
      const certainty = { mayHaveRun: true, passing: false };
      throw new CozeFailure("backend-protocol", "an event of the stream is not readable", certainty, {});
    }
    if (isChat) {
      const chat = readChat(data);
      progress.began(chat.id);
      // A cancelled chat's stream goes on to an event of completion; only the status tells.
      const status = chat.status === "canceled" ? chat.status : name.slice("conversation.chat.".length);
      if (status === "created" || status === "in_progress") continue;
      if (status === "completed") yield* deliver({ ...readMessage({}), content: draft }, progress);
      // A failed chat may come without its status, as `{ code, msg }` alone.
      yield* judge({ ...chat, status }, progress);
      if (status === "completed") return yield* closing(chat, followUps);
      continue;
    }
    const message = readMessage(data);
    progress.began(message.chatId ?? "");
    if (name === "conversation.message.delta") {
      // The model's reasoning comes as deltas with empty content: it is not part of the answer.
      if (message.type !== "answer" || message.contentType !== "text" || message.content === "") continue;
      draft += message.content;
      yield { type: "text", delta: message.content };
    } else if (name === "conversation.message.completed") {
      if (message.type === "answer") {
        yield* deliver(readableText(message) === "" ? { ...message, content: draft } : message, progress);
        draft = "";
      } else if (message.type === "follow_up") followUps.push(message);
      else if (message.type === "function_call") yield { type: "status", text: toolName(message) };
    }
  }
}

function errorFacts(data: unknown): FailureFacts {
  const fields = fieldsOf(data);
  return {
    number: numberOf(fields.code),
    words: textOf(fields.msg),
    logid: textOf(fieldsOf(fields.detail).logid),
  };
}
