import type { Said } from "../agent.ts";
import { asFields, asList, type Fields, metaDataOf, optionalText } from "./fields.ts";
import { Refusal } from "./protocol.ts";
import type { CozeState, Identity, Message, MessageType } from "./state.ts";

/** A message as a client sends it, believed. */
export type EnteredMessage = Pick<Message, "role" | "type" | "content" | "contentType" | "metaData">;

interface Sender {
  readonly state: CozeState;
  readonly identity: Identity;
}

/** Where a message comes in decides which types it may have: only a chat takes `type` at all. */
export type Entry = "chat" | "unsaved-chat" | "conversation";

export function enteredMessages(list: readonly unknown[], entry: Entry, sender: Sender): EnteredMessage[] {
  const messages = list.map((value) => enteredMessage(asFields(value, "message"), entry, sender));
  if (entry !== "conversation") requireNeighbours(messages);
  return messages;
}

function enteredMessage(fields: Fields, entry: Entry, sender: Sender): EnteredMessage {
  const role = optionalText(fields, "role");
  if (role !== "user" && role !== "assistant")
    throw new Refusal(4000, "message role must be user or assistant");
  return {
    role,
    type: typeOf(optionalText(fields, "type"), role, entry),
    ...contentOf(fields, sender),
    metaData: metaDataOf(fields),
  };
}

/** The content and its type, checked. The rules are those of the service's `object_string`. */
function contentOf(fields: Fields, sender: Sender): Pick<Message, "content" | "contentType"> {
  const content = optionalText(fields, "content") ?? "";
  const contentType = optionalText(fields, "content_type");
  if (content === "") throw new Refusal(4005, "message content is empty");
  if (contentType !== "text" && contentType !== "object_string") {
    throw new Refusal(4000, "content_type must be text or object_string");
  }
  if (contentType === "object_string") checkItems(content, sender);
  return { content, contentType };
}

export function saidIn(message: Pick<Message, "content" | "contentType">, state: CozeState): Said {
  if (message.contentType === "text") return { text: message.content, attachments: [] };
  const items = itemsOf(message.content);
  return {
    text: items.map((item) => (item.type === "text" ? String(item.text) : "")).join(""),
    attachments: items.flatMap((item) => {
      const kind = item.type;
      if (kind !== "file" && kind !== "image" && kind !== "audio") return [];
      const file = state.files.get(String(item.file_id));
      return [file ? { kind, name: file.name, bytes: file.bytes } : { kind, name: String(item.file_url) }];
    }),
  };
}

function typeOf(type: string | undefined, role: "user" | "assistant", entry: Entry): MessageType {
  const natural = role === "user" ? "question" : "answer";
  if (type === undefined || type === "" || entry === "conversation") return natural;
  if (type === "question" && role !== "user") throw new Refusal(4000, "type=question needs role=user");
  if (type === "question" || type === "answer") return type;
  if (entry === "unsaved-chat") {
    if (type === "function_call") return type;
    if (type === "tool_response" || type === "tool_output") return "tool_response";
  }
  throw new Refusal(4000, `message type ${type} is not allowed here`);
}

function itemsOf(content: string): readonly Fields[] {
  let items: unknown;
  try {
    items = JSON.parse(content);
  } catch {
    throw new Refusal(4005, "object_string content is not valid JSON");
  }
  if (!Array.isArray(items) || items.length === 0)
    throw new Refusal(4005, "object_string content must be an array");
  return asList(items, "content").map((item) => asFields(item, "content"));
}

function checkItems(content: string, { state, identity }: Sender): void {
  const items = itemsOf(content);
  const texts = items.filter((item) => item.type === "text");
  if (texts.length > 1) throw new Refusal(4000, "object_string takes at most one text item");
  if (texts.length === items.length)
    throw new Refusal(4000, "object_string text needs an image or a file with it");
  for (const item of items) {
    if (item.type === "text") {
      if (typeof item.text !== "string") throw new Refusal(4000, "object_string text item has no text");
      continue;
    }
    if (item.type !== "file" && item.type !== "image" && item.type !== "audio") {
      throw new Refusal(4000, "object_string item type must be text, file, image or audio");
    }
    const fileId = optionalText(item, "file_id");
    if (fileId === undefined) {
      if (optionalText(item, "file_url") === undefined)
        throw new Refusal(4000, "file_id or file_url is required");
    } else if (state.files.get(fileId)?.accountId !== identity.accountId) {
      throw new Refusal(4000, "file_id is invalid, or the file belongs to another account");
    }
  }
}

/** A message of files alone must stand next to one with text. */
function requireNeighbours(messages: readonly EnteredMessage[]): void {
  const hasText = (message: EnteredMessage | undefined): boolean =>
    message !== undefined &&
    (message.contentType === "text" || itemsOf(message.content).some((item) => item.type === "text"));
  messages.forEach((message, index) => {
    if (hasText(message) || hasText(messages[index - 1]) || hasText(messages[index + 1])) return;
    throw new Refusal(4000, "a message of files alone must be next to a text message");
  });
}
