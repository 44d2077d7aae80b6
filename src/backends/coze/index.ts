import { optionInvalid } from "../../check.ts";
import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AccessToken, AskCall, Backend, ConversationCall, SessionCall } from "../backend.ts";
import { fieldsOf, textOf } from "../http/json.ts";
import { answerQuestion, askedIn, goOn } from "./actions.ts";
import { ChatProgress, cancelChat, chatRequest, freeConversation } from "./chat.ts";
import { pollChat } from "./chat-poll.ts";
import { streamChat } from "./chat-stream.ts";
import { CozeClient } from "./client.ts";
import {
  clear,
  exists,
  feedback,
  find,
  history,
  list,
  open,
  remove,
  rename,
  retrieve,
} from "./conversations.ts";
import { upload } from "./files.ts";
import { type CozeOptions, readOptions } from "./options.ts";
import { composeQuestion } from "./question.ts";
import { recover } from "./recover.ts";
import type { CozeConversation } from "./wire.ts";

export { serviceWords } from "../http/failure.ts";
export type {
  CozeOpening,
  CozeOptions,
  CozePerTurn,
  CozeSession,
  CozeSessionContext,
  CozeTool,
  CozeTurn,
  CozeWorkflow,
} from "./options.ts";
export type { CozeConversation } from "./wire.ts";

/** What `coze` makes: a `Backend` with all that it may have but `locate`, which Coze has no use for; and what lists conversations. */
export type CozeBackend = Required<Omit<Backend, "locate" | "accessToken">> & {
  accessToken(session: Parameters<NonNullable<Backend["accessToken"]>>[0]): Promise<AccessToken>;
  /** A session's conversations with the agent, the newest first. None of an app's: Coze lists them nowhere. */
  list(session: SessionCall): Promise<CozeConversation[]>;
  /** One conversation. @throws {AparteError} `conversation-lost` where the session has none of this id */
  retrieve(call: ConversationCall): Promise<CozeConversation>;
};

/** A session of nobody, to try the key with. */
const probeSession = "aparte-probe";

/**
 * An agent on Coze (coze.cn, coze.com). Every session has an access token of its own, whose `session_name` keeps
 * its conversations, variables and files apart from all others.
 *
 * @throws {AparteError} `option-invalid` with the option's name, at once.
 */
export function coze(
  options: CozeOptions & { readonly accessToken: string },
): Omit<CozeBackend, "accessToken">;
export function coze(options: CozeOptions): CozeBackend;
export function coze(options: CozeOptions): Omit<CozeBackend, "accessToken"> {
  const client = new CozeClient(readOptions(options));
  // The one token that all people share is for this program alone, and never told as a session's own.
  const accessToken: Pick<Backend, "accessToken"> =
    options.accessToken === undefined
      ? { accessToken: ({ sessionName, signal, isFresh }) => client.token(sessionName, signal, isFresh) }
      : {};
  return {
    name: "coze",
    open: (call) => open(client, call),
    find: (call) => find(client, call),
    exists: (call) => exists(client, call),
    list: (call) => list(client, call),
    retrieve: (call) => retrieve(client, call),
    ask: (turn) => ask(client, turn),
    recover: (turn) => recover(client, turn, turn.facts),
    rename: (call) => rename(client, call),
    clear: (call) => clear(client, call),
    remove: (call) => remove(client, call),
    forget: ({ sessionName }) => client.forget(sessionName),
    history: (call) => history(client, call),
    feedback: (call) => feedback(client, call),
    upload: (call) => upload(client, call),
    cancel: (call) => cancelChat(client, call, textOf(fieldsOf(call.facts).chatId)),
    ...accessToken,
    probe: (signal) => probe(client, options, signal),
    attach: (host) => client.attach(host),
  };
}

/**
 * Tries the key, and whether it opens the agent: both are needed to list the agent's conversations.
 * @throws {AparteError} `backend-auth`, or `option-invalid` where the agent is none that may be asked
 */
async function probe(client: CozeClient, options: CozeOptions, signal: AbortSignal): Promise<void> {
  if (options.accessToken === undefined) await client.token(probeSession, signal);
  try {
    await find(client, { sessionName: probeSession, agent: "", signal });
  } catch (error) {
    if (!(error instanceof AparteError) || error.code !== "backend-rejected") throw error;
    throw optionInvalid(
      "botId",
      `names no agent that can be asked. ${error.message.replace(/\.$/, "")}`,
      error,
    );
  }
}

async function* ask(client: CozeClient, turn: AskCall): AsyncGenerator<ReplyEvent> {
  const progress = new ChatProgress(turn);
  try {
    const asked = client.settings.workflow === undefined ? askedIn(turn.state) : undefined;
    if (asked !== undefined && (yield* answerQuestion(client, turn, asked, progress))) return;
    const request = chatRequest(client, turn, await composeQuestion(client, turn));
    yield* (client.settings.stream ? streamChat : pollChat)(client, turn, request, progress);
    yield* goOn(client, turn, progress);
  } finally {
    if (progress.state === "running" && !isTakenOver(turn.signal)) {
      await freeConversation(client, turn, progress.chatId);
    }
  }
}

/** Another process goes on with the turn, or will: it fetches the answer, so the chat must run on. */
function isTakenOver({ reason }: AbortSignal): boolean {
  return reason instanceof AparteError && (reason.code === "lease-lost" || reason.code === "closed");
}
