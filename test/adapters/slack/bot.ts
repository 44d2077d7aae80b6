import type { AddressInfo } from "node:net";
import { App, type AppOptions, LogLevel } from "@slack/bolt";
import { type SlackAdapter, type SlackOptions, slack } from "aparte/slack";
import { SlackServer } from "../../fakes/slack-server.ts";
import {
  endings,
  isText,
  type MapperInTest,
  type MapperInTestOptions,
  started,
  startMapper,
} from "../bot.ts";

export { endings, secret, settled } from "../bot.ts";

export const startServer = () => started(SlackServer.start());

export interface Bot extends MapperInTest {
  readonly app: App;
  readonly adapter: SlackAdapter;
  /** What the app's own logger was told. */
  readonly appLog: string[];
}

export interface BotOptions extends MapperInTestOptions {
  readonly slack?: SlackOptions;
  readonly app?: AppOptions;
  readonly isSocket?: boolean;
}

export async function startBot(server: SlackServer, options: BotOptions = {}): Promise<Bot> {
  const appLog: string[] = [];
  const inTest = startMapper(options);
  const { mapper } = inTest;
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
    // A test that failed may leave turns that never end.
    await mapper.close({ drainTimeout: 1_000 });
    await app.stop();
  });
  // Bolt looks at its token in the background, and would be cut off there by a short test's end.
  if (app.client.token !== undefined) await server.next("auth.test");
  const listener = await app.start({ port: 0, host: "127.0.0.1" });
  if (options.isSocket !== true) {
    const { port } = (listener as { address(): unknown }).address() as AddressInfo;
    server.eventsUrl = `http://127.0.0.1:${port}/slack/events`;
  }
  return { ...inTest, app, adapter, appLog };
}

export const mention = (server: SlackServer): string => `<@${server.botUserId}>`;

/** Resolves when the bot shows this text, as one of its messages. */
export const shows = (server: SlackServer, text: string | RegExp, channel?: string) =>
  server.until(() => server.shown(channel).find(({ shown }) => isText(shown, text)));

export const count = (server: SlackServer, method: string) =>
  server.calls.filter((call) => call.method === method).length;
