import { getEventListeners } from "node:events";
import { AparteError, type MapperOptions, type Message, type RecoverCall } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import type { LaneDocument } from "../../src/lane/machine.ts";
import { type BotInTest, botOf, messageOf, PlatformError, TestAgent } from "../support/bot.ts";
import { leaseTime, storeTimeout } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, storeAway, TestStore } from "../support/test-store.ts";

const never = () => new Promise<never>(() => {});
const turnTimeout = 60_000;
const grace = 5_000;

let clock: TestClock;
let store: TestStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
});

function bot(options: Parameters<typeof botOf>[2] = {}): BotInTest {
  return botOf(clock, store, { turnTimeout, ...options });
}

/** The document of the lane whose session the agent was asked in last. */
async function lane({ agent }: BotInTest): Promise<LaneDocument | undefined> {
  return (await store.direct.read(agent.last.call.sessionName)).document as unknown as
    | LaneDocument
    | undefined;
}

describe("A turn", () => {
  it("is recorded, asked, delivered and ended", async () => {
    const a = bot();
    expect(await a.receive("m1", "hello")).toBe(true);
    await settled();
    const { call } = a.agent.last;
    expect(call).toMatchObject({ text: "hello", agent: "helper", conversationId: "c1", files: [] });
    expect(call.sessionName).toMatch(/^a1_[\w-]{33}$/);
    expect(call.turnId).toMatch(/^[\w-]{22}$/);
    expect((await lane(a))?.running).toMatchObject({
      ...{ attempt: 1, place: '["chat"]', overlap: "queue" },
      body: { v: 1, message: { platform: "chat", tenant: "acme", user: "ann", id: "m1", text: "hello" } },
    });
    a.agent.last.answer("hi");
    await settled();
    expect(a.platform.shown).toEqual(["hi"]);
    expect(await store.direct.read(call.sessionName)).toMatchObject({
      ...{ version: 0, document: undefined },
      record: {
        ...{ v: 1, speaker: { user: "ann" }, conversations: { helper: { id: "c1" } } },
        lastTurnAt: store.now(),
      },
    });
  });

  it("costs two commands where the conversation is known, and the agent is asked after the first", async () => {
    const a = bot();
    a.agent.recover = async () => "unknown";
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    a.agent.reply = undefined;
    const before = a.view.calls.length;
    await a.receive("m2");
    await settled();
    expect(a.view.calls.slice(before).map(({ name }) => name)).toEqual(["commit"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    a.agent.last.answer("done");
    await settled();
    expect(a.view.calls.slice(before).map(({ name }) => name)).toEqual(["commit", "commit"]);
  });

  it("runs after the one before it has ended, in the order of the calls", async () => {
    const a = bot();
    const taken = [a.receive("m1"), a.receive("m2"), a.receive("m3")];
    expect(await Promise.all(taken)).toEqual([true, true, true]);
    for (const id of ["m1", "m2", "m3"]) {
      await settled();
      expect(a.agent.last.call.text).toBe(id);
      a.agent.last.answer(`re ${id}`);
    }
    await settled();
    expect(a.platform.shown).toEqual(["re m1", "re m2", "re m3"]);
    expect(a.agent.texts.length).toBe(3);
  });

  it("leaves nothing behind: no timer, and nothing in the log", async () => {
    const a = bot();
    await settled();
    const before = clock.planned.length;
    await a.receive("m1");
    // This one waits.
    await a.receive("m2");
    await settled();
    for (const text of ["one", "two"]) {
      a.agent.last.call.note?.({ chat: 7 });
      a.agent.last.answer(text);
      await settled();
    }
    expect(a.platform.shown).toEqual(["one", "two"]);
    expect(clock.planned.length).toBe(before);
    expect(a.log.said).toEqual([]);
  });

  it("is over for those who wait once its caller has read its answer, or does not read it", async () => {
    const { mapper, agent } = bot();
    agent.reply = (text) => text;
    const reader = mapper.handle(messageOf("m1"))[Symbol.asyncIterator]();
    await reader.next();
    mapper.handle(messageOf("m2"));
    await settled();
    expect(agent.texts).toEqual(["m1"]);
    await reader.next();
    await settled();
    expect(agent.texts).toEqual(["m1", "m2"]);
    const slow = mapper.handle(messageOf("m3"))[Symbol.asyncIterator]();
    await slow.next();
    mapper.handle(messageOf("m4"));
    await clock.pass(turnTimeout - 1);
    expect(agent.texts).toEqual(["m1", "m2", "m3"]);
    await clock.pass(1);
    expect(agent.texts).toEqual(["m1", "m2", "m3", "m4"]);
  });

  it("gives its caller turnTimeout to read its answer, from when that is whole", async () => {
    const a = bot();
    const slow = a.mapper.handle(messageOf("m1"))[Symbol.asyncIterator]();
    a.mapper.handle(messageOf("m2"));
    await clock.pass(turnTimeout - 1_000);
    a.agent.last.answer("one");
    await slow.next();
    await clock.pass(turnTimeout - 1);
    expect(a.agent.texts).toEqual(["m1"]);
    // Nobody else could deliver it: it is not written down.
    expect((await lane(a))?.running?.phase).toBe("asked");
    await clock.pass(1);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
  });

  it("is not asked before it is written down that it is, where the agent cannot be asked afterwards", async () => {
    const a = bot();
    await settled();
    let write = () => {};
    a.view.intercept = async (call, run) => {
      const { running } = (call.commit?.document ?? {}) as { running?: { phase?: string } };
      if (running?.phase === "asked") await new Promise<void>((resolve) => (write = resolve));
      return run();
    };
    await a.receive("m1");
    await settled();
    expect(a.agent.opened.length).toBe(1);
    expect(a.agent.asked).toEqual([]);
    write();
    await settled();
    expect(a.agent.texts).toEqual(["m1"]);
  });

  it("says in the log what could not be written, and tells the application", async () => {
    const told: unknown[] = [];
    const a = bot({ onError: (error, { stage }) => void told.push([(error as AparteError).code, stage]) });
    await a.receive("m1");
    await settled();
    const { sessionName } = a.agent.last.call;
    const { version } = await store.direct.read(sessionName);
    const until = store.now() + 1;
    await store.direct.commit({ lane: sessionName, version, document: { v: 2 }, until });
    a.agent.last.call.note?.({ chat: 7 });
    await clock.pass(250);
    expect(a.log.said).toEqual(["error: a lane cannot be read", "warn: a turn could not be noted"]);
    a.agent.last.answer("one");
    await settled();
    expect(a.platform.shown).toEqual(["one"]);
    expect(a.log.said.slice(2)).toEqual(["error: a lane cannot be read", "error: a turn could not be ended"]);
    expect(told).toEqual([["store-unreadable", "end"]]);
  });

  it("names the conversation that it opens, by what was said or as the application wants", async () => {
    const a = bot();
    await a.receive("m1", "What is the\n weather like?");
    const b = bot({ title: ({ user, text }) => `${user}: ${text}` });
    await b.receive("m1", "hello", { user: "bob" });
    await settled();
    expect(a.agent.opened.map(({ title }) => title)).toEqual(["What is the"]);
    expect(b.agent.opened.map(({ title }) => title)).toEqual(["bob: hello"]);
  });

  it("lets its agent's requests go by turns with those of other tenants and platforms, as long as it runs", async () => {
    const a = bot();
    for (const more of [{}, { user: "bob" }, { tenant: "other" }, { platform: "web" }]) {
      a.mapper.handle(messageOf("m1", "m1", { platform: "chat", ...more }));
    }
    await settled();
    const order: number[] = [];
    const calls = a.agent.asked.map(({ call }) => call);
    await Promise.all(calls.map((call, index) => call.pace?.("key", 10).then(() => order.push(index))));
    expect(order).toEqual([0, 2, 3, 1]);
    await a.mapper.stop({ platform: "chat", tenant: "acme", user: "bob" });
    await settled();
    await expect(calls[1]?.pace?.("key", 10)).rejects.toBe("stopped");
  });

  it("runs beside those of other people", async () => {
    const a = bot();
    await a.receive("m1", "one");
    await a.receive("m1", "two", { user: "bob" });
    await settled();
    expect(a.agent.texts).toEqual(["one", "two"]);
    expect(a.agent.asked[0]?.call.sessionName).not.toBe(a.agent.asked[1]?.call.sessionName);
  });

  it("is not taken twice, in this process or another", async () => {
    const [a, b] = [bot(), bot()];
    a.agent.reply = b.agent.reply = (text) => text;
    expect(await a.receive("m1")).toBe(true);
    await settled();
    expect([await a.receive("m1"), await b.receive("m1")]).toEqual([false, false]);
    await settled();
    expect([...a.platform.shown, ...b.platform.shown]).toEqual(["m1"]);
  });

  it("is told to whoever hands it in again while it runs, and for a while afterwards", async () => {
    const { mapper, agent } = bot();
    const first = mapper.handle(messageOf("m1"));
    const again = mapper.handle(messageOf("m1"));
    expect(await first.taken).toBe(true);
    expect(await again.taken).toBe(false);
    await settled();
    agent.last.answer("once");
    expect(await first.text()).toBe("once");
    expect(await again.text()).toBe("once");
    expect(agent.asked.length).toBe(1);
    await settled();
    expect(await mapper.handle(messageOf("m1")).text()).toBe("once");
    expect(agent.asked.length).toBe(1);
  });

  it("is not taken where it is no message, or its agent is unknown, and the reader is told", async () => {
    const { mapper, log } = bot();
    for (const [message, code] of [
      [messageOf("", "x"), "input-invalid"],
      [messageOf("m1", "x", { agent: "nobody" }), "agent-unknown"],
      [undefined as unknown as Message, "input-invalid"],
    ] as const) {
      const reply = mapper.handle(message);
      await expect(reply.taken).rejects.toMatchObject({ code });
      await expect(reply.text()).rejects.toMatchObject({ code });
    }
    expect(log.said).toEqual(Array.from({ length: 3 }, () => "error: a message was not taken"));
  });

  it("is not taken while the store is away, and the person is told", async () => {
    const a = bot();
    await settled();
    a.view.intercept = cut;
    const taken = a.receive("m1");
    const again = expect(a.receive("m1")).rejects.toMatchObject({ code: "store-failed" });
    taken.catch(() => {});
    await clock.pass(storeTimeout - 1);
    expect(a.platform.shown).toEqual([]);
    await clock.pass(1);
    await expect(taken).rejects.toMatchObject({ code: "store-failed" });
    await again;
    expect(a.platform.shown).toEqual(["failed: store-failed"]);
  });

  it("waits for a store that is away before the agent is asked, and its reader only as long as a message does", async () => {
    for (const isRead of [false, true]) {
      const a = bot();
      let open = () => {};
      a.agent.opening = new Promise((resolve) => {
        open = resolve;
      });
      const read = isRead ? a.mapper.handle(messageOf("m1", "hello")).text() : a.receive("m1", "hello");
      const failed = isRead && expect(read).rejects.toMatchObject({ code: "store-failed" });
      await settled();
      a.view.intercept = cut;
      open();
      await clock.pass(storeTimeout);
      await failed;
      await clock.pass(turnTimeout / 2);
      expect([a.agent.texts, a.platform.shown]).toEqual([[], []]);
      a.view.intercept = (_, run) => run();
      await clock.pass(storeTimeout);
      expect(a.agent.texts).toEqual(isRead ? [] : ["hello"]);
      if (!isRead) a.agent.last.answer("hi");
      await settled();
      expect(a.platform.shown).toEqual(isRead ? [] : ["hi"]);
    }
  });

  it("is told of where the store is away for longer than a turn may take, and not asked", async () => {
    const a = bot();
    let open = () => {};
    a.agent.opening = new Promise((resolve) => {
      open = resolve;
    });
    await a.receive("m1");
    await settled();
    a.view.intercept = cut;
    open();
    await clock.pass(turnTimeout + grace);
    a.view.intercept = (_, run) => run();
    await clock.pass(turnTimeout);
    expect(a.platform.shown).toEqual(["failed: turn-timeout"]);
    expect(a.agent.texts).toEqual([]);
    expect(await lane(a).catch(() => undefined)).toBeUndefined();
  });

  it("is asked of its own agent, the routed one, the chosen one, the first one, in this order", async () => {
    const other = new TestAgent();
    const agents = { helper: new TestAgent(), other };
    let routed: string | undefined;
    const a = bot({ agents, route: () => routed });
    const asked = async (id: string, agent?: string) => {
      await a.receive(id, id, agent === undefined ? {} : { agent });
      await settled();
      const [name] = [agents.helper, other].flatMap(({ asked: all }) =>
        all.filter(({ call }) => call.text === id).map(({ call }) => call.agent),
      );
      for (const { asked: all } of [agents.helper, other]) all.at(-1)?.answer("");
      await settled();
      return name;
    };
    expect(await asked("m1")).toBe("helper");
    await a.mapper.select({ platform: "chat", tenant: "acme", user: "ann" }, "other");
    expect(await asked("m2")).toBe("other");
    routed = "helper";
    expect(await asked("m3")).toBe("helper");
    expect(await asked("m4", "other")).toBe("other");
  });

  it("fails where it is routed to nobody, and the lane goes on", async () => {
    let routed = "nobody";
    const a = bot({ route: () => routed });
    await a.receive("m1");
    await settled();
    expect(a.platform.shown).toEqual(["failed: agent-unknown"]);
    routed = "helper";
    await a.receive("m2");
    await settled();
    expect(a.agent.texts).toEqual(["m2"]);
  });
});

describe("A turn that comes while another one runs", () => {
  it("is refused where that is wanted, and may come again", async () => {
    const a = bot({ overlap: "reject" });
    await a.receive("m1");
    expect(await a.receive("m2")).toBe(false);
    await settled();
    expect(a.platform.shown).toEqual(["(busy)"]);
    a.agent.last.answer("one");
    await settled();
    expect(await a.receive("m2")).toBe(true);
  });

  it("is refused where too many wait", async () => {
    const { mapper } = bot({ queueLimit: 2 });
    const replies = ["m1", "m2", "m3", "m4"].map((id) => mapper.handle(messageOf(id)));
    expect(await Promise.all(replies.map(({ taken }) => taken))).toEqual([true, true, true, false]);
    await expect(replies[3]?.text()).rejects.toMatchObject({ code: "full" });
  });

  it("merges with the others that wait, and the last one is answered, with all words and files", async () => {
    const a = bot({ overlap: "merge" });
    const files = [{ name: "a.txt", data: new Uint8Array([7]) }];
    await a.receive("m1");
    await a.receive("m2", "two", { files });
    await a.receive("m3", "", {
      files: [{ name: "b.txt", ref: "b" }].map((file) => ({ ...file, load: never })),
    });
    await a.receive("m4", "four");
    await settled();
    a.agent.last.answer("one");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "two\nfour"]);
    expect(a.agent.last.call.files.map(({ name, data }) => [name, data])).toEqual([
      ["a.txt", new Uint8Array([7])],
      ["b.txt", undefined],
    ]);
    expect(a.platform.shown).toEqual(["one", "(merged)", "(merged)"]);
    a.agent.last.answer("all");
    await settled();
    expect(a.platform.shown.at(-1)).toBe("all");
    expect(await lane(a)).toBeUndefined();
  });

  it("merges with none whose answer goes elsewhere, and with none of another agent", async () => {
    const agents = { helper: new TestAgent(), other: new TestAgent() };
    const a = bot({ overlap: "merge", agents });
    for (const agent of Object.values(agents)) agent.reply = (text) => `re ${text}`;
    let open = () => {};
    agents.helper.opening = new Promise<void>((resolve) => {
      open = resolve;
    });
    await a.receive("m1");
    await a.receive("m2", "m2", { channel: "c1" });
    await a.receive("m3", "m3", { channel: "c2" });
    await a.receive("m4", "m4", { channel: "c2", thread: "1" });
    await a.receive("m5", "m5", { channel: "c2", thread: "1", agent: "other" });
    await a.receive("m6", "m6", { channel: "c2", thread: "1", agent: "other" });
    open();
    await settled();
    expect(a.platform.shown).toEqual(["re m1", "re m2", "re m3", "re m4", "(merged)", "re m5\nm6"]);
  });

  it("interrupts it: what was asked is stopped, at the agent too", async () => {
    const a = bot({ overlap: "interrupt" });
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "text", delta: "beg" });
    await settled();
    const [first] = a.agent.asked;
    await a.receive("m2");
    await settled();
    expect(first?.call.signal.aborted).toBe(true);
    expect(a.platform.shown).toEqual(["beg (interrupted)"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
  });

  it("interrupts the opening of the conversation, and carries the words that were not sent", async () => {
    const a = bot({ overlap: "interrupt" });
    let open = () => {};
    a.agent.opening = new Promise<void>((resolve) => {
      open = resolve;
    });
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    await settled();
    open();
    await settled();
    await clock.pass(grace);
    expect(a.agent.texts).toEqual(["m1\nm2"]);
    // Of the first one nobody is to believe that it was asked.
    const written = a.view.calls.map(
      ({ commit }) => (commit?.document as unknown as LaneDocument | undefined)?.running,
    );
    const asked = written.filter((running) => running?.phase === "asked");
    expect(asked).toMatchObject([{ carries: [{}] }]);
    a.agent.last.answer("both");
    await settled();
    expect(a.platform.shown).toEqual(["(interrupted)", "both"]);
  });

  it("interrupts the choice of its agent, and carries the words that were not sent", async () => {
    let choose = () => {};
    const chosen = new Promise<void>((resolve) => {
      choose = resolve;
    });
    const a = bot({ overlap: "interrupt", route: () => chosen.then(() => "helper") });
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    await settled();
    choose();
    await settled();
    expect(a.agent.texts).toEqual(["m1\nm2"]);
    a.agent.last.answer("both");
    await settled();
    expect(a.platform.shown).toEqual(["(interrupted)", "both"]);
  });

  it("says no words again of which the person is being told that they failed", async () => {
    const a = bot({ overlap: "interrupt" });
    let post = () => {};
    const posting = new Promise<void>((resolve) => {
      post = resolve;
    });
    a.platform.beforePost = () => posting;
    a.agent.opening = Promise.reject(new AparteError("backend-rejected", "It is none."));
    await a.receive("m1");
    await settled();
    a.agent.opening = Promise.resolve();
    await a.receive("m2");
    await settled();
    const [{ sessionName = "" } = {}] = a.agent.opened;
    const { document } = await store.direct.read(sessionName);
    expect(document).toMatchObject({ running: { isInterrupted: true }, waiting: [{}] });
    post();
    await settled();
    expect(a.agent.texts).toEqual(["m2"]);
  });

  it("does not interrupt an answer that is whole", async () => {
    const a = bot({ overlap: "interrupt" });
    let isAway = true;
    a.platform.beforePost = () => {
      if (isAway) throw new PlatformError({ passes: true, retryAfterMs: 5_000 });
    };
    await a.receive("m1");
    await settled();
    a.agent.last.answer("one");
    await clock.pass(3_000);
    expect((await lane(a))?.running?.phase).toBe("answered");
    await a.receive("m2");
    isAway = false;
    await clock.pass(5_000);
    expect(a.platform.shown).toEqual(["one"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
  });

  it("is told and taken back when it waited too long", async () => {
    const { mapper, agent } = bot({ waitTimeout: 1_000 });
    const first = mapper.handle(messageOf("m1"));
    const second = mapper.handle(messageOf("m2"));
    await clock.pass(999);
    const waits = expect(second.text()).rejects.toMatchObject({ code: "wait-timeout" });
    await clock.pass(1);
    await waits;
    agent.last.answer("one");
    expect(await first.text()).toBe("one");
    await settled();
    expect(agent.texts).toEqual(["m1"]);
    // It may be sent again under the same id.
    expect(await mapper.handle(messageOf("m2")).taken).toBe(true);
  });

  it("is not told that it waited too long where it is another process's by then", async () => {
    const a = bot({ waitTimeout: 1_000 });
    bot();
    const replies = ["m1", "m2"].map((id) => a.mapper.handle(messageOf(id)));
    const lost = expect(replies[1]?.text()).rejects.toMatchObject({ code: "closed" });
    await settled();
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    a.view.intercept = (_, run) => run();
    await clock.pass(grace);
    await lost;
  });

  it("is taken back when it is cancelled while it waits", async () => {
    const { mapper, agent } = bot();
    const stop = new AbortController();
    const first = mapper.handle(messageOf("m1"));
    const second = mapper.handle(messageOf("m2"));
    const third = mapper.handle(messageOf("m3", "m3", { signal: stop.signal }));
    await settled();
    second.cancel();
    stop.abort();
    for (const reply of [second, third])
      await expect(reply.text()).rejects.toMatchObject({ code: "stopped" });
    agent.last.answer("one");
    expect(await first.text()).toBe("one");
    await settled();
    expect(agent.texts).toEqual(["m1"]);
  });

  it("asks the store nothing where it is cancelled when it is another process's", async () => {
    const [a, b] = [bot(), bot()];
    await a.receive("m1");
    const stop = new AbortController();
    await a.receive("m2", "m2", { signal: stop.signal });
    await settled();
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    a.view.intercept = (_, run) => run();
    await clock.pass(grace);
    expect(b.agent.texts).toEqual(["m2"]);
    const before = a.view.calls.length;
    stop.abort();
    await settled();
    expect(a.view.calls.length).toBe(before);
  });
});

describe("A turn that is stopped", () => {
  it("ends with what was said, and a notice", async () => {
    const { mapper, agent } = bot();
    const reply = mapper.handle(messageOf("m1"));
    await settled();
    agent.last.say({ type: "text", delta: "beg" });
    await settled();
    reply.cancel();
    expect(await reply.text()).toBe("beg");
    await settled();
    // The next sign of life, and the end of the lease, are all that is to come.
    expect(clock.planned.length).toBe(2);
    const events = [];
    for await (const event of reply) events.push(event.type === "notice" ? event.code : event.type);
    expect(events).toEqual(["text", "stopped"]);
    expect(agent.last.call.signal.aborted).toBe(true);
  });

  it("leaves nothing at its signal, which may be that of many messages", async () => {
    const { mapper, agent } = bot();
    const { signal } = new AbortController();
    const reply = mapper.handle(messageOf("m1", "m1", { signal }));
    await settled();
    expect(getEventListeners(signal, "abort").length).toBe(1);
    agent.last.answer("one");
    await reply.text();
    await settled();
    expect(getEventListeners(signal, "abort").length).toBe(0);
  });

  it("asks nobody where its signal was aborted before", async () => {
    const { mapper, agent } = bot();
    const reply = mapper.handle(messageOf("m1", "m1", { signal: AbortSignal.abort() }));
    await expect(reply.text()).rejects.toMatchObject({ code: "stopped" });
    expect([agent.opened, agent.asked]).toEqual([[], []]);
  });

  it("asks nobody where it is stopped while it is written down that it will", async () => {
    const { mapper, agent, view } = bot();
    let write = () => {};
    view.intercept = async (call, run) => {
      const { running } = (call.commit?.document ?? {}) as { running?: { phase?: string } };
      if (running?.phase === "asked") await new Promise<void>((resolve) => (write = resolve));
      return run();
    };
    const reply = mapper.handle(messageOf("m1"));
    await settled();
    expect(agent.opened.length).toBe(1);
    reply.cancel();
    write();
    await expect(reply.text()).rejects.toMatchObject({ code: "stopped" });
    await settled();
    expect(agent.asked).toEqual([]);
  });

  it("is refused where its signal is none", async () => {
    const { mapper, agent } = bot();
    const reply = mapper.handle(messageOf("m1", "m1", { signal: {} as AbortSignal }));
    await settled();
    await expect(Promise.race([reply.text(), settled()])).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "signal" },
    });
    expect(agent.asked).toEqual([]);
  });

  it("is stopped for its person in whichever process it runs or waits, and for nobody else", async () => {
    const [a, b] = [bot(), bot()];
    const ann = { platform: "chat", tenant: "acme", user: "ann" };
    await a.receive("m1", "one", { channel: "c1", thread: "1" });
    await settled();
    a.agent.last.say({ type: "text", delta: "beg" });
    await b.receive("m2", "two", { channel: "c1", thread: "2" });
    await a.receive("m3", "three", { channel: "c1", thread: "2" });
    await b.receive("m4", "four", { channel: "c2" });
    await settled();
    const others = [
      { ...ann, user: "bob" },
      { ...ann, tenant: "other" },
      { ...ann, bot: "other" },
      { ...ann, platform: "other" },
      { ...ann, direct: true },
      { ...ann, channel: "c1", thread: "3" },
      { ...ann, channel: "c3" },
    ];
    for (const other of others) expect(await b.mapper.stop(other)).toBe(false);
    expect(await b.mapper.stop({ ...ann, channel: "c1", thread: "2" })).toBe(true);
    await settled();
    expect([...a.platform.shown, ...b.platform.shown]).toEqual(["(stopped)", "(stopped)"]);
    expect(await b.mapper.stop({ ...ann, channel: "c1" })).toBe(true);
    await settled();
    expect(a.platform.shown).toEqual(["(stopped)", "beg (stopped)"]);
    expect(b.agent.texts).toEqual(["four"]);
    b.agent.last.answer("re four");
    await settled();
    expect(b.platform.shown).toEqual(["(stopped)", "re four"]);
    expect(await a.mapper.stop(ann)).toBe(false);
  });

  it("is stopped in another process also where the application has to be asked who its person is", async () => {
    const identify = async () => "p7";
    const [a, b] = [bot({ identify }), bot({ identify })];
    await a.receive("m1");
    await settled();
    expect(await b.mapper.stop({ platform: "chat", tenant: "acme", user: "ann" })).toBe(true);
    await settled();
    expect(a.platform.shown).toEqual(["(stopped)"]);
  });

  it("is not run where its platform brings it again, though it only waited", async () => {
    const [a, b] = [bot(), bot()];
    await a.receive("m1");
    const stop = new AbortController();
    await a.receive("m2", "m2", { signal: stop.signal });
    await a.receive("m3");
    await settled();
    stop.abort();
    await settled();
    expect(await b.mapper.stop({ platform: "chat", tenant: "acme", user: "ann" })).toBe(true);
    await settled();
    expect(a.platform.shown).toEqual(["(stopped)", "(stopped)", "(stopped)"]);
    for (const id of ["m1", "m2", "m3"]) expect(await b.receive(id)).toBe(false);
    expect([...a.agent.texts, ...b.agent.texts]).toEqual(["m1"]);
  });

  it("is stopped in all threads that this process answers, where each is a session", async () => {
    const a = bot({ scope: "user-in-thread" });
    const place = { platform: "chat", tenant: "acme", user: "ann", channel: "c1" };
    for (const thread of ["1", "2"]) await a.receive(thread, thread, { channel: "c1", thread });
    await a.receive("3", "3", { channel: "c2", thread: "1" });
    await settled();
    expect(await a.mapper.stop(place)).toBe(true);
    await settled();
    expect(a.platform.shown).toEqual(["(stopped)", "(stopped)"]);
  });

  it("stays stopped where its process dies before it hears of it", async () => {
    const [a, b] = [bot(), bot()];
    await a.receive("m1");
    await settled();
    a.view.intercept = cut;
    expect(await b.mapper.stop({ platform: "chat", tenant: "acme", user: "ann" })).toBe(true);
    await clock.pass(2 * leaseTime);
    expect([a.platform.shown, b.platform.shown, b.agent.texts]).toEqual([
      [],
      ["(answer-lost) (stopped)"],
      [],
    ]);
  });

  it("opens no conversation in the next process where it was stopped before it was asked", async () => {
    const [a, b] = [bot({ route: never }), bot()];
    let goOn = () => {};
    b.mapper.use(async (_, next) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      await next();
    });
    await a.receive("m1");
    await settled();
    a.view.intercept = cut;
    await clock.pass(2 * leaseTime);
    expect(await b.mapper.stop({ platform: "chat", tenant: "acme", user: "ann" })).toBe(true);
    goOn();
    await settled();
    expect(b.platform.shown).toEqual(["(stopped)"]);
    expect(b.agent.opened).toEqual([]);
  });

  it("hears of it also where the wake was lost", async () => {
    const [a, b] = [bot(), bot()];
    await a.receive("m1");
    await settled();
    a.view.isDeaf = true;
    expect(await b.mapper.stop({ platform: "chat", tenant: "acme", user: "ann" })).toBe(true);
    await clock.pass(leaseTime);
    expect(a.platform.shown).toEqual(["(stopped)"]);
  });

  it("is none where nobody asked, where the answer is whole, and where the application speaks", async () => {
    const a = bot();
    const ann = { platform: "chat", tenant: "acme", user: "ann" };
    a.platform.beforePost = () => never();
    await a.receive("m1");
    await settled();
    a.agent.last.answer("one");
    await clock.pass(2_000);
    await a.mapper.send({ ...ann, replyTo: "there" }, "two");
    expect(await a.mapper.stop(ann)).toBe(false);
    await expect(a.mapper.stop({ ...ann, user: "" })).rejects.toMatchObject({ code: "input-invalid" });
  });

  it("is stopped by leaving the scope of its reply", async () => {
    const { mapper, agent } = bot();
    const reply = mapper.handle(messageOf("m1"));
    await settled();
    await reply[Symbol.asyncDispose]();
    expect(agent.last.call.signal.aborted).toBe(true);
  });
});

describe("A turn that takes too long", () => {
  it("is stopped where the agent never ends, and the next one runs", async () => {
    const a = bot();
    await a.receive("m1");
    await a.receive("m2");
    await clock.pass(turnTimeout - 1);
    expect(a.platform.shown).toEqual([]);
    await clock.pass(1);
    expect(a.platform.shown).toEqual(["failed: turn-timeout"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    expect(a.log.said).toContain("error: a turn failed");
  });

  it.each<[string, Partial<MapperOptions>]>([
    ["route", { route: ({ id }) => (id === "m1" ? never() : undefined) }],
    ["a middleware", {}],
  ])("is given up a while after it was stopped, where %s never returns", async (what, options) => {
    const a = bot(options);
    if (what === "a middleware")
      a.mapper.use(({ message }, next) => (message.id === "m1" ? never() : next()));
    await a.receive("m1");
    await a.receive("m2");
    await clock.pass(turnTimeout + grace - 1);
    expect(a.agent.texts).toEqual([]);
    await clock.pass(1);
    expect(a.platform.shown).toEqual(["failed: turn-timeout"]);
    expect(a.agent.texts).toEqual(["m2"]);
  });

  it("says how long it may take", async () => {
    const { mapper } = bot();
    const text = mapper.handle(messageOf("m1")).text();
    const failed = expect(text).rejects.toThrow("The turn took longer than 60000 ms and was stopped.");
    await clock.pass(turnTimeout);
    await failed;
  });

  it("is given up where the agent ignores its signal", async () => {
    const agent = new TestAgent();
    agent.ask = (call) => {
      agent.asked.push({ call, say() {}, answer() {}, fail() {} });
      return { [Symbol.asyncIterator]: () => ({ next: never }) };
    };
    const a = bot({ agent });
    await a.receive("m1");
    await a.receive("m2");
    await clock.pass(turnTimeout + grace);
    expect(a.platform.shown).toEqual(["failed: turn-timeout"]);
    expect(agent.texts).toEqual(["m1", "m2"]);
  });

  it("ends with the agent's next word where the agent ignores its signal and speaks on", async () => {
    const agent = new TestAgent();
    let speak = () => {};
    agent.ask = async function* () {
      for (;;) {
        await new Promise<void>((resolve) => (speak = resolve));
        yield { type: "text", delta: "on and " };
      }
    };
    const a = bot({ agent });
    await a.receive("m1");
    await settled();
    speak();
    await clock.pass(turnTimeout);
    expect(a.platform.shown).toEqual([]);
    speak();
    await settled();
    expect(a.platform.shown).toEqual(["on and  failed: turn-timeout"]);
  });

  it("is told so where identify never returns, and others of the person go on", async () => {
    const a = bot({ identify: ({ user }) => (user === "ann" && isStuck ? never() : undefined) });
    let isStuck = true;
    const first = a.receive("m1");
    first.catch(() => {});
    await settled();
    isStuck = false;
    const second = a.receive("m2");
    await clock.pass(turnTimeout);
    await expect(first).rejects.toMatchObject({ code: "turn-timeout" });
    expect(a.platform.shown).toEqual(["failed: turn-timeout"]);
    expect(await second).toBe(true);
    expect(a.agent.texts).toEqual(["m2"]);
  });

  it.each([
    ["clear", (a: BotInTest) => a.mapper.reset({ platform: "chat", tenant: "acme", user: "ann" })],
    ["remove", (a: BotInTest) => a.mapper.forget({ platform: "chat", tenant: "acme", user: "ann" })],
    ["rename", (a: BotInTest) => a.mapper.rename({ platform: "chat", tenant: "acme", user: "ann" }, "x")],
  ] as const)("fails an operation whose %s never returns, and the lane goes on", async (member, operate) => {
    const a = bot();
    a.agent.reply = (text) => text;
    a.agent[member] = never;
    await a.receive("m1");
    await settled();
    const operation = expect(operate(a)).rejects.toMatchObject({ code: "turn-timeout" });
    await settled();
    await a.receive("m2");
    await clock.pass(turnTimeout - 1);
    expect(a.agent.texts).toEqual(["m1"]);
    await clock.pass(1);
    await operation;
    expect(a.agent.texts).toEqual(["m1", "m2"]);
  });
});

describe("A turn that fails", () => {
  it("is told, logged without its words, and the next one runs", async () => {
    const a = bot();
    await a.receive("m1", "a secret thing");
    await a.receive("m2");
    await settled();
    a.agent.last.fail(new AparteError("backend-quota", "The quota is used up."));
    await settled();
    expect(a.platform.shown).toEqual(["failed: backend-quota"]);
    expect(a.agent.texts).toEqual(["a secret thing", "m2"]);
    expect(a.log.said).toEqual(["error: a turn failed"]);
    const session = a.agent.last.call.sessionName;
    expect(a.log.lines[0]?.fields).toMatchObject({ session, code: "backend-quota" });
    expect(JSON.stringify(a.log.lines)).not.toContain("secret thing");
    a.agent.last.fail(new Error("raw"));
    await settled();
    expect(a.platform.shown.at(-1)).toBe("failed: backend-failed");
  });

  it("shows also the end of what was said, which might have become a link", async () => {
    const a = bot({ linkHosts: ["acme.com"] });
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "text", delta: "See htt" });
    await settled();
    a.agent.last.fail(new AparteError("backend-failed", "It broke off."));
    await settled();
    expect(a.platform.shown).toEqual(["See htt failed: backend-failed"]);
  });

  it("opens a new conversation once where the service lost it before anything was said", async () => {
    const a = bot();
    await a.receive("m1");
    await settled();
    a.agent.last.fail(new AparteError("conversation-lost", "Gone."));
    await settled();
    expect(a.agent.asked.map(({ call }) => [call.text, call.conversationId])).toEqual([
      ["m1", "c1"],
      ["m1", "c2"],
    ]);
    a.agent.last.fail(new AparteError("conversation-lost", "Gone."));
    await settled();
    expect(a.agent.asked.length).toBe(2);
    expect(a.platform.shown).toEqual(["(new-conversation) failed: conversation-lost"]);
  });

  it("says so in words where a new conversation was opened", async () => {
    const { mapper, agent } = bot();
    const reply = mapper.handle(messageOf("m1"));
    await settled();
    agent.last.fail(new AparteError("conversation-lost", "Gone."));
    await settled();
    agent.last.answer("one");
    const events = [];
    for await (const event of reply) events.push(event);
    expect(events).toEqual([
      {
        ...{ type: "notice", code: "new-conversation" },
        text: "Our earlier conversation is gone, so we start a new one.",
      },
      { type: "message", text: "one" },
    ]);
  });

  it("says that the conversation is gone also where none can be opened: the next turn does not know of it", async () => {
    const a = bot();
    await a.receive("m1");
    await settled();
    a.agent.opening = Promise.reject(new AparteError("backend-unavailable", "Away."));
    a.agent.last.fail(new AparteError("conversation-lost", "Gone."));
    await settled();
    a.agent.opening = Promise.resolve();
    await a.receive("m2");
    await settled();
    a.agent.last.answer("two");
    await settled();
    expect(a.platform.shown).toEqual(["(new-conversation) failed: backend-unavailable", "two"]);
  });

  it("opens none where something was said", async () => {
    const a = bot();
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "text", delta: "beg" });
    await settled();
    a.agent.last.fail(new AparteError("conversation-lost", "Gone."));
    await settled();
    expect(a.agent.asked.length).toBe(1);
    expect(a.platform.shown).toEqual(["beg failed: conversation-lost"]);
  });

  it("is not run where the session's record cannot be read, and nothing is overwritten", async () => {
    const a = bot();
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    const name = a.agent.last.call.sessionName;
    await store.direct.records.set(`session:${name}`, { v: 2 });
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual(["m1", "failed: store-unreadable"]);
    expect(await store.direct.records.get(`session:${name}`)).toEqual({ v: 2 });
    // Also where the platform does not take what the person is told.
    let isAway = true;
    a.platform.beforePost = () => {
      if (isAway) throw new PlatformError({ passes: true });
    };
    await a.receive("m3");
    await settled();
    isAway = false;
    await clock.pass(1_000);
    expect(a.platform.shown.slice(2)).toEqual(["failed: store-unreadable"]);
    expect(a.log.said).not.toContain("error: a turn could not be ended");
    expect(await store.direct.records.get(`session:${name}`)).toEqual({ v: 2 });
  });
});

describe("A successor", () => {
  /** The process dies with what it runs; another one takes over. */
  async function die({ view }: BotInTest): Promise<void> {
    view.intercept = cut;
    await clock.pass(leaseTime + leaseTime / 3);
  }

  it("runs a turn that was not asked", async () => {
    const [a, b] = [bot({ route: never }), bot()];
    await a.receive("m1");
    await settled();
    await die(a);
    expect(b.agent.texts).toEqual(["m1"]);
    // It is one of this process's own now: whoever hands it in again reads along.
    const again = b.mapper.handle(messageOf("m1", "m1", { platform: "chat" })).text();
    await settled();
    b.agent.last.answer("one");
    expect(await again).toBe("one");
    await settled();
    expect(b.platform.shown).toEqual(["one"]);
    // The first one comes back: the turn is another's, which is no failure and nothing to show.
    a.view.intercept = (_, run) => run();
    await clock.pass(grace);
    expect(a.platform.shown).toEqual([]);
    expect(a.log.said).not.toContain("error: a turn failed");
    expect(a.log.said).not.toContain("error: a turn could not be ended");
    // Over is over, also here; and it was the same session.
    await expect(b.mapper.handle(messageOf("m1", "m1", { platform: "chat" })).text()).rejects.toMatchObject({
      code: "duplicate",
    });
    await b.receive("m2");
    await settled();
    const [first, second] = b.agent.asked.map(({ call }) => call.sessionName);
    expect(first).toBe(second);
  });

  it("asks nobody while the store has not heard of it for a lease", async () => {
    const a = bot();
    a.agent.recover = async () => "unknown";
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    let goOn = () => {};
    a.mapper.use(async (_, next) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      await next();
    });
    await a.receive("m2");
    await settled();
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    goOn();
    await clock.pass(leaseTime);
    expect(a.agent.texts).toEqual(["m1"]);
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    expect(a.platform.shown).toEqual(["m1", "m2"]);
  });

  it("has the files of the turns whose words it carries, and says which are lost", async () => {
    const [a, b] = [bot({ overlap: "merge", route: hangs }), bot({ overlap: "merge" })];
    let isStuck = false;
    function hangs(): Promise<undefined> | undefined {
      return isStuck ? never() : undefined;
    }
    const load = async () => new Uint8Array([2]);
    await a.receive("m1");
    await settled();
    isStuck = true;
    await a.receive("m2", "two", { files: [{ name: "a.txt", ref: "f7", load }] });
    await a.receive("m3", "three", { files: [{ name: "b.txt", load }] });
    await a.receive("m4", "four");
    a.agent.last.answer("one");
    await settled();
    await die(a);
    expect(b.agent.texts).toEqual(["two\nthree\nfour"]);
    expect(b.agent.last.call.files.map(({ name }) => name)).toEqual(["a.txt"]);
    b.agent.last.answer("all");
    await settled();
    expect(b.platform.shown).toEqual(["all (answer-lost)"]);
  });

  it("says once that the answer is lost, where the agent cannot be asked for it", async () => {
    const [a, b] = [bot(), bot()];
    await a.receive("m1");
    await a.receive("m2");
    await settled();
    expect((await lane(a))?.running?.phase).toBe("asked");
    await die(a);
    expect(b.platform.shown).toEqual(["(answer-lost)"]);
    expect(b.agent.texts).toEqual(["m2"]);
  });

  it("asks the agent for the answer where it can be asked, with what it had said of the turn", async () => {
    const recovered: unknown[] = [];
    const [a, b] = [bot(), bot()];
    for (const { agent } of [a, b]) {
      agent.recover = async (call) => {
        recovered.push([call.text, call.facts, call.turnId]);
        return (async function* () {
          yield { type: "message", text: "found" } as const;
        })();
      };
    }
    await a.receive("m1");
    await settled();
    expect((await lane(a))?.running?.phase).toBe("taken");
    // Only the last one is written, once nothing more was said for a while.
    a.agent.last.call.note?.({ chat: 6 });
    await clock.pass(200);
    a.agent.last.call.note?.({ chat: 7 });
    const before = a.view.calls.length;
    await clock.pass(249);
    expect((await lane(a))?.running?.phase).toBe("taken");
    await clock.pass(1);
    expect(a.view.calls.slice(before).map(({ name }) => name)).toEqual(["commit"]);
    expect((await lane(a))?.running).toMatchObject({ phase: "asked", known: { chat: 7 } });
    const { turnId } = a.agent.last.call;
    await die(a);
    expect(recovered).toEqual([["m1", { chat: 7 }, turnId]]);
    expect(b.platform.shown).toEqual(["found"]);
    expect(b.agent.asked).toEqual([]);
  });

  it.each([
    ["not-sent", ["m1"], "again"],
    ["unknown", [], "(answer-lost)"],
  ] as const)("goes on with a turn that the agent calls %s", async (recovered, asked, shown) => {
    const [a, b] = [bot(), bot()];
    for (const { agent } of [a, b]) agent.recover = async () => recovered;
    b.agent.reply = () => "again";
    await a.receive("m1");
    await settled();
    await die(a);
    expect(b.agent.texts).toEqual(asked);
    expect(b.platform.shown).toEqual([shown]);
  });

  it.each([
    ["found", ["m2"], "(interrupted)"],
    ["not-sent", ["m1\nm2"], "(interrupted)"],
    ["unknown", ["m2"], "(answer-lost) (interrupted)"],
  ] as const)(
    "is interrupted once the agent has said what it has of the turn: %s",
    async (has, asked, shown) => {
      const [a, b] = [bot({ overlap: "interrupt" }), bot({ overlap: "interrupt" })];
      let say = () => {};
      const said = new Promise<void>((resolve) => (say = resolve));
      a.agent.recover = never;
      b.agent.recover = async () => {
        await said;
        if (has !== "found") return has;
        return (async function* () {
          yield { type: "text", delta: "one" } as const;
          await never();
        })();
      };
      await a.receive("m1");
      await settled();
      await die(a);
      await b.receive("m2");
      await settled();
      expect([b.platform.shown, b.agent.asked]).toEqual([[], []]);
      say();
      await clock.pass(grace);
      expect(b.platform.shown).toEqual([shown]);
      expect(b.agent.texts).toEqual(asked);
    },
  );

  it("asks the agent for a turn only where the store has heard of this process", async () => {
    const [a, b] = [bot(), bot()];
    let goOn = () => {};
    const waits = new Promise<void>((resolve) => (goOn = resolve));
    const asked: string[] = [];
    a.agent.recover = never;
    b.agent.recover = async ({ turnId }) => {
      asked.push(turnId);
      return "unknown";
    };
    b.mapper.use(async (_, next) => {
      await waits;
      return next();
    });
    await a.receive("m1");
    await settled();
    await die(a);
    b.view.intercept = cut;
    await clock.pass(leaseTime);
    goOn();
    await settled();
    expect(asked).toEqual([]);
    b.view.intercept = (_, run) => run();
    await clock.pass(leaseTime / 3);
    expect(asked).toHaveLength(1);
  });

  it("goes on with a turn whose first process cannot note any more what the agent said, and logs nothing", async () => {
    const [a, b] = [bot(), bot()];
    a.agent.recover = b.agent.recover = async () => "unknown";
    await a.receive("m1");
    await settled();
    a.view.intercept = cut;
    a.agent.last.call.note?.({ chat: 7 });
    await clock.pass(leaseTime + leaseTime / 3);
    expect(b.platform.shown).toEqual(["(answer-lost)"]);
    a.view.intercept = (_, run) => run();
    await clock.pass(grace);
    expect(a.log.said).not.toContain("warn: a turn could not be noted");
  });

  it("delivers an answer that was whole, and asks nobody", async () => {
    const [a, b] = [bot(), bot()];
    a.platform.beforePost = () => {
      throw new PlatformError({ passes: true });
    };
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "text", delta: "dra" });
    a.agent.last.say({ type: "status", text: "thinks" });
    a.agent.last.say({ type: "message", text: "one" });
    a.agent.last.answer("two");
    await settled();
    expect((await lane(a))?.running).toMatchObject({
      phase: "answered",
      answer: {
        events: [
          { type: "message", text: "one" },
          { type: "message", text: "two" },
        ],
      },
    });
    await die(a);
    expect(b.platform.shown).toEqual(["one\n\ntwo"]);
    expect(b.agent.asked).toEqual([]);
    expect(await lane(a)).toBeUndefined();
  });

  it("delivers an answer that was whole also where the agent noted something right before", async () => {
    const [a, b] = [bot(), bot()];
    a.platform.beforePost = () => Promise.reject(new PlatformError({ passes: true, retryAfterMs: 60_000 }));
    await a.receive("m1");
    await settled();
    a.agent.last.call.note?.({ chat: 7 });
    a.agent.last.answer("one");
    await clock.pass(250);
    expect((await lane(a))?.running?.phase).toBe("answered");
    await die(a);
    expect(b.platform.shown).toEqual(["one"]);
    expect(b.agent.asked).toEqual([]);
  });

  it("tells a failure that was not delivered as it was", async () => {
    const [a, b] = [bot(), bot()];
    a.platform.beforePost = () => {
      throw new PlatformError({ passes: true });
    };
    await a.receive("m1");
    await settled();
    a.agent.last.fail(new AparteError("backend-quota", "The quota is used up."));
    await clock.pass(2_000);
    await die(a);
    expect(b.platform.shown).toEqual(["failed: backend-quota"]);
  });

  it("gives an agent no leave to send once another process goes on, or before that is known", async () => {
    const [a] = [bot(), bot()];
    await a.receive("m1");
    await settled();
    const { permit } = a.agent.last.call;
    await permit?.();
    let left: unknown;
    await die(a);
    void permit?.().catch((error) => {
      left = error;
    });
    await settled();
    expect(left).toBeUndefined();
    a.view.intercept = (_, run) => run();
    await clock.pass(leaseTime);
    expect(left).toMatchObject({ code: "lease-lost" });
  });

  it("does not run a turn over which ten processes died", async () => {
    const bots = Array.from({ length: 11 }, () => bot({ route: never }));
    const last = bots.at(-1) as BotInTest;
    last.view.intercept = cut;
    await bots[0]?.receive("m1");
    await settled();
    for (const [index, dying] of bots.slice(0, 10).entries()) {
      // The next one alone is there to take over.
      for (const other of bots) if (other !== bots[index + 1]) other.view.intercept = cut;
      const next = bots[index + 1];
      if (next !== undefined) next.view.intercept = (_, run) => run();
      expect(dying.platform.shown).toEqual([]);
      await clock.pass(leaseTime * 2);
    }
    expect(last.platform.shown).toEqual(["failed: answer-lost"]);
    expect(last.agent.asked).toEqual([]);
  });

  it("loads a file again by what the adapter noted, and says where it cannot", async () => {
    const load = async () => new Uint8Array([2]);
    for (const [ref, shown] of [
      ["f7", "one"],
      [undefined, "failed: answer-lost"],
    ] as const) {
      store = new TestStore(clock);
      const [a, b] = [bot({ route: never }), bot()];
      b.agent.reply = () => "one";
      const file = { name: "a.txt", type: "text/plain", load, ...(ref === undefined ? {} : { ref }) };
      await a.receive("m1", "see", { files: [file] });
      await settled();
      await die(a);
      expect(b.platform.shown).toEqual([shown]);
      const [loaded] = b.agent.asked.map(({ call }) => call.files[0]);
      expect(loaded?.name).toBe(ref === undefined ? undefined : "a.txt");
      expect(await loaded?.load?.(AbortSignal.timeout(1_000))).toEqual(ref && new Uint8Array([1]));
      expect(b.platform.loaded).toEqual(ref === undefined ? [] : ["f7"]);
      expect(b.platform.deliveries[0]?.message.files?.map(({ name }) => name)).toEqual(
        ref === undefined ? [] : ["a.txt"],
      );
      await b.mapper.close();
    }
  });

  it("keeps a turn whose answer only its caller could read for its event", async () => {
    const [a, b] = [bot({ route: never }), bot()];
    const lost = a.mapper.handle(messageOf("m1"));
    lost.text().catch(() => {});
    await settled();
    await die(a);
    expect(b.agent.asked).toEqual([]);
    const again = b.mapper.handle(messageOf("m1"));
    await settled();
    b.agent.last.answer("one");
    expect(await again.text()).toBe("one");
  });

  it("asks the agent for the turn of a caller that comes again, and not once more, however often that fails", async () => {
    const [a, b] = [bot(), bot()];
    let tries = 0;
    for (const { agent } of [a, b]) agent.recover = async () => "unknown";
    a.mapper
      .handle(messageOf("m1"))
      .text()
      .catch(() => {});
    await settled();
    expect(a.agent.asked).toHaveLength(1);
    await die(a);
    b.agent.recover = async () => {
      tries += 1;
      if (tries < 3) throw new AparteError("backend-unavailable", "The service is away.");
      return (async function* () {
        yield { type: "message", text: "one" } as const;
      })();
    };
    for (let time = 1; time < 3; time += 1) {
      const error = await b.mapper
        .handle(messageOf("m1"))
        .text()
        .catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: "backend-unavailable", retryable: true });
      await settled();
    }
    expect(await b.mapper.handle(messageOf("m1")).text()).toBe("one");
    expect(tries).toBe(3);
    expect(b.agent.asked).toEqual([]);
  });

  it("goes on with a turn that was interrupted by one that died with it", async () => {
    const [a, b] = [bot({ overlap: "interrupt" }), bot({ overlap: "interrupt" })];
    a.agent.recover = async () => "unknown";
    b.agent.recover = async () =>
      (async function* () {
        yield { type: "message", text: "one" } as const;
      })();
    await a.receive("m1");
    await settled();
    a.view.intercept = async ({ name }, run) => {
      if (name === "commit") a.view.intercept = cut;
      await run();
      throw storeAway();
    };
    a.mapper
      .handle(messageOf("m2", "m2", { platform: "chat" }))
      .text()
      .catch(() => {});
    await settled();
    expect((await lane(a))?.running).toMatchObject({ isInterrupted: true });
    await die(a);
    expect(b.platform.shown).toEqual(["one"]);
  });

  describe("whose caller died while the agent may be at work on it", () => {
    let a: BotInTest;
    let b: BotInTest;
    let looked: RecoverCall[];
    let end: () => void;

    beforeEach(async () => {
      [a, b] = [bot(), bot()];
      looked = [];
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      a.agent.recover = async () => "unknown";
      b.agent.recover = async (call) => {
        looked.push(call);
        return (async function* () {
          call.keep?.("kept");
          call.note?.("noted");
          await ended;
          yield { type: "message", text: "one" } as const;
        })();
      };
      await a.receive("m0");
      await settled();
      a.agent.last.answer("zero");
      await settled();
      a.mapper
        .handle(messageOf("m1", "first", { platform: "chat", context: { plan: "free" } }))
        .text()
        .catch(() => {});
      await settled();
      a.agent.last.call.note?.({ chat: 7 });
      await clock.pass(leaseTime / 3);
      await die(a);
    });

    it("is waited for before the next one is asked, and only so long", async () => {
      const { turnId, conversationId } = a.agent.last.call;
      await b.receive("m2", "next");
      await settled();
      expect(b.agent.asked).toEqual([]);
      expect(looked).toMatchObject([
        { turnId, conversationId, text: "first", context: { plan: "free" }, files: [], facts: { chat: 7 } },
      ]);
      end();
      await settled();
      expect(b.agent.last.call).toMatchObject({ text: "next", conversationId });
      expect(b.agent.last.call.turnId).not.toBe(turnId);
      expect(b.agent.last.call.state).toBeUndefined();
      b.agent.last.answer("two");
      await settled();
      expect(b.platform.shown).toEqual(["two"]);
      expect((await lane(b))?.running).toBeUndefined();
      expect((await lane(b))?.parked).toMatchObject([{ turn: { known: { chat: 7 } } }]);
    });

    it("is waited for with all the words and the context that it carries", async () => {
      const c = bot({ overlap: "merge" });
      c.agent.recover = async () => "unknown";
      const said = (id: string, text: string, context: Record<string, string>) => {
        const message = messageOf(id, text, { platform: "chat", user: "bob", context });
        c.mapper
          .handle(message)
          .text()
          .catch(() => {});
      };
      said("x0", "zero", {});
      await settled();
      said("x1", "one", { plan: "free", at: "work" });
      said("x2", "two", { plan: "paid" });
      await settled();
      c.agent.last.answer("0");
      await settled();
      expect(c.agent.last.call).toMatchObject({ text: "one\ntwo", context: { plan: "paid", at: "work" } });
      await die(c);
      looked = [];
      await b.receive("x3", "next", { user: "bob" });
      await settled();
      expect(looked).toMatchObject([{ text: "one\ntwo", context: { plan: "paid", at: "work" } }]);
    });

    it("is not waited for when a turn's whole time has passed since", async () => {
      await clock.pass(turnTimeout);
      await b.receive("m2", "next");
      await settled();
      expect(b.agent.texts).toEqual(["next"]);
      expect(looked).toEqual([]);
    });

    it("is not waited for any longer once a turn's whole time has passed since", async () => {
      b.agent.recover = ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      b.agent.reply = (text) => `re ${text}`;
      await clock.pass(turnTimeout / 2);
      await b.receive("m2", "next");
      await clock.pass(turnTimeout / 2);
      expect(b.platform.shown).toEqual(["re next"]);
    });

    it("is waited for no longer either where it came again meanwhile, and waits itself", async () => {
      b.agent.recover = ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      b.agent.reply = (text) => `re ${text}`;
      const again = () => {
        const controller = new AbortController();
        const { signal } = controller;
        b.mapper
          .handle(messageOf("m1", "first", { platform: "chat", signal }))
          .text()
          .catch(() => {});
        return () => controller.abort();
      };
      await clock.pass(turnTimeout / 2);
      await b.receive("m2", "next");
      await b.receive("m3", "last");
      const cancel = again();
      await settled();
      cancel();
      await settled();
      again();
      await clock.pass(turnTimeout / 2);
      expect(b.platform.shown).toEqual(["re next", "re last"]);
    });

    it("is not waited for where the service cannot say", async () => {
      const away = () => Promise.reject(new AparteError("backend-unavailable", "The service is away."));
      for (const [index, recover] of [async () => "unknown" as const, away].entries()) {
        b.agent.recover = recover;
        b.agent.reply = (text) => text;
        await b.receive(`n${index}`);
        await settled();
      }
      expect(b.platform.shown).toEqual(["n0", "n1"]);
      expect(b.log.said).toEqual(["warn: an earlier turn's end could not be waited for"]);
    });

    it("is waited for before what the agent knows is cleared, and by nobody who only goes on elsewhere", async () => {
      const { turnId, conversationId } = a.agent.last.call;
      const cleared: string[] = [];
      b.agent.clear = async (call) => void cleared.push(call.conversationId);
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      const reset = b.mapper.reset(ann);
      await settled();
      expect([cleared, looked]).toMatchObject([
        [],
        [{ turnId, conversationId, text: "first", facts: { chat: 7 } }],
      ]);
      end();
      await reset;
      expect(cleared).toEqual([conversationId]);
      await b.mapper.reset(ann, undefined, { keep: true });
      expect(looked).toHaveLength(1);
    });

    it("is waited for also where it came again meanwhile, and waits itself", async () => {
      const cleared: string[] = [];
      b.agent.clear = async (call) => void cleared.push(call.conversationId);
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      let free = () => {};
      const busy = b.mapper.inLane(ann, () => new Promise<void>((resolve) => (free = resolve)));
      await settled();
      const reset = b.mapper.reset(ann);
      const again = b.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await settled();
      free();
      await busy;
      await settled();
      expect([cleared, looked]).toMatchObject([[], [{ text: "first", facts: { chat: 7 } }]]);
      end();
      await reset;
      expect(cleared).toHaveLength(1);
      expect(await again.text()).toBe("one");
    });

    it("interrupts nothing when it comes again, and takes no words along that the agent has not got", async () => {
      const c = bot({ overlap: "interrupt" });
      c.agent.recover = b.agent.recover as NonNullable<TestAgent["recover"]>;
      c.agent.reply = (text) => `re ${text}`;
      await c.receive("m2", "next");
      await settled();
      const again = c.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await settled();
      end();
      expect(await again.text()).toBe("one");
      await settled();
      expect(c.agent.texts).toEqual(["next"]);
      expect(c.platform.shown).toEqual(["re next"]);
    });

    it("carries no words of one that another one interrupted meanwhile", async () => {
      const c = bot({ overlap: "interrupt" });
      c.agent.recover = b.agent.recover as NonNullable<TestAgent["recover"]>;
      c.agent.reply = (text) => `re ${text}`;
      await c.receive("m2", "next");
      await settled();
      const again = c.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await settled();
      await c.receive("m3", "last");
      await settled();
      end();
      expect(await again.text()).toBe("one");
      await settled();
      expect(c.agent.texts).toEqual(["next\nlast"]);
    });

    it("is asked for with what the agent waits for, before that is cleared", async () => {
      b.agent.clear = async () => {};
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      b.agent.recover = async () => "unknown";
      await b.receive("m2", "next");
      await settled();
      b.agent.last.call.keep?.("a question");
      b.agent.last.answer("two");
      await settled();
      b.agent.recover = async (call) => {
        looked.push(call);
        return "unknown";
      };
      await b.mapper.reset(ann);
      expect(looked).toMatchObject([{ state: "a question" }]);
    });

    it("lets nothing be cleared by a process that closed while it waited for it", async () => {
      const cleared: string[] = [];
      b.agent.clear = async (call) => void cleared.push(call.conversationId);
      b.agent.recover = ({ signal }) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve("unknown")));
      const reset = b.mapper.reset({ platform: "chat", tenant: "acme", user: "ann" });
      const told = reset.catch((error: unknown) => error);
      await settled();
      void b.mapper.close({ drainTimeout: 1_000 });
      await clock.pass(1_000);
      expect(await told).toMatchObject({ code: "lease-lost" });
      expect(cleared).toEqual([]);
    });

    it("is asked for at its own agent alone, also where its person has chosen another one since", async () => {
      const other = new TestAgent();
      const c = bot({ agents: { helper: b.agent, other } });
      const foreign: RecoverCall[] = [];
      other.recover = async (call) => {
        foreign.push(call);
        return "unknown";
      };
      other.reply = (text) => `re ${text}`;
      await c.mapper.select({ platform: "chat", tenant: "acme", user: "ann" }, "other");
      await c.receive("m2", "next");
      await settled();
      expect(c.platform.shown).toEqual(["re next"]);
      end();
      expect(await c.mapper.handle(messageOf("m1", "first", { platform: "chat" })).text()).toBe("one");
      expect([other.texts, foreign, looked.length]).toEqual([["next"], [], 1]);
    });

    it.each([
      ["a middleware takes another agent", true, true],
      ["its agent is no longer there", false, true],
      ["its agent is no longer there, and nobody has spoken to the other one", false, false],
    ])("is asked for, and asked, at no other agent, though %s", async (_, isThere, isKnown) => {
      const other = new TestAgent();
      const agents: Record<string, TestAgent> = isThere ? { helper: b.agent, other } : { other };
      const c = bot({ agents });
      const foreign: RecoverCall[] = [];
      other.recover = async (call) => {
        foreign.push(call);
        return "not-sent";
      };
      other.reply = (text) => `re ${text}`;
      c.mapper.use(async (turn, next) => {
        turn.agent = "other";
        await next();
      });
      if (isKnown) await c.receive("m2", "next");
      await settled();
      const again = c.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await expect(again.text()).rejects.toMatchObject({ code: "answer-lost" });
      expect([other.texts, foreign, looked]).toEqual([isKnown ? ["next"] : [], [], []]);
    });

    it("is not asked at its agent any more where its person may not talk to that one by now", async () => {
      const other = new TestAgent();
      const c = bot({ agents: { helper: b.agent, other }, allow: () => ["other"] });
      b.agent.recover = async (call) => {
        looked.push(call);
        return "not-sent";
      };
      b.agent.reply = other.reply = (text) => text;
      const again = c.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await expect(again.text()).rejects.toMatchObject({ code: "answer-lost" });
      expect([b.agent.texts, other.texts, looked]).toEqual([[], [], []]);
    });

    it("is not asked once more where its conversation was left meanwhile", async () => {
      await b.mapper.reset({ platform: "chat", tenant: "acme", user: "ann" }, undefined, { keep: true });
      const again = b.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await expect(again.text()).rejects.toMatchObject({ code: "answer-lost" });
      expect([b.agent.asked, looked]).toEqual([[], []]);
    });

    it("is not asked once more either where its agent cannot be asked for it", async () => {
      const cy = { platform: "chat", tenant: "acme", user: "cy" };
      const [c, d] = [bot(), bot()];
      c.mapper
        .handle(messageOf("m1", "first", cy))
        .text()
        .catch(() => {});
      await settled();
      expect(c.agent.texts).toEqual(["first"]);
      await die(c);
      await d.mapper.reset(cy);
      d.agent.reply = (text) => text;
      const again = d.mapper.handle(messageOf("m1", "first", cy));
      await expect(again.text()).rejects.toMatchObject({ code: "answer-lost" });
      expect(d.agent.asked).toEqual([]);
    });

    it("is no longer kept once its person is forgotten, and its event may come again", async () => {
      await b.mapper.forget({ platform: "chat", tenant: "acme", user: "ann" });
      expect(await lane(a)).toBeUndefined();
      b.agent.reply = (text) => text;
      const again = messageOf("m1", "first", { platform: "chat" });
      expect(await b.mapper.handle(again).text()).toBe("first");
    });

    it("is no longer kept either once its person is forgotten in a turn that goes on", async () => {
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      b.mapper.use(async (_, next) => {
        await b.mapper.forget(ann);
        await next();
      });
      b.agent.reply = (text) => text;
      await b.receive("m2", "next");
      await settled();
      expect(b.platform.shown).toEqual(["next"]);
      expect(await lane(a)).toBeUndefined();
      expect((await b.mapper.export(ann))?.conversations).toEqual({ helper: "c1" });
    });

    it("is no longer kept either once the only agent that can have it has forgotten its person", async () => {
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      const c = bot({ agents: { helper: b.agent, another: new TestAgent() } });
      await c.mapper.forget(ann, "another");
      expect((await lane(a))?.parked).toHaveLength(1);
      await c.mapper.forget(ann, "helper");
      expect(await lane(a)).toBeUndefined();
      expect((await c.mapper.export(ann))?.conversations).toEqual({});
    });

    it.each(["as an operation", "in a turn"])(
      "is no longer kept either once an agent has forgotten its person, where none had it yet, %s",
      async (how) => {
        const cy = { platform: "chat", tenant: "acme", user: "cy" };
        const [c, d] = [bot(), bot()];
        c.mapper.use(never);
        c.mapper
          .handle(messageOf("m1", "first", cy))
          .text()
          .catch(() => {});
        await clock.pass(leaseTime / 3);
        await die(c);
        if (how === "in a turn") {
          d.mapper.use(async () => {
            await d.mapper.forget(cy, "helper");
            await never();
          });
          await d.receive("m2", "next", { user: "cy" });
          await settled();
        } else expect(await d.mapper.forget(cy, "helper")).toMatchObject({ found: false });
        const { commit } = d.view.calls.findLast(({ name }) => name === "commit") ?? {};
        const { document } = await store.direct.read(commit?.lane ?? "");
        expect(document).toEqual(
          how === "in a turn" ? { running: expect.anything(), v: 1, waiting: [] } : undefined,
        );
        expect(await d.mapper.export(cy)).toBeUndefined();
      },
    );

    it("is no longer kept once forget has told so in a turn, also where the turn's process dies then", async () => {
      const ann = { platform: "chat", tenant: "acme", user: "ann" };
      const c = bot();
      b.mapper.use(async () => {
        await b.mapper.forget(ann);
        b.view.intercept = cut;
        await never();
      });
      b.mapper
        .handle(messageOf("m2", "next", { platform: "chat" }))
        .text()
        .catch(() => {});
      await settled();
      await clock.pass(leaseTime * 2);
      expect(JSON.stringify(await lane(a))).not.toContain("first");
      expect(await c.mapper.export(ann)).toBeUndefined();
    });

    it("is not kept once more where it came again, its person was forgotten in it, and it failed", async () => {
      b.mapper.use(async (_, next) => {
        await b.mapper.forget({ platform: "chat", tenant: "acme", user: "ann" });
        await next();
        throw new AparteError("backend-unavailable", "The service is away.");
      });
      b.agent.reply = (text) => text;
      const again = b.mapper.handle(messageOf("m1", "first", { platform: "chat" }));
      await expect(again.text()).rejects.toMatchObject({ retryable: true });
      await settled();
      expect(await lane(a)).toBeUndefined();
    });

    it("holds nobody who stops the turn that waits for it", async () => {
      await b.receive("m2", "next");
      await settled();
      await b.mapper.stop(messageOf("m2", "", { platform: "chat" }));
      end();
      await settled();
      expect(b.agent.asked).toEqual([]);
      expect(b.platform.shown).toEqual(["(stopped)"]);
    });
  });
});

describe("A process that closes", () => {
  it("tells nobody that a message failed which it could not leave at once, and others go on with it", async () => {
    const a = bot();
    const b = bot();
    a.agent.reply = (text) => `re ${text}`;
    b.agent.reply = (text) => `re ${text}`;
    await a.receive("m1");
    await clock.pass(1_000);
    a.view.intercept = (call, run) => (call.name === "beat" ? Promise.reject(storeAway()) : run());
    const closed = a.mapper.close();
    expect(await a.receive("m2")).toBe(true);
    await clock.pass(100);
    a.view.intercept = (_, run) => run();
    await closed;
    await clock.pass(leaseTime * 2);
    expect([a.platform.shown, b.platform.shown]).toEqual([["re m1"], ["re m2"]]);
  });

  it("tells those who read here that it does", async () => {
    const { mapper, agent } = bot();
    mapper.handle(messageOf("m1"));
    const waits = expect(mapper.handle(messageOf("m2")).text()).rejects.toMatchObject({
      ...{ code: "closed", message: "Another process goes on with the turn." },
    });
    await settled();
    const closed = mapper.close();
    await waits;
    agent.last.answer("one");
    await closed;
  });

  it("ends what runs, and leaves what waits and what comes to others", async () => {
    const [a, b] = [bot(), bot()];
    b.agent.reply = (text) => text;
    await a.receive("m1");
    await a.receive("m2");
    await settled();
    const closed = a.mapper.close();
    await settled();
    expect(await a.receive("m3")).toBe(true);
    // Nothing runs before it in its lane.
    expect(await a.receive("m4", "m4", { user: "bob" })).toBe(true);
    await clock.pass(leaseTime / 3);
    expect(b.agent.texts).toEqual(["m4"]);
    a.agent.last.answer("one");
    await clock.pass(leaseTime / 3);
    await closed;
    await expect(a.receive("m5")).rejects.toMatchObject({ code: "closed" });
    expect(a.agent.texts).toEqual(["m1"]);
    expect(a.platform.shown).toEqual(["one", "failed: closed"]);
    expect(b.platform.shown).toEqual(["m4", "m2", "m3"]);
  });

  it("leaves to others also what it has taken over, and what comes to run", async () => {
    const [a, b] = [bot(), bot()];
    await b.receive("m1");
    await a.receive("m2");
    await settled();
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect((await lane(b))?.waiting).toMatchObject([{ isAdopted: true }]);
    const c = bot();
    c.agent.reply = (text) => text;
    await settled();
    const closed = b.mapper.close();
    await settled();
    b.agent.last.answer("one");
    await clock.pass(leaseTime / 3);
    expect(b.agent.texts).toEqual(["m1"]);
    await closed;
    expect(c.agent.texts).toEqual(["m2"]);
    expect(c.platform.shown).toEqual(["m2"]);
  });

  it("ends what it was taking", async () => {
    const [a, b] = [bot(), bot()];
    let write = () => {};
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      a.view.intercept = (_, again) => again();
      await new Promise<void>((resolve) => {
        write = resolve;
      });
      return run();
    };
    const taken = a.receive("m1");
    await settled();
    const closed = a.mapper.close();
    await settled();
    write();
    expect(await taken).toBe(true);
    await settled();
    a.agent.last.answer("one");
    await closed;
    expect(a.platform.shown).toEqual(["one"]);
    expect(b.agent.asked).toEqual([]);
  });

  it("says so where it cannot leave what waits to others", async () => {
    const a = bot();
    await a.receive("m1");
    await a.receive("m2");
    await settled();
    a.view.intercept = (call, run) => (call.name === "beat" ? cut(call, run) : run());
    const closed = a.mapper.close({ drainTimeout: 1_000 });
    await settled();
    expect(a.log.said).toContain("warn: waiting turns could not be left");
    await clock.pass(1_000);
    await closed;
  });

  it("takes nothing new where its store keeps nothing for others", async () => {
    const a = bot({ store: store.view({ durable: false }) });
    await a.receive("m1");
    await settled();
    const closed = a.mapper.close();
    await expect(a.receive("m2")).rejects.toMatchObject({ code: "closed" });
    a.agent.last.answer("one");
    await closed;
    expect(a.platform.shown).toEqual(["failed: closed", "one"]);
  });

  it("leaves an answer that its platform does not take to others", async () => {
    const [a, b] = [bot(), bot()];
    a.platform.beforePost = () => {
      throw new PlatformError({ passes: true, retryAfterMs: 60_000 });
    };
    await a.receive("m1");
    await settled();
    a.agent.last.answer("one");
    await settled();
    const closed = a.mapper.close();
    await clock.pass(leaseTime / 3);
    await closed;
    expect(b.platform.shown).toEqual(["one"]);
    expect(b.agent.asked).toEqual([]);
  });

  it("leaves an answer at once, also while it waits for other turns to end", async () => {
    const [a, b] = [bot(), bot()];
    a.platform.beforePost = () => Promise.reject(new PlatformError({ passes: true }));
    await a.receive("m1", "m1", { user: "bob" });
    await a.receive("m1");
    await settled();
    a.agent.last.answer("one");
    await settled();
    const closed = a.mapper.close();
    await clock.pass(leaseTime / 3);
    expect(b.platform.shown).toEqual(["one"]);
    expect(a.agent.asked[0]?.call.signal.aborted).toBe(false);
    a.agent.asked[0]?.answer("bob's");
    await clock.pass(leaseTime / 3);
    await closed;
    expect(b.platform.shown).toEqual(["one", "bob's"]);
  });

  it("takes back what is cancelled while it is left, and logs no failure", async () => {
    const [a, b] = [bot(), bot()];
    a.mapper.handle(messageOf("m1"));
    const second = a.mapper.handle(messageOf("m2"));
    await settled();
    let isFirst = true;
    a.view.intercept = async (call, run) => {
      if (call.name === "commit" && isFirst) {
        isFirst = false;
        second.cancel();
        await settled();
        throw storeAway();
      }
      return run();
    };
    const closed = a.mapper.close();
    await clock.pass(100);
    expect(isFirst).toBe(false);
    a.agent.last.answer("one");
    await clock.pass(storeTimeout);
    await closed;
    expect(a.log.said).toEqual([]);
    expect(await lane(a)).toBeUndefined();
    expect(await b.mapper.handle(messageOf("m2")).taken).toBe(true);
  });

  it("leaves an answer that comes after that, and that its platform does not take or is slow with", async () => {
    const refuse = () => Promise.reject(new PlatformError({ passes: true }));
    for (const platform of [{ beforePost: refuse }, { beforePost: never }, { deliver: refuse }]) {
      store = new TestStore(clock);
      const [a, b] = [bot(), bot()];
      Object.assign(a.platform, platform);
      await a.receive("m1");
      await settled();
      const closed = a.mapper.close({ drainTimeout: 2_000 });
      await settled();
      a.agent.last.answer("one");
      await settled();
      expect((await lane(a))?.running?.phase).toBe("answered");
      await clock.pass(2_000 + leaseTime / 3);
      await closed;
      expect(b.platform.shown).toEqual(["one"]);
      expect(b.agent.asked).toEqual([]);
      await b.mapper.close();
    }
  });

  it("leaves an answer with the time at which it was whole", async () => {
    const a = bot();
    a.platform.beforePost = () => Promise.reject(new PlatformError({ passes: true }));
    await a.receive("m1");
    await settled();
    a.agent.last.answer("one");
    await settled();
    const whole = store.now();
    await clock.pass(5_000);
    await a.mapper.close();
    expect((await lane(a))?.running?.answer).toMatchObject({ at: whole });
  });

  it("tells those whom it refused before it ends", async () => {
    const a = bot({ overlap: "reject" });
    await a.receive("m1");
    await settled();
    let show = () => {};
    a.platform.beforePost = ({ id }) =>
      id === "m2" ? new Promise<void>((resolve) => (show = resolve)) : undefined;
    await a.receive("m2");
    a.agent.last.answer("one");
    let isClosed = false;
    const closed = a.mapper.close().then(() => {
      isClosed = true;
    });
    await settled();
    expect([isClosed, a.platform.shown]).toEqual([false, ["one"]]);
    show();
    await closed;
    expect(a.platform.shown).toEqual(["one", "(busy)"]);
  });

  it("tells those who were stopped while they waited before it ends", async () => {
    const a = bot();
    await a.receive("m1");
    const stop = new AbortController();
    await a.receive("m2", "m2", { signal: stop.signal });
    await settled();
    let show = () => {};
    a.platform.beforePost = ({ id }) =>
      id === "m2" ? new Promise<void>((resolve) => (show = resolve)) : undefined;
    stop.abort();
    await settled();
    a.agent.last.answer("one");
    let isClosed = false;
    const closed = a.mapper.close().then(() => {
      isClosed = true;
    });
    await settled();
    expect([isClosed, a.platform.shown]).toEqual([false, ["one"]]);
    show();
    await closed;
    expect(a.platform.shown).toEqual(["one", "(stopped)"]);
  });

  it("waits no longer than it may, and then all replies have ended", async () => {
    const { mapper } = bot();
    const reply = mapper.handle(messageOf("m1"));
    const text = expect(reply.text()).rejects.toMatchObject({ code: "lease-lost" });
    await settled();
    const closed = mapper.close({ drainTimeout: 1_000 });
    await clock.pass(999);
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    await settled();
    expect(isClosed).toBe(false);
    await clock.pass(1);
    await closed;
    await text;
  });
});
