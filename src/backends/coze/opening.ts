import { AparteError } from "../../errors.ts";
import type { OpenCall } from "../backend.ts";
import { fieldsOf } from "../http/json.ts";
import type { CozeSettings } from "./options.ts";

/** Coze takes so many messages with a new conversation. */
const most = 16;

/**
 * The messages with which a conversation begins, as Coze takes them.
 * @throws {AparteError} `input-invalid` where the option's function fails or returns something else.
 */
export async function openingMessages(
  { opening }: CozeSettings,
  { sessionName, agent }: OpenCall,
): Promise<readonly object[] | undefined> {
  let messages: unknown;
  try {
    messages = await opening?.({ sessionName, agent });
  } catch (cause) {
    const problem = 'The function "opening" failed. Its error is kept as the cause.';
    throw new AparteError("input-invalid", problem, { field: "opening", cause });
  }
  if (messages === undefined) return undefined;
  if (!Array.isArray(messages) || messages.length > most || !messages.every(isMessage)) {
    const problem = `The function "opening" must return at most ${most} messages of { role: "user" or "agent", text }.`;
    throw new AparteError("input-invalid", problem, { field: "opening" });
  }
  return messages.map(({ role, text }) => ({
    role: role === "agent" ? "assistant" : role,
    content: text,
    content_type: "text",
  }));
}

function isMessage(value: unknown): boolean {
  const { role, text } = fieldsOf(value);
  return (role === "user" || role === "agent") && typeof text === "string" && text.trim() !== "";
}
