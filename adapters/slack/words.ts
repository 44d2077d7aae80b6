import { mentionOf, type RichText } from "./mentions.ts";
import { escapeText, unescapeText } from "./text.ts";

/** What a message says besides its text: forwarded messages, tables. */
export interface Said {
  readonly text?: string;
  readonly blocks?: readonly Block[];
  readonly attachments?: readonly Attachment[];
}

interface Block extends RichText {
  readonly rows?: readonly (readonly RichText[])[];
}

export interface Attachment {
  readonly text?: string;
  readonly fallback?: string;
  readonly author_name?: string;
  readonly author_subname?: string;
  readonly is_share?: boolean;
  readonly is_msg_unfurl?: boolean;
  readonly blocks?: readonly Block[];
  readonly message_blocks?: readonly { readonly message?: { readonly blocks?: readonly Block[] } }[];
}

/** Tells the names that Slack's ids stand for. */
export interface Names {
  user(id: string): Promise<string | undefined>;
  channel(id: string): Promise<string | undefined>;
}

/**
 * What somebody said, as people read it: their own words, the words that they forward, and tables as markdown; without
 * the mention of the bot and Slack's markup, with the names of people and channels.
 */
export async function wordsOf(said: Said, bot: string | undefined, names: Names): Promise<string> {
  const own = said.text || (said.blocks ?? []).map(richText).join("\n");
  const parts = [own, ...tables(said.blocks), ...(said.attachments ?? []).flatMap(attached)];
  const markup = parts.filter((part) => part.trim() !== "").join("\n\n");
  return plain(withoutCall(markup, bot), names);
}

/** Without the call, and what stands between it and the words: `@bot: *!new*` says `!new`. */
function withoutCall(markup: string, bot: string | undefined): string {
  if (bot === undefined) return markup.trim();
  const { source } = mentionOf(bot);
  const said = markup
    .trim()
    .replace(new RegExp(`^${source}\\s*[:,]?\\s*`), "")
    .replace(new RegExp(`${source} ?`, "g"), "")
    .trim();
  return said.replace(/^([*_`~]+)(!\S[^\n]*?)\1$/, "$2");
}

async function plain(markup: string, names: Names): Promise<string> {
  const known = new Map<string, string | undefined>();
  const unnamed = [...markup.matchAll(/<([@#])([A-Z0-9]+)\|?>/g)];
  await Promise.all(
    unnamed.map(async ([, kind, id = ""]) => {
      known.set(id, await (kind === "@" ? names.user(id) : names.channel(id)));
    }),
  );
  const said = markup
    .replace(/<((?:https?|mailto|tel):[^>|]+)(?:\|([^>]*))?>/g, (_, link: string, label?: string) =>
      label === undefined || link.endsWith(label)
        ? link.replace(/^(?:mailto|tel):/, "")
        : `${label} (${link})`,
    )
    .replace(
      /<([@#])([A-Z0-9]+)(?:\|([^>]*))?>/g,
      (_, kind: string, id: string, label?: string) =>
        kind + (label || known.get(id) || id).replace(/^[@#]/, ""),
    )
    .replace(/<!date\^[^>|]*\|([^>]*)>/g, "$1")
    .replace(
      /<!(?:subteam\^)?([a-zA-Z0-9]+)(?:\|@?([^>]*))?>/g,
      (_, id: string, label?: string) => `@${label || id}`,
    );
  return unescapeText(said).trim();
}

/** A link's preview is nobody's words; what was forwarded, or came along as blocks, is. */
function attached(attachment: Attachment): string[] {
  const { is_share, is_msg_unfurl, text, fallback, author_name, author_subname, blocks } = attachment;
  if (is_share !== true && is_msg_unfurl !== true) return tables(blocks);
  const forwarded = (attachment.message_blocks ?? []).flatMap(({ message }) => tables(message?.blocks));
  const author = author_name || author_subname;
  const words = [text || (forwarded.length > 0 ? "" : fallback) || "", ...forwarded, ...tables(blocks)];
  const head = author === undefined ? "Forwarded:" : `Forwarded from ${escapeText(author)}:`;
  return [[head, ...words.filter((word) => word !== "")].join("\n").replace(/^/gm, "&gt; ")];
}

function tables(blocks: readonly Block[] = []): string[] {
  return blocks.flatMap(({ type, rows }) => (type === "table" && rows !== undefined ? [table(rows)] : []));
}

function table(rows: readonly (readonly RichText[])[]): string {
  const width = Math.max(0, ...rows.map(({ length }) => length));
  const line = (cells: readonly string[]) =>
    `| ${Array.from({ length: width }, (_, column) => cells[column] ?? "").join(" | ")} |`;
  const [head = [], ...body] = rows.map((row) =>
    row.map((cell) => richText(cell).replace(/\s+/g, " ").replaceAll("|", "\\|").trim()),
  );
  return [line(head), line(Array(width).fill("---")), ...body.map(line)].join("\n");
}

/** Rich text in the markup that Slack's texts have. */
function richText(element: RichText): string {
  const { type, elements, text, url, user_id, channel_id, usergroup_id, name, range, fallback } = element;
  if (elements !== undefined) {
    const inner = elements.map(richText);
    return inner.join(type === "rich_text" || type === "rich_text_list" ? "\n" : "");
  }
  if (type === "user") return `<@${user_id}>`;
  if (type === "channel") return `<#${channel_id}>`;
  if (type === "usergroup") return `<!subteam^${usergroup_id}>`;
  if (type === "broadcast") return `<!${range}>`;
  if (type === "emoji") return `:${name}:`;
  if (type === "link") return text === undefined ? `<${url}>` : `<${url}|${escapeText(text)}>`;
  return typeof text === "string" ? escapeText(text) : (fallback ?? "");
}
