// A script that calls Coze by itself, with the official client: aparte only tells who the person is there.
import { ChatEventType, CozeAPI, RoleType } from "@coze/api";
import { openStore, SessionMapper } from "aparte";
import { coze } from "aparte/coze";

const { env } = process;
const { COZE_BASE_URL: baseURL = "https://api.coze.cn", COZE_BOT_ID: botId = "" } = env;
const mapper = new SessionMapper({
  agents: {
    helper: coze({
      appId: env.COZE_APP_ID ?? "",
      keyId: env.COZE_KEY_ID ?? "",
      privateKey: env.COZE_PRIVATE_KEY ?? "",
      botId,
      baseURL,
    }),
  },
  store: await openStore(env.APARTE_STORE ?? "sqlite:./coze-client.db"),
  secret: env.APARTE_SECRET ?? "",
});

const [user, text] = process.argv.slice(2);
if (!user || !text) {
  console.error('Usage: node ask.ts USER "some words"');
  process.exit(2);
}
const speaker = { platform: "script", tenant: "", user };
const { sessionName, conversationId, accessToken } = await mapper.resolve(speaker, "helper");
// A backend with one token for everybody hands none out.
if (accessToken === undefined) throw new Error("This needs an OAuth app of Coze.");

const client = new CozeAPI({ baseURL, token: accessToken });
const stream = client.chat.stream({
  bot_id: botId,
  conversation_id: conversationId,
  user_id: sessionName,
  additional_messages: [{ role: RoleType.User, content: text, content_type: "text" }],
});
for await (const part of stream) {
  if (part.event === ChatEventType.CONVERSATION_MESSAGE_DELTA) process.stdout.write(part.data.content);
}
process.stdout.write("\n");
await mapper.close();
