import { discord } from "aparte/discord";
import { adapterContract } from "aparte/testing";
import { Client, GatewayIntentBits, Partials } from "discord.js";
import { describe, it } from "vitest";
import { DiscordServer } from "../fakes/discord-server.ts";

const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;

adapterContract(
  { describe, it },
  {
    name: "for Discord",
    platform: "discord",
    maxLength: 2000,
    start: async () => {
      const server = await DiscordServer.start();
      server.limits.windowMs = 500;
      const people = { ada: server.person("ada"), bob: server.person("bob") };
      return {
        async attach(mapper) {
          const client = new Client({
            intents: [Guilds, GuildMessages, DirectMessages, MessageContent],
            partials: [Partials.Channel],
            rest: { ...server.rest },
          });
          discord(mapper, { editInterval: 20, maxMessages: 100 }).attach(client);
          const ready = new Promise((resolve) => client.once("clientReady", resolve));
          await client.login(server.bot.token);
          await ready;
          return () => client.destroy();
        },
        say: async (person, text) => server.say(people[person], `<@${server.bot.id}> ${text}`),
        sayElsewhere: async (text) => server.sayDirectly(people.ada, text),
        again: async (event) => server.redeliver(String(event)),
        shown: () =>
          [server.channelId, server.directChannel(people.ada)]
            .flatMap((channel) => server.shown(channel))
            .map(({ content }) => String(content)),
        close: () => server.close(),
      };
    },
  },
);
