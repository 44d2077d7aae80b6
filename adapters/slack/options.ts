import type { App } from "@slack/bolt";
import { optionInvalid, refuseUnknown } from "aparte";

/** `@slack/web-api`'s WebClient, of the version that Bolt uses. */
export type SlackClient = App["client"];

export interface SlackOptions {
  /**
   * A name for this bot, e.g. its app's id, where several Slack apps share a mapper or a store: each person has a
   * session with each of them. @default none, for one app
   */
  readonly bot?: string;
  /**
   * How a reply grows: in Slack's own streams where they work (in threads, and where the workspace has them), or
   * by edits of a message. @default "native"
   */
  readonly stream?: "native" | "edit";
  /**
   * The pause between two edits in one workspace, in milliseconds. Slack takes about 50 a minute there. Streams
   * grow at most every 700 ms, since Slack takes about 100 a minute. @default 1200
   */
  readonly editInterval?: number;
  /** The largest file that is handed to the agent, in bytes. @default 20_971_520 */
  readonly maxFileBytes?: number;
  /**
   * Further hosts from which files may be loaded, with the port where there is one, also over plain http: a proxy
   * of your own, a test's server. They are sent the bot's token. Slack's are known.
   */
  readonly fileHosts?: readonly string[];
  /**
   * The client of a workspace, or of an Enterprise organisation where the app is installed in all of it. Needed
   * by apps with several workspaces, so that a process answers also where it has not heard from yet: in place of
   * one that died.
   * @default the client that came with the workspace's events, else the app's own
   */
  readonly client?: (tenant: string) => SlackClient | Promise<SlackClient>;
}

export interface SlackSettings {
  readonly bot: string | undefined;
  readonly stream: "native" | "edit";
  readonly editInterval: number;
  readonly maxFileBytes: number;
  readonly fileHosts: readonly string[];
  readonly client: SlackOptions["client"];
}

const known = [
  "bot",
  "stream",
  "editInterval",
  "maxFileBytes",
  "fileHosts",
  "client",
] as const satisfies readonly (keyof SlackOptions)[];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: SlackOptions): SlackSettings {
  refuseUnknown(options, known);
  const { stream = "native", editInterval = 1_200, maxFileBytes = 20_971_520 } = options;
  const { fileHosts = [], client, bot } = options;
  if (stream !== "native" && stream !== "edit") throw optionInvalid("stream", 'must be "native" or "edit"');
  for (const [field, value] of Object.entries({ editInterval, maxFileBytes })) {
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      throw optionInvalid(field, "must be a number above 0");
    }
  }
  if (!Array.isArray(fileHosts) || fileHosts.some((host) => typeof host !== "string" || !isHost(host))) {
    throw optionInvalid("fileHosts", 'must be a list of hosts, e.g. ["files.example.com", "127.0.0.1:8080"]');
  }
  if (bot !== undefined && (typeof bot !== "string" || bot === "")) {
    throw optionInvalid("bot", "must be a text that is not empty");
  }
  if (client !== undefined && typeof client !== "function") {
    throw optionInvalid("client", "must be a function: (tenant) => WebClient");
  }
  return { bot, stream, editInterval, maxFileBytes, fileHosts, client };
}

function isHost(host: string): boolean {
  return URL.canParse(`https://${host}`) && new URL(`https://${host}`).host === host;
}
