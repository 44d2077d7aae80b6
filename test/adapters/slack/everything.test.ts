import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

/** What other bots lose: messages that come quickly, in several places at once, or under names that look alike. */
describe("slack answers", () => {
  it("each of five quick messages, in their order, with two processes and every event twice", async () => {
    const server = await startServer();
    const store = { ...memoryStore(), shared: true };
    const bots = [await startBot(server, { store })];
    const urls = [server.eventsUrl ?? ""];
    bots.push(await startBot(server, { store }));
    urls.push(server.eventsUrl ?? "");
    const said: string[] = [];
    for (const text of ["one", "two", "three", "four", "five"]) {
      const ts = server.ts();
      const deliver = (eventsUrl: string) =>
        server.say("U1", text, { channel: server.direct, ts, eventsUrl });
      await Promise.all(urls.map(deliver));
      said.push(text);
    }
    await shows(server, 'You say "five" after one and two and three and four.');
    await Promise.all(bots.map(settled));
    expect(server.shown().map(({ shown }) => shown)).toEqual(
      said.map((text, at) => `You say "${text}" after ${said.slice(0, at).join(" and ") || "nothing"}.`),
    );
  });

  it("messages of two channels that have one timestamp", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ts = server.ts();
    for (const channel of ["C1", "C2"])
      await server.say("U1", `${mention(server)} in ${channel}`, { channel, ts });
    await settled(bot);
    expect(server.shown().map(({ channel, thread, shown }) => [channel, thread, shown])).toEqual([
      ["C1", ts, 'You say "in C1" after nothing.'],
      ["C2", ts, 'You say "in C2" after in C1.'],
    ]);
  });

  it("in four threads of one channel that are asked in at once", async () => {
    const server = await startServer();
    const bot = await startBot(server, { mapper: { scope: "user-in-thread" } });
    const threads = ["1789.1", "1789.2", "1789.3", "1789.4"];
    await Promise.all(
      threads.map((thread) => server.say("U1", `${mention(server)} in ${thread}`, { thread })),
    );
    await settled(bot);
    expect(
      server
        .shown()
        .map(({ thread, shown }) => [thread, shown])
        .sort(),
    ).toEqual(threads.map((thread) => [thread, `You say "in ${thread}" after nothing.`]));
  });

  it("nobody with what was said to somebody whose ids look alike", async () => {
    const server = await startServer();
    const bot = await startBot(server, { mapper: { scope: "user-in-thread" } });
    const say = (user: string, channel: string, thread: string) =>
      server.say(user, `${mention(server)} hi`, { channel, thread });
    await say("U1", "C1-T9", "1");
    await say("U1", "C1", "T9-1");
    await say("U1-T9", "C1", "1");
    await say("U1:T9", "C1", "1");
    await say("U1", "C1", "1");
    await settled(bot);
    expect(server.shown().map(({ shown }) => shown)).toEqual(Array(5).fill('You say "hi" after nothing.'));
  });
});
