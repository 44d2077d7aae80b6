// A Slack app with Bolt that keeps its own listeners: people in #sales talk to another agent, and the agent is told
// nothing of them but what a middleware says. A line for each turn goes to the log.
import { subscribe } from "node:diagnostics_channel";
import bolt from "@slack/bolt";
import { openStore, SessionMapper, type TurnEvent } from "aparte";
import { coze } from "aparte/coze";
import { type SlackContext, slack } from "aparte/slack";

const { env } = process;
const account = {
  appId: env.COZE_APP_ID ?? "",
  keyId: env.COZE_KEY_ID ?? "",
  privateKey: env.COZE_PRIVATE_KEY ?? "",
  baseURL: env.COZE_BASE_URL ?? "https://api.coze.cn",
};
const mapper = new SessionMapper({
  agents: {
    helper: coze({ ...account, botId: env.COZE_BOT_ID ?? "" }),
    sales: coze({ ...account, botId: env.COZE_SALES_BOT_ID ?? env.COZE_BOT_ID ?? "" }),
  },
  route: ({ channel }) => (channel === env.SALES_CHANNEL ? "sales" : undefined),
  store: await openStore(env.APARTE_STORE ?? "sqlite:./slack.db"),
  secret: env.APARTE_SECRET ?? "",
  texts: (code, facts) => (code === "limited" ? `Back in ${facts.seconds} s, please.` : undefined),
});

mapper.use(async (turn, next) => {
  turn.context = { place: turn.message.direct === true ? "private" : "channel" };
  await next();
});

const app = new bolt.App<SlackContext>({
  token: env.SLACK_BOT_TOKEN ?? "",
  appToken: env.SLACK_APP_TOKEN ?? "",
  socketMode: true,
  ...(env.SLACK_API_URL === undefined ? {} : { clientOptions: { slackApiUrl: env.SLACK_API_URL } }),
});

const adapter = slack(mapper, { answer: "unheard" });
adapter.attach(app);
app.use(adapter.session);

// What a listener of the app takes is its own; the person's session is at hand there.
app.message(/new conversation/i, async ({ context, say }) => {
  await context.session?.reset();
  await say("Let us start over.");
});

subscribe("aparte:turn:end", (event) => {
  const { agent, elapsedMs, turnId } = event as TurnEvent;
  console.log(`turn ${turnId} by ${agent}: ${Math.round(elapsedMs)} ms`);
});

process.once("SIGTERM", async () => {
  await app.stop();
  await mapper.close();
});
await app.start();
console.log("ready");
