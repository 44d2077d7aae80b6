import type { Speaker } from "../speaker/speaker.ts";
import { chinese } from "./chinese.ts";
import { english, type TextCode, type TextTable } from "./english.ts";

export type { TextCode, TextTable };

/** What stands in a sentence for its `{name}`s. */
export type TextFacts = Readonly<Record<string, string | number>>;

/**
 * The option `texts`: sentences of your own in place of ours. A table holds for people of every language. A function
 * is given what is known of the person (nothing of them where everybody reads it); undefined leaves our sentence.
 */
export type TextsOption =
  | Partial<TextTable>
  | ((code: TextCode, facts: TextFacts, speaker: Partial<Speaker>) => string | undefined);

/** Tells our sentences in one person's language. */
export type Texts = <Code extends TextCode>(
  code: Code,
  ...facts: [FactNames<Code>] extends [never] ? [] : [{ readonly [Name in FactNames<Code>]: string | number }]
) => string;

type FactNames<Code extends TextCode> = NamesIn<(typeof english)[Code]>;

type NamesIn<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

/** A language that comes along, for a tag such as `"zh-CN"`. @default English */
export function languageOf(locale: string | undefined): TextTable {
  return /^zh\b/i.test(locale ?? "") ? chinese : english;
}

export interface TextsSettings {
  readonly texts?: TextsOption | undefined;
  /** The language of those of whom no other is known. */
  readonly locale?: string | undefined;
  /** Told what the application's function threw: our own sentence is said then. */
  readonly failed: (code: TextCode, error: unknown) => void;
}

/** The sentences for one person, with the application's own among them. */
export function textsFor(speaker: Partial<Speaker>, { texts, locale, failed }: TextsSettings): Texts {
  const ours = languageOf(speaker.locale ?? locale);
  const own = (code: TextCode, facts: TextFacts): string | undefined => {
    if (typeof texts !== "function") return texts?.[code] && filled(texts[code], facts);
    try {
      return texts(code, facts, speaker);
    } catch (error) {
      failed(code, error);
      return undefined;
    }
  };
  return (code, ...[facts = {}]) => own(code, facts) ?? filled(ours[code], facts);
}

/** Ours in English: for what is said without a mapper. */
export const plainTexts: Texts = (code, ...[facts = {}]) => filled(english[code], facts);

/** One pass: what a fact says is no place for another fact. */
function filled(text: string, facts: TextFacts): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(facts[name] ?? place));
}
