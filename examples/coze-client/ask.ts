// A script that calls Coze by itself, with the official client: aparte only tells who the person is there.
import { AuthenticationError, ChatEventType, CozeAPI, RoleType } from "@coze/api";
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
const speaker = { platform: "script", user };

/** @returns false where Coze refuses, and nothing has run: the token was revoked, or the conversation is gone */
async function ask(words: string, fresh: boolean): Promise<boolean> {
  const { sessionName, conversationId, accessToken } = await mapper.resolve(speaker, "helper", { fresh });
  // A backend with one token for everybody hands none out.
  if (accessToken === undefined) throw new Error("This needs an OAuth app of Coze.");
  const client = new CozeAPI({ baseURL, token: accessToken });
  const stream = client.chat.stream({
    bot_id: botId,
    conversation_id: conversationId,
    user_id: sessionName,
    additional_messages: [{ role: RoleType.User, content: words, content_type: "text" }],
  });
  let hasBegun = false;
  try {
    for await (const part of stream) {
      // Coze's client throws a 401, and tells other refusals as an event.
      if (part.event === ChatEventType.ERROR && !hasBegun) return false;
      if (part.event === ChatEventType.ERROR) throw new Error(`Coze failed with code ${part.data.code}.`);
      hasBegun = true;
      if (part.event === ChatEventType.CONVERSATION_MESSAGE_DELTA) process.stdout.write(part.data.content);
    }
  } catch (error) {
    if (error instanceof AuthenticationError) return false;
    throw error;
  }
  process.stdout.write("\n");
  return true;
}

const isAnswered = (await ask(text, false)) || (await ask(text, true));
await mapper.close();
if (!isAnswered) throw new Error("Coze refuses.");
