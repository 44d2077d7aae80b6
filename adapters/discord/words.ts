import type { FileInput } from "aparte";
import type { Message as DiscordMessage } from "discord.js";
import type { AttachmentFiles } from "./files.ts";

/** MessageReferenceType.Default: a reply. A forwarded message has another one. */
const reply = 0;

/** What the agent is asked: the person's words, with those that they pass on or refer to above them. */
export async function readWords(
  event: DiscordMessage,
  files: AttachmentFiles,
): Promise<{ readonly text: string; readonly files: FileInput[] }> {
  const replied = await repliedTo(event);
  const forwarded = [...event.messageSnapshots.values()];
  const blocks = [
    replied === undefined ? "" : quoteOf(replied),
    ...forwarded.map(({ content = "" }) => quote("Forwarded:", withNames(content ?? "", event))),
    withNames(withoutOwnMention(event), event),
    pollOf(event),
    ...event.stickers.map(({ name }) => `[sticker: ${name}]`),
  ];
  const attached = [
    ...(replied === undefined ? [] : files.of(replied)),
    // Forwarded files are found again by the message that forwards them.
    ...forwarded.flatMap(({ attachments }) =>
      attachments === undefined ? [] : files.of(event, attachments),
    ),
    ...files.of(event),
  ];
  return { text: joined(blocks), files: attached };
}

/** Another message, as the agent is told of it; "" where it has no words. */
export function quoteOf(message: DiscordMessage): string {
  return quote(`${authorOf(message)} wrote:`, joined([withNames(message.content, message), pollOf(message)]));
}

/** Whether there is nothing to read where something was sent: Discord leaves it out without the intent Message Content. */
export function isUnreadable(event: DiscordMessage): boolean {
  const { content, attachments, stickers, messageSnapshots, poll } = event;
  return content === "" && poll === null && attachments.size + stickers.size + messageSnapshots.size === 0;
}

/** The role that Discord makes for each bot: people pick it from the list in place of the bot. */
export function botRole({ mentions, client }: DiscordMessage): string | undefined {
  return mentions.roles.find((role) => role.tags?.botId === client.user.id)?.id;
}

/** The message that is replied to; the agent knows what it said itself. */
async function repliedTo(event: DiscordMessage): Promise<DiscordMessage | undefined> {
  const { reference, channel, client } = event;
  if (reference?.type !== reply || reference.messageId === undefined) return undefined;
  const known = channel.messages.cache.get(reference.messageId);
  // Deleted, or out of the bot's reach: then the question stands alone.
  const found = known ?? (await event.fetchReference().catch(() => undefined));
  return found?.author?.id === client.user.id ? undefined : found;
}

function quote(heading: string, text: string): string {
  return text === "" ? "" : `${heading}\n${text.replace(/^/gm, "> ")}`;
}

function joined(blocks: readonly string[]): string {
  return blocks.filter((block) => block !== "").join("\n\n");
}

/** What is asked in a poll, and what there is to choose. */
function pollOf({ poll }: DiscordMessage): string {
  if (poll === null) return "";
  return [`[poll: ${poll.question.text}]`, ...poll.answers.map(({ text }) => `- ${text}`)].join("\n");
}

/** The mention that calls the bot is no part of the question; one in its midst is. */
function withoutOwnMention(event: DiscordMessage): string {
  const { id } = event.client.user;
  // `<@!id>` is the mention of a nickname, which old clients still send.
  const own = `(?:<@!?${id}>|<@&${botRole(event) ?? id}>)`;
  return event.content.replace(new RegExp(`^(?:\\s*${own})+|(?:${own}\\s*)+$`, "g"), "").trim();
}

/** The text with the names that people see in place of Discord's ids. */
function withNames(text: string, event: DiscordMessage): string {
  return text
    .replace(/<@!?(\d+)>/g, (_, id: string) => nameOf(event, id))
    .replace(/<@&(\d+)>/g, (role, id: string) => nameOrIt(event.guild?.roles.cache.get(id)?.name, "@", role))
    .replace(/<#(\d+)>/g, (channel, id: string) => {
      const found = event.client.channels.cache.get(id);
      return nameOrIt(found !== undefined && "name" in found ? found.name : undefined, "#", channel);
    })
    .replace(/<a?:(\w+):\d+>/g, ":$1:");
}

function nameOf({ mentions, guild, client }: DiscordMessage, id: string): string {
  const name = guild?.members.cache.get(id)?.displayName ?? mentions.users.get(id)?.displayName;
  return nameOrIt(name ?? client.users.cache.get(id)?.displayName, "@", `<@${id}>`);
}

function nameOrIt(name: string | null | undefined, sign: string, id: string): string {
  return typeof name === "string" ? `${sign}${name}` : id;
}

function authorOf({ member, author }: DiscordMessage): string {
  return member?.displayName ?? author.displayName;
}
