import { AparteError, type JsonValue, type Message } from "aparte";

/** Where a reply goes: all that a process needs to deliver it. */
export interface ReplyAddress {
  /** Where the app is installed: a workspace, or an Enterprise organisation. */
  readonly workspace: string;
  readonly channel: string;
  /** The message that is answered. */
  readonly ts: string;
  /** The thread in which to answer; without it, the channel itself. */
  readonly thread?: string;
  /** The person who asked, and their own workspace: Slack streams to somebody. */
  readonly user: string;
  readonly userTeam: string;
}

/** @throws {AparteError} `input-invalid` when the message did not come from this adapter. */
export function replyAddress({ replyTo }: Message): ReplyAddress {
  const { workspace, channel, ts, thread, user, userTeam } = (replyTo ?? {}) as {
    readonly [key: string]: JsonValue;
  };
  if (isId(workspace) && isId(channel) && isId(ts) && isId(user) && isId(userTeam)) {
    return { workspace, channel, ts, user, userTeam, ...(isId(thread) ? { thread } : {}) };
  }
  throw new AparteError(
    "input-invalid",
    "A Slack message needs `replyTo: { workspace, channel, ts, user, userTeam }`.",
    { field: "replyTo" },
  );
}

/** Slack's ids and timestamps are opaque text. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
