import type { Texts } from "../texts/texts.ts";
import type { ReplyEvent } from "./reply-event.ts";

export type Notice = ReplyEvent & { readonly type: "notice" };

/** What aparte itself tells of a turn, where the notice is called as its text is. */
export function notice(
  code:
    | "duplicate"
    | "merged"
    | "busy"
    | "full"
    | "interrupted"
    | "stopped"
    | "paused"
    | "answer-lost"
    | "new-conversation",
  texts: Texts,
): Notice {
  return { type: "notice", code, text: texts(code) };
}

/** The conversation was over after a while without a word (`retention`, `sessionEnd` …). */
export function conversationOver(texts: Texts): Notice {
  return { type: "notice", code: "new-conversation", text: texts("conversation-over") };
}

/** A file of an earlier message, whose words the turn carries, died with its process. */
export function fileLost(texts: Texts): Notice {
  return { type: "notice", code: "answer-lost", text: texts("file-lost") };
}

/** @param waitMs until a turn may be had again, in milliseconds */
export function limited(waitMs: number, texts: Texts): Notice {
  const text = texts("limited", { seconds: Math.ceil(waitMs / 1000) });
  return { type: "notice", code: "limited", text, retryAfterMs: waitMs };
}

/** @param answer undefined where it was for another place, whose readers are not those of this one */
export function undelivered(answer: string | undefined, texts: Texts): Notice {
  const text = answer === undefined ? texts("undelivered-elsewhere") : texts("undelivered", { answer });
  return { type: "notice", code: "undelivered", text };
}
