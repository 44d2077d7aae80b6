import { AparteError, type FileInput, type JsonValue } from "aparte";
import { isId } from "./address.ts";
import type { SlackClient, SlackSettings } from "./options.ts";

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

/** The longest that loading one file may take, in milliseconds. */
const loadTimeout = 60_000;

/** Files that Slack does not have: links to elsewhere, and what was deleted or is beyond the free plan. */
const absent: readonly (string | undefined)[] = ["external", "hidden_by_limit", "tombstone"];

/** The files of people's messages. */
export class SlackFiles {
  readonly #clientOf: (workspace: string) => Promise<SlackClient>;
  readonly #settings: SlackSettings;

  constructor(clientOf: (workspace: string) => Promise<SlackClient>, settings: SlackSettings) {
    this.#clientOf = clientOf;
    this.#settings = settings;
  }

  of(workspace: string, files: readonly SlackFile[]): FileInput[] {
    return files.flatMap((file) => {
      const { id, name, mimetype, mode } = file;
      if (id === undefined || absent.includes(mode)) return [];
      const ref = { workspace, file: id };
      return {
        name: name || id,
        ...(mimetype === undefined ? {} : { type: mimetype }),
        load: async (signal) =>
          linkOf(file) === undefined
            ? this.load(ref, signal) // Slack Connect tells no more than the id (`check_file_info`).
            : this.#download(await this.#clientOf(workspace), file, signal),
        ref,
      };
    });
  }

  /** Loads a file by its ref. */
  async load(ref: JsonValue, signal: AbortSignal): Promise<Uint8Array> {
    const { workspace, file } = (ref ?? {}) as { readonly [key: string]: JsonValue };
    if (!isId(workspace) || !isId(file)) throw fileError("is no file of Slack");
    const client = await this.#clientOf(workspace);
    let found: SlackFile | undefined;
    try {
      found = (await client.files.info({ file })).file;
    } catch (cause) {
      throw fileError("could not be found: Slack did not tell of it (the bot needs files:read)", cause);
    }
    return this.#download(client, found ?? {}, signal);
  }

  async #download({ token }: SlackClient, file: SlackFile, signal: AbortSignal): Promise<Uint8Array> {
    const link = linkOf(file);
    if (link === undefined) throw fileError("is no longer there");
    this.#checkHost(link);
    try {
      const response = await fetch(link, {
        headers: { authorization: `Bearer ${token ?? ""}` },
        signal: AbortSignal.any([signal, AbortSignal.timeout(loadTimeout)]),
        // A redirect leads to a sign-in page, or would carry the token elsewhere.
        redirect: "error",
      });
      const type = response.headers.get("content-type") ?? "";
      // Slack answers 200 with its sign-in page where the token may not read the file.
      const isSignIn = type.startsWith("text/html") && file.mimetype !== "text/html";
      if (response.ok && response.body !== null && !isSignIn) return await this.#read(response.body);
      await response.body?.cancel();
      if (isSignIn) throw fileError("was not given by Slack: the bot needs the scope files:read");
      throw fileError(`could not be loaded (HTTP ${response.status}). Send it again`);
    } catch (error) {
      throw error instanceof AparteError ? error : fileError("could not be loaded. Send it again", error);
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
    const { maxFileBytes } = this.#settings;
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > maxFileBytes)
        throw fileError(`is larger than ${maxFileBytes} bytes (option "maxFileBytes")`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #checkHost(link: string): void {
    if (URL.canParse(link)) {
      const { protocol, host } = new URL(link);
      if (protocol === "https:" && slackHosts.test(host)) return;
      if ((protocol === "https:" || protocol === "http:") && this.#settings.fileHosts.includes(host)) return;
    }
    throw fileError("is not at one of Slack's own hosts, so it was not loaded");
  }
}

function linkOf({ url_private_download, url_private }: SlackFile): string | undefined {
  return url_private_download ?? url_private;
}

function fileError(problem: string, cause?: unknown): AparteError {
  return new AparteError("input-invalid", `An attached file ${problem}.`, { field: "files", cause });
}
