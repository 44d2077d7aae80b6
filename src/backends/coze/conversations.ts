import { randomUUID } from "node:crypto";
import { AparteError } from "../../errors.ts";
import type { ConversationCall, FeedbackCall, HistoryMessage, OpenCall, SessionCall } from "../backend.ts";
import { ServiceFailure } from "../http/failure.ts";
import { type Fields, fieldsOf, listOf, textOf } from "../http/json.ts";
import type { CozeClient } from "./client.ts";
import { openingMessages } from "./opening.ts";
import { type CozeConversation, idOf, readableText, readConversation, readMessage } from "./wire.ts";

/** Coze takes names of 100 characters. Counted in UTF-16 units, which is never less than any other count. */
const longestName = 100;

const pageSize = 50;

/** Far more pages than a session has conversations or messages: a list without end is an error, not a hang. */
const mostPages = 400;

/** Opens a conversation, marked so that it can be found again if its id is never written. */
export async function open(client: CozeClient, call: OpenCall): Promise<string> {
  // Marks this very attempt: an older conversation of the session is not taken for the one being opened.
  const attempt = randomUUID();
  const messages = await openingMessages(client.settings, call);
  const { metaData } = client.settings;
  const constant = typeof metaData === "function" ? {} : metaData;
  const create = async (): Promise<string> => {
    const answer = await client.call({
      method: "POST",
      path: "/v1/conversation/create",
      body: {
        bot_id: client.settings.botId,
        name: call.title === undefined ? undefined : nameOf(call.title) || undefined,
        connector_id: client.settings.connectorId,
        messages,
        meta_data: { ...constant, aparte: marker(call), aparte_open: attempt },
      },
      isHarmless: false,
      sessionName: call.sessionName,
      signal: call.signal,
      permit: call.permit,
    });
    return idOf(fieldsOf(answer.data).id, "a conversation");
  };
  try {
    return await create();
  } catch (error) {
    if (!(error instanceof ServiceFailure && error.mayHaveRun)) throw error;
    // Its answer was lost, and it may have been opened all the same.
    return (await findMarked(client, call, "aparte_open", attempt)) ?? (await create());
  }
}

/** The newest conversation that was opened for this session and agent. */
export async function find(client: CozeClient, call: SessionCall): Promise<string | undefined> {
  return await findMarked(client, call, "aparte", marker(call));
}

export async function retrieve(client: CozeClient, call: ConversationCall): Promise<CozeConversation> {
  const { data } = await client.call({
    method: "GET",
    path: "/v1/conversation/retrieve",
    query: { conversation_id: call.conversationId },
    isHarmless: true,
    isAboutConversation: true,
    sessionName: call.sessionName,
    signal: call.signal,
  });
  return readConversation(data);
}

export async function exists(client: CozeClient, call: ConversationCall): Promise<boolean> {
  try {
    await retrieve(client, call);
    return true;
  } catch (error) {
    if (error instanceof AparteError && error.code === "conversation-lost") return false;
    throw error;
  }
}

export async function rename(
  client: CozeClient,
  call: ConversationCall & { readonly title: string },
): Promise<string | undefined> {
  const name = lineOf(call.title);
  if (name === "") throw new AparteError("input-invalid", "The title is empty.", { field: "title" });
  if (name.length > longestName) {
    const problem = `The title has ${name.length} characters, and Coze takes ${longestName} at most.`;
    throw new AparteError("input-invalid", problem, { field: "title" });
  }
  const { data } = await edit(client, call, "PUT", "", { name });
  return textOf(fieldsOf(data).name);
}

export async function clear(client: CozeClient, call: ConversationCall): Promise<void> {
  await edit(client, call, "POST", "/clear", {});
}

export async function remove(client: CozeClient, call: ConversationCall): Promise<void> {
  try {
    await edit(client, call, "DELETE", "");
  } catch (error) {
    if (!(error instanceof AparteError && error.code === "conversation-lost")) throw error;
  }
}

/** What was said, oldest first. Coze keeps it for 180 days, and through {@link clear} too. */
export async function history(client: CozeClient, call: ConversationCall): Promise<HistoryMessage[]> {
  const messages = new Map<string, HistoryMessage>();
  let after: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const answer = await client.call({
      method: "POST",
      path: "/v1/conversation/message/list",
      query: { conversation_id: call.conversationId },
      body: { order: "asc", limit: pageSize, after_id: after },
      isHarmless: true,
      isAboutConversation: true,
      sessionName: call.sessionName,
      signal: call.signal,
    });
    const known = messages.size;
    for (const message of listOf(answer.data).map(readMessage)) {
      const { id, role, at } = message;
      const text = readableText(message);
      messages.set(id, {
        role: role === "user" ? "user" : "agent",
        text,
        ...(at === undefined ? {} : { at }),
      });
    }
    after = textOf(answer.last_id);
    if (answer.has_more !== true || !after || messages.size === known) return [...messages.values()];
  }
  throw endless();
}

/** Replaces what was said of the answer before. */
export async function feedback(
  client: CozeClient,
  { answer, rating, words, ...call }: FeedbackCall,
): Promise<void> {
  const body = { feedback_type: rating === "up" ? "like" : "unlike", comment: words };
  await edit(client, call, "POST", `/messages/${encodeURIComponent(answer)}/feedback`, body);
}

async function edit(
  client: CozeClient,
  { conversationId, sessionName, signal }: ConversationCall,
  method: "PUT" | "POST" | "DELETE",
  action: string,
  body?: object,
): Promise<Fields> {
  return await client.call({
    method,
    path: `/v1/conversations/${encodeURIComponent(conversationId)}${action}`,
    ...(body === undefined ? {} : { body }),
    isHarmless: true,
    isAboutConversation: true,
    sessionName,
    signal,
  });
}

export async function list(client: CozeClient, call: SessionCall): Promise<CozeConversation[]> {
  const conversations: CozeConversation[] = [];
  for await (const conversation of listed(client, call)) conversations.push(conversation);
  return conversations;
}

async function findMarked(
  client: CozeClient,
  call: SessionCall,
  key: string,
  value: string,
): Promise<string | undefined> {
  for await (const { id, metaData } of listed(client, call)) if (metaData[key] === value) return id;
  return undefined;
}

/** The session's conversations with the agent, the newest first. */
async function* listed(
  client: CozeClient,
  { sessionName, signal }: SessionCall,
): AsyncGenerator<CozeConversation> {
  const { botId, connectorId } = client.settings;
  // Coze lists conversations by agent: those of an app cannot be found again, and another one is opened.
  if (botId === undefined) return;
  for (let page = 1; page <= mostPages; page++) {
    const answer = await client.call({
      method: "GET",
      path: "/v1/conversations",
      query: {
        bot_id: botId,
        connector_id: connectorId,
        page_num: String(page),
        page_size: String(pageSize),
        sort_order: "DESC",
      },
      isHarmless: true,
      sessionName,
      signal,
    });
    const data = fieldsOf(answer.data);
    const conversations = listOf(data.conversations).map(readConversation);
    yield* conversations;
    if (data.has_more !== true || conversations.length === 0) return;
  }
  throw endless();
}

/** Which session and agent a conversation belongs to; a value of Coze's `meta_data`, at most 512 characters. */
function marker({ sessionName, agent }: SessionCall): string {
  return `${sessionName}/${encodeURIComponent(agent)}`.slice(0, 512);
}

function lineOf(title: string): string {
  return title.replace(/\s+/g, " ").trim();
}

/** The title on one line, cut between characters as a reader sees them. */
export function nameOf(title: string): string {
  const line = lineOf(title);
  if (line.length <= longestName) return line;
  let name = "";
  for (const { segment } of new Intl.Segmenter().segment(line.slice(0, 2 * longestName))) {
    if (name.length + segment.length > longestName) break;
    name += segment;
  }
  return name.trim();
}

function endless(): AparteError {
  return new AparteError("backend-protocol", "Coze: a list has no end. Check baseURL.");
}
