import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { type AgentPlan, type AgentStep, wordsOf } from "../agent.ts";
import type { Sink } from "./chat-stream.ts";
import type { Chat, ChatStatus, CozeState, Message } from "./state.ts";

export interface ChatRun {
  readonly state: CozeState;
  readonly chat: Chat;
  readonly plan: AgentPlan;
  readonly sink: Sink;
  readonly wordDelayMs: number;
  /** Ends with the emulator. */
  readonly closing: AbortSignal;
  /** Ends when the chat is cancelled: wakes a plan that hangs. */
  readonly canceled: AbortSignal;
  readonly onEnd: (chat: Chat) => void;
}

type Said = Pick<Message, "type" | "content"> & Partial<Pick<Message, "contentType">>;

const wordsBeforeBreak = 3;

/** A hundredth of a second, as the service writes speech: 24 kHz, 16 bits, one channel. */
const silence = Buffer.alloc(480).toString("base64");

const finishMark = JSON.stringify({
  msg_type: "generate_answer_finish",
  data: JSON.stringify({ finish_reason: 0, FinData: "" }),
  from_module: null,
  from_unit: null,
});

/**
 * Plays a plan to its end, whether or not anyone still listens: a chat lives on when its stream breaks.
 * Cancelling changes the chat's status and frees the conversation, and the words go on, as at the service.
 */
export async function runChat(run: ChatRun): Promise<void> {
  const { chat, sink, plan } = run;
  setStatus(run, "in_progress");
  sink.emit("conversation.chat.in_progress", wireChat(chat));
  try {
    let marked = false;
    for (const step of plan.steps) {
      // The mark comes behind the last answer and before the suggestions.
      if (step.type === "follow-up" && !marked) {
        marked = true;
        emitWhole(run, { type: "verbose", content: finishMark });
      }
      if (await play(run, step)) return;
    }
    if (!marked) emitWhole(run, { type: "verbose", content: finishMark });
    finish(run, "completed");
  } catch (error) {
    if (!run.closing.aborted) throw error;
  }
}

/** Plays one step; true when it ended the chat. */
async function play(run: ChatRun, step: AgentStep): Promise<boolean> {
  const { chat } = run;
  switch (step.type) {
    case "answer":
      if (step.files === undefined) await speak(run, step.text, step.breaks);
      else {
        const items = [{ type: "text", text: step.text }, ...step.files];
        emitWhole(run, { type: "answer", content: JSON.stringify(items), contentType: "object_string" });
      }
      return false;
    case "tool": {
      const call = { name: step.name, arguments: step.arguments };
      emitWhole(run, { type: "function_call", content: JSON.stringify(call) });
      await pause(run);
      emitWhole(run, { type: "tool_response", content: step.result });
      return false;
    }
    case "follow-up":
      emitWhole(run, { type: "follow_up", content: step.text });
      return false;
    case "action":
      chat.toolCalls = [
        {
          id: `call_${run.state.newId()}`,
          name: step.name,
          arguments: step.arguments,
          isQuestion: step.isQuestion === true,
        },
      ];
      finish(run, "requires_action");
      return true;
    case "fail":
      for (const word of wordsOf(step.text)) {
        await pause(run);
        run.sink.emit(
          "conversation.message.delta",
          streamMessage(draft(run, { type: "answer", content: word }), run.state.newId()),
        );
      }
      chat.lastError = { code: step.code, msg: step.msg };
      finish(run, "failed");
      return true;
  }
}

async function speak(run: ChatRun, text: string, breaks: "cut" | "hang" | undefined): Promise<void> {
  const { state, sink } = run;
  const id = state.newId();
  for (const [index, word] of wordsOf(text).entries()) {
    await pause(run);
    if (index === wordsBeforeBreak && breaks === "cut") sink.cut();
    if (index === wordsBeforeBreak && breaks === "hang") await canceledOrClosing(run);
    const piece = streamMessage(draft(run, { type: "answer", content: word }), id);
    sink.emit("conversation.message.delta", piece);
    if (run.plan.isSpoken === true)
      sink.emit("conversation.audio.delta", { ...piece, content: silence, content_type: "audio" });
  }
  emitWhole(run, { type: "answer", content: text }, id);
}

/** Ends the chat. The conversation is free before anyone hears of it, so the next chat is not told 4016. */
function finish(run: ChatRun, status: ChatStatus): void {
  const { chat, sink, state } = run;
  if (chat.status !== "canceled") setStatus(run, status);
  if (state.running.get(chat.conversationId) === chat.id) state.running.delete(chat.conversationId);
  run.onEnd(chat);
  // There is no event for a cancelled chat: the stream ends as any other does.
  const event = chat.status === "canceled" ? "completed" : chat.status;
  sink.emit(`conversation.chat.${event}`, wireChat(chat));
  sink.end();
}

function setStatus({ chat, state }: ChatRun, status: ChatStatus): void {
  if (chat.status === "canceled") return;
  chat.status = status;
  if (status === "completed" || status === "failed") chat.endedAt = state.now();
  state.saveChat(chat);
}

/** A message that comes as a whole; kept with its chat, unless that was cancelled or is not saved. */
function emitWhole(run: ChatRun, said: Said, id: string = run.state.newId()): void {
  const { chat, state, sink } = run;
  const message = draft(run, said);
  if (chat.status !== "canceled" && chat.saved) state.addMessage(message, id);
  if (said.type === "answer") {
    const output = chat.usage.output + wordsOf(said.content).length;
    chat.usage = { input: chat.usage.input, output };
  }
  sink.emit("conversation.message.completed", streamMessage(message, id));
}

function draft(
  { chat }: ChatRun,
  { type, content, contentType = "text" }: Said,
): Omit<Message, "id" | "createdAt" | "updatedAt"> {
  return {
    conversationId: chat.conversationId,
    sectionId: chat.sectionId,
    chatId: chat.id,
    botId: chat.botId,
    role: "assistant",
    type,
    content,
    contentType,
    metaData: {},
  };
}

/** A message as the events of a stream tell it. */
function streamMessage(message: Omit<Message, "id" | "createdAt" | "updatedAt">, id: string) {
  return {
    id,
    conversation_id: message.conversationId,
    bot_id: message.botId,
    role: message.role,
    type: message.type,
    content: message.content,
    content_type: message.contentType,
    chat_id: message.chatId,
    section_id: message.sectionId,
  };
}

/** Healthy chats carry an error of code 0 and an empty action too: presence means nothing. */
export function wireChat(chat: Chat): Readonly<Record<string, unknown>> {
  const { input, output } = chat.usage;
  const isEnded = chat.status === "completed" || chat.status === "failed";
  return {
    id: chat.id,
    conversation_id: chat.conversationId,
    bot_id: chat.botId,
    created_at: chat.createdAt,
    ...(isEnded ? { completed_at: chat.endedAt } : {}),
    ...(chat.status === "failed" ? { failed_at: chat.endedAt } : {}),
    last_error: chat.lastError,
    meta_data: chat.metaData,
    status: chat.status,
    usage: isEnded
      ? { token_count: input + output, output_count: output, input_count: input }
      : { token_count: 0, output_count: 0, input_count: 0 },
    required_action: {
      type: chat.status === "requires_action" ? "submit_tool_outputs" : "",
      submit_tool_outputs: {
        tool_calls: chat.toolCalls.map(({ id, name, arguments: text, isQuestion }) => ({
          id,
          type: isQuestion === true ? "reply_message" : "function",
          function: { name, arguments: text },
        })),
      },
    },
    section_id: chat.sectionId,
  };
}

async function pause({ plan, wordDelayMs, closing }: ChatRun): Promise<void> {
  const ms = plan.wordDelayMs ?? wordDelayMs;
  // Without the signal in the common case: a listener for each word costs more than the word.
  await (ms > 0 ? sleep(ms, undefined, { signal: closing }) : nextTurn());
  closing.throwIfAborted();
}

function canceledOrClosing({ canceled, closing }: ChatRun): Promise<void> {
  const ended = AbortSignal.any([canceled, closing]);
  return new Promise((resolve, reject) => {
    const wake = () => (closing.aborted ? reject(closing.reason) : resolve());
    if (ended.aborted) wake();
    else ended.addEventListener("abort", wake, { once: true });
  });
}
