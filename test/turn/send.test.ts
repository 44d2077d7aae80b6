import { AparteError } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, messageOf } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const ann = { platform: "chat", tenant: "acme", user: "ann" };
const place = { ...ann, replyTo: { room: 7 } };

let clock: TestClock;
let store: TestStore;
let a: BotInTest;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
  a = botOf(clock, store);
});

describe("What is sent to a person", () => {
  it("is posted in their place after the turns before it, and asks nobody", async () => {
    await a.receive("m1");
    await settled();
    expect(await a.mapper.send(place, "Your report is ready.")).toBe(true);
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual([]);
    a.agent.last.answer("one");
    await settled();
    expect(a.platform.shown).toEqual(["one", "Your report is ready."]);
    a.agent.last.answer("two");
    await settled();
    expect(a.platform.shown).toEqual(["one", "Your report is ready.", "two"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    expect(a.platform.deliveries[1]?.message).toMatchObject(place);
  });

  it("goes where the adapter says, where it can say", async () => {
    const asked: unknown[] = [];
    Object.assign(a.platform, {
      address: async (speaker: unknown) => {
        asked.push(speaker);
        return { room: 8 };
      },
    });
    await a.mapper.send(place, "One");
    await a.mapper.send({ ...ann, thread: "t" }, "Two");
    await settled();
    expect(a.platform.deliveries.map(({ message }) => message.replyTo)).toEqual([{ room: 8 }, { room: 8 }]);
    expect(asked).toMatchObject([ann, { ...ann, thread: "t" }]);
    expect(a.platform.shown).toEqual(["One", "Two"]);
  });

  it("has links to allowed hosts alone", async () => {
    a = botOf(clock, store, { linkHosts: ["docs.acme.com"], platform: a.platform });
    await a.mapper.send(place, "https://docs.acme.com/a or https://evil.com/b");
    await settled();
    expect(a.platform.shown).toEqual(["https://docs.acme.com/a or https[:]//evil[.]com/b"]);
  });

  it("is refused where nobody knows the place, or nothing is said", async () => {
    const refused = (field: string) => ({ code: "input-invalid", field });
    await expect(a.mapper.send(ann, "hello")).rejects.toMatchObject(refused("replyTo"));
    await expect(a.mapper.send({ ...place, platform: "web" }, "x")).rejects.toMatchObject(
      refused("platform"),
    );
    await expect(a.mapper.send({ ...place, user: "" }, "hello")).rejects.toMatchObject(refused("user"));
    await expect(a.mapper.send(place, " ")).rejects.toMatchObject(refused("text"));
  });

  it("is said once where it has a name, which is no name of an event", async () => {
    const report = { id: "m1" };
    expect(await a.mapper.send(place, "Ready.", report)).toBe(true);
    await settled();
    expect(await a.mapper.send(place, "Ready.", report)).toBe(false);
    expect(await a.receive("m1")).toBe(true);
    await settled();
    expect(a.platform.shown).toEqual(["Ready."]);
    expect(a.agent.texts).toEqual(["m1"]);
  });

  it("may be sent in a middleware of the very session, and comes after its turn", async () => {
    a.agent.reply = (text) => text;
    a.mapper.use(async (_, next) => {
      await a.mapper.send(place, "And one thing more.");
      await next();
    });
    await a.receive("m1");
    await settled();
    expect(a.platform.shown).toEqual(["m1", "And one thing more."]);
  });

  it.each([
    ["merge", ["Ready."]],
    ["merge", ["Ready.", "Really."]],
    ["interrupt", ["Ready."]],
    ["interrupt", ["Ready.", "Really."]],
  ] as const)("is no part of what is asked later, with the overlap %s: %j", async (overlap, texts) => {
    const b = botOf(clock, new TestStore(clock), { overlap });
    let take = () => {};
    const taken = new Promise<void>((resolve) => (take = resolve));
    b.platform.beforePost = () => taken;
    for (const text of texts) await b.mapper.send(place, text);
    await settled();
    await b.receive("m1");
    await settled();
    take();
    await settled();
    expect(b.platform.shown).toEqual(texts);
    expect(b.agent.texts).toEqual(["m1"]);
    b.agent.last.answer("one");
    await settled();
    expect(b.platform.shown).toEqual([...texts, "one"]);
  });

  it("is said by another process where the one that took it died", async () => {
    const first = botOf(clock, store);
    await first.receive("m1");
    await first.mapper.send(place, "Ready.");
    await settled();
    first.view.intercept = cut;
    await clock.pass(3 * leaseTime);
    expect(a.platform.shown).toEqual(["(answer-lost)", "Ready."]);
    expect([first.platform.shown, a.agent.texts]).toEqual([[], []]);
  });
});

describe("A session that is paused", () => {
  it("asks nobody until it is resumed, and says nothing", async () => {
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await a.mapper.pause(ann);
    await a.receive("m2");
    await a.mapper.send(place, "Hello, this is Eve.");
    await settled();
    expect(a.agent.texts).toEqual(["m1"]);
    expect(a.platform.shown).toEqual(["m1", "(paused)", "Hello, this is Eve."]);
    await expect(a.mapper.handle({ ...ann, id: "m3", text: "m3" }).text()).rejects.toMatchObject({
      code: "paused",
    });
    await a.mapper.resume(ann);
    await a.receive("m4");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "m4"]);
  });

  it("keeps its conversation", async () => {
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await a.mapper.pause(ann);
    await a.mapper.resume(ann);
    await a.receive("m2");
    await settled();
    const [first, second] = a.agent.asked.map(({ call }) => call.conversationId);
    expect([second, a.agent.asked.length]).toEqual([first, 2]);
  });

  it("begins with the agent's handoff, whose words still come", async () => {
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "handoff" });
    a.agent.last.answer("Somebody will be with you.");
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual(["Somebody will be with you.", "(paused)"]);
    expect(a.agent.texts).toEqual(["m1"]);
    for await (const { isPaused } of a.mapper.sessions()) expect(isPaused).toBe(true);
    const other = botOf(clock, store);
    await other.receive("m3");
    await settled();
    expect(other.agent.texts).toEqual([]);
  });

  it("goes through the middlewares, which may bring the words to the human, and resume", async () => {
    a.agent.reply = (text) => text;
    await a.mapper.pause(ann);
    const told: unknown[] = [];
    a.mapper.use(async (turn, next) => {
      if (turn.text === "/agent") await a.mapper.resume(ann);
      told.push(turn.text, await next());
    });
    await a.receive("m1");
    await a.receive("/agent");
    await settled();
    expect(told).toEqual([
      ...["m1", [{ type: "notice", code: "paused", text: "A human answers here now." }]],
      ...["/agent", [{ type: "message", text: "/agent" }]],
    ]);
  });

  it("is over for its one person, with a reset, by its name, and when it is forgotten", async () => {
    a.agent.reply = (text) => text;
    const { sessionName } = await a.mapper.resolve(ann);
    const asked = async (id: string) => {
      const before = a.agent.asked.length;
      await a.receive(id);
      await settled();
      return a.agent.asked.length > before;
    };
    await a.mapper.pause(sessionName);
    expect(await asked("m1")).toBe(false);
    expect(await a.mapper.handle(messageOf("m2", "m2", { platform: "web" })).text()).toBe("m2");
    await a.mapper.reset(ann);
    expect(await asked("m3")).toBe(true);
    await a.mapper.pause(ann);
    await a.mapper.resume(sessionName);
    expect(await asked("m4")).toBe(true);
    await a.mapper.pause(ann);
    await a.mapper.forget(ann);
    expect(await asked("m5")).toBe(true);
  });

  it("stays so where the agent failed after its handoff", async () => {
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "handoff" });
    a.agent.last.fail(new AparteError("backend-stream-cut", "Cut."));
    await a.receive("m2");
    await settled();
    expect(a.agent.texts).toEqual(["m1"]);
  });
});
