import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { MortalStore } from "../../../src/testing/mortal-store.ts";
import { Speech } from "../agent.ts";
import { edits, ended, endings, gate, mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

describe("discord, where something is in the way", () => {
  it("opens a thread again that was archived in the middle of an answer", async () => {
    const server = await startServer();
    const speech = new Speech();
    await startBot(server, { answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} tell me`, {}, server.threadId);
    speech.say("one ");
    await server.next("POST", posts);
    server.archive(server.threadId);
    speech.say("two");
    speech.end();
    await shows(server, "one two", server.threadId);
    expect(server.isArchived(server.threadId)).toBe(false);
  });

  it("opens no thread twice that is archived again and again", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} tell me`, {}, server.threadId);
    speech.say("one ");
    await server.next("POST", posts);
    server.fail({ method: "PATCH", path: edits, status: 400, code: 50_083, times: 9 });
    speech.say("two");
    speech.end();
    await settled(bot);
    const opened = server.calls.filter(({ path, method }) => method === "PATCH" && !edits.test(path));
    expect(opened.map(({ path }) => path)).toEqual([`/channels/${server.threadId}`]);
    expect(bot.log.join("\n")).toContain("DiscordAPIError[50083]");
  });

  it("keeps the answer for later where the thread is locked, and logs why", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} tell me`, {}, server.threadId);
    speech.say("one ");
    await server.next("POST", posts);
    server.archive(server.threadId, { locked: true });
    speech.say("two");
    speech.end();
    await settled(bot);
    expect(server.shown(server.threadId).map(({ content }) => content)).toEqual(["one"]);
    expect(bot.log.join("\n")).toContain("DiscordAPIError[160005]");
  });

  it("tells the person in private, and the log, which permissions it lacks", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.deny(server.channelId, "SendMessages", "AttachFiles");
    server.say(ann, `${mention(server)} hello`);
    const told = await shows(server, /./, server.directChannel(ann));
    expect(told.content).toBe(
      `I may not answer you in <#${server.channelId}>. I need these permissions there: Send Messages.`,
    );
    await settled(bot);
    expect(bot.log.join("\n")).toMatch(/lacks permissions.*\["SendMessages"\]/);
    expect(server.shown()).toEqual([]);
  });

  it("tells the person all that it needs where what Discord refuses seems permitted", async () => {
    const server = await startServer();
    await startBot(server);
    const ann = server.person("ann");
    server.fail({ method: "POST", path: posts, status: 403, code: 50_013 });
    server.say(ann, `${mention(server)} hello`);
    const { content } = await shows(server, /./, server.directChannel(ann));
    expect(content).toMatch(/: View Channel, Send Messages, Read Message History\.$/);
  });

  it("logs why it may not answer also where the person takes no direct messages", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "POST", path: posts, status: 403, code: 50_013 });
    server.fail({ method: "POST", path: /^\/users\/@me\/channels$/, status: 403, code: 50_007 });
    server.say(server.person("ann"), `${mention(server)} hello`);
    await server.next("POST", /^\/users\/@me\/channels$/);
    await settled(bot);
    const log = bot.log.join("\n");
    expect(log).toContain("DiscordAPIError[50013]");
    expect(log).not.toContain("DiscordAPIError[50007]");
  });

  it("does not put an apology over an answer that was given elsewhere", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    const well = await startBot(server);
    const id = server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await settled(well);
    await well.client.destroy();
    const store = new MortalStore(memoryStore());
    const sick = await startBot(server, { store: store.store, mapper: { storeTimeout: 100 } });
    store.die();
    server.redeliver(id);
    await shows(server, /^I cannot reach my memory/);
    await settled(sick);
    expect(server.shown()[0]?.content).toBe('You say "one" after nothing.');
  });

  it("tells many people at once that it is restarting, and Node of no leak", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await bot.mapper.close();
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on("warning", warned);
    endings.push(() => process.off("warning", warned));
    // All of them are under way before the first one is answered.
    const held = gate();
    let count = 0;
    server.faultOf = ({ method, path }) => {
      if (method !== "POST" || !posts.test(path)) return undefined;
      count += 1;
      if (count === 20) held.open();
      return { method, path: posts, until: held.opened };
    };
    const people = Array.from({ length: 20 }, (_, index) => server.person(`p${index}`));
    for (const person of people) server.sayDirectly(person, "hello");
    for (const person of people) await shows(server, /^I am restarting/, server.directChannel(person));
    expect(warnings.map(String)).toEqual([]);
  });

  it("leaves the answer to another copy when its client is destroyed before the mapper is closed", async () => {
    const server = await startServer();
    const store = { ...memoryStore(), durable: true, close: async () => {} };
    const speech = new Speech();
    const leaving = await startBot(server, { answer: speech.answer, store });
    server.say(server.person("ann"), `${mention(server)} tell me`);
    speech.say("one ");
    await server.next("POST", posts);
    await leaving.client.destroy();
    const closed = leaving.mapper.close();
    speech.say("two");
    speech.end();
    await closed;
    await startBot(server, { answer: ended({ type: "message", text: "asked again" }), store });
    await shows(server, "one two");
    expect(server.shown()).toHaveLength(1);
  });
});
