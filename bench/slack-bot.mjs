// One process of the bot that slack.mjs asks: real Bolt, and an agent that speaks for as long as it is told.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { App, LogLevel } from "@slack/bolt";
import { slack } from "../dist/adapters/slack/index.js";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { quiet } from "./agent.mjs";

const { store, apiUrl, token, signingSecret, words, answerMs } = JSON.parse(process.env.SETTINGS);

const agent = {
  name: "bench",
  open: async () => "conversation",
  recover: async () => "not-sent",
  async *ask({ text, signal }) {
    yield { type: "text", delta: `Hello ${text}. ` };
    for (const word of words) {
      await pause(answerMs / words.length, undefined, { signal });
      yield { type: "text", delta: word };
    }
    yield { type: "message", text: `Hello ${text}. ${words.join("")}` };
  },
};
const mapper = new SessionMapper({
  agents: { helper: agent },
  store: await openStore(store, { logger: quiet }),
  secret: "a secret for the benchmark",
  logger: quiet,
});
const app = new App({
  ...{ token, signingSecret, processBeforeResponse: true, logLevel: LogLevel.ERROR },
  clientOptions: { slackApiUrl: apiUrl, retryConfig: { retries: 0 } },
});
slack(mapper).attach(app);
const listener = await app.start({ port: 0, host: "127.0.0.1" });
process.send(`http://127.0.0.1:${listener.address().port}/slack/events`);
await once(process, "disconnect");
process.exit();
