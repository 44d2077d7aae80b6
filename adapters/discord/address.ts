import { AparteError, type JsonValue, type Message, type Speaker } from "aparte";

// Types and no interfaces: they are kept as JSON.

/** Where a reply goes: all that a process needs to deliver it. */
export type ReplyAddress = {
  /** The channel, thread or direct-message channel in which to answer. */
  readonly channelId: string;
  /** The message, or the interaction, that is answered. */
  readonly messageId: string;
  /** Of a command or button, which is answered by a token of its own for fifteen minutes. */
  readonly interaction?: InteractionAddress;
};

export type InteractionAddress = {
  readonly applicationId: string;
  readonly token: string;
  /** Whether the person alone sees the answer. */
  readonly isPrivate: boolean;
  /** Whether the bot may also post there by itself, so that others read the answer. */
  readonly canPost: boolean;
};

/** @throws {AparteError} `input-invalid` when the message did not come from this adapter. */
export function replyAddress({ replyTo }: Message): ReplyAddress {
  const { channelId, messageId, interaction } = (replyTo ?? {}) as { readonly [key: string]: JsonValue };
  if (isSnowflake(channelId) && isSnowflake(messageId)) {
    if (interaction === undefined) return { channelId, messageId };
    const { applicationId, token, ...is } = interaction as { readonly [key: string]: JsonValue };
    if (isSnowflake(applicationId) && typeof token === "string") {
      const [isPrivate, canPost] = [is.isPrivate === true, is.canPost === true];
      return { channelId, messageId, interaction: { applicationId, token, isPrivate, canPost } };
    }
  }
  throw new AparteError("input-invalid", "A Discord message needs `replyTo: { channelId, messageId }`.", {
    field: "replyTo",
  });
}

/** Where something is posted for a person who has not just spoken. Nothing is answered by it, so its id is a new one. */
export function addressOf({ channel, thread = channel }: Speaker): ReplyAddress | undefined {
  if (!isSnowflake(thread)) return undefined;
  const chance = BigInt(Math.floor(Math.random() * 2 ** 22));
  return { channelId: thread, messageId: String(BigInt(idAt(Date.now())) | chance) };
}

/** How long an interaction's token is used, in milliseconds: a minute less than Discord takes it. */
const tokenMs = 840_000;

/** The interaction whose token still answers it. Discord's ids tell when they were made. */
export function liveInteraction({ messageId, interaction }: ReplyAddress): InteractionAddress | undefined {
  return Date.now() - timeOf(messageId) > tokenMs ? undefined : interaction;
}

/**
 * Where a part of the answer goes. A token's further messages have no nonce, so that one whose answer is lost would come
 * twice: where the bot can, it posts them in the channel.
 */
export function partAddress(address: ReplyAddress, part: number): ReplyAddress {
  const { channelId, messageId, interaction } = address;
  return part > 0 && interaction?.canPost === true ? { channelId, messageId } : address;
}

/** Discord's first second: its ids count from there. */
const discordEpoch = 1_420_070_400_000;

/** When Discord made an id, in milliseconds. */
export function timeOf(id: string): number {
  return Number(BigInt(id) >> 22n) + discordEpoch;
}

/** The first id of a time. */
export function idAt(time: number): string {
  return String(BigInt(Math.max(0, time - discordEpoch)) << 22n);
}

/** Discord's ids are numbers of up to 20 digits, kept as text. */
export function isSnowflake(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,20}$/.test(value);
}
