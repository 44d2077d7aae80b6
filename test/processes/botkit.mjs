// A Botkit bot in a process of its own, as somebody would write it: nothing catches what it does not catch itself.
import { createServer } from "node:http";
import { WebAdapter } from "botbuilder-adapter-web";
import { Botkit } from "botkit";
import express from "express";

const { root, agent } = JSON.parse(process.env.SETTINGS ?? "{}");
const { SessionMapper } = await import(`${root}/src/index.js`);
const { coze } = await import(`${root}/src/backends/coze/index.js`);
const { botkit } = await import(`${root}/adapters/botkit/index.js`);

const app = express();
app.use(express.json());
const server = createServer(app).listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
const controller = new Botkit({ adapter: new WebAdapter({ server }), webserver: app, disable_console: true });
const mapper = new SessionMapper({
  agents: { helper: coze(agent) },
  secret: "a secret of the tests, long enough",
  logger: { info() {}, warn() {}, error() {} },
});
const authenticate = (request) => /^token of (\w+)$/.exec(request.headers.authorization ?? "")?.[1];
controller.usePlugin(botkit(mapper, { authenticate }));
controller.hears("throw", "message", async () => {
  throw new Error("a handler that throws");
});
