import { SessionMapper } from "aparte";
import { discord } from "aparte/discord";
import { Client, Partials } from "discord.js";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { DiscordServer, ServedBot } from "../../fakes/discord-server.ts";
import { backend, elephant } from "../agent.ts";
import { allIntents, endings, secret, startServer } from "./bot.ts";

/** Connects a further bot to a mapper. */
async function connect(server: DiscordServer, mapper: SessionMapper, bot: ServedBot): Promise<void> {
  const client = new Client({ intents: allIntents, partials: [Partials.Channel], rest: { ...server.rest } });
  discord(mapper, { editInterval: 20 }).attach(client);
  endings.push(() => client.destroy());
  const ready = new Promise((resolve) => client.once("clientReady", resolve));
  await client.login(bot.token);
  await ready;
}

function newMapper(): SessionMapper {
  const mapper = new SessionMapper({ agents: { helper: backend(elephant) }, secret, store: memoryStore() });
  endings.push(() => mapper.close());
  return mapper;
}

describe("two bots on Discord", () => {
  it("on one mapper answer each what was said to it, with its own token and its own session", async () => {
    const server = await startServer();
    const other = server.addBot("other");
    const mapper = newMapper();
    await connect(server, mapper, server.bot);
    await connect(server, mapper, other);
    const ann = server.person("ann");
    server.say(ann, `<@${server.bot.id}> to the first`);
    await server.until(() => server.shown().some(({ content }) => content.endsWith("after nothing.")));
    server.say(ann, `<@${other.id}> to the other`);
    const answer = await server.until(() => server.shown(server.channelId, other).at(-1));
    await server.until(() => answer.content === 'You say "to the other" after nothing.');
    expect(server.shown().map(({ content }) => content)).toEqual(['You say "to the first" after nothing.']);
  });

  it("answer both a message that is said to both", async () => {
    const server = await startServer();
    const other = server.addBot("other");
    const mapper = newMapper();
    await connect(server, mapper, server.bot);
    await connect(server, mapper, other);
    server.say(server.person("ann"), `<@${server.bot.id}> <@${other.id}> hello`);
    for (const bot of [server.bot, other]) {
      const answer = await server.until(() => server.shown(server.channelId, bot)[0]);
      await server.until(() => answer.content.endsWith("after nothing."));
    }
  });
});
