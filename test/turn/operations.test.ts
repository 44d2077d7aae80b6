import type { MapperOptions, Speaker } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };

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
