import type { FileInput } from "aparte";
import { attachmentError, fetchAttachment, type JsonValue, readAttachment } from "aparte/adapter";
import type { BotkitMessage } from "botkit";
import type { BotkitSettings } from "./options.ts";

/** Where a channel keeps its people's files. Nothing is loaded from elsewhere, whatever a message says. */
const ownHosts: Readonly<Record<string, RegExp>> = {
  msteams: /\.sharepoint\.com$/,
  facebook: /\.(fbcdn\.net|fbsbx\.com)$/,
  "twilio-sms": /^api\.twilio\.com$/,
};

interface FileLink {
  readonly name: string;
  readonly type?: string;
  readonly link: string;
}

/** The files of a message. Cards, and the markup that Teams adds to each text, are none. */
export function fileLinks({ incoming_message: { attachments = [] } }: BotkitMessage): FileLink[] {
  return attachments.flatMap(({ name, contentType, contentUrl, content }, index) => {
    const download: unknown = contentType === teamsFile ? content?.downloadUrl : contentUrl;
    if (typeof download !== "string" || download === "") return [];
    const type = contentType === teamsFile || !contentType ? {} : { type: contentType };
    return [{ name: name || `file-${index + 1}`, ...type, link: download }];
  });
}

const teamsFile = "application/vnd.microsoft.teams.file.download.info";

export function filesOf(message: BotkitMessage, settings: BotkitSettings): FileInput[] {
  const { channelId } = message.incoming_message;
  return fileLinks(message).map(({ name, type, link }) => {
    const ref = { channelId, link };
    return { name, ...(type && { type }), ref, load: (signal) => loadFile(ref, settings, signal) };
  });
}

/** @throws {AparteError} `input-invalid` or `file-too-large` */
export async function loadFile(
  ref: JsonValue,
  { fileHosts, maxFileBytes }: BotkitSettings,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { channelId, link } = (ref ?? {}) as { readonly [key: string]: JsonValue };
  if (typeof channelId !== "string" || typeof link !== "string")
    throw attachmentError("is no attachment of Botkit");
  // Some channels send small files within the message.
  if (link.startsWith("data:")) return readAttachment(await fetch(link), maxFileBytes);
  const isOwnHost = (host: string) => ownHosts[channelId]?.test(host) === true;
  const source = { link, platform: "the channel", isOwnHost, otherHosts: fileHosts, signal };
  return readAttachment(await fetchAttachment(source), maxFileBytes);
}
