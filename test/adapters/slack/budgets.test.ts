import { AparteError, type Store } from "aparte";
import { describe, expect, it, vi } from "vitest";
import { Allowance } from "../../../adapters/slack/pace.ts";
import { memoryStore } from "../../../src/stores/memory.ts";
import { memoryRates } from "../../../src/stores/rates.ts";
import { Speech } from "../agent.ts";
import { type Bot, count, endings, mention, settled, shows, startBot, startServer } from "./bot.ts";

/** A store that several processes share, what they take there, and when the first of them must wait. */
function sharedStore() {
  const taken: [string, number, number][] = [];
  const rates = memoryRates();
  let over = () => {};
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  const take = async (key: string, limit: number, spanMs: number) => {
    taken.push([key, limit, spanMs]);
    const waitMs = await rates.take(key, limit, spanMs);
    if (waitMs > 0) over();
    return waitMs;
  };
  const store: Store = { ...memoryStore(), shared: true, rates: { take } };
  return { store, taken, isOver };
}

describe("slack's budgets", () => {
  it("of edits are one for all processes that share the store, for each workspace", async () => {
    const server = await startServer();
    const { store, taken, isOver } = sharedStore();
    const slack = { stream: "edit", editInterval: 1_000 } as const;
    const first = new Speech();
    const second = new Speech();
    const one = await startBot(server, { store, slack, answer: first.answer });
    await server.say("U1", "hi", { channel: "D1" });
    first.say("One. ");
    await shows(server, "One. ");
    first.say("Two. ");
    await shows(server, "One. Two. ");
    const edits = ["slack T1 chat.update", 5, 5_000] as const;
    expect(taken).toEqual([edits]);
    const other = await startBot(server, { store, slack, answer: second.answer });
    // The others have used up what there is.
    for (let used = 1; used < 5; used += 1) await store.rates?.take(...edits);
    await server.say("U2", "hi", { channel: "D2" });
    second.say("Three. ");
    await shows(server, "Three. ");
    const before = count(server, "chat.update");
    second.say("Four. ");
    await isOver;
    expect(count(server, "chat.update")).toBe(before);
    await shows(server, "Three. Four. ");
    for (const speech of [first, second]) speech.end();
    await Promise.all([settled(one), settled(other)]);
  });

  it("of what waits for nothing have room again after a minute", async () => {
    const now = vi.spyOn(performance, "now");
    endings.push(() => now.mockRestore());
    const allowance = new Allowance(2);
    const taken: [number, boolean][] = [];
    for (const at of [0, 1, 59_999, 60_000, 60_000, 60_001]) {
      now.mockReturnValue(at);
      taken.push([at, await allowance.take()]);
    }
    expect(taken).toEqual([
      [0, true],
      [1, true],
      [59_999, false],
      [60_000, true],
      [60_000, false],
      [60_001, true],
    ]);
  });

  it("of streams are one for all: beyond it replies are posted and edited", async () => {
    const server = await startServer();
    const { store, taken } = sharedStore();
    const speech = new Speech();
    const bot = await startBot(server, { store, answer: speech.answer });
    const starts = ["slack T1 chat.startStream", 20, 60_000] as const;
    for (let used = 0; used < 20; used += 1) await store.rates?.take(...starts);
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await shows(server, "One. ");
    speech.say("Two. ");
    speech.end();
    await shows(server, "One. Two. ");
    await settled(bot);
    expect(count(server, "chat.startStream")).toBe(0);
    expect(taken.filter(([key]) => key === starts[0]).slice(20)).toEqual([starts]);
    // One each 20 ms, of which the store counts those of a second together.
    expect(taken.at(-1)).toEqual(["slack T1 chat.update", 50, 1_000]);
  });

  it("are each process's own where the store does not count", async () => {
    const server = await startServer();
    const take = () => Promise.reject(new AparteError("store-failed", "The store is away."));
    const speech = new Speech();
    const bot = await startBot(server, {
      ...{ store: { ...memoryStore(), shared: true, rates: { take } }, answer: speech.answer },
    });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await server.next("chat.startStream");
    speech.say("Two. ");
    await server.next("chat.appendStream");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "One. Two. ", wasStream: true }]);
  });

  it("keep no first words waiting, and no answer half, with thirty people and one process or four", async ({
    annotate,
  }) => {
    const figures = await Promise.all([1, 4].map(serveThirtyPeople));
    // Shown by `--reporter verbose`: how long it took is the machine's affair, and no test's.
    for (const figure of figures) await annotate(figure);
  });
});

/**
 * One bot of so many processes, where Slack takes no more calls than it says. Both wait long, so they wait together.
 * @returns when people saw their first words
 */
async function serveThirtyPeople(processes: number): Promise<string> {
  const server = await startServer();
  server.hasBudgets = true;
  const { store } = sharedStore();
  const asked = new Map<string, Speech>();
  const answer = ({ text }: { text: string }) => {
    const speech = new Speech();
    asked.set(text, speech);
    return speech.answer({ text } as never, []);
  };
  const bots: Bot[] = [];
  const urls: string[] = [];
  for (let process = 0; process < processes; process += 1) {
    bots.push(await startBot(server, { store, answer, slack: { editInterval: 1_200 } }));
    urls.push(server.eventsUrl ?? "");
  }
  const people = Array.from({ length: 30 }, (_, person) => `U${person}`);
  const saidAt = performance.now();
  await Promise.all(
    people.map((user, person) => {
      const eventsUrl = urls[person % processes] ?? "";
      // Two thirds in threads of channels, the others in direct messages.
      const channel = person % 3 === 0 ? `D${person}` : `C${person}`;
      return server.say(user, `${mention(server)} ${user}`, { channel, eventsUrl });
    }),
  );
  await server.until(() => asked.size === 30);
  for (const [user, speech] of asked) speech.say(`Hello ${user}. `);
  // Slack lets a bot begin 20 streams a minute: the other first words are posts.
  await server.until(() => server.shown().length === 30);
  expect(server.shown().filter(({ isStreaming }) => isStreaming)).toHaveLength(20);
  const rest = Array.from({ length: 20 }, (_, word) => `Word ${word}. `);
  for (const word of rest) for (const speech of asked.values()) speech.say(word);
  await server.until(() => count(server, "chat.appendStream") + count(server, "chat.update") > 3);
  for (const speech of asked.values()) speech.end();
  await server.until(
    () => server.shown().every(({ shown, isStreaming }) => !isStreaming && shown.includes("Word 19.")),
    60_000,
  );
  await Promise.all(bots.map(settled));
  expect(
    server
      .shown()
      .map(({ shown }) => shown)
      .sort(),
  ).toEqual(people.map((user) => `Hello ${user}. ${rest.join("")}`).sort());
  const firsts = people.map((user) => {
    const first = server.calls.find(
      ({ result, body }) => result === "" && `${body.markdown_text}${body.text}`.includes(`Hello ${user}. `),
    );
    return {
      isDirect: first?.body.channel?.startsWith("D"),
      ms: Math.round((first?.at ?? Number.NaN) - saidAt),
    };
  });
  const told = [false, true].map((isDirect) => {
    const all = firsts.filter((first) => first.isDirect === isDirect).map(({ ms }) => ms);
    const [median, last] = [all.sort((one, other) => one - other)[all.length >> 1], all.at(-1)];
    return `${all.length} in ${isDirect ? "direct messages" : "threads"} after ${median} ms (median), ${last} ms (last)`;
  });
  return `${processes} process(es), first words: ${told.join("; ")}`;
}
