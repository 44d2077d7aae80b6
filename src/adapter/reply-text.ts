import { asAparteError } from "../errors.ts";
import type { Texts } from "../texts/texts.ts";
import { type ReplyEvent, silentNotices } from "../turn/reply-event.ts";
import { oneLine } from "./one-line.ts";

/** The longest status line, in characters. */
const statusLength = 200;

/** What the person reads of a reply, as far as it has come: for adapters that show text. */
export class ReplyText {
  readonly #texts: Texts;
  readonly #blocks: string[] = [];
  #draft = "";
  #status = "";
  /** What is told below the draft: it came while the draft was being written. */
  #below: string[] = [];

  /** @param texts `delivery.texts` */
  constructor(texts: Texts) {
    this.#texts = texts;
  }

  add(event: ReplyEvent): void {
    switch (event.type) {
      case "text":
        this.#draft += event.delta;
        this.#status = "";
        break;
      case "message":
        this.#blocks.push(event.text, ...this.#below);
        this.#draft = "";
        this.#below = [];
        this.#status = "";
        break;
      case "status":
        this.#status = oneLine(event.text, statusLength);
        break;
      case "file":
        this.#tell(event.name === undefined ? event.url : `${event.name}: ${event.url}`);
        this.#status = "";
        break;
      case "suggestions":
        if (event.items.length > 0)
          this.#tell([this.#texts("you-could-ask"), ...event.items.map((item) => `- ${item}`)].join("\n"));
        break;
      case "notice":
        if (!silentNotices.has(event.code)) this.#tell(event.text);
        break;
      case "handoff":
        this.#tell(this.#texts("handoff"));
        break;
      case "end":
        this.#tell(this.#texts("conversation-ended"));
        break;
      case "usage":
        break;
    }
  }

  /** The turn failed: what has come of the answer stays, and the person is told. */
  fail(error: unknown): void {
    const failure = asAparteError(error, "backend-failed", "The reply ended with an unknown error.");
    this.#tell(failure.say);
  }

  #tell(text: string): void {
    (this.#draft === "" ? this.#blocks : this.#below).push(text);
  }

  /** The words so far: finished answers, the draft of the next one, and what aparte itself has to tell. */
  get text(): string {
    return [...this.#blocks, this.#draft, ...this.#below].filter((block) => block.trim() !== "").join("\n\n");
  }

  /** What the agent is doing, while it says nothing; "" for nothing. One line. */
  get status(): string {
    return this.#draft.trim() === "" ? this.#status : "";
  }
}
