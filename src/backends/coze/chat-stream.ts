import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { inDoubt, ranPerhaps, ServiceFailure } from "../http/failure.ts";
import { fieldsOf, numberOf, textOf } from "../http/json.ts";
import { type ChatProgress, closing, judge, type Lookup, startChat } from "./chat.ts";
import type { CozeClient, CozeRequest } from "./client.ts";
import { Drafts } from "./drafts.ts";
import type { CozeEvents } from "./events.ts";
import { CozeFailure, chatFailure, type FailureFacts, streamFailure } from "./failure.ts";
import { fetchRest } from "./rest.ts";
import { type CozeMessage, readChat, readMessage, toolName } from "./wire.ts";

/**
 * Asks in the streaming way (Coze docs: developer_guides/chat_v3). A stream has ended well only when an event
 * says so; one that just stops was cut, and the rest is fetched.
 */
export async function* streamChat(
  client: CozeClient,
  turn: AskCall,
  request: CozeRequest,
  progress: ChatProgress,
  isThere?: Lookup,
): AsyncGenerator<ReplyEvent> {
  const whole = new Deadline(turn.signal, client.settings.chatTimeout);
  const { signal } = whole;
  try {
    yield* withinTime(client, { ...turn, signal }, { ...request, signal }, progress, isThere);
  } catch (cause) {
    if (!whole.isOver) throw cause;
    throw new AparteError("backend-timeout", "Coze: the chat took too long.", { cause });
  } finally {
    whole.end();
  }
}

async function* withinTime(
  client: CozeClient,
  turn: AskCall,
  request: CozeRequest,
  progress: ChatProgress,
  isThere?: Lookup,
): AsyncGenerator<ReplyEvent> {
  const { idleTimeout, waitTimeout } = client.settings;
  let idle = new Deadline(turn.signal, idleTimeout);
  let isWhole = false;
  let cause: unknown;
  try {
    const start = async (): Promise<CozeEvents> => {
      idle.end();
      idle = new Deadline(turn.signal, idleTimeout);
      return await client.stream(request, idle, begun);
    };
    const events = await startChat(client, turn, progress, start, isThere);
    if (events !== undefined) {
      yield* replyFrom(events, progress, client.settings.workflow !== undefined);
      isWhole = progress.state === "over";
      if (isWhole) return events.finish();
    }
  } catch (error) {
    const isBroken = error instanceof ServiceFailure && error.mayHaveRun && progress.state === "running";
    if (!isBroken) throw error;
    cause = error;
  } finally {
    if (!isWhole) idle.abort();
  }
  const message = "Coze: the answer's stream was cut, and the rest could not be fetched.";
  const broken = new AparteError("backend-stream-cut", message, { cause });
  yield* fetchRest(client, turn, progress, waitTimeout, broken);
}

/** The stream, once its first event shows that the chat was taken. */
async function begun(events: CozeEvents): Promise<CozeEvents> {
  const first = await events.next();
  if (first === undefined) throw new CozeFailure("backend-stream-cut", "the stream was empty", inDoubt);
  if (first.name === "error") throw streamFailure(errorFacts(first.data));
  events.unread(first);
  return events;
}

/**
 * Turns the events into a reply, up to the one that ends the chat, or to the end of a stream that was cut.
 * @param isWorkflow a chatflow that stops for a question may end with `done` alone
 */
async function* replyFrom(
  events: CozeEvents,
  progress: ChatProgress,
  isWorkflow: boolean,
): AsyncGenerator<ReplyEvent> {
  const followUps: CozeMessage[] = [];
  const drafts = new Drafts(progress);
  let isThinking = false;
  for (;;) {
    const event = await events.next();
    if (event === undefined) return;
    if (event.name === "done") {
      if (!isWorkflow) return;
      yield* drafts.end();
      progress.state = "over";
      return yield* closing(undefined, followUps, progress);
    }
    const { name, data } = event;
    if (name === "error") throw brokenBy(errorFacts(data), progress);
    if (name === "conversation.audio.delta") drafts.spoken(readMessage(data));
    const isChat = name.startsWith("conversation.chat.");
    if (!isChat && !name.startsWith("conversation.message.")) continue;
    if (typeof data !== "object" || data === null) {
      throw new CozeFailure("backend-protocol", "an event of the stream is not readable", ranPerhaps);
    }
    if (isChat) {
      const chat = readChat(data);
      progress.began(chat.id);
      // A cancelled chat's stream goes on to an event of completion; only the status tells.
      const status = chat.status === "canceled" ? chat.status : name.slice("conversation.chat.".length);
      if (status === "created" || status === "in_progress") continue;
      if (status === "completed" || status === "requires_action") yield* drafts.end();
      // A failed chat may come without its status, as `{ code, msg }` alone.
      judge({ ...chat, status }, progress);
      return yield* closing(chat, followUps, progress);
    }
    const message = readMessage(data);
    progress.began(message.chatId ?? "");
    if (name === "conversation.message.delta") {
      // The model's reasoning comes as deltas with empty content: it is not part of the answer.
      if (!isThinking && textOf(fieldsOf(data).reasoning_content)) {
        isThinking = true;
        yield { type: "status", text: "thinking" };
      }
      if (message.type === "answer" && message.contentType === "text") yield* drafts.more(message);
    } else if (name === "conversation.message.completed") {
      if (message.type === "answer") yield* drafts.completed(message);
      else if (message.type === "follow_up") followUps.push(message);
      else if (message.type === "function_call") yield { type: "status", text: toolName(message) };
    }
  }
}

/** The failure that an `error` event in the midst of a stream means: where the chat may go on, it is asked for. */
function brokenBy(facts: FailureFacts, progress: ChatProgress): AparteError {
  const failure = streamFailure(facts);
  if (failure.mayHaveRun) return failure;
  progress.state = "over";
  return chatFailure(facts);
}

function errorFacts(data: unknown): FailureFacts {
  const fields = fieldsOf(data);
  return {
    number: numberOf(fields.code),
    words: textOf(fields.msg),
    logid: textOf(fieldsOf(fields.detail).logid),
  };
}
