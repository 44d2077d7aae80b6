import { describe, expect, it, vi } from "vitest";
import type { DiscordServer, Fault } from "../../fakes/discord-server.ts";
import { TestClock } from "../../support/test-clock.ts";
import { cut, TestStore } from "../../support/test-store.ts";
import { type Answer, remembering } from "../agent.ts";
import { endings, mention, posts, shows, startBot, startServer } from "./bot.ts";

/** Every call's connection breaks, from a post on that is carried out nevertheless: its answer alone is lost. */
function goAway(server: DiscordServer, lost = 0): void {
  let index = -1;
  server.faultOf = ({ method, path }): Fault | undefined => {
    const isPost = method === "POST" && posts.test(path);
    if (isPost) index += 1;
    if (index < lost || path === "/gateway/bot") return undefined;
    return { method, path: posts, drop: true, after: isPost && index === lost };
  };
}

function comeBack(server: DiscordServer): void {
  server.faultOf = () => undefined;
}

/**
 * Lets time pass in small steps, with a call to the server in each: so what the bot calls has its turn. In a long
 * outage it calls every half minute, to which seconds are small.
 */
async function pass(
  server: DiscordServer,
  clock: TestClock,
  ms: number,
  isOver = () => false,
  step = ms > 100_000 ? 2_000 : 500,
): Promise<void> {
  for (let passed = 0; passed < ms && !isOver(); passed += step) {
    await clock.pass(step);
    await fetch(`http://${server.host}/attachments/none`);
  }
}

/** Lets time pass until something holds. Slowly: edits keep a pace of their own, by the machine's clock. */
function passUntil(server: DiscordServer, clock: TestClock, isOver: () => boolean): Promise<void> {
  return pass(server, clock, 3_000_000, isOver, 50);
}

/** A server for a bot whose clock is the test's: Discord's own bounds are by the machine's. */
async function timelessServer(clock: TestClock): Promise<DiscordServer> {
  const server = await startServer();
  server.limits.limit = 10_000;
  // What ends waits for time to pass.
  setTimeout(() => endings.push(() => void clock.pass(3_600_000)));
  return server;
}

const contents = (server: DiscordServer) => server.shown().map(({ content }) => content);
const sameTwice: Answer = async function* ({ text }) {
  yield { type: "message", text: `${text}!` };
};

describe("discord, when REST is away", () => {
  it.each([20_000, 75_000, 600_000])("for %i ms, shows each answer once, in order", async (ms) => {
    const clock = new TestClock();
    const server = await timelessServer(clock);
    const store = new TestStore(clock).view();
    const bot = await startBot(server, { store, mapper: { clock } });
    const ann = server.person("ann");
    goAway(server);
    server.say(ann, `${mention(server)} one`);
    await server.until(() => server.calls.some(({ status }) => status === 0));
    server.say(ann, `${mention(server)} two`);
    await server.until(() => bot.messages.length === 1);
    await pass(server, clock, ms);
    const tries = server.calls.filter(({ status }) => status === 0).length;
    // Every half minute at last; discord.js tries each twice.
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(2 * (12 + ms / 20_000));
    server.forgetNonces();
    comeBack(server);
    await passUntil(server, clock, () => contents(server).at(-1) === 'You say "two" after one.');
    expect(contents(server)).toEqual(['You say "one" after nothing.', 'You say "two" after one.']);
    expect(bot.messages.map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it.each([0, 1])(
    "for ten minutes from post %i on, in which the process is killed, shows each answer once",
    async (lost) => {
      const clock = new TestClock();
      const server = await timelessServer(clock);
      const store = new TestStore(clock);
      const view = store.view();
      const first = await startBot(server, { store: view, mapper: { clock }, answer: sameTwice });
      const ann = server.person("ann");
      const long = "word ".repeat(500).trim();
      goAway(server, lost);
      server.say(ann, `${mention(server)} ${long}`);
      await server.until(() => contents(server).length === lost + 1);
      await pass(server, clock, 5_000);
      view.intercept = cut;
      await first.client.destroy();
      await pass(server, clock, 600_000);
      // Discord's ids tell by the wall clock how old a post is.
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
      endings.push(() => vi.useRealTimers());
      server.forgetNonces();
      comeBack(server);
      const second = await startBot(server, { store: store.view(), mapper: { clock }, answer: remembering });
      await passUntil(server, clock, () => contents(server).join(" ") === `${long}!`);
      expect(contents(server).join(" ")).toBe(`${long}!`);
      server.say(ann, `${mention(server)} and now?`);
      await shows(server, /and now/);
      expect(second.messages.map(({ text }) => text)).toEqual(["and now?"]);
      expect(contents(server)).toHaveLength(3);
    },
  );
});
