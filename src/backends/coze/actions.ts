import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, ConversationCall } from "../backend.ts";
import { ServiceFailure } from "../http/failure.ts";
import { fieldsOf, listOf, parsed, textOf } from "../http/json.ts";
import { type ChatProgress, type FoundQuestion, retrieveChat } from "./chat.ts";
import { pollChat } from "./chat-poll.ts";
import { streamChat } from "./chat-stream.ts";
import type { CozeClient, CozeRequest } from "./client.ts";
import { CozeFailure } from "./failure.ts";
import { questionText } from "./question.ts";
import { outputOf } from "./tools.ts";
import type { CozeCall } from "./wire.ts";

/** A question of the agent's that the person's next message answers; kept with the conversation. */
interface Asked {
  readonly chatId: string;
  readonly callIds: readonly string[];
  /** Of the tools that ran while the question was asked. */
  readonly outputs: readonly Output[];
  /** The chat's answers that the person has got. */
  readonly shown: readonly string[];
}

interface Output {
  readonly tool_call_id: string;
  readonly output: string;
}

/** How often one turn's chat may stop for tools. */
const mostStops = 20;

/** The question that was kept, if the agent waits for the answer to one. */
export function askedIn(state: unknown): Asked | undefined {
  const { chatId, callIds, outputs, shown } = fieldsOf(fieldsOf(state).asked);
  if (typeof chatId !== "string") return undefined;
  const texts = (list: unknown) => listOf(list).filter((each) => typeof each === "string");
  return {
    chatId,
    callIds: texts(callIds),
    outputs: listOf(outputs) as readonly Output[],
    shown: texts(shown),
  };
}

/**
 * Gives the turn's words to the agent as the answer to its question.
 * @returns false where the agent does not wait for it any more: the turn is to be asked like any other.
 */
export async function* answerQuestion(
  client: CozeClient,
  turn: AskCall,
  asked: Asked,
  progress: ChatProgress,
): AsyncGenerator<ReplyEvent, boolean> {
  for (const id of asked.shown) progress.delivered.add(id);
  const answer = asked.callIds.map((id) => ({ tool_call_id: id, output: questionText(turn) }));
  const request = submission(client, turn, asked.chatId, [...asked.outputs, ...answer]);
  const isThere = async (): Promise<FoundQuestion | undefined> => {
    const state = await answerState(client, turn, asked);
    return state === "waits" ? undefined : { chatId: asked.chatId, answers: [] };
  };
  let hasSpoken = false;
  try {
    for await (const event of run(client, turn, request, progress, isThere)) {
      hasSpoken = true;
      yield event;
    }
  } catch (error) {
    const isRefused = error instanceof ServiceFailure && !error.mayHaveRun && !hasSpoken;
    if (!isRefused || (error.code !== "backend-rejected" && error.code !== "conversation-lost")) throw error;
    turn.keep?.(null);
    return false;
  }
  turn.keep?.(null);
  yield* goOn(client, turn, progress, asked.chatId);
  return true;
}

/** What became of the answer to a question: the chat still waits for it, has got it, or is over without it. */
export async function answerState(
  client: CozeClient,
  turn: ConversationCall,
  { chatId, callIds }: Asked,
): Promise<"waits" | "answered" | "over"> {
  try {
    const chat = await retrieveChat(client, turn, chatId);
    if (chat.status === "requires_action") {
      return chat.calls.some(({ id }) => callIds.includes(id)) ? "waits" : "answered";
    }
    return chat.status === "completed" || chat.status === "in_progress" ? "answered" : "over";
  } catch (error) {
    if (error instanceof CozeFailure && error.number === 4001) return "over";
    throw error;
  }
}

/** Does what the chat has stopped for, until it ends or asks the person. */
export async function* goOn(
  client: CozeClient,
  turn: AskCall,
  progress: ChatProgress,
  chatId: string = progress.chatId ?? "",
): AsyncGenerator<ReplyEvent> {
  if (client.settings.workflow !== undefined) {
    // A chatflow takes the answer to its question as the next turn, and no tool's output.
    if (progress.answers === 0) yield* questions(progress.calls, progress);
    return;
  }
  let shownBefore = 0;
  for (let stops = 0; progress.calls.length > 0; stops++) {
    const { calls } = progress;
    progress.calls = [];
    const waiting = calls.filter(({ isQuestion }) => isQuestion);
    const outputs: Output[] = [];
    for (const call of calls) {
      if (call.isQuestion) continue;
      yield { type: "status", text: call.name };
      outputs.push({ tool_call_id: call.id, output: await outputOf(client.settings, call, turn) });
    }
    if (waiting.length > 0) {
      // Mostly the question has come as an answer of the chat.
      if (progress.answers === shownBefore) yield* questions(waiting, progress);
      const shown = [...progress.delivered];
      const asked = {
        chatId,
        callIds: waiting.map(({ id }) => id),
        outputs: outputs.map((each) => ({ ...each })),
        shown,
      };
      turn.keep?.({ asked });
      return;
    }
    if (stops === mostStops) {
      const what = `Coze: the agent has asked for tools ${mostStops} times in one turn, without an end. Check its prompt.`;
      throw new AparteError("action-required", what);
    }
    shownBefore = progress.answers;
    const isThere = async (): Promise<FoundQuestion | undefined> => {
      const state = await answerState(client, turn, {
        chatId,
        callIds: calls.map(({ id }) => id),
        outputs,
        shown: [],
      });
      return state === "waits" ? undefined : { chatId, answers: [] };
    };
    yield* run(client, turn, submission(client, turn, chatId, outputs), progress, isThere);
  }
}

function* questions(calls: readonly CozeCall[], progress: ChatProgress): Generator<ReplyEvent> {
  for (const call of calls) yield { type: "message", text: wordsOf(call) ?? progress.texts("agent-asks") };
}

function run(
  client: CozeClient,
  ...call: Parameters<typeof streamChat> extends [CozeClient, ...infer Rest] ? Rest : never
): AsyncGenerator<ReplyEvent> {
  return (client.settings.stream ? streamChat : pollChat)(client, ...call);
}

function submission(
  { settings }: CozeClient,
  turn: AskCall,
  chatId: string,
  outputs: readonly Output[],
): CozeRequest {
  return {
    method: "POST",
    path: "/v3/chat/submit_tool_outputs",
    query: { conversation_id: turn.conversationId, chat_id: chatId },
    body: { tool_outputs: outputs, stream: settings.stream },
    isHarmless: false,
    sessionName: turn.sessionName,
    signal: turn.signal,
  };
}

/** The question itself, where there is one. Which member of the call holds it is not documented. */
function wordsOf({ arguments: text }: CozeCall): string | undefined {
  const fields = fieldsOf(parsed(text));
  const named = ["question", "content", "text", "msg", "message"].map((name) => textOf(fields[name]));
  const plain = text.trimStart().startsWith("{") ? undefined : text.trim();
  return named.find((words) => words) || plain || undefined;
}
