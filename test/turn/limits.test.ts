import type { Message, Rates } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { Limits } from "../../src/turn/limits.ts";
import { botOf } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const message: Message = { platform: "slack", tenant: "T1", user: "U1", id: "m1", text: "hello" };

/** Counts without end: nobody's minute is ever over. */
class Counted implements Rates {
  readonly counts = new Map<string, number>();
  readonly spans: number[] = [];

  async take(key: string, limit: number, spanMs: number): Promise<number> {
    this.spans.push(spanMs);
    const count = this.counts.get(key) ?? 0;
    if (count >= limit) return 30_000;
    this.counts.set(key, count + 1);
    return 0;
  }
}

describe("Limits", () => {
  let rates: Counted;
  let clock: TestClock;

  beforeEach(() => {
    rates = new Counted();
    clock = new TestClock();
  });

  /** How many of ten messages get their turn. */
  async function taken(limits: Limits, changed: Partial<Message> = {}): Promise<number> {
    let count = 0;
    for (let tries = 0; tries < 10; tries += 1) {
      if ((await limits.take({ ...message, ...changed })) === 0) count += 1;
    }
    return count;
  }

  it("count each person of each tenant and platform apart, a minute each", async () => {
    const limits = new Limits({ person: 3 }, rates, clock);
    expect(await taken(limits)).toBe(3);
    for (const other of [{ user: "U2" }, { tenant: "T2" }, { platform: "discord" }]) {
      expect(await taken(limits, other)).toBe(3);
    }
    expect(await taken(limits, { id: "m2", channel: "C", bot: "B" })).toBe(0);
    expect(new Set(rates.spans)).toEqual(new Set([60_000]));
  });

  it("count all people of a tenant together", async () => {
    const limits = new Limits({ tenant: 5 }, rates, clock);
    expect(await taken(limits, { user: "U2" })).toBe(5);
    expect(await taken(limits)).toBe(0);
    expect(await taken(limits, { tenant: "T2" })).toBe(5);
    // People are not counted where they have no limit.
    expect(rates.counts.size).toBe(2);
  });

  it("let nobody who is over their own use up the tenant's", async () => {
    const limits = new Limits({ person: 2, tenant: 5 }, rates, clock);
    expect(await taken(limits)).toBe(2);
    expect(await taken(limits, { user: "U2" })).toBe(2);
    expect(await taken(limits, { user: "U3" })).toBe(1);
  });

  it("remember the last ten thousand who were over, without the store", async () => {
    const limits = new Limits({ person: 1 }, { take: async () => 30_000 }, clock);
    const person = (index: number): Message => ({ ...message, user: `U${index}` });
    expect(limits.known(person(0))).toBe(0);
    for (let index = 0; index < 10_001; index += 1) await limits.take(person(index));
    expect(limits.known(person(0))).toBe(0);
    for (const index of [1, 2, 10_000]) expect(limits.known(person(index))).toBeGreaterThan(20_000);
    expect(limits.known(person(10_001))).toBe(0);
  });

  it("hold no names of people", async () => {
    await new Limits({ person: 2, tenant: 5 }, rates, clock).take(message);
    for (const key of rates.counts.keys()) expect(key).toMatch(/^[\w-]{43}$/);
  });

  it("are known of those who were found to be over, until their time has come", async () => {
    const limits = new Limits({ person: 1, tenant: 2 }, rates, clock);
    await limits.take(message);
    expect(limits.known(message)).toBe(0);
    expect(await limits.take(message)).toBe(30_000);
    await clock.pass(10_000);
    expect(limits.known(message)).toBe(20_000);
    expect(limits.known({ ...message, user: "U2" })).toBe(0);
    await limits.take({ ...message, user: "U2" });
    await limits.take({ ...message, user: "U3" });
    // Now it is the tenant, whoever asks.
    expect(limits.known({ ...message, user: "U4" })).toBe(30_000);
    expect(limits.known(message)).toBe(30_000);
    await clock.pass(30_000);
    expect(limits.known(message)).toBe(0);
    const counted = rates.spans.length;
    limits.known(message);
    expect(rates.spans.length).toBe(counted);
  });

  it("are known to the last millisecond", async () => {
    const limits = new Limits({ person: 1 }, { take: async () => 1 }, clock);
    expect(await limits.take(message)).toBe(1);
    expect(limits.known(message)).toBe(1);
  });

  it("are known of the ten thousand who were found last", async () => {
    const limits = new Limits({ person: 0 }, rates, clock);
    const person = (index: number) => ({ ...message, user: `U${index}` });
    for (let index = 0; index < 10_000; index += 1) await limits.take(person(index));
    await limits.take(person(0));
    expect([person(0), person(1)].map((one) => limits.known(one))).toEqual([30_000, 30_000]);
    await limits.take(person(10_000));
    expect([0, 1, 2, 10_000].map((index) => limits.known(person(index)))).toEqual([
      30_000, 0, 30_000, 30_000,
    ]);
  });

  it("fail as the store's fault", async () => {
    const broken = { take: () => Promise.reject(new Error("raw")) };
    await expect(new Limits({ person: 2 }, broken, clock).take(message)).rejects.toMatchObject({
      code: "store-failed",
    });
  });

  it("are told to the person, with the seconds until then, and the agent is not asked", async () => {
    const store = new TestStore(clock);
    const a = botOf(clock, store, { limits: { person: 1 }, store: Object.assign(store.view(), { rates }) });
    const told: unknown[] = [];
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    a.platform.deliver = async (_, delivery) => {
      for await (const event of delivery) told.push(event);
    };
    await a.receive("m2");
    await settled();
    expect(told).toEqual([
      {
        ...{ type: "notice", code: "limited", retryAfterMs: 30_000 },
        text: "That was a lot in a short time. Please come back in 30 s.",
      },
    ]);
    expect(a.agent.texts).toEqual(["m1"]);
  });

  it("are none of what the application says", async () => {
    const store = new TestStore(clock);
    const a = botOf(clock, store, { limits: { person: 1 }, store: Object.assign(store.view(), { rates }) });
    a.agent.reply = (text) => text;
    const place = { platform: "chat", tenant: "acme", user: "ann", replyTo: "there" };
    for (const id of ["m1", "m2", "m3"]) {
      await a.receive(id);
      await settled();
      expect(await a.mapper.send(place, `after ${id}`)).toBe(true);
      await settled();
    }
    const shown = ["m1", "after m1", "(limited)", "after m2", "(limited)", "after m3"];
    expect(a.platform.shown).toEqual(shown);
  });

  it("let a caller send the same message again later, and tell a platform of it once", async () => {
    const store = new TestStore(clock);
    const a = botOf(clock, store, { limits: { person: 1 }, store: Object.assign(store.view(), { rates }) });
    a.agent.reply = (text) => text;
    const ann = { platform: "chat", tenant: "acme", user: "ann" };
    await a.receive("m1");
    await settled();
    const say = (id: string) => a.mapper.handle({ ...ann, id, text: id }).text();
    await expect(say("m2")).rejects.toMatchObject({ code: "limited", retryAfterMs: 30_000 });
    // Found by the store, as after a restart, and not known before.
    await clock.pass(30_000);
    await a.receive("m3");
    await settled();
    expect(a.platform.shown).toEqual(["m1", "(limited)"]);
    await clock.pass(30_000);
    rates.counts.clear();
    expect(await say("m2")).toBe("m2");
    expect(await a.receive("m3")).toBe(false);
  });

  it("count a turn that another process goes on with once", async () => {
    const store = new TestStore(clock);
    const [one, two] = [store.view(), store.view()].map((view) => Object.assign(view, { rates }));
    if (one === undefined || two === undefined) throw new Error("There are two.");
    const never = () => new Promise<never>(() => {});
    const a = botOf(clock, store, { limits: { person: 1 }, store: one, route: never });
    const b = botOf(clock, store, { limits: { person: 1 }, store: two });
    b.agent.reply = (text) => text;
    a.mapper.use((_, next) => next());
    await a.receive("m1");
    await settled();
    expect([...rates.counts.values()]).toEqual([1]);
    one.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(b.platform.shown).toEqual(["m1"]);
    expect([...rates.counts.values()]).toEqual([1]);
  });
});
