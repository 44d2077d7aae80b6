import type { ReplyEvent } from "../../turn/reply-event.ts";
import { type ChatProgress, deliver } from "./chat.ts";
import { type CozeMessage, readableText } from "./wire.ts";

interface Draft {
  text: string;
  /** The whole message, once it has come. */
  message?: CozeMessage;
}

/**
 * The answers of one stream, in the order in which they began. Coze may send pieces of several at once; a reply grows
 * by one answer after the other, so what comes of the later ones waits.
 */
export class Drafts {
  readonly #progress: ChatProgress;
  readonly #drafts: Map<string, Draft> = new Map();
  #spoken: CozeMessage | undefined;

  constructor(progress: ChatProgress) {
    this.#progress = progress;
  }

  *more({ id, content }: CozeMessage): Generator<ReplyEvent> {
    if (content === "") return;
    const draft = this.#draft(id);
    draft.text += content;
    if (this.#isFirst(draft)) yield { type: "text", delta: content };
  }

  /** A piece of speech. Its words come as well, mostly. */
  spoken(message: CozeMessage): void {
    this.#spoken = message;
  }

  *completed(message: CozeMessage): Generator<ReplyEvent> {
    const draft = this.#draft(message.id);
    draft.message = message;
    if (this.#isFirst(draft)) yield* this.#flush();
  }

  /** The chat is over: what never came to its own end is an answer, too. */
  *end(): Generator<ReplyEvent> {
    for (const draft of this.#drafts.values()) yield* this.#whole(draft);
    this.#drafts.clear();
    if (this.#spoken !== undefined && this.#progress.answers === 0)
      yield* deliver(undefined, this.#spoken, this.#progress);
  }

  *#flush(): Generator<ReplyEvent> {
    for (const [id, draft] of this.#drafts) {
      if (draft.message === undefined) {
        if (draft.text !== "") yield { type: "text", delta: draft.text };
        return;
      }
      this.#drafts.delete(id);
      yield* this.#whole(draft);
    }
  }

  #whole({ text, message }: Draft): Generator<ReplyEvent> {
    const draft = { content: text, contentType: "text" };
    const isDraft = message === undefined || readableText(message).trim() === "";
    return deliver(message?.id, isDraft ? draft : message, this.#progress);
  }

  #draft(id: string): Draft {
    const known = this.#drafts.get(id);
    if (known !== undefined) return known;
    const draft: Draft = { text: "" };
    this.#drafts.set(id, draft);
    return draft;
  }

  #isFirst(draft: Draft): boolean {
    return this.#drafts.values().next().value === draft;
  }
}
