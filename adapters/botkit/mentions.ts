import type { Activity } from "botbuilder";

interface Mention {
  readonly type: string;
  readonly text?: string;
  readonly mentioned?: { readonly id?: string; readonly name?: string };
}

/**
 * The words without the mention that calls the bot, and with other people's names: Teams writes `<at>Name</at>`, and its
 * entities say who that is. Undefined where nobody is mentioned.
 */
export function withoutMentions({ text, entities, recipient }: Activity): string | undefined {
  const mentions = ((entities ?? []) as readonly Mention[]).filter(({ type }) => type === "mention");
  if (mentions.length === 0 || typeof text !== "string") return undefined;
  let words = text;
  for (const { text: marked, mentioned } of mentions) {
    if (!marked) continue;
    const isBot = mentioned?.id !== undefined && mentioned.id === recipient?.id;
    const name = mentioned?.name ?? marked.replace(/<[^>]*>/g, "");
    words = words.replace(marked, () => (isBot ? "" : name));
  }
  return words.replace(/&nbsp;/g, " ").trim();
}
