import { cut } from "aparte/adapter";
import { withTableHeads } from "./table-heads.ts";

/** The longest text of one message, in characters after escaping: Slack takes 12,000 in a markdown block or a stream. */
const markdownLength = 11_000;

/** `chat.update` takes this many bytes of plain text, counted after escaping. */
const plainBytes = 4_000;

/** What stands in place of a longer text where no blocks are shown, e.g. in a notification, in characters. */
const noticeLength = 600;

/** The texts of the messages that show a reply. */
export function messageTexts(text: string, isPlain: boolean): string[] {
  const words = harmless(text).trimStart();
  return isPlain
    ? cut(words, plainBytes, bytes)
    : withTableHeads(cut(words, markdownLength, escapedLength), escapedLength);
}

/** The plain text beside a message's blocks. */
export function noticeText(text: string): string {
  return escapeText(bytes(text) <= plainBytes ? text : (cut(text, noticeLength)[0] ?? ""));
}

/** Slack's three control characters: nothing in an escaped text is a mention or a link. */
export function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

export function unescapeText(text: string): string {
  return text.replace(/&(amp|lt|gt);/g, (_, name: string) => ({ amp: "&", lt: "<" })[name] ?? ">");
}

function escapedLength(text: string): number {
  return escapeText(text).length;
}

function bytes(text: string): number {
  return Buffer.byteLength(escapeText(text));
}

/**
 * Markdown is sent as it is, so what would notify people, or show something else than it says, is broken by a space of
 * no width: an agent could be talked into pinging everyone. Other angle brackets stay whole, for the sake of code.
 */
function harmless(text: string): string {
  return text.replace(/<(?=!(?:channel|here|everyone|subteam|date)|@[UW][A-Z0-9])/gi, "<\u200b");
}
