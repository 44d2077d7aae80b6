import type { ReplyEvent } from "aparte";
import { type DiscordAdapter, type DiscordOptions, discord } from "aparte/discord";
import { Client, type ClientOptions, GatewayIntentBits, Partials } from "discord.js";
import { DiscordServer, type ServedBot } from "../../fakes/discord-server.ts";
import type { Answer } from "../agent.ts";
import {
  endings,
  isText,
  type MapperInTest,
  type MapperInTestOptions,
  started,
  startMapper,
} from "../bot.ts";

export { endings, secret, settled } from "../bot.ts";

export const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;
export const allIntents = [Guilds, GuildMessages, DirectMessages, MessageContent];

export const posts = /^\/channels\/\d+\/messages$/;
export const edits = /^\/channels\/\d+\/messages\/\d+$/;
export const typing = /\/typing$/;

export const startServer = () => started(DiscordServer.start());

export interface Bot extends MapperInTest {
  readonly client: Client;
  readonly adapter: DiscordAdapter;
}

export interface BotOptions extends MapperInTestOptions {
  readonly discord?: DiscordOptions;
  readonly client?: Partial<ClientOptions>;
  /** Another bot than the server's first one. */
  readonly as?: ServedBot;
}

export async function startBot(server: DiscordServer, options: BotOptions = {}): Promise<Bot> {
  const inTest = startMapper(options);
  const { mapper } = inTest;
  const client = new Client({
    intents: allIntents,
    partials: [Partials.Channel],
    rest: { ...server.rest },
    ...options.client,
  });
  // Short, so that the tests are; one test measures the pace.
  const adapter = discord(mapper, { editInterval: 20, fileHosts: [server.host], ...options.discord });
  adapter.attach(client);
  endings.push(async () => {
    await mapper.close();
    await client.destroy();
  });
  const ready = new Promise((resolve) => client.once("clientReady", resolve));
  await client.login((options.as ?? server.bot).token);
  await ready;
  return { ...inTest, client, adapter };
}

export const mention = (server: DiscordServer): string => `<@${server.bot.id}>`;

/** Resolves when the bot shows this text in a channel, as one of its messages. */
export async function shows(server: DiscordServer, text: string | RegExp, channelId?: string) {
  return server.until(() => server.shown(channelId).find(({ content }) => isText(content, text)));
}

export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

export const ended = (...events: ReplyEvent[]): Answer =>
  async function* () {
    yield* events;
  };
