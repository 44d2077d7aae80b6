// One process of the bot: the real adapters of Slack and Discord, and two small ones. See run.mjs.
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { App, LogLevel } from "@slack/bolt";
import { type Message, openStore, SessionMapper } from "aparte";
import { type CozeOptions, coze } from "aparte/coze";
import { discord } from "aparte/discord";
import { slack } from "aparte/slack";
import { Client, GatewayIntentBits, Partials } from "discord.js";
import { chatAdapter } from "./chat-adapter.ts";
import { seconds, sinceStart } from "./clock.ts";

export interface BotSettings {
  readonly bot: number;
  readonly store: string;
  readonly leaseMs: number;
  readonly agent: CozeOptions;
  readonly slack: { readonly token: string; readonly signingSecret: string; readonly apiUrl: string };
  readonly discord: { readonly token: string; readonly api: string; readonly version: string };
  readonly chats: readonly { readonly platform: string; readonly url: string; readonly hasNonces: boolean }[];
}

/** What a bot tells the program. */
export type BotReport =
  | { readonly is: "ready"; readonly slackUrl: string }
  /** Others took it for dead: it did not reach the store for longer than its lease. */
  | { readonly is: "buried" }
  /** It begins to write something to its store. */
  | { readonly is: "writing"; readonly write: number }
  /** The store has answered, or failed. */
  | { readonly is: "written"; readonly write: number }
  | { readonly is: "received"; readonly platform: string; readonly id: string; readonly outcome: string };

const settings = JSON.parse(process.env.SETTINGS ?? "{}") as BotSettings;
const headers = { "x-process": String(settings.bot) };
const report = (what: BotReport) => process.send?.(what);
const log = (level: string) => (message: string, fields?: unknown) =>
  console.log(seconds(sinceStart()), level, message, inspect(fields ?? "", { depth: 10, breakLength: 400 }));
const warn = log("warn");
const logger = {
  ...{ info: log("info"), error: log("error") },
  warn: (message: string, fields?: unknown) => {
    if (message.startsWith("this process was taken for dead")) report({ is: "buried" });
    warn(message, fields);
  },
};
log("info")(`pid ${process.pid} starts`);

const store = await openStore(settings.store, { logger });
const commit = store.commit.bind(store);
let writes = 0;
store.commit = async (what) => {
  const write = writes++;
  report({ is: "writing", write });
  try {
    return await commit(what);
  } finally {
    report({ is: "written", write });
  }
};

const mapper = new SessionMapper({
  agents: { helper: coze(settings.agent) },
  store,
  secret: "a secret of the chaos program",
  leaseTime: settings.leaseMs,
  logger,
});

// What becomes of each message is told by the very calls that the adapters make.
const receive = mapper.receive.bind(mapper);
mapper.receive = async (message: Message, options) => {
  const { platform, id } = message;
  const tell = (outcome: string) => report({ is: "received", platform, id, outcome });
  try {
    const isTaken = await receive(message, options);
    tell(isTaken ? "taken" : "not taken");
    return isTaken;
  } catch (error) {
    tell(`refused: ${(error as { code?: string }).code}`);
    throw error;
  }
};

for (const chat of settings.chats) mapper.connect(chatAdapter({ ...chat, headers }));

const app = new App({
  token: settings.slack.token,
  signingSecret: settings.slack.signingSecret,
  processBeforeResponse: true,
  clientOptions: { slackApiUrl: settings.slack.apiUrl, retryConfig: { retries: 0 }, headers },
  logLevel: LogLevel.ERROR,
});
slack(mapper, { editInterval: 100, agentView: false }).attach(app);

const { Guilds, GuildMessages, DirectMessages } = GatewayIntentBits;
const client = new Client({
  intents: [Guilds, GuildMessages, DirectMessages],
  partials: [Partials.Channel],
  rest: { api: settings.discord.api, version: settings.discord.version, headers },
});
client.on("error", (error) => logger.error("the Discord client", error));
discord(mapper, { editInterval: 100 }).attach(client);
const isReady = new Promise((resolve) => client.once("clientReady", resolve));
await client.login(settings.discord.token);
await isReady;

const listener = (await app.start({ port: 0, host: "127.0.0.1" })) as { address(): unknown };
const { port } = listener.address() as AddressInfo;

process.on("message", (message: Message) => {
  mapper.receive(message, { comesAgain: true }).catch(() => {}); // It is reported.
});
process.once("SIGTERM", async () => {
  logger.info("SIGTERM");
  await app.stop();
  await mapper.close();
  await client.destroy();
  // What was reported is on its way.
  await sleep(10);
  process.exit(0);
});
process.on("disconnect", () => process.exit());
report({ is: "ready", slackUrl: `http://127.0.0.1:${port}/slack/events` });
