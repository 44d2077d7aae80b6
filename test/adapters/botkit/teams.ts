import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Logger, type Message, SessionMapper } from "aparte";
import { type BotkitOptions, botkit } from "aparte/botkit";
import { Botkit } from "botkit";
import express from "express";
import { afterEach } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { ConnectorServer } from "../../fakes/connector-server.ts";
import { type Answer, backend, remembering } from "../agent.ts";

export const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

export function newMapper(
  answer: Answer = remembering,
  logger: Logger = { info() {}, warn() {}, error() {} },
) {
  const mapper = new SessionMapper({
    agents: { helper: backend(answer), other: backend(remembering) },
    secret: "a secret of the tests, long enough",
    store: memoryStore(),
    logger,
  });
  const messages: Message[] = [];
  mapper.use(async (turn, next) => {
    messages.push(turn.message);
    await next();
  });
  endings.push(() => mapper.close());
  return { mapper, messages };
}

/** A bot on Bot Framework's adapter. */
export async function teamsBot(options: BotkitOptions = {}, { mapper, messages } = newMapper()) {
  const connector = await ConnectorServer.start();
  const app = express();
  app.use(express.json());
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  endings.push(() => {
    server.closeAllConnections();
    server.close();
    return connector.close();
  });
  // Before the place where its answers are shown.
  endings.push(() => mapper.close());
  const controller = new Botkit({
    ...{ adapterConfig: { appId: "", appPassword: "" }, webserver: app, disable_console: true },
  });
  const errors: unknown[] = [];
  controller.usePlugin(botkit(mapper, { onError: (error) => errors.push(error), ...options }));
  let count = 0;
  const says = async (text: string | undefined, more: object = {}): Promise<void> => {
    count += 1;
    const activity = {
      ...{ type: "message", id: `a${count}`, channelId: "msteams", serviceUrl: connector.url, text },
      ...{ from: { id: "ada", name: "Ada" }, recipient: { id: "bot", name: "Helper" } },
      conversation: { id: "with-ada", tenantId: "acme", conversationType: "personal" },
      ...more,
    };
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/messages`, {
      ...{ method: "POST", headers: { "content-type": "application/json" } },
      body: JSON.stringify(activity),
    });
    await response.text();
  };
  return { connector, controller, errors, mapper, messages, says };
}
