/** The parts of Slack's rich text that are read here. */
export interface RichText {
  readonly type: string;
  readonly elements?: readonly RichText[];
  readonly user_id?: string;
  readonly channel_id?: string;
  readonly usergroup_id?: string;
  readonly text?: string;
  readonly url?: string;
  readonly name?: string;
  readonly range?: string;
  readonly fallback?: string;
  readonly style?: { readonly code?: boolean };
}

/** Words that are shown, not said: the bot's name there calls nobody. */
const shown: readonly string[] = ["rich_text_quote", "rich_text_preformatted"];

/** Whether a message calls the bot by its name: not in code, and not in words that are quoted. */
export function mentions(
  { blocks = [], text = "" }: { readonly blocks?: readonly RichText[]; readonly text?: string },
  user: string,
): boolean {
  const rich = blocks.filter(({ type }) => type === "rich_text");
  if (rich.length > 0) return rich.some((block) => holdsMention(block, user));
  // A program's message may have no rich text: its markup says the same.
  const said = text.replace(/```[\s\S]*?```|`[^`\n]*`/g, "").replace(/^\s*(?:&gt;|>).*$/gm, "");
  return mentionOf(user).test(said);
}

function holdsMention({ type, elements = [], user_id, style }: RichText, user: string): boolean {
  if (shown.includes(type)) return false;
  if (type === "user") return user_id === user && style?.code !== true;
  return elements.some((element) => holdsMention(element, user));
}

export function mentionOf(user: string): RegExp {
  return new RegExp(`<@${user}(?:\\|[^>]*)?>`);
}
