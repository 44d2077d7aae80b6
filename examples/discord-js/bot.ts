// A Discord bot with discord.js: commands, buttons, and one private conversation for every person.
import { openStore, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { discord } from "aparte/discord";
import { Client, Events, GatewayIntentBits, Partials } from "discord.js";

const { env } = process;
const mapper = new SessionMapper({
  agents: {
    helper: coze({
      appId: env.COZE_APP_ID ?? "",
      keyId: env.COZE_KEY_ID ?? "",
      privateKey: env.COZE_PRIVATE_KEY ?? "",
      botId: env.COZE_BOT_ID ?? "",
      baseURL: env.COZE_BASE_URL ?? "https://api.coze.cn",
    }),
  },
  store: await openStore(env.APARTE_STORE ?? "sqlite:./discord.db"),
  secret: env.APARTE_SECRET ?? "",
});

const client = new Client({
  // The text of direct messages and of mentions comes without the privileged intent Message Content.
  intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages],
  partials: [Partials.Channel],
  ...(env.DISCORD_API_URL === undefined ? {} : { rest: { api: env.DISCORD_API_URL } }),
});
discord(mapper, { commands: true, buttons: ["stop", "questions", "new"] }).attach(client);

client.once(Events.ClientReady, () => console.log("ready"));
process.once("SIGTERM", async () => {
  await mapper.close();
  await client.destroy();
});
await client.login(env.DISCORD_TOKEN);
