import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import type { SessionMapper } from "../mapper.ts";
import type { DiscordSettings, SlackSettings } from "./settings.ts";

/** A bot that runs on its platform. */
export interface RunningBot {
  readonly platform: string;
  /** As whom it speaks there, for the operator. */
  readonly as: string;
  /** Takes no new messages; replies that are under way can still be sent. */
  stopListening(): Promise<void>;
  close(): Promise<void>;
}

/** @throws {AparteError} `option-invalid` when the package is missing or Slack refuses the tokens. */
export async function startSlack(mapper: SessionMapper, settings: SlackSettings): Promise<RunningBot> {
  const { App, LogLevel } = await needed("@slack/bolt", () => import("@slack/bolt"));
  const { slack } = await import("aparte/slack");
  const { botToken, appToken, signingSecret, port, apiUrl, agentView } = settings;
  const app = new App({
    token: botToken,
    ...(appToken === undefined ? { signingSecret: signingSecret ?? "" } : { appToken, socketMode: true }),
    logLevel: LogLevel.WARN,
    // Otherwise a refused token is an unhandled rejection.
    deferInitialization: true,
    ...(apiUrl === undefined ? {} : { clientOptions: { slackApiUrl: apiUrl } }),
  });
  await refused("SLACK_BOT_TOKEN", () => app.init());
  slack(mapper, { agentView }).attach(app);
  await refused("SLACK_APP_TOKEN", () => app.start(port));
  const { user = "?", team = "?" } = await refused("SLACK_BOT_TOKEN", () => app.client.auth.test());
  return {
    platform: "slack",
    as: `@${user} in the workspace "${team}"`,
    stopListening: async () => void (await app.stop()),
    close: async () => {},
  };
}

/** @throws {AparteError} `option-invalid` when the package is missing or Discord refuses the token. */
export async function startDiscord(mapper: SessionMapper, settings: DiscordSettings): Promise<RunningBot> {
  const { Client, Events, GatewayIntentBits, Partials } = await needed(
    "discord.js",
    () => import("discord.js"),
  );
  const { discord } = await import("aparte/discord");
  const client = new Client({
    // The text of direct messages and of mentions comes without the intent Message Content.
    intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages],
    // Without it discord.js drops direct messages.
    partials: [Partials.Channel],
    allowedMentions: { parse: [], repliedUser: false },
    ...(settings.apiUrl === undefined ? {} : { rest: { api: settings.apiUrl } }),
  });
  discord(mapper, { commands: true, buttons: ["stop", "questions", "new"] }).attach(client);
  const ready = once<void>((resolve) => client.once(Events.ClientReady, () => resolve()));
  const closed = once<number>((resolve) => client.once(Events.ShardDisconnect, ({ code }) => resolve(code)));
  const login = refused("DISCORD_TOKEN", () => client.login(settings.token));
  // A login goes on waiting where the gateway has closed for good.
  const code = await Promise.race([closed, login.then(() => Promise.race([closed, ready]))]);
  if (code !== undefined) {
    login.catch(() => {});
    await client.destroy();
    throw gatewayClosed(code);
  }
  void closed.then((later) =>
    consoleLogger.error("discord is not connected", describeError(gatewayClosed(later))),
  );
  return {
    platform: "discord",
    as: `${client.user?.tag ?? "?"} in ${client.guilds.cache.size} ${client.guilds.cache.size === 1 ? "guild" : "guilds"}`,
    stopListening: async () => {
      client.removeAllListeners(Events.MessageCreate);
      client.removeAllListeners(Events.MessageUpdate);
      client.removeAllListeners(Events.InteractionCreate);
    },
    close: () => client.destroy(),
  };
}

/** What Discord means by the codes with which it ends a connection for good. */
const gatewayProblems: Readonly<Record<number, string>> = {
  4004: "the token is not valid (4004). Make a new one: discord.com/developers/applications, your application, Bot, Reset Token.",
  4010: "the shard is not one of the bot's (4010).",
  4011: "the bot is in so many guilds that it needs shards (4011): run it with discord.js' ShardingManager.",
  4012: "it no longer speaks this version of the gateway (4012). Update discord.js.",
  4013: "an intent does not exist (4013). Update discord.js.",
  4014:
    "an intent is not switched on (4014). Switch on Message Content Intent: discord.com/developers/applications, your " +
    "application, Bot, Privileged Gateway Intents.",
};

function gatewayClosed(code: number): AparteError {
  const problem = gatewayProblems[code] ?? `it gave the code ${code}.`;
  return new AparteError("option-invalid", `Discord has closed the connection of DISCORD_TOKEN: ${problem}`, {
    field: "DISCORD_TOKEN",
  });
}

function once<T>(listen: (resolve: (value: T) => void) => void): Promise<T> {
  return new Promise(listen);
}

async function needed<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AparteError(
      "option-invalid",
      `The package "${name}" is missing. Install both: npm i aparte ${name}`,
      {
        field: name,
        cause,
      },
    );
  }
}

async function refused<T>(variable: string, connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (cause) {
    if (isUnreachable(cause)) {
      throw new AparteError("backend-unavailable", `The platform of ${variable} cannot be reached.`, {
        cause,
      });
    }
    const problem = `${variable} was refused by the platform. Look whether it is still valid.`;
    throw new AparteError("option-invalid", problem, { field: variable, cause });
  }
}

/** A connection that failed, as Node and fetch tell it. */
function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/.test(code) || isUnreachable(error.cause);
}
