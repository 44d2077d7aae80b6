import { AparteError } from "../../errors.ts";
import type { AskCall } from "../backend.ts";
import type { CozeClient } from "./client.ts";
import { kindOf, upload } from "./files.ts";

/** The message that a chat is sent with. */
export interface Question {
  readonly role: "user";
  readonly type: "question";
  readonly content: string;
  readonly content_type: "text" | "object_string";
  readonly meta_data: Readonly<Record<string, string>>;
}

/** The turn's id, among the pairs that Coze keeps with a chat and with its question: by it the turn is found again. */
export const turnMark = "aparte_turn";

const uploadsAtOnce = 4;

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
  const question = { role: "user", type: "question", meta_data: { [turnMark]: turn.turnId } } as const;
  if (turn.files.length === 0) return { ...question, content: text, content_type: "text" };
  if (client.settings.workflow !== undefined)
    throw new AparteError("backend-rejected", "Coze: a chatflow's messages take no files.");
  const items: { type: ReturnType<typeof kindOf>; file_id: string }[] = [];
  // A few at a time: Coze takes ten uploads a second on the smaller plans, from all people together.
  for (let at = 0; at < turn.files.length; at += uploadsAtOnce) {
    const few = turn.files.slice(at, at + uploadsAtOnce);
    const uploaded = few.map(async (file) => ({
      type: kindOf(file),
      file_id: await upload(client, { ...turn, file }),
    }));
    items.push(...(await Promise.all(uploaded)));
  }
  const content = JSON.stringify([{ type: "text", text }, ...items]);
  return { ...question, content, content_type: "object_string" };
}
