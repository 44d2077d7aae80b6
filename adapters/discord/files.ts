import type { FileInput } from "aparte";
import { attachmentError, fetchAttachment, type JsonValue, readAttachment } from "aparte/adapter";
import type { Message as DiscordMessage } from "discord.js";
import { isSnowflake } from "./address.ts";
import type { DiscordApi } from "./api.ts";
import type { DiscordSettings } from "./options.ts";

/** Where Discord keeps attachments. Nothing is loaded from elsewhere, whatever a message says. */
const discordHosts: readonly string[] = ["cdn.discordapp.com", "media.discordapp.net"];

/** Statuses of a link whose signature has run out (a day after Discord gave it), or that is not known. */
const expired: readonly number[] = [403, 404];

/** The attachments of people's messages. */
export class AttachmentFiles {
  readonly #api: DiscordApi;
  readonly #settings: DiscordSettings;

  constructor(api: DiscordApi, settings: DiscordSettings) {
    this.#api = api;
    this.#settings = settings;
  }

  /** @param attachments others than the message's own: those of the message that it forwards */
  of(
    { id: messageId, channelId, ...message }: DiscordMessage,
    attachments: DiscordMessage["attachments"] = message.attachments,
  ): FileInput[] {
    return attachments.map(({ id: attachmentId, name, contentType, url }) => {
      // Which attachment of which message: for loading it again with a link that is signed anew.
      const ref = { channelId, messageId, attachmentId };
      return {
        name,
        ...(contentType === null ? {} : { type: contentType }),
        // A message may have waited in its lane for longer than its links live.
        load: async (signal) => (await this.#download(url, signal)) ?? this.load(ref, signal),
        ref,
      };
    });
  }

  /** Loads a file by its ref, with a fresh link. */
  async load(ref: JsonValue, signal: AbortSignal): Promise<Uint8Array> {
    const { channelId, messageId, attachmentId } = (ref ?? {}) as { readonly [key: string]: JsonValue };
    if (!isSnowflake(channelId) || !isSnowflake(messageId) || !isSnowflake(attachmentId)) {
      throw attachmentError("is no attachment of Discord");
    }
    let url: string | undefined;
    try {
      const attachments = await this.#api.attachments(channelId, messageId, signal);
      url = attachments.find(({ id }) => id === attachmentId)?.url;
    } catch (cause) {
      throw attachmentError("could not be found: Discord did not give its message", cause);
    }
    const bytes = url === undefined ? undefined : await this.#download(url, signal);
    if (bytes === undefined) throw attachmentError("is no longer there");
    return bytes;
  }

  /** The bytes; undefined when the link is no longer good. */
  async #download(link: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { fileHosts, maxFileBytes } = this.#settings;
    const isOwnHost = (host: string) => discordHosts.includes(host);
    const response = await fetchAttachment({
      link,
      platform: "Discord",
      isOwnHost,
      otherHosts: fileHosts,
      signal,
    });
    if (!expired.includes(response.status)) return readAttachment(response, maxFileBytes);
    await response.body?.cancel();
    return undefined;
  }
}
