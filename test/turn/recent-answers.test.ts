import { AparteError } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { RecentAnswers } from "../../src/turn/recent-answers.ts";
import { type BotInTest, botOf, messageOf, TestAgent } from "../support/bot.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { TestStore } from "../support/test-store.ts";

let clock: TestClock;
let store: TestStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
});

function bot(): BotInTest {
  const agent = new TestAgent();
  let count = 0;
  agent.reply = (text) => {
    count += 1;
    return `${text}, answer ${count}`;
  };
  return botOf(clock, store, { agent });
}

const codeOf = (reply: Promise<string>) =>
  reply.then(
    (text) => text,
    (error) => error.code,
  );

describe("A message that is handed in again after its turn has ended", () => {
  it("gets the same answer for a minute, and is a duplicate from the second one on", async () => {
    const { mapper, agent } = bot();
    const again = () => codeOf(mapper.handle(messageOf("m1")).text());
    expect(await again()).toBe("m1, answer 1");
    await settled();
    const reply = mapper.handle(messageOf("m1"));
    expect([await reply.taken, await reply.text()]).toEqual([false, "m1, answer 1"]);
    await clock.pass(59_999);
    expect(await again()).toBe("m1, answer 1");
    await clock.pass(60_001);
    expect(await again()).toBe("duplicate");
    expect(agent.texts).toEqual(["m1"]);
  });

  it("gets nobody else's: of another person, tenant, agent of theirs, or id", async () => {
    const { mapper, agent } = bot();
    await mapper.handle(messageOf("m1")).text();
    await settled();
    for (const more of [{ user: "bob" }, { tenant: "other" }, { bot: "second" }, { id: "m2" }]) {
      const text = await mapper.handle(messageOf("m1", "hello", more)).text();
      expect(text).toBe(`hello, answer ${agent.texts.length}`);
    }
    expect(agent.texts).toHaveLength(5);
  });

  it("is a duplicate where the session was forgotten since, or in its own turn, or where the platform brings it", async () => {
    const { mapper, receive, platform } = bot();
    await mapper.handle(messageOf("m1")).text();
    await mapper.handle(messageOf("m1", "m1", { user: "bob" })).text();
    await mapper.forget(messageOf("m1"));
    expect(await codeOf(mapper.handle(messageOf("m1")).text())).toBe("duplicate");
    expect(await codeOf(mapper.handle(messageOf("m1", "m1", { user: "bob" })).text())).toBe("m1, answer 2");
    mapper.use(async (turn, next) => {
      await next();
      if (turn.text === "forget me") await mapper.forget(turn.message);
    });
    await mapper.handle(messageOf("m2", "forget me")).text();
    await settled();
    expect(await codeOf(mapper.handle(messageOf("m2", "forget me")).text())).toBe("duplicate");
    expect(await receive("m3")).toBe(true);
    await settled();
    expect(await receive("m3")).toBe(false);
    await settled();
    expect(platform.shown).toEqual(["m3, answer 4"]);
  });

  it("is asked again where the failure says that the same call may be made again, and where it was stopped", async () => {
    const { mapper, agent } = bot();
    agent.reply = undefined;
    const begun = async () => {
      const reply = mapper.handle(messageOf("m1"));
      await settled();
      return reply;
    };
    const busy = await begun();
    agent.last.fail(new AparteError("backend-rate-limited", "Too many requests.", { retryAfterMs: 2_000 }));
    expect(await codeOf(busy.text())).toBe("backend-rate-limited");
    await settled();
    const stopped = await begun();
    stopped.cancel();
    expect(await codeOf(stopped.text())).toBe("stopped");
    await settled();
    const third = await begun();
    agent.last.answer("at last");
    expect(await codeOf(third.text())).toBe("at last");
    expect(agent.texts).toEqual(["m1", "m1", "m1"]);
  });

  it("is a duplicate where another message interrupted it", async () => {
    const agent = new TestAgent();
    const { mapper } = botOf(clock, store, { agent, overlap: "interrupt" });
    const first = codeOf(mapper.handle(messageOf("m1")).text());
    await settled();
    agent.last.say({ type: "text", delta: "beg" });
    await settled();
    mapper.handle(messageOf("m2"));
    expect(await first).toBe("beg");
    await settled();
    expect(await codeOf(mapper.handle(messageOf("m1")).text())).toBe("duplicate");
    expect(agent.texts).toEqual(["m1", "m2"]);
  });

  it("is a duplicate where the failure says no such thing", async () => {
    const { mapper, agent } = bot();
    agent.reply = undefined;
    const first = codeOf(mapper.handle(messageOf("m1")).text());
    await settled();
    agent.last.fail(new Error("broken"));
    expect(await first).toBe("backend-failed");
    await settled();
    expect(await codeOf(mapper.handle(messageOf("m1")).text())).toBe("duplicate");
  });
});

describe("What is remembered of recent answers", () => {
  const answer = (text: string) => ({ events: [{ type: "message", text } as const], at: 0 });

  it("keeps no process alive", () => {
    const background: unknown[] = [];
    const after = (_ms: number, _run: () => void, isBackground?: boolean) => {
      background.push(isBackground);
      return () => {};
    };
    const recent = new RecentAnswers({ now: () => 0, random: () => 0, after });
    recent.add("lane 1", answer("x"));
    expect(background).toEqual([true]);
  });

  it("is bounded in number and in size, and nothing is left when it is old", async () => {
    const recent = new RecentAnswers(clock);
    const names = Array.from({ length: 5_000 }, (_, index) => `lane ${index}`);
    const known = () => names.filter((name) => recent.get(name) !== undefined);
    for (const name of names) recent.add(name, answer("x"));
    expect(known()).toEqual(names.slice(-1_000));
    expect(recent.get("lane 4999")).toEqual(answer("x"));
    recent.add("long 1", answer("x".repeat(19_000)));
    recent.add("long 2", answer("x".repeat(20_000)));
    expect(recent.get("long 1")).toEqual(answer("x".repeat(19_000)));
    expect(recent.get("long 2")).toBeUndefined();
    await clock.pass(120_000);
    expect([known(), recent.get("long 1"), clock.planned]).toEqual([[], undefined, []]);
  });
});
