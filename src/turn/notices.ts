import type { NoticeCode, ReplyEvent } from "./reply-event.ts";

export type Notice = ReplyEvent & { readonly type: "notice" };

const texts = {
  duplicate: "This message was handled before.",
  merged: "This message is answered together with a later one.",
  busy: "One moment, please: I am still answering your last message.",
  full: "One moment, please: too many of your messages are waiting. Send this one again later.",
  interrupted: "Stopped, since a new message came.",
  stopped: "Stopped.",
  "new-conversation": "It has been a while, so we start a new conversation.",
  "file-lost": "A file of an earlier message was lost. Please send it again.",
} as const;

/** What aparte itself tells of a turn that gets no answer of its own. */
export function notice(code: keyof typeof texts): Notice {
  const known: NoticeCode = code === "file-lost" ? "answer-lost" : code;
  return { type: "notice", code: known, text: texts[code] };
}

/** @param waitMs until a turn may be had again, in milliseconds */
export function limited(waitMs: number): Notice {
  const seconds = Math.ceil(waitMs / 1000);
  const text = `That was a lot in a short time. Please come back in ${seconds} second${seconds === 1 ? "" : "s"}.`;
  return { type: "notice", code: "limited", text, retryAfterMs: waitMs };
}

/** @param answer undefined where it was for another place, whose readers are not those of this one */
export function undelivered(answer: string | undefined): Notice {
  const text =
    answer === undefined
      ? "My last answer to you could not be delivered. Ask again, and I will repeat it."
      : `My last answer could not be delivered. Here it is:\n\n${answer}`;
  return { type: "notice", code: "undelivered", text };
}
