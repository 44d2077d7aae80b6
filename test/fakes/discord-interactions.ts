import type { Person, RestBody, ServedBot, StoredMessage } from "./discord-server.ts";

/** One use of a command or button. */
export interface Interaction {
  readonly id: string;
  readonly token: string;
  readonly person: Person;
  readonly channelId: string;
  readonly bot: ServedBot;
  readonly madeAt: number;
  /** Discord's kind of the first response; undefined while there is none. */
  response?: number;
  /** The choices that were offered, of an autocompletion. */
  choices?: readonly { readonly name: string; readonly value: string }[];
  /** The message of the first response. */
  original?: StoredMessage;
  isExpired?: boolean;
}

/** What people send along. */
export interface InteractionData {
  /** 2: a command, 3: a button, 4: an autocompletion. @default 2 */
  readonly type?: number;
  readonly data: object;
  /** The message that has the button. */
  readonly message?: object;
  /** Where it is used. @default the guild's channel */
  readonly channelId?: string;
  /** A guild in which the bot is no member: only the person has installed the application. */
  readonly foreignGuild?: string;
  /** How long ago Discord made it, by its id, in milliseconds. @default 0 */
  readonly ageMs?: number;
  /** The language of the person's client. @default "en-US" */
  readonly locale?: string;
  /** A channel of direct messages among people. */
  readonly isGroup?: boolean;
}

export const responseKind = { message: 4, deferred: 5, deferredUpdate: 6, update: 7, choices: 8 };

/** How long the token lives, in milliseconds. */
export const tokenMs = 900_000;

export const ephemeral = 64;

/** A command as Discord gives it back: with its own fields, and defaults. */
export function storedCommand(id: string, bot: ServedBot, body: RestBody): Record<string, unknown> {
  return { id, application_id: bot.id, version: id, nsfw: false, dm_permission: true, ...body };
}

/** Discord lists the translations of commands only where it is asked for them. */
export function withoutTranslations(command: Record<string, unknown>): Record<string, unknown> {
  const { name_localizations: _, description_localizations: __, ...rest } = command;
  return rest;
}
