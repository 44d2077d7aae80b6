import { AparteError, type JsonValue, type Message } from "aparte";

/** Where a reply goes: all that a process needs to deliver it. */
export interface ReplyAddress {
  /** The channel, thread or direct-message channel in which to answer. */
  readonly channelId: string;
  /** The message that is answered. */
  readonly messageId: string;
}

/** @throws {AparteError} `input-invalid` when the message did not come from this adapter. */
export function replyAddress({ replyTo }: Message): ReplyAddress {
  const { channelId, messageId } = (replyTo ?? {}) as { readonly [key: string]: JsonValue };
  if (isSnowflake(channelId) && isSnowflake(messageId)) return { channelId, messageId };
  throw new AparteError("input-invalid", "A Discord message needs `replyTo: { channelId, messageId }`.", {
    field: "replyTo",
  });
}

/** Discord's ids are numbers of up to 20 digits, kept as text. */
export function isSnowflake(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,20}$/.test(value);
}
