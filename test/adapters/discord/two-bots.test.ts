import { SessionMapper } from "aparte";
import { discord } from "aparte/discord";
import { Client, Partials } from "discord.js";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { DiscordServer, ServedBot } from "../../fakes/discord-server.ts";
import { LogLines } from "../../support/log-lines.ts";
import { TestClock } from "../../support/test-clock.ts";
import { cut, TestStore } from "../../support/test-store.ts";
import { backend, remembering, Speech } from "../agent.ts";
import { allIntents, endings, mention, posts, secret, startBot, startServer } from "./bot.ts";

/** Connects a further bot to a mapper. */
async function connect(server: DiscordServer, mapper: SessionMapper, bot: ServedBot): Promise<void> {
  const client = new Client({ intents: allIntents, partials: [Partials.Channel], rest: { ...server.rest } });
  discord(mapper, { editInterval: 20 }).attach(client);
  endings.push(() => client.destroy());
  const ready = new Promise((resolve) => client.once("clientReady", resolve));
  await client.login(bot.token);
  await ready;
}

function newMapper(logger = new LogLines()): SessionMapper {
  const mapper = new SessionMapper({
    agents: { helper: backend(remembering) },
    secret,
    store: memoryStore(),
    logger,
  });
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

  it("are not two clients of one bot, of which the log tells, and the first one answers", async () => {
    const server = await startServer();
    const log = new LogLines();
    const mapper = newMapper(log);
    await connect(server, mapper, server.bot);
    await connect(server, mapper, server.bot);
    expect(log.said).toContain("error: two clients of one bot: answers go by the first");
    server.say(server.person("ann"), `<@${server.bot.id}> hello`);
    await server.until(() => server.shown().some(({ content }) => content.endsWith("after nothing.")));
    expect(server.shown()).toHaveLength(1);
  });

  it("on one store have a session each, and neither goes on with a turn of the other, which died", async () => {
    const server = await startServer();
    const other = server.addBot("other");
    const clock = new TestClock();
    const store = new TestStore(clock);
    const view = store.view();
    const speech = new Speech();
    const first = await startBot(server, { store: view, mapper: { clock }, answer: speech.answer });
    const second = await startBot(server, { store: store.view(), mapper: { clock }, as: other });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} to the first`);
    speech.say("I was about");
    await server.next("POST", posts);
    view.intercept = cut;
    await first.client.destroy();
    await clock.pass(600_000);
    server.say(ann, `<@${other.id}> to the other`);
    const told = await server.until(() => server.shown(server.channelId, other).at(-1));
    await server.until(() => told.content === 'You say "to the other" after nothing.');
    expect(second.messages.map(({ text }) => text)).toEqual(["to the other"]);
    expect(server.shown(server.channelId, other)).toHaveLength(1);
    const heir = await startBot(server, { store: store.view(), mapper: { clock } });
    for (let step = 0; step < 100 && server.shown()[0]?.content === "I was about"; step += 1) {
      await clock.pass(1_000);
      await fetch(`http://${server.host}/attachments/none`);
    }
    expect(server.shown()[0]?.content).toBe("My answer to this message was lost. Please send it again.");
    expect(heir.messages.map(({ text }) => text)).toEqual(["to the first"]);
    expect(server.shown(server.channelId, other)).toHaveLength(1);
    endings.push(() => void clock.pass(3_600_000));
    speech.end();
  });
});
