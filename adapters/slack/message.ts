import type { FileInput, Message } from "aparte";
import type { ReplyAddress } from "./address.ts";
import type { SlackFile } from "./files.ts";

export const platform = "slack";

/** The parts of Slack's `message` and `app_mention` events that are read here. */
export interface SlackEvent {
  readonly type?: string;
  readonly subtype?: string;
  readonly channel?: string;
  readonly channel_type?: string;
  readonly user?: string;
  readonly bot_id?: string;
  readonly hidden?: boolean;
  readonly text?: string;
  readonly ts?: string;
  readonly thread_ts?: string;
  readonly team?: string;
  readonly user_team?: string;
  readonly source_team?: string;
  readonly files?: readonly SlackFile[];
}

/** What Bolt and the envelope tell of an event. */
export interface Origin {
  /** This bot's own name, where several share a mapper or a store. */
  readonly bot: string | undefined;
  /** Where the app is installed: the Enterprise organisation or the workspace. */
  readonly workspace: string;
  readonly teamId: string | undefined;
  readonly enterpriseId: string | undefined;
  readonly isEnterpriseInstall: boolean;
  readonly botUserId: string | undefined;
  /** The event comes from a channel that is shared with another company (Slack Connect). */
  readonly isShared: boolean;
}

/** Subtypes of what people say; all others are Slack's own messages: joins, edits, deletions … */
const spoken: readonly (string | undefined)[] = [undefined, "file_share", "thread_broadcast", "me_message"];

/** The message as the mapper takes it; undefined when it is not for the bot. */
export function readMessage(
  event: SlackEvent,
  origin: Origin,
  filesOf: (files: readonly SlackFile[]) => FileInput[],
): Message | undefined {
  const { channel, ts, user } = event;
  if (channel === undefined || ts === undefined || user === undefined) return undefined;
  if (!isPersons(event, origin)) return undefined;
  const isMention = event.type === "app_mention" || mentionOf(origin)?.test(event.text ?? "") === true;
  const isDirect = event.channel_type === "im" || channel.startsWith("D");
  if (!isMention && !isDirect && event.channel_type !== "mpim") return undefined;
  const text = plainText(event.text ?? "", origin);
  const files = filesOf(event.files ?? []);
  // A bare mention: there is nothing to answer.
  if (text === "" && files.length === 0) return undefined;
  // A mention comes as two events. In a group of people only one of them tells what kind of channel it is, so
  // both must lead to the same thread: the thread may be part of the session's key.
  const thread = isMention && !isDirect ? (event.thread_ts ?? ts) : event.thread_ts;
  const replyTo: ReplyAddress = {
    ...{ workspace: origin.workspace, channel, ts, user },
    userTeam: authorTeam(event) ?? origin.teamId ?? origin.workspace,
    ...(thread === undefined ? {} : { thread }),
  };
  const home = foreignHome(event, origin);
  return {
    ...{ platform, tenant: origin.workspace, channel },
    ...(origin.bot === undefined ? {} : { bot: origin.bot }),
    // Somebody of another company is somebody else than who has the same id in this one.
    ...(home === undefined ? { user } : { user: `${home}/${user}`, external: true }),
    ...(isDirect ? { direct: true } : {}),
    ...(thread === undefined ? {} : { thread }),
    // Not Slack's event id: a mention is delivered as a message too, under another one.
    id: `${channel}:${ts}`,
    ...{ text, files },
    replyTo: { ...replyTo },
  };
}

/** Not from a bot (this one included), and not from Slack itself. */
function isPersons({ subtype, bot_id, user, hidden }: SlackEvent, { botUserId }: Origin): boolean {
  if (!spoken.includes(subtype) || hidden === true || bot_id !== undefined) return false;
  return user !== botUserId && user !== "USLACK" && user !== "USLACKBOT";
}

function authorTeam({ user_team, team, source_team }: SlackEvent): string | undefined {
  return user_team ?? team ?? source_team;
}

/** The company of somebody who writes from another one, in a channel that is shared with it (Slack Connect). */
function foreignHome(event: SlackEvent, origin: Origin): string | undefined {
  const author = authorTeam(event);
  const isOwn = author === undefined || author === origin.teamId || author === origin.enterpriseId;
  // In an organisation people of all its workspaces write; only in a shared channel others do.
  return isOwn || (origin.isEnterpriseInstall && !origin.isShared) ? undefined : author;
}

function mentionOf({ botUserId }: Origin): RegExp | undefined {
  return botUserId === undefined ? undefined : new RegExp(`<@${botUserId}(?:\\|[^>]*)?>`);
}

/** The words without the mention, and without Slack's escapes and link brackets. */
function plainText(text: string, origin: Origin): string {
  const mention = mentionOf(origin);
  return (mention === undefined ? text : text.replace(new RegExp(`${mention.source} ?`, "g"), ""))
    .replace(/<((?:https?|mailto|tel):[^>|]+)(?:\|([^>]*))?>/g, (_, link: string, label?: string) =>
      label === undefined || link.endsWith(label)
        ? link.replace(/^(?:mailto|tel):/, "")
        : `${label} (${link})`,
    )
    .replace(/<#[A-Z0-9]+\|([^>]+)>/g, "#$1")
    .replace(/&(amp|lt|gt);/g, (_, name: string) => ({ amp: "&", lt: "<" })[name] ?? ">")
    .trim();
}
