import type { Message } from "aparte";
import type { Message as DiscordMessage, Interaction } from "discord.js";

/** A symbol, so that the event goes along where a message is copied, and is not kept where it is stored. */
const event: unique symbol = Symbol("Discord's event");

interface WithEvent {
  readonly [event]?: DiscordMessage | Interaction;
}

/** @returns the message, of which {@link eventOf} knows the event */
export function withEvent(message: Message, raw: DiscordMessage | Interaction): Message {
  const known: Message & WithEvent = { ...message, [event]: raw };
  return known;
}

/**
 * Discord's own event that a message was, for `route` and middlewares: `eventOf(turn.message)`.
 * @returns undefined where another process took the message
 */
export function eventOf(message: Message & WithEvent): DiscordMessage | Interaction | undefined {
  return message[event];
}
