import type { AddressInfo } from "node:net";
import { App, type AppOptions, LogLevel } from "@slack/bolt";
import { type Logger, type MapperOptions, type Message, SessionMapper, type Store } from "aparte";
import { type SlackAdapter, type SlackOptions, slack } from "aparte/slack";
import { afterEach } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { SlackServer } from "../../fakes/slack-server.ts";
import { type Answer, backend, elephant } from "../agent.ts";

export const secret = "a secret of the tests, long enough";

export const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

export async function startServer(): Promise<SlackServer> {
  const server = await SlackServer.start();
  endings.push(() => server.close());
  return server;
}

export interface Bot {
  readonly app: App;
  readonly mapper: SessionMapper;
  readonly adapter: SlackAdapter;
  /** The messages whose turns ran. */
  readonly messages: Message[];
  readonly log: string[];
  /** What the app's own logger was told. */
  readonly appLog: string[];
}

export interface BotOptions {
  readonly answer?: Answer;
  readonly slack?: SlackOptions;
  readonly mapper?: Partial<MapperOptions>;
  readonly app?: AppOptions;
  readonly store?: Store;
  readonly isSocket?: boolean;
}

export async function startBot(server: SlackServer, options: BotOptions = {}): Promise<Bot> {
  const log: string[] = [];
  const appLog: string[] = [];
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
  const app = new App({
    token: server.token,
    ...(options.isSocket === true
      ? { appToken: server.appToken, socketMode: true }
      : { signingSecret: server.signingSecret }),
    clientOptions: { slackApiUrl: server.apiUrl, retryConfig: { retries: 0 } },
    logger: {
      ...{ debug: () => {}, info: () => {}, setLevel: () => {}, setName: () => {} },
      ...{ getLevel: () => LogLevel.WARN, warn: (...told) => appLog.push(told.join(" ")) },
      error: (...told) => appLog.push(told.join(" ")),
    },
    ...options.app,
  });
  // Short, so that the tests are. In a classic app a person's direct messages are one conversation.
  const given = { editInterval: 20, fileHosts: [server.host], agentView: false, ...options.slack };
  const adapter = slack(mapper, given);
  adapter.attach(app);
  endings.push(async () => {
    await mapper.close();
    await app.stop();
  });
  // Bolt looks at its token in the background, and would be cut off there by a short test's end.
  if (app.client.token !== undefined) await server.next("auth.test");
  const listener = await app.start({ port: 0, host: "127.0.0.1" });
  if (options.isSocket !== true) {
    const { port } = (listener as { address(): unknown }).address() as AddressInfo;
    server.eventsUrl = `http://127.0.0.1:${port}/slack/events`;
  }
  return { app, mapper, adapter, messages, log, appLog };
}

export const mention = (server: SlackServer): string => `<@${server.botUserId}>`;

/** Resolves when the bot shows this text, as one of its messages. */
export const shows = (server: SlackServer, text: string | RegExp, channel?: string) =>
  server.until(() =>
    server.shown(channel).find(({ shown }) => (typeof text === "string" ? shown === text : text.test(shown))),
  );

/** Resolves when all turns that were taken have ended. */
export const settled = ({ mapper }: Bot) => mapper.close();

export const count = (server: SlackServer, method: string) =>
  server.calls.filter((call) => call.method === method).length;
