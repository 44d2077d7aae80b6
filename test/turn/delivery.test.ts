import type { Delivery } from "aparte/adapter";
import { beforeEach, describe, expect, it } from "vitest";
import type { LaneDocument } from "../../src/lane/machine.ts";
import { plainTexts } from "../../src/texts/texts.ts";
import { Closing } from "../../src/turn/closing.ts";
import { Deliverer } from "../../src/turn/delivery.ts";
import { ReplyLog } from "../../src/turn/reply-log.ts";
import { type BotInTest, botOf, messageOf, PlatformError, TestAgent } from "../support/bot.ts";
import { leaseTime, newTurn, ownerOf, storeTimeout } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, doneUnheard, TestStore } from "../support/test-store.ts";

const turnTimeout = 60_000;
const undeliveredTime = 600_000;

let clock: TestClock;
let store: TestStore;
let a: BotInTest;
/** When the platform was tried, by the clock. */
let tried: number[];

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
  a = bot();
});

function bot(): BotInTest {
  const agent = new TestAgent();
  agent.reply = (text) => `re ${text}`;
  return botOf(clock, store, { agent, turnTimeout, undeliveredTime });
}

/** The platform fails so often, and then takes the answer. */
function failing(times: number, failure: { passes: boolean; retryAfterMs?: number }): void {
  tried = [];
  a.platform.beforePost = () => {
    tried.push(clock.now());
    if (tried.length <= times) throw new PlatformError(failure);
  };
}

async function running(): Promise<LaneDocument["running"]> {
  const { document } = await store.direct.read(a.agent.last.call.sessionName);
  return (document as unknown as LaneDocument | undefined)?.running;
}

describe("An answer that the platform does not take", () => {
  it("is delivered again, after pauses that double up to half a minute", async () => {
    failing(9, { passes: true });
    await a.receive("m1");
    await clock.pass(200_000);
    const pauses = tried.slice(1).map((at, index) => at - (tried[index] ?? 0));
    // Chance is a half here, so that seven eighths of each pause are left.
    expect(pauses).toEqual([437.5, 875, 1_750, 3_500, 7_000, 14_000, 26_250, 26_250, 26_250]);
    expect(a.platform.shown).toEqual(["re m1"]);
    expect(a.agent.texts).toEqual(["m1"]);
    expect(await running()).toBeUndefined();
  });

  it("is logged once, without its words", async () => {
    failing(3, { passes: true });
    await a.receive("m1");
    await clock.pass(10_000);
    expect(a.log.said).toEqual(["warn: an answer could not be delivered"]);
    expect(a.log.lines[0]?.fields).toEqual({ platform: "chat", willTryAgain: true, error: "Error" });
    expect(Object.keys(a.log.lines[0]?.fields ?? {})).not.toContain("reason");
    expect(JSON.stringify(a.log.lines)).not.toContain("re m1");
  });

  it("is logged with the platform's reason", async () => {
    a.platform.failure = () => ({ passes: true, reason: "Missing Access" });
    failing(1, { passes: true });
    await a.receive("m1");
    await clock.pass(1_000);
    expect(a.log.lines[0]?.fields).toMatchObject({ reason: "Missing Access" });
  });

  it("is watched for by nobody once it was delivered", async () => {
    const watching = new Set<object>();
    const closing = new (class extends Closing {
      override watch(wake: () => void): () => void {
        const unwatch = super.watch(wake);
        watching.add(wake);
        return () => watching.delete(wake) && unwatch();
      }
    })();
    let tries = 0;
    const log = new ReplyLog();
    const deliverer = new Deliverer({
      adapter: {
        platform: "chat",
        deliver: async () => {
          tries += 1;
          if (tries < 3) throw new Error("away");
        },
      },
      ...{ message: messageOf("m1"), taken: Promise.resolve(true), closing, log, texts: plainTexts },
      settings: { clock, logger: a.log, onError() {}, turnTimeout, undeliveredTime },
    });
    log.end();
    const run = deliverer.run();
    await settled();
    expect(watching.size).toBe(1);
    const taken = await ownerOf(clock, store).owner.lane("lane").take(newTurn("q1"), 1, storeTimeout);
    if (taken.is !== "taken") throw new Error("Nothing stands in its way.");
    const whole = deliverer.whole(taken.place, undefined, true);
    await clock.pass(2_000);
    expect([await run, await whole]).toEqual(["shown", "shown"]);
    expect([tries, watching.size]).toEqual([3, 0]);
  });

  it("is delivered again when the platform says, and not earlier", async () => {
    failing(1, { passes: true, retryAfterMs: 90_000 });
    await a.receive("m1");
    await clock.pass(89_999);
    expect(tried).toEqual([0]);
    await clock.pass(1);
    expect(tried).toEqual([0, 90_000]);
    expect(a.platform.shown).toEqual(["re m1"]);
  });

  it("is counted as passing where the adapter does not say", async () => {
    tried = [];
    Object.assign(a.platform, { failure: undefined });
    a.platform.beforePost = () => {
      tried.push(clock.now());
      if (tried.length === 1) throw undefined;
    };
    await a.receive("m1");
    await clock.pass(1_000);
    expect(a.platform.shown).toEqual(["re m1"]);
  });

  it("is counted as passing where the adapter fails at saying what it means, and the log says so", async () => {
    failing(1, { passes: false });
    a.platform.failure = () => {
      throw new TypeError("the adapter's own mistake");
    };
    await a.receive("m1");
    await a.receive("m2");
    await clock.pass(1_000);
    expect(a.platform.shown).toEqual(["re m1", "re m2"]);
    expect(a.log.said).toEqual([
      "error: an adapter could not tell what a failure means",
      "warn: an answer could not be delivered",
    ]);
    expect(a.log.lines[0]?.fields).toMatchObject({ error: "TypeError" });
  });

  it("keeps the next one of its lane waiting, and lets those of others go on", async () => {
    failing(1, { passes: true, retryAfterMs: 200_000 });
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    await a.receive("m1", "bob's", { user: "bob" });
    await clock.pass(199_999);
    expect(a.platform.shown).toEqual(["re bob's"]);
    await clock.pass(1);
    expect(a.platform.shown).toEqual(["re bob's", "re m1", "re m2"]);
  });

  it("is written down at once, so that a kill costs nothing", async () => {
    failing(1, { passes: true, retryAfterMs: 60_000 });
    await a.receive("m1");
    await settled();
    expect(await running()).toMatchObject({
      phase: "answered",
      answer: { events: [{ type: "message", text: "re m1" }], at: store.now() },
    });
    const b = bot();
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["re m1"]);
    expect(b.agent.asked).toEqual([]);
  });

  it("is written down after a moment where the platform is slow, once, and never where it is quick", async () => {
    let show = () => {};
    a.platform.beforePost = () => new Promise((resolve) => (show = resolve));
    await a.receive("m1");
    await clock.pass(1_999);
    expect((await running())?.phase).toBe("asked");
    await clock.pass(1);
    expect(await running()).toMatchObject({ phase: "answered", answer: { at: store.now() } });
    show();
    await settled();
    failing(0, { passes: true });
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual(["re m1", "re m2"]);
    const written = a.view.calls.map(
      ({ commit }) => (commit?.document as unknown as LaneDocument | undefined)?.running?.phase,
    );
    expect(written.filter((phase) => phase === "answered").length).toBe(1);
  });

  it("is heard of by its platform when the person was told, where the store did not take the message", async () => {
    failing(2, { passes: true });
    a.view.intercept = cut;
    let heard: unknown;
    const received = a.receive("m1").catch((error) => {
      heard = error;
    });
    await clock.pass(storeTimeout + 437.5);
    expect([tried.length, heard]).toEqual([2, undefined]);
    await clock.pass(875);
    await received;
    expect(a.platform.shown).toEqual(["failed: store-failed"]);
    expect(heard).toMatchObject({ code: "store-failed" });
  });

  it("comes from another process where the store took the message all the same, and its own died before it told", async () => {
    const b = bot();
    a.platform.beforePost = () => new Promise(() => {});
    a.view.intercept = doneUnheard;
    a.receive("m1").catch(() => {});
    await clock.pass(storeTimeout);
    // It has heard that the store failed, and tells.
    expect(a.platform.deliveries.length).toBe(1);
    a.view.intercept = (_, run) => run();
    expect(await b.receive("m1")).toBe(false);
    await clock.pass(1_000);
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["re m1"]);
  });

  it("is posted no more by a process that closes and could not leave it to others at first", async () => {
    failing(1, { passes: true });
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    a.view.intercept = cut;
    const closed = a.mapper.close();
    await settled();
    a.view.intercept = (_, run) => run();
    store.tellAll(undefined);
    await clock.pass(30_000);
    await closed;
    const b = bot();
    await clock.pass(leaseTime);
    expect(tried.length).toBe(1);
    expect(b.platform.deliveries.map(({ delivery }) => delivery.isRepeated)).toEqual([true, false]);
    expect(b.platform.shown).toEqual(["re m1", "re m2"]);
  });

  it("comes from no other process where its own closes, and has told that it did not take the message", async () => {
    const b = bot();
    let show = () => {};
    a.platform.beforePost = () => new Promise((resolve) => (show = resolve));
    a.view.intercept = doneUnheard;
    a.receive("m1").catch(() => {});
    await clock.pass(storeTimeout);
    a.view.intercept = (_, run) => run();
    const closed = a.mapper.close();
    show();
    await clock.pass(1_000);
    await closed;
    expect(a.platform.shown).toEqual(["failed: store-failed"]);
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual([]);
    expect(b.agent.asked).toEqual([]);
  });

  it("comes from another process where its own closes, and could not tell that it did not take the message", async () => {
    for (const isSilent of [false, true]) {
      const key = `m${isSilent}`;
      const [own, other] = [bot(), bot()];
      own.platform.beforePost = async () => {
        if (isSilent) await new Promise(() => {});
        throw new PlatformError({ passes: true });
      };
      own.view.intercept = doneUnheard;
      own.receive(key).catch(() => {});
      await clock.pass(storeTimeout);
      own.view.intercept = (_, run) => run();
      void own.mapper.close();
      await clock.pass(leaseTime * 4);
      expect(own.platform.shown).toEqual([]);
      expect([...other.platform.shown, ...a.platform.shown]).toContain(`re ${key}`);
      await other.mapper.close();
    }
  });

  it("is written down, where a middleware yielded what no store can keep: the turn fails, and the next one runs", async () => {
    a.mapper.use(async function* (turn, next) {
      yield* next();
      if (turn.text === "m1") yield { type: "handoff", detail: 7n };
    });
    failing(1, { passes: true });
    a.view.intercept = async ({ commit }, run) => {
      JSON.stringify(commit);
      return run();
    };
    await a.receive("m1");
    await clock.pass(5_000);
    a.receive("m2").catch(() => {});
    await clock.pass(5_000);
    expect(a.platform.shown).toEqual(["re m1 failed: hook-failed", "re m2"]);
  });

  it("is waited for at the end only as long as it takes, where its message is taken when it comes again", async () => {
    a.view.intercept = async (call, run) => (call.name === "commit" ? cut(call, run) : run());
    a.receive("m1").catch(() => {});
    await clock.pass(storeTimeout);
    expect(a.platform.shown).toEqual(["failed: store-failed"]);
    // By its clock the store may do for three seconds more what it was asked for.
    store.jump(-3_000);
    let take = () => {};
    a.view.intercept = async (call, run) => {
      if (call.name === "commit") await new Promise<void>((resolve) => (take = resolve));
      return run();
    };
    await clock.pass(2_900);
    const again = a.receive("m1");
    await clock.pass(1_000);
    a.view.intercept = (_, run) => run();
    take();
    expect(await again).toBe(true);
    await settled();
    expect(a.platform.shown.at(-1)).toBe("re m1");
    let isClosed = false;
    void a.mapper.close().then(() => {
      isClosed = true;
    });
    await clock.pass(1_000);
    expect(isClosed).toBe(true);
  });
});

describe("An answer that is given up", () => {
  it("at once where the platform will never take it: the person is told with the next turn, once", async () => {
    failing(1, { passes: false });
    await a.receive("m1");
    await settled();
    expect(await running()).toBeUndefined();
    expect(a.log.said).toEqual([
      "warn: an answer could not be delivered",
      "error: an answer was given up: the platform did not take it",
    ]);
    expect(a.log.lines.map(({ fields }) => fields)).toMatchObject([
      { willTryAgain: false },
      { why: "refused", session: a.agent.last.call.sessionName },
    ]);
    const told: string[] = [];
    a.platform.deliver = async (_, delivery) => {
      for await (const event of delivery) if (event.type === "notice") told.push(event.text);
    };
    await a.receive("m2");
    await a.receive("m3");
    await settled();
    expect(told).toEqual(["My last answer could not be delivered. Here it is:\n\nre m1"]);
  });

  it("is told on the platform alone, and kept until then", async () => {
    failing(1, { passes: false });
    await a.receive("m1");
    await settled();
    const ann = { platform: "chat", tenant: "acme", user: "ann" };
    expect(await a.mapper.handle({ ...ann, id: "m2", text: "m2" }).text()).toBe("re m2");
    await a.receive("m3");
    await settled();
    expect(a.platform.shown).toEqual(["re m3 (undelivered)"]);
  });

  it("is not repeated in another place, whose readers are others", async () => {
    failing(1, { passes: false });
    await a.receive("m1", "m1", { channel: "c1" });
    await settled();
    const told: string[] = [];
    a.platform.deliver = async (_, delivery) => {
      for await (const event of delivery) if (event.type === "notice") told.push(event.text);
    };
    await a.receive("m2", "m2", { channel: "c2" });
    await settled();
    expect(told).toEqual(["My last answer to you could not be delivered. Ask again, and I will repeat it."]);
  });

  it("when its time is over, and not before", async () => {
    failing(1_000, { passes: true, retryAfterMs: 200_000 });
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    await clock.pass(undeliveredTime - 1);
    expect(a.agent.texts).toEqual(["m1"]);
    await clock.pass(1);
    // The last one is the next turn's.
    expect(tried).toEqual([0, 200_000, 400_000, 600_000, 600_000]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    expect(a.log.lines.map(({ fields }) => fields)).toContainEqual(expect.objectContaining({ why: "late" }));
  });

  it("when its time is over, also where it says that the message was not taken", async () => {
    failing(1_000, { passes: true, retryAfterMs: 200_000 });
    a.view.intercept = cut;
    const received = expect(a.receive("m1")).rejects.toMatchObject({ code: "store-failed" });
    await clock.pass(storeTimeout + undeliveredTime);
    await received;
    expect(tried.map((at) => at - storeTimeout)).toEqual([0, 200_000, 400_000, 600_000]);
    await clock.pass(undeliveredTime);
    expect(tried.length).toBe(4);
  });

  it("has its time from when it was whole, also with a successor", async () => {
    failing(1_000, { passes: true, retryAfterMs: 250_000 });
    const b = bot();
    await a.receive("m1");
    await clock.pass(3_000);
    a.view.intercept = cut;
    b.platform.beforePost = () => {
      tried.push(clock.now());
      throw new PlatformError({ passes: true, retryAfterMs: 300_000 });
    };
    await clock.pass(leaseTime * 2);
    tried = [];
    await clock.pass(undeliveredTime - 3_000 - leaseTime * 2 - 1);
    expect(tried.length).toBe(1);
    // One more would come after ten minutes.
    await clock.pass(1);
    await clock.pass(turnTimeout);
    expect(tried.length).toBe(1);
    expect(b.log.lines.map(({ fields }) => fields)).toContainEqual(expect.objectContaining({ why: "late" }));
  });

  it("is not told where there was no answer", async () => {
    failing(1, { passes: false });
    a.agent.reply = undefined;
    await a.receive("m1");
    await settled();
    a.agent.last.fail(new Error("raw"));
    await settled();
    a.agent.reply = (text) => text;
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual(["m2"]);
  });
});

describe("A delivery", () => {
  it("that never returns is tried again, once the answer is whole and turnTimeout is over", async () => {
    const deliveries: Delivery[] = [];
    const deliver = a.platform.deliver.bind(a.platform);
    a.platform.deliver = (message, delivery) => {
      deliveries.push(delivery);
      return deliveries.length === 1 ? new Promise(() => {}) : deliver(message, delivery);
    };
    a.agent.reply = undefined;
    await a.receive("m1");
    await clock.pass(turnTimeout - 1_000);
    a.agent.last.answer("one");
    await clock.pass(turnTimeout - 1);
    expect(deliveries.length).toBe(1);
    await clock.pass(1_000);
    expect(a.platform.shown).toEqual(["one"]);
    const [first] = deliveries;
    // Whatever the adapter still does for the first one comes to nothing.
    await expect(first?.permit()).rejects.toMatchObject({ code: "lease-lost" });
    first?.posted(["late"]);
    expect(deliveries[1]?.posts).toBeUndefined();
  });

  it("that fails while the answer comes is tried again once it is whole", async () => {
    tried = [];
    const deliver = a.platform.deliver.bind(a.platform);
    a.platform.deliver = async (message, delivery) => {
      tried.push(clock.now());
      if (tried.length === 1) throw new PlatformError({ passes: true });
      await deliver(message, delivery);
    };
    a.agent.reply = undefined;
    await a.receive("m1");
    await clock.pass(20_000);
    expect([tried, a.log.said]).toEqual([[0], []]);
    a.agent.last.answer("one");
    await clock.pass(437.5);
    expect(tried).toEqual([0, 20_437.5]);
    expect(a.platform.shown).toEqual(["one"]);
  });

  it("goes on where its adapter says what stands there in what no store can keep, and the log says so", async () => {
    a.view.intercept = async ({ commit }, run) => {
      JSON.stringify(commit);
      return run();
    };
    a.platform.beforePost = ({ id }, delivery) => {
      delivery.posted([7n] as never);
      if (id === "m1" && !delivery.isRepeated) throw new PlatformError({ passes: true });
    };
    await a.receive("m1");
    await clock.pass(5_000);
    a.receive("m2").catch(() => {});
    await clock.pass(5_000);
    expect(a.platform.shown).toEqual(["re m1", "re m2"]);
    const line = "error: an adapter told in what is no JSON what was posted, so that it is not written";
    expect(a.log.said).toContain(line);
  });

  it("goes on where it cannot be written what stands there, and the log says so", async () => {
    let show = () => {};
    a.platform.beforePost = (_, delivery) => {
      delivery.posted(["p1"]);
      return new Promise((resolve) => (show = resolve));
    };
    a.agent.reply = undefined;
    await a.receive("m1");
    await settled();
    const { sessionName: lane } = a.agent.last.call;
    const { version } = await store.direct.read(lane);
    await store.direct.commit({ lane, version, document: { v: 2 }, until: store.now() + 1 });
    a.agent.last.answer("one");
    await clock.pass(1);
    expect(a.log.said).toEqual([
      "error: a lane cannot be read",
      "warn: it could not be written what was posted",
    ]);
    show();
    await settled();
    expect(a.platform.shown).toEqual(["one"]);
  });

  it("knows what stands on the platform already, in this process and the next one", async () => {
    const seen: unknown[] = [];
    a.platform.beforePost = (_, delivery) => {
      seen.push([delivery.posts, delivery.isRepeated]);
      delivery.posted([`p${seen.length}`]);
      throw new PlatformError({ passes: true });
    };
    const b = bot();
    b.platform.beforePost = (_, delivery) => {
      seen.push([delivery.posts, delivery.isRepeated]);
    };
    await a.receive("m1");
    await clock.pass(500);
    expect(seen).toEqual([
      [undefined, false],
      [["p1"], true],
    ]);
    expect((await running())?.posts).toEqual(["p2"]);
    // Each is written once: the first one with the answer.
    const written = a.view.calls.map(
      ({ commit }) => (commit?.document as unknown as LaneDocument | undefined)?.running?.posts,
    );
    expect(written.filter((posts) => posts !== undefined)).toEqual([["p1"], ["p2"]]);
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["re m1"]);
    expect(seen.at(-1)).toEqual([["p2"], true]);
  });

  it("writes what stands there with the end, where it ends at once", async () => {
    a.platform.beforePost = (_, delivery) => delivery.posted(["p1"]);
    const before = a.view.calls.length;
    a.agent.recover = async () => "unknown";
    await a.receive("m1");
    await settled();
    await a.receive("m2");
    await settled();
    await clock.pass(1_000);
    const commits = a.view.calls.slice(before).filter(({ commit }) => commit !== undefined);
    // The first turn opens the conversation with two more.
    expect(commits.length).toBe(6);
    expect(a.log.said).toEqual([]);
  });

  it("sends nothing while the store has not heard of the process for a lease", async () => {
    a.agent.reply = undefined;
    await a.receive("m1");
    await settled();
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    a.agent.last.answer("one");
    await clock.pass(30_000);
    expect(a.platform.shown).toEqual([]);
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(a.platform.shown).toEqual(["one"]);
  });

  it("that fails once the reply is another process's is not tried again, and not told", async () => {
    let fail = () => {};
    tried = [];
    a.platform.beforePost = () => {
      tried.push(clock.now());
      return new Promise((_, reject) => (fail = () => reject(new PlatformError({ passes: true }))));
    };
    await a.receive("m1");
    await clock.pass(3_000);
    const b = bot();
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["re m1"]);
    a.view.intercept = (_, run) => run();
    await clock.pass(leaseTime);
    const commits = () => a.view.calls.filter(({ name }) => name === "commit").length;
    const before = [a.log.said.length, commits()];
    fail();
    await clock.pass(60_000);
    expect(tried).toEqual([0]);
    expect([a.log.said.length, commits()]).toEqual(before);
  });

  it("is told of what was not taken, too", async () => {
    a.agent.reply = undefined;
    expect(await a.receive("m1")).toBe(true);
    const taken: boolean[] = [];
    const deliver = a.platform.deliver.bind(a.platform);
    a.platform.deliver = async (message, delivery) => {
      taken.push(await delivery.taken);
      await deliver(message, delivery);
    };
    expect(await a.receive("m1")).toBe(false);
    await a.receive("m2");
    await settled();
    expect(taken).toEqual([true]);
  });
});
