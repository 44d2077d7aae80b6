import { AparteError } from "../errors.ts";
import type { SessionMapper } from "../mapper.ts";
import type { DiscordSettings, SlackSettings } from "./settings.ts";

/** A bot that runs on its platform. */
export interface RunningBot {
  readonly platform: string;
  /** Takes no new messages; replies that are under way can still be sent. */
  stopListening(): Promise<void>;
  close(): Promise<void>;
}

/** @throws {AparteError} `option-invalid` when the package is missing or Slack refuses the tokens. */
export async function startSlack(mapper: SessionMapper, settings: SlackSettings): Promise<RunningBot> {
  const { App, LogLevel } = await needed("@slack/bolt", () => import("@slack/bolt"));
  const { slack } = await import("aparte/slack");
  const { botToken, appToken, signingSecret, port, apiUrl, agentView = false } = settings;
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
  return { platform: "slack", stopListening: async () => void (await app.stop()), close: async () => {} };
}

/** @throws {AparteError} `option-invalid` when the package is missing or Discord refuses the token. */
export async function startDiscord(mapper: SessionMapper, settings: DiscordSettings): Promise<RunningBot> {
  const { Client, Events, GatewayIntentBits, Partials } = await needed(
    "discord.js",
    () => import("discord.js"),
  );
  const { discord } = await import("aparte/discord");
  const client = new Client({
    intents: [
      GatewayIntentBits.Guilds,
      GatewayIntentBits.GuildMessages,
      GatewayIntentBits.DirectMessages,
      GatewayIntentBits.MessageContent,
    ],
    // Without it discord.js drops direct messages.
    partials: [Partials.Channel],
    allowedMentions: { parse: [], repliedUser: false },
    ...(settings.apiUrl === undefined ? {} : { rest: { api: settings.apiUrl } }),
  });
  discord(mapper).attach(client);
  const ready = new Promise<void>((resolve) => client.once(Events.ClientReady, () => resolve()));
  await refused("DISCORD_TOKEN", () => client.login(settings.token));
  await ready;
  return {
    platform: "discord",
    stopListening: async () => void client.removeAllListeners(Events.MessageCreate),
    close: () => client.destroy(),
  };
}

async function needed<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AparteError("option-invalid", `The package "${name}" is missing. Install it: npm i ${name}`, {
      field: name,
      cause,
    });
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
