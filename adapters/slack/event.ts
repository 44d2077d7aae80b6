import type { types } from "@slack/bolt";
import type { Message } from "aparte";
import type { SlackEvent } from "./message.ts";

/** What a person said, as Slack told the app of it. Of an edit that calls the bot: the message as it is now. */
export type SlackMessageEvent =
  | types.AppMentionEvent
  | types.GenericMessageEvent
  | types.FileShareMessageEvent
  | types.MeMessageEvent
  | types.ThreadBroadcastMessageEvent;

/** By where the message is answered: that stays the same object where the message is copied, as one that waits is. */
const events = new WeakMap<object, SlackMessageEvent>();

export function rememberEvent({ replyTo }: Message, event: SlackEvent): void {
  events.set(replyTo as object, event as SlackMessageEvent);
}

/**
 * The event of Slack that a message was, for `route` and middlewares: `eventOf(turn.message)`.
 * @returns undefined where another process took the message, and for what did not come as a message
 */
export function eventOf({ replyTo }: Message): SlackMessageEvent | undefined {
  return events.get(replyTo as object);
}
