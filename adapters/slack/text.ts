import { cut } from "aparte";

/** `chat.update` takes this many bytes of text, counted after escaping. A stream is finished by it too. */
const messageBytes = 4_000;

/** The texts of the messages that show a reply. */
export function messageTexts(text: string): string[] {
  return cut(harmless(text).trimStart(), messageBytes, (part) => Buffer.byteLength(escapeText(part)));
}

/** Slack's three control characters: nothing in an escaped text is a mention or a link. */
export function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/**
 * Markdown is sent as it is, so what would notify people is broken by a space of no width: an agent could be talked
 * into pinging everyone. Other angle brackets stay whole, for the sake of code.
 */
function harmless(text: string): string {
  return text.replace(/<(?=!(?:channel|here|everyone|subteam)|@[UW][A-Z0-9])/gi, "<\u200b");
}
