import type { Message } from "aparte";
import type { SlackFile, SlackFiles } from "./files.ts";
import { mentions } from "./mentions.ts";
import type { Directory } from "./names.ts";
import type { SlackSettings } from "./options.ts";
import { addressIn, type Place, readPlace, speakerAt } from "./speaker.ts";
import { type Attachment, type Said, wordsOf } from "./words.ts";

/** The parts of Slack's `message` and `app_mention` events that are read here. */
export interface SlackEvent extends Said {
  readonly type?: string;
  readonly subtype?: string;
  readonly channel?: string;
  readonly channel_type?: string;
  readonly user?: string;
  readonly bot_id?: string;
  readonly ts?: string;
  readonly thread_ts?: string;
  readonly attachments?: readonly (Attachment & { readonly files?: readonly SlackFile[] })[];
  readonly files?: readonly SlackFile[];
  /** Of a message as an edit tells of it. */
  readonly edited?: object;
  /** Of an edit: the message as it is now, and as it was. */
  readonly message?: SlackEvent;
  readonly previous_message?: SlackEvent;
}

/** What a person said where the bot can read it. */
export interface Heard {
  readonly event: SlackEvent & { readonly channel: string; readonly ts: string };
  readonly place: Place;
  /** The bot was called by its name. */
  readonly isCalled: boolean;
}

/** Subtypes of what people say; all others are Slack's own messages: joins, edits, deletions … */
const spoken: readonly (string | undefined)[] = [undefined, "file_share", "thread_broadcast", "me_message"];

/** What a bare mention says: somebody waves. */
const wave = "👋";

/** Reads an event; undefined for what no person said. An edit says something only by calling the bot anew. */
export function hear(body: object, botUserId: string | undefined, agentView: boolean): Heard | undefined {
  const { event: told } = body as { readonly event: SlackEvent };
  const event = told.subtype === "message_changed" ? calledByEdit(told, botUserId) : told;
  const place = readPlace(body, agentView);
  const { channel, ts } = event ?? {};
  if (event === undefined || place === undefined || channel === undefined || ts === undefined)
    return undefined;
  if (!isPersons(event, botUserId)) return undefined;
  const isCalled = botUserId === undefined ? event.type === "app_mention" : mentions(event, botUserId);
  return { event: { ...event, channel, ts }, place, isCalled };
}

/** A mention comes as two events: this one is not the one that is told of mentions alone. An edit comes as one. */
export function isEcho({ event, place, isCalled }: Heard): boolean {
  return isCalled && !place.isDirect && event.type !== "app_mention" && event.edited === undefined;
}

function calledByEdit(event: SlackEvent, botUserId: string | undefined): SlackEvent | undefined {
  const { message, previous_message, channel } = event;
  if (botUserId === undefined || message?.edited === undefined || channel === undefined) return undefined;
  const isNew = mentions(message, botUserId) && !mentions(previous_message ?? {}, botUserId);
  return isNew ? { ...message, channel } : undefined;
}

/**
 * Not from a bot (this one included), and not from Slack itself. Another app's post in a person's name is a bot's: a
 * bot that answers bots may never end.
 */
function isPersons({ subtype, bot_id, user }: SlackEvent, botUserId: string | undefined): boolean {
  if (!spoken.includes(subtype) || bot_id !== undefined) return false;
  return user !== undefined && user !== botUserId && user !== "USLACK" && user !== "USLACKBOT";
}

/** The message as the mapper takes it; undefined when nothing was said. */
export async function readMessage(
  { event, place, isCalled }: Heard,
  settings: SlackSettings,
  botUserId: string | undefined,
  { files: slackFiles, directory }: { readonly files: SlackFiles; readonly directory: Directory },
): Promise<Message | undefined> {
  const { channel, ts } = event;
  const text = await wordsOf(event, botUserId, directory.names(place.installation));
  const forwarded = (event.attachments ?? []).flatMap(({ files = [] }) => files);
  const files = slackFiles.of(place.installation, [...(event.files ?? []), ...forwarded]);
  if (text === "" && files.length === 0 && !isCalled) return undefined;
  return {
    ...speakerAt(place, settings),
    // Not Slack's event id: a mention is delivered as a message too, under another one.
    id: `${channel}:${ts}`,
    text: text === "" && files.length === 0 ? wave : text,
    files,
    replyTo: addressIn(place, channel, ts),
  };
}
