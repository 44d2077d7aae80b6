import { isJson } from "../json.ts";

/** What a reply is made of, in the order it happens. Adapters render what their platform can. */
export type ReplyEvent =
  /** More of the answer. The deltas since the last `message` are a draft of the next one. */
  | { readonly type: "text"; readonly delta: string }
  /**
   * One answer is complete; a turn may have several. Replaces the draft that the deltas made. `id` names it for
   * feedback, where the service takes any.
   */
  | { readonly type: "message"; readonly text: string; readonly id?: string }
  /** A part of the answer that is no text: where to fetch it, by http or https. Whoever reads text reads its address. */
  | {
      readonly type: "file";
      readonly kind: "image" | "audio" | "file";
      readonly url: string;
      readonly name?: string;
    }
  /** Follow-up questions the person may ask next. */
  | { readonly type: "suggestions"; readonly items: readonly string[] }
  /** What the agent is doing, e.g. the name of a tool that runs. Not part of the answer. */
  | { readonly type: "status"; readonly text: string }
  /** From aparte itself, not from the agent. `retryAfterMs`: when to come back, in milliseconds from now. */
  | {
      readonly type: "notice";
      readonly code: NoticeCode;
      readonly text: string;
      readonly retryAfterMs?: number;
    }
  /** The agent hands over to a human, and is silent from now on, until `mapper.resume`. `detail` is whatever the service sent along. */
  | { readonly type: "handoff"; readonly detail?: unknown }
  /** The agent ended the session; the next message starts afresh. */
  | { readonly type: "end" }
  /** What the turn cost, in tokens of the service's model. */
  | { readonly type: "usage"; readonly input?: number; readonly output?: number; readonly total?: number };

const isText = (value: unknown): boolean => typeof value === "string";

/** What each event must have, since it is shown to people. */
const isWhole: { readonly [Type in ReplyEvent["type"]]: (event: Record<string, unknown>) => boolean } = {
  text: ({ delta }) => isText(delta),
  message: ({ text }) => isText(text),
  file: ({ url }) => isText(url),
  suggestions: ({ items }) => Array.isArray(items) && items.every(isText),
  status: ({ text }) => isText(text),
  notice: ({ code, text }) => isText(code) && isText(text),
  handoff: () => true,
  end: () => true,
  usage: () => true,
};

/** Whether a backend of one's own yielded what it may. */
export function isReplyEvent(event: unknown): event is ReplyEvent {
  if (typeof event !== "object" || event === null) return false;
  const { type } = event as ReplyEvent;
  if (!Object.hasOwn(isWhole, type) || !isWhole[type](event as Record<string, unknown>)) return false;
  // All but drafts are kept until their platform takes them.
  return type === "text" || isJson(event);
}

/**
 * Why a notice is given:
 * - `new-conversation`: a new conversation began: the service had lost the old one, or it was silent for `freshAfter`.
 * - `busy`: a turn runs and `overlap` is `reject`. `full`: too many turns wait. Neither was taken.
 * - `duplicate`: this event was handled before. Adapters stay silent.
 * - `merged`: a later message carries this one's words; its reply answers both. Adapters stay silent.
 * - `interrupted`: a later message stopped this turn. `stopped`: the person or the application did.
 * - `answer-lost`: the process died after the turn was sent and the service cannot be asked for the answer.
 * - `limited`: the person or tenant has used up its turns for now. It was not sent; the text and `retryAfterMs` say when to come back.
 * - `undelivered`: an earlier answer could not be delivered. The text says so, and repeats it in its own place.
 * - `paused`: a human answers the person, and no agent was asked. Adapters stay silent.
 * - `no-answer`: the agent ended the turn without a word.
 * - `too-long`: the message has more characters than the agent reads. It was not sent.
 */
export type NoticeCode =
  | "new-conversation"
  | "busy"
  | "full"
  | "duplicate"
  | "merged"
  | "interrupted"
  | "stopped"
  | "answer-lost"
  | "limited"
  | "undelivered"
  | "too-long"
  | "paused"
  | "no-answer";

/** Notices of which the person needs not be told: another reply says all there is to say. */
export const silentNotices: ReadonlySet<NoticeCode> = new Set([
  "duplicate",
  "merged",
  "interrupted",
  "paused",
]);

/** The agent's words, and the addresses of its files, gathered from a turn's events: what `handle(…).text()` returns. */
export class Transcript {
  #answers: string[] = [];
  #draft = "";

  add(event: ReplyEvent): void {
    if (event.type === "text") this.#draft += event.delta;
    else if (event.type === "message") {
      this.#answers.push(event.text);
      this.#draft = "";
    } else if (event.type === "file") this.#answers.push(event.url);
  }

  /** The finished answers and what has come of the next one, with a blank line between them. */
  get answer(): string {
    const parts = this.#draft === "" ? this.#answers : [...this.#answers, this.#draft];
    return parts.join("\n\n");
  }
}
