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

/** Channels whose clients choose the user id of each message: whoever may speak there can take another's. */
const openChannels: ReadonlySet<string> = new Set(["directline", "webchat", "emulator"]);

/** The channel ids of the Web adapter, whose two ways lead to the same person. */
const webChannels: ReadonlySet<string> = new Set(["webhook", "websocket"]);

export function isWeb({ incoming_message: { channelId } }: BotkitMessage): boolean {
  return webChannels.has(channelId);
}

/**
 * Who spoke, from what the platform vouches for; undefined where an activity names nobody. Where clients name
 * themselves, and are not trusted, each conversation is a person. What clients add to their messages (`channelData`,
 * which Botkit spreads over the message) is not looked at.
 * @param verified who the client of the Web adapter is
 * @throws {AparteError} `input-invalid` when a Web adapter's client is nobody, or a Slack message has no workspace.
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
  const isOpen = openChannels.has(channelId) && !trustedChannels.includes(channelId);
  // The channel makes the conversation's id, and lets nobody else into it.
  const user = isOpen ? id : from?.id;
  if (!user) return undefined;
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
    user,
    ...(typeof locale === "string" && locale !== "" ? { locale } : {}),
    ...(id ? { channel: id } : {}),
    ...(thread_ts ? { thread: thread_ts } : {}),
    ...(conversationType === "personal" || (channelId === "slack" && id?.startsWith("D"))
      ? { direct: true }
      : {}),
  };
}
