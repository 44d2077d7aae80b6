import type { Message } from "aparte";
import type { Message as DiscordMessage, Interaction } from "discord.js";

/** By where the message is answered: that stays the same object where the message is copied. */
const events = new WeakMap<object, DiscordMessage | Interaction>();

/** @returns the message, of which {@link eventOf} knows the event from now on */
export function withEvent(message: Message, event: DiscordMessage | Interaction): Message {
  events.set(message.replyTo as object, event);
  return message;
}

/**
 * Discord's own event that a message was, for `route` and middlewares: `eventOf(turn.message)`.
 * @returns undefined where another process took the message
 */
export function eventOf({ replyTo }: Message): DiscordMessage | Interaction | undefined {
  return events.get(replyTo as object);
}
