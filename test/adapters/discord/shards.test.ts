import type { MapperOptions } from "aparte";
import type { DiscordOptions } from "aparte/discord";
import { describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { MortalStore } from "../../../src/testing/mortal-store.ts";
import { Speech } from "../agent.ts";
import { mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

/** A server with two guilds, and a bot of two shards that are two processes: each hears one of the guilds. */
async function twoShards(options: { discord?: DiscordOptions; mapper?: Partial<MapperOptions> } = {}) {
  const server = await startServer();
  const other = server.addGuild();
  const store = { ...memoryStore(), durable: true, close: async () => {} };
  const start = (shard: number, more: Parameters<typeof startBot>[1] = {}) =>
    startBot(server, {
      store,
      ...options,
      ...more,
      client: { ...more.client, shards: [shard], shardCount: 2 },
    });
  return { server, other, store, start, here: 1 - other.shard, there: other.shard };
}

describe("discord in two shards of two processes", () => {
  it("answers in each guild by its own shard, and direct messages by the first, once", async () => {
    const { server, other, start, here, there } = await twoShards();
    const [first, second] = [await start(here), await start(there)];
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    server.say(ann, `${mention(server)} one`);
    server.say(bob, `${mention(server)} two`, {}, other.channelId);
    server.sayDirectly(ann, "three");
    await shows(server, 'You say "one" after nothing.');
    await shows(server, 'You say "two" after nothing.', other.channelId);
    await shows(server, 'You say "three" after nothing.', server.directChannel(ann));
    await settled(first);
    await settled(second);
    const heard = [first, second].map(({ messages }) => messages.map(({ text }) => text).sort());
    expect(heard).toEqual(here === 0 ? [["one", "three"], ["two"]] : [["one"], ["three", "two"]]);
  });

  it("looks for what it missed in direct messages by the first alone", async () => {
    const { server, other, start } = await twoShards();
    const ws = { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) };
    const ann = server.person("ann");
    const asked = server.directChannel(ann);
    for (const shard of [0, 1]) {
      const bot = await start(shard, { client: { ws } });
      await bot.client.users.createDM(ann.id);
      server.endSessions();
      await server.until(() => server.connected === 0);
      const channelId = shard === other.shard ? other.channelId : server.channelId;
      server.say(ann, `${mention(server)} ${shard}`, {}, channelId);
      await shows(server, new RegExp(`^You say "${shard}"`), channelId);
      // What it would ask next is asked by then.
      for (let trip = 0; trip < 5; trip += 1) await fetch(`http://${server.host}/attachments/none`);
      const looked = server.calls.filter(({ method, path }) => method === "GET" && path.includes(asked));
      expect(looked, `shard ${shard}`).toHaveLength(1);
      await settled(bot);
      await bot.client.destroy();
    }
  });

  it("runs one person's turns of both guilds in one line, where people are the same in all of them", async () => {
    const speech = new Speech();
    const { server, other, start, here, there } = await twoShards({ discord: { guilds: "together" } });
    const first = await start(here, { answer: speech.answer });
    const second = await start(there);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    speech.say("It is");
    await server.next("POST", posts);
    server.say(ann, `${mention(server)} two`, {}, other.channelId);
    server.say(server.person("bob"), `${mention(server)} and me?`, {}, other.channelId);
    await shows(server, 'You say "and me?" after nothing.', other.channelId);
    expect(second.messages.map(({ text }) => text)).toEqual(["and me?"]);
    speech.end();
    await shows(server, /^You say "two"/, other.channelId);
    await settled(first);
    expect(server.shown().map(({ content }) => content)).toEqual(["It is"]);
  });

  it("counts a person's turns in both", async () => {
    const { server, other, start, here, there } = await twoShards({
      ...{ discord: { guilds: "together" }, mapper: { limits: { person: 1 } } },
    });
    await start(here);
    await start(there);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    server.say(ann, `${mention(server)} two`, {}, other.channelId);
    await shows(server, /in a short time/, other.channelId);
  });

  it("goes on with the other one's answer when that dies, and asks what waits there as it stands now", async () => {
    const { server, other, store, start, here, there } = await twoShards();
    const mapper = { leaseTime: 300 };
    let written = "";
    const mortal = new MortalStore({
      ...store,
      commit: async (commit) => {
        const committed = await store.commit(commit);
        written = JSON.stringify(commit.document);
        return committed;
      },
    });
    const speech = new Speech();
    const dying = await start(there, {
      store: mortal.store,
      answer: speech.answer,
      mapper: { ...mapper, storeTimeout: 1_000 },
    });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`, {}, other.channelId);
    speech.say("Half of");
    await shows(server, "Half of", other.channelId);
    const changed = server.say(ann, `${mention(server)} two`, {}, other.channelId);
    const gone = server.say(ann, `${mention(server)} three`, {}, other.channelId);
    await vi.waitUntil(() => written.includes(gone), 30_000);
    mortal.die();
    await dying.client.destroy();
    await dying.mapper.close({ drainTimeout: 1 });
    server.edit(changed, `${mention(server)} two and a half`);
    server.delete(gone);
    const living = await start(here, { mapper });
    await shows(server, /My answer to this message was lost/, other.channelId);
    await shows(server, /^You say "two and a half"/, other.channelId);
    await settled(living);
    expect(server.shown(other.channelId)).toHaveLength(2);
    expect(living.messages.map(({ text }) => text)).not.toContain("three");
  });
});
