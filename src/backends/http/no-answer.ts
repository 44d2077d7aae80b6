import { plainTexts, type Texts } from "../../texts/texts.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";

/** What the person gets where a turn went well, but the agent said nothing: silence would look like a fault. */
export function noAnswer({ texts = plainTexts }: { readonly texts?: Texts }): ReplyEvent {
  return { type: "notice", code: "no-answer", text: texts("no-answer") };
}
