import type { BotkitMessage } from "botkit";
import { fileLinks } from "./files.ts";
import { withoutMentions } from "./mentions.ts";

/** What Botkit's adapters call a message that a person says to the bot; echoes, standby, receipts and others are events. */
const saidTypes: ReadonlySet<string> = new Set([
  ...["message", "message_received", "direct_message", "direct_mention", "mention"],
  ...["facebook_postback", "picture_message"],
]);

/** As Botkit's Slack adapter names them (`SlackEventMiddleware`): the rest is talk among people. */
const slackTypes: ReadonlySet<string> = new Set(["direct_message", "direct_mention", "mention"]);

/** What adapters put into an activity of Facebook, also where their middleware is not in use. */
interface ChannelData {
  readonly standby?: unknown;
  readonly is_echo?: unknown;
  readonly message?: { readonly is_echo?: unknown };
}

/** Whether the bot was called and nothing else said. */
export function isBareMention(message: BotkitMessage): boolean {
  const { text, incoming_message: activity } = message;
  const isEmpty = text === "" && fileLinks(message).length === 0;
  return isEmpty && activity.type === "message" && withoutMentions(activity) === "";
}

/** Whether a person said it to the bot: not what others say around it, not its own echo, and no event. */
export function isSaid(message: BotkitMessage): boolean {
  const { type, incoming_message: activity } = message;
  if (activity.type !== "message" || activity.from.role === "bot") return false;
  const { standby, is_echo, message: inner } = (activity.channelData ?? {}) as ChannelData;
  if (standby || is_echo || inner?.is_echo) return false;
  if (!(activity.channelId === "slack" ? slackTypes : saidTypes).has(type)) return false;
  return (message.text ?? "").trim() !== "" || fileLinks(message).length > 0;
}
