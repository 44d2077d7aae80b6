import { AparteError, type JsonValue, type Message, type Speaker } from "aparte";

// Types and no interfaces: they are kept as JSON.

/** Where the app is installed: all that is needed to find its token. */
export type Installation = {
  /** The tenant: a workspace, or an Enterprise organisation. */
  readonly workspace: string;
  /** The workspace of the event, and its organisation. */
  readonly team?: string;
  readonly enterprise?: string;
};

/** Where a reply goes: all that a process needs to deliver it. */
export type ReplyAddress = Installation & {
  readonly channel: string;
  /** The message that is answered; none by what is said of one's own accord. */
  readonly ts?: string;
  /** The thread in which to answer; without it, the channel itself. */
  readonly thread?: string;
  /** The person who asked, and their own workspace: Slack streams to somebody. */
  readonly user: string;
  readonly userTeam: string;
};

/** @throws {AparteError} `input-invalid` when the message did not come from this adapter. */
export function replyAddress({ replyTo }: Message): ReplyAddress {
  const fields = (replyTo ?? {}) as { readonly [key: string]: JsonValue };
  const { channel, ts, thread, user, userTeam } = fields;
  const installation = installationOf(fields);
  if (installation !== undefined && isId(channel) && isId(user) && isId(userTeam)) {
    const place = { ...(isId(ts) ? { ts } : {}), ...(isId(thread) ? { thread } : {}) };
    return { ...installation, channel, user, userTeam, ...place };
  }
  throw new AparteError(
    "input-invalid",
    "A Slack message needs `replyTo: { workspace, channel, user, userTeam }`.",
    { field: "replyTo" },
  );
}

/**
 * The address of a post to a person who has not just spoken (`mapper.send`). Undefined for people of other companies:
 * their speaker does not tell in which installation the bot may post to them.
 */
export function addressOf({ tenant, user, channel, thread, external }: Speaker): ReplyAddress | undefined {
  if (!isId(tenant) || !isId(channel) || external === true) return undefined;
  const installation = tenant.startsWith("E") ? { enterprise: tenant } : { team: tenant };
  const place = { channel, user, userTeam: tenant, ...(isId(thread) ? { thread } : {}) };
  return { workspace: tenant, ...installation, ...place };
}

export function installationOf(value: JsonValue | undefined): Installation | undefined {
  const { workspace, team, enterprise } = (value ?? {}) as { readonly [key: string]: JsonValue };
  if (!isId(workspace)) return undefined;
  return { workspace, ...(isId(team) ? { team } : {}), ...(isId(enterprise) ? { enterprise } : {}) };
}

/** Slack's ids and timestamps are opaque text. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
