import type { Message } from "aparte";
import type { Message as DiscordMessage, Interaction } from "discord.js";

const events = new WeakMap<object, DiscordMessage | Interaction>();

/** @returns the message, of which {@link eventOf} knows the event from now on */
export function withEvent(message: Message, event: DiscordMessage | Interaction): Message {
  events.set(message, event);
  return message;
}

/**
 * Discord's own event that a message was, for `route` and middlewares: `eventOf(turn.message)`.
 * @returns undefined where another process took the message
 */
export function eventOf(message: Message): DiscordMessage | Interaction | undefined {
  return events.get(message);
}
