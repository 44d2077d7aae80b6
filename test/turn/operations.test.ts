import type { MapperOptions, Speaker } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import type { FoundLane } from "../../src/stores/store.ts";
import { type BotInTest, botOf, PlatformError } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };

const second = 1_000;
const minute = 60 * second;

let clock: TestClock;
let store: TestStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
});

function bot(options: Partial<MapperOptions> = {}): BotInTest {
  return botOf(clock, store, options);
}

describe("An operation on a session", () => {
  it("keeps nothing where there was nothing to forget, also in a turn", async () => {
    const { mapper, receive } = bot();
    mapper.use(async () => {
      await mapper.forget(ann, "helper");
    });
    await receive("m1");
    await settled();
    for await (const session of mapper.sessions()) expect(session).toBeUndefined();
  });

  it.each(["has ended", "is being ended"])(
    "forgets also what is kept of a turn that did not wait for it, and %s by then",
    async (when) => {
      const { mapper, agent, view, receive } = bot();
      agent.reply = (text) => `re ${text}`;
      await receive("m1");
      await settled();
      const removals: (() => void)[] = [];
      agent.remove = () => new Promise<void>((resolve) => removals.push(resolve));
      let forgot: Promise<unknown> | undefined;
      mapper.use(async (_, next) => {
        forgot = mapper.forget(ann);
        await next();
      });
      const writes: (() => void)[] = [];
      view.intercept = async ({ name }, run) => {
        const isHeld = when === "is being ended" && name === "commit" && agent.asked.length === 2;
        if (isHeld) await new Promise<void>((resolve) => writes.push(resolve));
        return run();
      };
      await receive("m2");
      await settled();
      expect(agent.texts).toEqual(["m1", "m2"]);
      agent.remove = async () => {};
      for (const remove of removals) remove();
      await settled();
      view.intercept = (_, run) => run();
      for (const write of writes) write();
      await settled();
      expect(await Promise.race([forgot, "waits"])).toMatchObject({ conversations: { helper: "erased" } });
      expect(await mapper.export(ann)).toBeUndefined();
    },
  );

  it("keeps what is changed in a turn while the store writes what was forgotten", async () => {
    const { mapper, view, receive } = bot();
    let write = () => {};
    mapper.use(async () => {
      view.intercept = async ({ name }, run) => {
        if (name === "commit") await new Promise<void>((resolve) => (write = resolve));
        return run();
      };
      const forgot = mapper.forget(ann);
      await settled();
      view.intercept = (_, run) => run();
      await mapper.select(ann, "helper");
      write();
      await forgot;
    });
    await receive("m1");
    await settled();
    await settled();
    expect(await mapper.export(ann)).toMatchObject({ agent: "helper" });
  });

  it("is over when what it changed is written, and leaves no timer", async () => {
    const { mapper, view } = bot();
    await settled();
    const before = clock.planned.length;
    let write = () => {};
    view.intercept = async ({ commit }, run) => {
      if (commit?.document === undefined) await new Promise<void>((resolve) => (write = resolve));
      return run();
    };
    let isOver = false;
    const paused = mapper.pause(ann).then(() => {
      isOver = true;
    });
    await settled();
    expect(isOver).toBe(false);
    write();
    await paused;
    for await (const { isPaused } of mapper.sessions()) expect(isPaused).toBe(true);
    expect(clock.planned.length).toBe(before);
  });

  it.each(["queue", "reject", "merge", "interrupt"] as const)(
    "runs after what runs, also where no more messages may wait, and beside others of its kind: %s",
    async (overlap) => {
      const { mapper, agent, receive } = bot({ overlap, queueLimit: 1 });
      const order: string[] = [];
      await receive("m1");
      await settled();
      const runs = ["one", "two", "three"].map((name) =>
        mapper.inLane(ann, async () => {
          order.push(`${name} begins`);
          await settled();
          order.push(`${name} ends`);
        }),
      );
      await settled();
      expect(order).toEqual([]);
      expect(agent.last.call.signal.aborted).toBe(false);
      agent.last.answer("one");
      await Promise.all(runs);
      expect(order).toEqual(["one", "two", "three"].flatMap((name) => [`${name} begins`, `${name} ends`]));
    },
  );

  it("is told by its signal that another process has its lane, and is not run there", async () => {
    const [a, b] = [bot(), bot()];
    let signal: AbortSignal | undefined;
    const ran = a.mapper.inLane(ann, (lane) => {
      signal = lane.signal;
      return new Promise<never>(() => {});
    });
    ran.catch(() => {});
    await settled();
    expect(signal?.aborted).toBe(false);
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    await b.receive("m1");
    await settled();
    expect(b.agent.texts).toEqual(["m1"]);
    a.view.intercept = (_, run) => run();
    await clock.pass(leaseTime);
    expect(signal?.reason).toMatchObject({ code: "lease-lost" });
  });

  it("that comes to its end after its time leaves alone what runs since", async () => {
    const { mapper, agent, platform, receive } = bot({ turnTimeout: minute });
    agent.reply = (text) => `re ${text}`;
    await receive("m1");
    await settled();
    let clear = () => {};
    agent.clear = () => new Promise<void>((resolve) => (clear = resolve));
    const reset = expect(mapper.reset(ann)).rejects.toMatchObject({ code: "turn-timeout" });
    await clock.pass(minute);
    await reset;
    agent.reply = undefined;
    await receive("m2");
    await settled();
    clear();
    await settled();
    expect(agent.texts).toEqual(["m1", "m2"]);
    agent.last.answer("re m2");
    await settled();
    expect(platform.shown).toEqual(["re m1", "re m2"]);
  });

  it("within inLane is a turn of its own once that took too long", async () => {
    const { mapper } = bot({ turnTimeout: minute });
    await mapper.pause(ann);
    let goOn = () => {};
    const waits = new Promise<void>((resolve) => (goOn = resolve));
    let resumed: Promise<void> | undefined;
    const ran = mapper.inLane(ann, async () => {
      await waits;
      resumed = mapper.resume(ann);
    });
    const late = expect(ran).rejects.toMatchObject({ code: "turn-timeout" });
    await clock.pass(minute);
    await late;
    goOn();
    await settled();
    await resumed;
    expect(await mapper.export(ann)).not.toHaveProperty("isPaused");
  });

  it("within a middleware is a turn of its own once another process has the turn", async () => {
    const [a, b] = [bot(), bot()];
    let goOn = () => {};
    const waits = new Promise<void>((resolve) => (goOn = resolve));
    let paused: Promise<void> | undefined;
    a.mapper.use(async () => {
      await waits;
      paused = a.mapper.pause(ann);
    });
    b.agent.reply = (text) => `re ${text}`;
    await a.receive("m1");
    await settled();
    const there = a.view.intercept;
    a.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["re m1"]);
    a.view.intercept = there;
    await clock.pass(second);
    goOn();
    await settled();
    await paused;
    expect(await b.mapper.export(ann)).toHaveProperty("isPaused", true);
  });

  it("fails at once where its process closes past its time, and leaves no timer", async () => {
    const { mapper } = bot();
    const ran = mapper.inLane(ann, () => new Promise<never>(() => {}));
    const lost = expect(ran).rejects.toMatchObject({ code: "lease-lost" });
    await settled();
    const closed = mapper.close({ drainTimeout: second });
    await clock.pass(second);
    await Promise.all([closed, lost]);
    expect(clock.planned).toEqual([]);
  });

  it("fails as it failed where its lane cannot be left, and the log says so", async () => {
    const { mapper, log } = bot();
    const { sessionName: lane } = await mapper.resolve(ann);
    const mistake = new TypeError("the app's own mistake");
    const ran = mapper.inLane(ann, async () => {
      const { version } = await store.direct.read(lane);
      await store.direct.commit({ lane, version, document: { v: 2 }, until: store.now() + 1 });
      throw mistake;
    });
    await expect(ran).rejects.toBe(mistake);
    expect(log.said).toEqual(["error: a lane cannot be read", "warn: a lane was left"]);
  });

  it.each([
    ["of a newer version", { v: 2 }],
    ["damaged", undefined],
  ])("overwrites no record that is %s, and forget erases it", async (_, damaged) => {
    const { mapper, view } = bot();
    await mapper.select(ann, "helper");
    const { sessionName: name } = await mapper.resolve(ann);
    const { record } = await store.direct.read(name);
    view.intercept = async (_call, run) => {
      const found = (await run()) as Partial<FoundLane> | undefined;
      return found?.record ? { ...found, record: damaged } : found;
    };
    const operations = [mapper.pause(ann), mapper.rename(ann, "A title"), mapper.inLane(ann, () => {})];
    for (const operation of operations) {
      await expect(operation).rejects.toMatchObject({ code: "store-unreadable" });
    }
    expect(await mapper.forget(ann, "helper")).toMatchObject({ found: false });
    expect((await store.direct.read(name)).record).toEqual(record);
    expect(await mapper.forget(ann)).toMatchObject({ found: true, conversations: {} });
    expect((await store.direct.read(name)).record).toBeNull();
  });

  it("is of a session that there is, where it is named", async () => {
    const { mapper } = bot();
    const unknown = `a1_${"x".repeat(33)}`;
    await expect(mapper.pause(unknown)).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "sessionName", message: "There is no session of that name." },
    });
    await expect(mapper.pause("ann")).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "sessionName", message: "That is not the name of a session." },
    });
    await expect(mapper.pause({ ...ann, user: "" })).rejects.toMatchObject({ field: "user" });
    expect(await mapper.forget(unknown)).toMatchObject({ found: false });
  });
});

describe("forget in a middleware", () => {
  function forgets(a: BotInTest): void {
    a.mapper.use(async ({ text, message, say }, next) => {
      if (text.startsWith("/forget")) await a.mapper.forget(message);
      if (text === "/forget") say("forgotten");
      else await next();
    });
  }

  it("has erased the session also where the answer is left to another process", async () => {
    const [a, b] = [bot(), bot()];
    forgets(a);
    a.agent.reply = (text) => `re ${text}`;
    await a.receive("m1");
    await settled();
    a.platform.beforePost = () => Promise.reject(new PlatformError({ passes: true }));
    await a.receive("m2", "/forget");
    await settled();
    const closed = a.mapper.close();
    await clock.pass(leaseTime * 2);
    await closed;
    expect(b.platform.shown).toEqual(["forgotten"]);
    expect(await b.mapper.export(ann)).toBeUndefined();
  });

  it("lets what is asked next in the turn begin a new session", async () => {
    const a = bot();
    forgets(a);
    const removed: string[] = [];
    a.agent.remove = async ({ conversationId }) => {
      removed.push(conversationId);
    };
    a.agent.reply = (text) => `re ${text}`;
    await a.receive("m1");
    await a.receive("m2", "/forget, then: hello");
    await settled();
    expect(removed).toEqual(["c1"]);
    expect(a.agent.last.call.conversationId).toBe("c2");
    expect(await a.mapper.export(ann)).toMatchObject({ conversations: { helper: "c2" } });
  });
});
