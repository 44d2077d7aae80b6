import type { AskCall } from "../../backend.ts";
import type { CozeClient } from "./client.ts";
import { isImage, upload } from "./files.ts";

/** The message that a chat is sent with. */
export interface Question {
  readonly role: "user";
  readonly type: "question";
  readonly content: string;
  readonly content_type: "text" | "object_string";
}

/**
 * The words of the turn. Coze refuses a message of files alone (4000: it must be next to a text), so there the
 * files' names are the text.
 */
export function questionText({ text, files }: Pick<AskCall, "text" | "files">): string {
  return text.trim() === "" && files.length > 0 ? files.map((file) => file.name).join(", ") : text;
}

/** Uploads the turn's files and makes the message. Plain text must not be an `object_string`. */
export async function composeQuestion(client: CozeClient, turn: AskCall): Promise<Question> {
  const text = questionText(turn);
  if (turn.files.length === 0) return { role: "user", type: "question", content: text, content_type: "text" };
  const ids = await Promise.all(turn.files.map((file) => upload(client, { ...turn, file })));
  const items = turn.files.map((file, at) => ({ type: isImage(file) ? "image" : "file", file_id: ids[at] }));
  const content = JSON.stringify([{ type: "text", text }, ...items]);
  return { role: "user", type: "question", content, content_type: "object_string" };
}
