import type { FileInput } from "aparte";
import { attachmentError, fetchAttachment, type JsonValue, readAttachment } from "aparte/adapter";
import type { Activity, Attachment } from "botbuilder";
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
export function fileLinks({ incoming_message: activity }: BotkitMessage): FileLink[] {
  const { attachments = onFacebook(activity) } = activity;
  return attachments.flatMap(({ name, contentType, contentUrl, content }, index) => {
    const download: unknown = contentType === teamsFile ? content?.downloadUrl : contentUrl;
    if (typeof download !== "string" || download === "") return [];
    const type = contentType === teamsFile || !contentType ? {} : { type: contentType };
    return [{ name: name || `file-${index + 1}`, ...type, link: download }];
  });
}

/** Botkit's own adapter leaves a person's files where Facebook put them, among what is none: shared links, places. */
function onFacebook({ channelId, channelData }: Activity): Partial<Attachment>[] {
  const { attachments = [] } = (
    channelId === "facebook" && channelData ? channelData : {}
  ) as FacebookMessage;
  return attachments.flatMap(({ type, payload }) => {
    if (!facebookFiles.has(type) || !payload?.url) return [];
    return [{ name: payload.url.replace(/[?#].*$|^[^?#]*\//g, ""), contentUrl: payload.url }];
  });
}

interface FacebookMessage {
  readonly attachments?: readonly {
    readonly type: string;
    readonly payload?: { readonly url?: string } | null;
  }[];
}

const facebookFiles: ReadonlySet<string> = new Set(["image", "audio", "video", "file"]);

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
