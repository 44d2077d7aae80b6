import type { FileInput } from "aparte";
import { attachmentError, fetchAttachment, type JsonValue, readAttachment } from "aparte/adapter";
import { type Installation, installationOf, isId } from "./address.ts";
import type { Clients, SlackClients } from "./clients.ts";
import type { SlackSettings } from "./options.ts";

/** The parts of a Slack file that are read here. */
export interface SlackFile {
  readonly id?: string;
  readonly name?: string | null;
  readonly mimetype?: string;
  readonly mode?: string;
  readonly url_private?: string;
  readonly url_private_download?: string;
}

/** Where Slack keeps files, GovSlack included. Nothing else gets the bot's token, whatever a message says. */
const slackHosts = /^(?:[a-z0-9-]+\.)*(?:slack\.com|slack-gov\.com)$/;

/** Files that Slack does not have: links to elsewhere, and what was deleted or is beyond the free plan. */
const absent: readonly (string | undefined)[] = ["external", "hidden_by_limit", "tombstone"];

/** The files of people's messages. */
export class SlackFiles {
  readonly #clients: SlackClients;
  readonly #settings: SlackSettings;

  constructor(clients: SlackClients, settings: SlackSettings) {
    this.#clients = clients;
    this.#settings = settings;
  }

  of(installation: Installation, files: readonly SlackFile[]): FileInput[] {
    return files.flatMap((file) => {
      const { id, name, mimetype, mode } = file;
      if (id === undefined || absent.includes(mode)) return [];
      const ref = { ...installation, file: id };
      return {
        name: name || id,
        ...(mimetype === undefined ? {} : { type: mimetype }),
        load: async (signal) =>
          linkOf(file) === undefined
            ? this.load(ref, signal) // Slack Connect tells no more than the id (`check_file_info`).
            : this.#download(await this.#clients.of(installation), file, signal),
        ref,
      };
    });
  }

  /** Loads a file by its ref. */
  async load(ref: JsonValue, signal: AbortSignal): Promise<Uint8Array> {
    const installation = installationOf(ref);
    const { file } = (ref ?? {}) as { readonly [key: string]: JsonValue };
    if (installation === undefined || !isId(file)) throw attachmentError("is no file of Slack");
    const clients = await this.#clients.of(installation);
    let found: SlackFile | undefined;
    try {
      found = (await clients.calls.files.info({ file })).file;
    } catch (cause) {
      throw attachmentError("could not be found: Slack did not tell of it (the bot needs files:read)", cause);
    }
    return this.#download(clients, found ?? {}, signal);
  }

  async #download({ token }: Clients, file: SlackFile, signal: AbortSignal): Promise<Uint8Array> {
    const link = linkOf(file);
    if (link === undefined) throw attachmentError("is no longer there");
    const { fileHosts, maxFileBytes } = this.#settings;
    const response = await fetchAttachment({
      ...{
        link,
        platform: "Slack",
        isOwnHost: (host) => slackHosts.test(host),
        otherHosts: fileHosts,
        signal,
      },
      headers: { authorization: `Bearer ${token}` },
    });
    const type = response.headers.get("content-type") ?? "";
    // Slack answers 200 with its sign-in page where the token may not read the file.
    const isSignIn = type.startsWith("text/html") && file.mimetype !== "text/html";
    if (!isSignIn) return readAttachment(response, maxFileBytes);
    await response.body?.cancel();
    throw attachmentError("was not given by Slack: the bot needs the scope files:read");
  }
}

function linkOf({ url_private_download, url_private }: SlackFile): string | undefined {
  return url_private_download ?? url_private;
}
