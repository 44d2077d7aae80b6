import { AparteError } from "../../errors.ts";

/** An object of Coze's answers, of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** A message as Coze sends it. Ids are strings of digits too long for a number. */
export interface CozeMessage {
  readonly id: string;
  readonly chatId: string | undefined;
  readonly role: string;
  /** `question`, `answer`, `function_call`, `follow_up`, `verbose` … */
  readonly type: string;
  readonly content: string;
  /** `text`, `object_string`, `card` … */
  readonly contentType: string;
  /** Unix time in milliseconds. */
  readonly at: number | undefined;
}

/** A chat as Coze sends it. */
export interface CozeChat {
  readonly id: string;
  readonly status: string;
  /** Coze's error code; 0 for a healthy chat. */
  readonly errorCode: number;
  readonly errorWords: string | undefined;
  readonly usage: Fields | undefined;
  /** Names of the tools that the agent wants to have run. */
  readonly wantedTools: readonly string[];
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** @throws {AparteError} `backend-protocol`: without its id a conversation or chat cannot be found again. */
export function idOf(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new AparteError("backend-protocol", `Coze sent no id for ${what}. Check baseURL.`);
}

export function readMessage(value: unknown): CozeMessage {
  const fields = fieldsOf(value);
  // Coze mixes the types: a time may be a string of digits in one field and a number in the next.
  const createdAt = Number(fields.created_at);
  return {
    id: textOf(fields.id) ?? "",
    chatId: textOf(fields.chat_id) || undefined,
    role: textOf(fields.role) ?? "",
    type: textOf(fields.type) ?? "",
    content: textOf(fields.content) ?? "",
    contentType: textOf(fields.content_type) ?? "text",
    at: createdAt > 0 ? createdAt * 1000 : undefined,
  };
}

/** Healthy chats carry `last_error.code: 0` and an empty `required_action` as well. */
export function readChat(value: unknown): CozeChat {
  const fields = fieldsOf(value);
  const error = fieldsOf(fields.last_error);
  const calls = listOf(fieldsOf(fieldsOf(fields.required_action).submit_tool_outputs).tool_calls);
  return {
    id: textOf(fields.id) ?? "",
    status: textOf(fields.status) ?? "",
    // A failed chat comes in two shapes: a chat object, or bare `{ code, msg }`.
    errorCode: numberOf(error.code) ?? numberOf(fields.code) ?? 0,
    errorWords: textOf(error.msg) ?? textOf(fields.msg),
    usage: typeof fields.usage === "object" && fields.usage !== null ? fieldsOf(fields.usage) : undefined,
    wantedTools: calls.map((call) => textOf(fieldsOf(fieldsOf(call).function).name) ?? "tool"),
  };
}

/** What a person reads of a message: its text, with a line for each image or file that has an address. */
export function readableText({ content, contentType }: CozeMessage): string {
  if (contentType !== "object_string") return content;
  const items = listOf(parsed(content)).map(fieldsOf);
  const lines = items.map((item) => textOf(item.type === "text" ? item.text : item.file_url));
  return lines.filter((line) => line !== undefined && line !== "").join("\n");
}

/** The name of the tool that a `function_call` message tells of. Its arguments are nobody's business. */
export function toolName({ content }: CozeMessage): string {
  return textOf(fieldsOf(parsed(content)).name) || "tool";
}

/** The JSON value, or undefined where the text is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
