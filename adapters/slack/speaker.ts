import type { Speaker } from "aparte";
import type { Installation, ReplyAddress } from "./address.ts";

export const platform = "slack";

/** How Slack's bodies are read. */
export interface SpeakerOptions {
  /** This bot's own name, where several share a mapper or a store. */
  readonly bot?: string | undefined;
  /** Whether each top-level direct message begins a conversation, as in Slack's agent view. @default true */
  readonly agentView?: boolean;
}

/** The scope of a speaker in the agent view, where a thread is a conversation. */
const agentViewScope = "user-in-thread";

/**
 * Who did what Slack tells of: the speaker of an event's envelope, a command, an action, a shortcut or a view, as the
 * adapter's own messages have it. What happens without a channel (a view, a global shortcut) is private.
 *
 * @returns undefined where Slack names no person or no installation
 */
export function speakerOf(body: object, options: SpeakerOptions = {}): Speaker | undefined {
  const place = readPlace(body, options.agentView !== false);
  return place === undefined ? undefined : speakerAt(place, options);
}

/** Where something happened, and who did it. */
export interface Place {
  readonly installation: Installation;
  readonly user: string;
  /** The person's own company, or a workspace of it. */
  readonly userTeam: string;
  /** The person's company is another one than the installation's, as far as the body tells. */
  readonly isForeign: boolean;
  /** The body cannot tell: an organisation's app, in a channel that is or may be shared with another company. */
  readonly isUncertain: boolean;
  readonly channel: string | undefined;
  readonly thread: string | undefined;
  readonly isDirect: boolean;
  /** The person's language, where Slack was asked for it: no body tells it. */
  readonly locale?: string;
}

export function speakerAt(place: Place, { bot, agentView }: SpeakerOptions): Speaker {
  const { installation, user, userTeam, isForeign, channel, thread, isDirect, locale } = place;
  return {
    platform,
    tenant: installation.workspace,
    ...(bot === undefined ? {} : { bot }),
    // Somebody of another company is somebody else than who has the same id in this one.
    ...(isForeign ? { user: `${userTeam}/${user}`, external: true } : { user }),
    ...(channel === undefined ? {} : { channel }),
    ...(thread === undefined ? {} : { thread }),
    ...(isDirect ? { direct: true } : {}),
    ...(locale === undefined ? {} : { locale }),
    ...(isDirect && agentView !== false && thread !== undefined ? { scope: agentViewScope } : {}),
  };
}

/** Where an answer goes to what was done there. @param ts the message that is answered */
export function addressIn(place: Place, channel: string, ts: string): ReplyAddress {
  const { installation, user, userTeam, thread } = place;
  return { ...installation, channel, ts, user, userTeam, ...(thread === undefined ? {} : { thread }) };
}

/** @param agentView whether each top-level direct message begins a thread */
export function readPlace(body: object, agentView: boolean): Place | undefined {
  const envelope = body as Body;
  const event =
    envelope.event?.message === undefined ? envelope.event : { ...envelope.event, ...envelope.event.message };
  const [authorization] = envelope.authorizations ?? [];
  const isOrganisation =
    String(authorization?.is_enterprise_install ?? envelope.is_enterprise_install) === "true";
  const team =
    envelope.view?.app_installed_team_id ??
    authorization?.team_id ??
    envelope.team_id ??
    envelope.team?.id ??
    envelope.user?.team_id;
  const enterprise = authorization?.enterprise_id ?? envelope.enterprise_id ?? envelope.enterprise?.id;
  const workspace = isOrganisation ? enterprise : team;
  const user = idOf(event?.user) ?? envelope.user?.id ?? envelope.user_id;
  if (!workspace || !user) return undefined;
  const author = event?.user_team ?? event?.team ?? event?.source_team ?? envelope.user?.team_id;
  const isOwn = !author || author === team || author === enterprise;
  // In an organisation people of all its workspaces write; only in a shared channel others do, which buttons do not tell.
  const isForeign = !isOwn && (!isOrganisation || envelope.is_ext_shared_channel === true);
  const isUncertain = !isOwn && isOrganisation && envelope.is_ext_shared_channel !== false;
  const { container, message } = envelope;
  const channel =
    idOf(event?.channel) ??
    event?.item?.channel ??
    envelope.channel?.id ??
    container?.channel_id ??
    envelope.channel_id;
  const isDirect = channel === undefined || channel.startsWith("D") || event?.channel_type === "im";
  const ts = event?.ts ?? message?.ts ?? container?.message_ts;
  const own = event?.thread_ts ?? message?.thread_ts ?? container?.thread_ts;
  return {
    installation: {
      workspace,
      ...(team ? { team } : {}),
      ...(enterprise ? { enterprise } : {}),
    },
    user,
    userTeam: author || team || workspace,
    isForeign,
    isUncertain,
    channel,
    isDirect,
    // A mention comes as two events. In a group of people only one of them tells what kind of channel it is, so both
    // must lead to the same thread: the thread may be part of the session's key.
    thread: own ?? (isDirect && !agentView ? undefined : ts),
  };
}

function idOf(value: string | { readonly id?: string } | undefined): string | undefined {
  return typeof value === "string" ? value : value?.id;
}

/** The parts of Slack's bodies that tell who did something, and where. */
interface Body {
  readonly team_id?: string | null;
  readonly enterprise_id?: string | null;
  readonly is_enterprise_install?: boolean | string;
  readonly is_ext_shared_channel?: boolean;
  readonly authorizations?: readonly {
    readonly team_id?: string | null;
    readonly enterprise_id?: string | null;
    readonly is_enterprise_install?: boolean;
  }[];
  readonly event?: EventPlace & { readonly message?: EventPlace };
  readonly team?: { readonly id?: string } | null;
  readonly enterprise?: { readonly id?: string } | null;
  readonly user?: { readonly id?: string; readonly team_id?: string };
  readonly user_id?: string;
  readonly channel?: { readonly id?: string };
  readonly channel_id?: string;
  readonly message?: { readonly ts?: string; readonly thread_ts?: string };
  readonly container?: {
    readonly channel_id?: string;
    readonly message_ts?: string;
    readonly thread_ts?: string;
  };
  readonly view?: { readonly app_installed_team_id?: string };
}

interface EventPlace {
  readonly user?: string | { readonly id?: string };
  readonly user_team?: string;
  readonly team?: string;
  readonly source_team?: string;
  readonly channel?: string | { readonly id?: string };
  readonly channel_type?: string;
  readonly item?: { readonly channel?: string };
  readonly ts?: string;
  readonly thread_ts?: string;
}
