import type { Message } from "aparte";

const events = new WeakMap<object, object>();

export function rememberEvent(message: Message, event: object): void {
  events.set(message, event);
}

/**
 * The event of Slack that a message was, for `route` and middlewares: `eventOf(turn.message)`.
 * @returns undefined where another process took the message
 */
export function eventOf(message: Message): object | undefined {
  return events.get(message);
}
