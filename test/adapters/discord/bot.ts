import {
  type Logger,
  type MapperOptions,
  type Message,
  type ReplyEvent,
  SessionMapper,
  type Store,
} from "aparte";
import { type DiscordAdapter, type DiscordOptions, discord } from "aparte/discord";
import { Client, type ClientOptions, GatewayIntentBits, Partials } from "discord.js";
import { afterEach } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { DiscordServer, type ServedBot } from "../../fakes/discord-server.ts";
import { type Answer, backend, elephant } from "../agent.ts";

export const secret = "a secret of the tests, long enough";
export const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;
export const allIntents = [Guilds, GuildMessages, DirectMessages, MessageContent];

export const posts = /^\/channels\/\d+\/messages$/;
export const edits = /^\/channels\/\d+\/messages\/\d+$/;
export const typing = /\/typing$/;

export const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

export interface Bot {
  readonly client: Client;
  readonly mapper: SessionMapper;
  readonly adapter: DiscordAdapter;
  /** The messages whose turns ran. */
  readonly messages: Message[];
  readonly log: string[];
}

export async function startServer(): Promise<DiscordServer> {
  const server = await DiscordServer.start();
  endings.push(() => server.close());
  return server;
}

export interface BotOptions {
  readonly answer?: Answer;
  readonly discord?: DiscordOptions;
  readonly mapper?: Partial<MapperOptions>;
  readonly client?: Partial<ClientOptions>;
  readonly store?: Store;
  /** Another bot than the server's first one. */
  readonly as?: ServedBot;
}

export async function startBot(server: DiscordServer, options: BotOptions = {}): Promise<Bot> {
  const log: string[] = [];
  const note = (message: string, fields?: unknown) => log.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => {}, warn: note, error: note };
  const mapper = new SessionMapper({
    agents: { helper: backend(options.answer ?? elephant) },
    ...{ secret, logger, store: options.store ?? memoryStore() },
    ...options.mapper,
  });
  const messages: Message[] = [];
  mapper.use(async (turn, next) => {
    messages.push(turn.message);
    await next();
  });
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
  return { client, mapper, adapter, messages, log };
}

export const mention = (server: DiscordServer): string => `<@${server.bot.id}>`;

/** Resolves when the bot shows this text in a channel, as one of its messages. */
export async function shows(server: DiscordServer, text: string | RegExp, channelId?: string) {
  return server.until(() =>
    server
      .shown(channelId)
      .find(({ content }) => (typeof text === "string" ? content === text : text.test(content))),
  );
}

/** Resolves when all turns that were taken have ended. */
export async function settled({ mapper }: Bot): Promise<void> {
  await mapper.close();
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
