import { AparteError, type Speaker } from "aparte";
import type { BotkitMessage } from "botkit";

/** All of Botkit's adapters are one platform; which one it is, is part of the tenant. */
export const platform = "botkit";

/** What adapters put into an activity, beyond Bot Framework's own fields. */
interface Place {
  readonly id?: string;
  /** Slack's adapter. */
  readonly team?: string;
  readonly thread_ts?: string;
  /** Teams. */
  readonly tenantId?: string;
  readonly conversationType?: string;
}

/** Channels whose clients choose the user id of each message: whoever has the bot's token can take another's. */
const openChannels: ReadonlySet<string> = new Set(["directline", "webchat", "emulator"]);

/** The channel ids of the Web adapter, whose two ways lead to the same person. */
const webChannels: ReadonlySet<string> = new Set(["webhook", "websocket"]);

export function isWeb({ incoming_message: { channelId } }: BotkitMessage): boolean {
  return webChannels.has(channelId);
}

/**
 * Who spoke, from what the platform vouches for; undefined where an activity names nobody. What clients add to
 * their messages (`channelData`, which Botkit spreads over the message) is not looked at.
 * @param verified who the client of the Web adapter is
 * @throws {AparteError} `input-invalid` when a Web adapter's client is nobody, a channel's clients are not trusted, or a Slack
 * message has no workspace.
 */
export function speakerOf(
  message: BotkitMessage,
  verified: string | undefined,
  trustedChannels: readonly string[],
): Speaker | undefined {
  const { channelId, from, conversation, locale } = message.incoming_message;
  const { id, team, thread_ts, tenantId, conversationType } = (conversation ?? {}) as Place;
  if (isWeb(message)) {
    if (verified === undefined || verified !== from?.id) {
      throw new AparteError("input-invalid", "A client of the Web adapter did not prove who it is.", {
        field: "user",
      });
    }
    return { platform, tenant: "web", user: verified };
  }
  if (!from?.id) return undefined;
  if (openChannels.has(channelId) && !trustedChannels.includes(channelId)) {
    throw new AparteError(
      "input-invalid",
      `Clients of "${channelId}" name themselves. Prove who they are in the option \`speaker\`, or trust them: { trustedChannels: ["${channelId}"] }.`,
      { field: "user" },
    );
  }
  if (channelId === "slack" && !team) {
    throw new AparteError(
      "input-invalid",
      "A Slack message names no workspace: its author could be mistaken.",
      {
        field: "tenant",
      },
    );
  }
  return {
    platform,
    tenant: JSON.stringify([channelId, team ?? tenantId ?? ""]),
    user: from.id,
    ...(typeof locale === "string" && locale !== "" ? { locale } : {}),
    ...(id ? { channel: id } : {}),
    ...(thread_ts ? { thread: thread_ts } : {}),
    ...(conversationType === "personal" || (channelId === "slack" && id?.startsWith("D"))
      ? { direct: true }
      : {}),
  };
}
