import type { ReplyEvent } from "../../turn/reply-event.ts";

/** What the person gets where a turn went well, but the agent said nothing: silence would look like a fault. */
export const noAnswer: ReplyEvent = {
  type: "notice",
  code: "no-answer",
  text: "The agent had nothing to say to that.",
};
