import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import { type Fields, fieldsOf, listOf, numberOf, parsed, textOf } from "../http/json.ts";

/** A message as Coze sends it. Ids are strings of digits too long for a number. */
export interface CozeMessage {
  readonly id: string;
  readonly chatId: string | undefined;
  readonly role: string;
  /** `question`, `answer`, `function_call`, `follow_up`, `verbose` … */
  readonly type: string;
  readonly content: string;
  /** `text`, `object_string`, `card`, `audio` … */
  readonly contentType: string;
  /** Unix time in milliseconds. */
  readonly at: number | undefined;
  readonly metaData: Fields;
}

/** A conversation as Coze keeps it. */
export interface CozeConversation {
  readonly id: string;
  /** Empty where it has none. */
  readonly name: string;
  readonly metaData: Readonly<Record<string, unknown>>;
  /** Unix times in milliseconds, where Coze tells them. */
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
  /** The newest section of its context: what the agent has of the talk begins there. */
  readonly sectionId: string | undefined;
  /** The channel it was opened in. */
  readonly connectorId: string | undefined;
}

/** A chat as Coze sends it. */
export interface CozeChat {
  readonly id: string;
  readonly status: string;
  /** Coze's error code; 0 for a healthy chat. */
  readonly errorCode: number;
  readonly errorWords: string | undefined;
  readonly usage: Fields | undefined;
  /** What the chat waits for, where its status is `requires_action`. */
  readonly calls: readonly CozeCall[];
}

/** What a chat that stopped wants: a tool to be run, or the person's answer to a question of its workflow. */
export interface CozeCall {
  readonly id: string;
  readonly isQuestion: boolean;
  readonly name: string;
  /** JSON text, mostly. */
  readonly arguments: string;
}

/** @throws {AparteError} `backend-protocol`: without its id a conversation or chat cannot be found again. */
export function idOf(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new AparteError("backend-protocol", `Coze sent no id for ${what}. Check baseURL.`);
}

/** @throws {AparteError} `backend-protocol` where it has no id. */
export function readConversation(value: unknown): CozeConversation {
  const fields = fieldsOf(value);
  return {
    id: idOf(fields.id, "a conversation"),
    name: textOf(fields.name) ?? "",
    metaData: fieldsOf(fields.meta_data),
    createdAt: timeOf(fields.created_at),
    updatedAt: timeOf(fields.updated_at),
    sectionId: textOf(fields.last_section_id),
    connectorId: textOf(fields.connector_id),
  };
}

/** Coze's seconds as Unix time in milliseconds. It mixes the types: a string of digits here, a number there. */
function timeOf(value: unknown): number | undefined {
  const seconds = Number(value);
  return seconds > 0 ? seconds * 1000 : undefined;
}

export function readMessage(value: unknown): CozeMessage {
  const fields = fieldsOf(value);
  return {
    id: textOf(fields.id) ?? "",
    chatId: textOf(fields.chat_id) || undefined,
    role: textOf(fields.role) ?? "",
    type: textOf(fields.type) ?? "",
    content: textOf(fields.content) ?? "",
    contentType: textOf(fields.content_type) ?? "text",
    at: timeOf(fields.created_at),
    metaData: fieldsOf(fields.meta_data),
  };
}

/** Healthy chats carry `last_error.code: 0` and an empty `required_action` as well. */
export function readChat(value: unknown): CozeChat {
  const fields = fieldsOf(value);
  const error = fieldsOf(fields.last_error);
  const action = fieldsOf(fields.required_action);
  const calls = listOf(fieldsOf(action.submit_tool_outputs).tool_calls).map(fieldsOf);
  return {
    id: textOf(fields.id) ?? "",
    status: textOf(fields.status) ?? "",
    // A failed chat comes in two shapes: a chat object, or bare `{ code, msg }`.
    errorCode: numberOf(error.code) ?? numberOf(fields.code) ?? 0,
    errorWords: textOf(error.msg) ?? textOf(fields.msg),
    usage: typeof fields.usage === "object" && fields.usage !== null ? fieldsOf(fields.usage) : undefined,
    calls: calls.map((call) => ({
      id: textOf(call.id) ?? "",
      isQuestion: (call.type || action.type) === "reply_message",
      name: textOf(fieldsOf(call.function).name) || "tool",
      arguments: textOf(fieldsOf(call.function).arguments) ?? "",
    })),
  };
}

/** What a person gets of a message: its text or a card's words, and what can be fetched of its files. */
export function partsOf({ content, contentType }: Pick<CozeMessage, "content" | "contentType">): {
  readonly text: string;
  readonly files: readonly FileEvent[];
} {
  if (contentType === "card") return { text: cardText(content), files: [] };
  // Speech is the address of its sound, or the sound itself, which no reply carries.
  if (contentType === "audio" && isAddress(content))
    return { text: "", files: [{ type: "file", kind: "audio", url: content }] };
  if (contentType === "audio") return { text: content === "" ? "" : "[audio]", files: [] };
  if (contentType !== "object_string") return { text: content, files: [] };
  const lines: string[] = [];
  const files: FileEvent[] = [];
  for (const item of listOf(parsed(content)).map(fieldsOf)) {
    const url = textOf(item.file_url) ?? "";
    if (item.type === "text") lines.push(textOf(item.text) ?? "");
    // What is no address that people can open stands among the words, as Coze wrote it.
    else if (!isAddress(url)) lines.push(url || attachmentText(item));
    else {
      const name = textOf(item.name) || textOf(item.file_name);
      files.push({ type: "file", kind: kindOf(item), url, ...(name ? { name } : {}) });
    }
  }
  return { text: lines.filter((line) => line !== "").join("\n"), files };
}

function isAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

type FileEvent = Extract<ReplyEvent, { readonly type: "file" }>;

/** The same where there is nothing but text. */
export function readableText(message: CozeMessage): string {
  const { text, files } = partsOf(message);
  return [text, ...files.map(({ url }) => url)].filter((line) => line !== "").join("\n");
}

/** For a file that Coze names by its id alone: nobody but the agent's account can fetch it. */
function attachmentText(item: Fields): string {
  const title = textOf(item.name) || textOf(item.file_name);
  return title ? `[${kindOf(item)}: ${title}]` : `[${kindOf(item)}]`;
}

function kindOf({ type }: Fields): FileEvent["kind"] {
  return type === "image" || type === "audio" ? type : "file";
}

/** The members of a card that hold words for people, in the order in which they are read. */
const cardWords = ["title", "header", "text", "content", "description", "label", "value", "url"];

/** Cards are drawn by Coze's own pages. Elsewhere their words are shown, or that there is one. */
function cardText(content: string): string {
  const card = parsed(content);
  const summary = textOf(fieldsOf(card).response_for_model)?.trim();
  if (summary && typeof parsed(summary) !== "object") return summary;
  const lines = [...new Set(wordsIn(card))];
  return lines.length > 0 ? lines.join("\n") : "[card]";
}

/** The words in the members of a card, however deep, and in JSON that is written as a text within it. */
function wordsIn(value: unknown, isWords = false, depth = 0): string[] {
  if (depth > 20) return [];
  if (typeof value === "string") {
    const inner = /^\s*[[{]/.test(value) ? parsed(value) : undefined;
    if (inner !== undefined) return wordsIn(inner, isWords, depth + 1);
    return isWords && value.trim() !== "" ? [value.trim()] : [];
  }
  if (Array.isArray(value)) return value.flatMap((item) => wordsIn(item, isWords, depth + 1));
  const members = Object.entries(fieldsOf(value)).map(([name, member]) => ({
    place: cardWords.indexOf(name.toLowerCase()),
    member,
  }));
  return members
    .toSorted((one, two) => one.place - two.place)
    .flatMap(({ place, member }) => wordsIn(member, place >= 0, depth + 1));
}

/** The name of the tool that a `function_call` message tells of. Its arguments may hold the person's words, and are left out. */
export function toolName({ content }: CozeMessage): string {
  return textOf(fieldsOf(parsed(content)).name) || "tool";
}
