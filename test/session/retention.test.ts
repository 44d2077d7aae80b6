import { type MapperOptions, openStore, SessionMapper } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { Retention } from "../../src/session/retention.ts";
import { type BotInTest, botOf, TestAgent } from "../support/bot.ts";
import { LogLines } from "../support/log-lines.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, storeAway, TestStore } from "../support/test-store.ts";

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
const ann = { platform: "chat", tenant: "acme", user: "ann" };

let clock: TestClock;
let store: TestStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
});

function bot(options: Partial<MapperOptions> = {}, agent = new TestAgent()): BotInTest {
  agent.reply ??= (text) => text;
  // Long, since signs of life are all that happens in these days.
  return botOf(clock, store, { agent, leaseTime: day, ...options });
}

async function say(one: BotInTest, id: string, user = "ann", agent?: string): Promise<void> {
  await one.receive(id, id, { user, ...(agent === undefined ? {} : { agent }) });
  await settled();
}

async function records(): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for await (const [, record] of store.direct.records.entries("session:")) found.push(record as never);
  return found;
}

async function people(): Promise<unknown[]> {
  return (await records()).map(({ speaker }) => (speaker as { user: string }).user).sort();
}

describe("A session's record", () => {
  it("has when it began and when its last turn was, to the minute", async () => {
    const one = bot();
    const begun = store.now();
    await say(one, "m1");
    expect(await records()).toMatchObject([{ createdAt: begun, lastTurnAt: begun }]);
    await clock.pass(minute - 1);
    await say(one, "m2");
    expect(await records()).toMatchObject([{ createdAt: begun, lastTurnAt: begun }]);
    await clock.pass(1);
    await say(one, "m3");
    expect(await records()).toMatchObject([{ createdAt: begun, lastTurnAt: begun + minute }]);
  });
});

describe("retention", () => {
  const retention = { idle: "90d" } as const;

  it("erases, here and at the service, who has been silent for that long, and nobody else", async () => {
    const removed: string[] = [];
    const agent = new TestAgent();
    agent.remove = async ({ conversationId }) => void removed.push(conversationId);
    const one = bot({ retention }, agent);
    await say(one, "m1", "ann");
    await clock.pass(2 * hour);
    await say(one, "m2", "bob");
    await clock.pass(90 * day - 2 * hour - 1);
    expect(await people()).toEqual(["ann", "bob"]);
    await clock.pass(hour + 1);
    expect(await people()).toEqual(["bob"]);
    expect(removed).toEqual(["c1"]);
    await clock.pass(2 * hour);
    expect(await people()).toEqual([]);
    expect(one.log.lines.filter(({ level }) => level !== "info")).toEqual([]);
    expect(one.log.said).toContain("info: sessions were erased, since their people were silent");
    expect(JSON.stringify(one.log.lines)).not.toMatch(/ann|bob/);
  });

  it("counts from the last turn, or from when the session began where there was none", async () => {
    const one = bot({ retention });
    await say(one, "m1", "ann");
    await one.mapper.resolve({ ...ann, user: "never" });
    await clock.pass(80 * day);
    await say(one, "m2", "ann");
    await clock.pass(11 * day);
    expect(await people()).toEqual(["ann"]);
    await clock.pass(80 * day);
    expect(await people()).toEqual([]);
  });

  it("leaves alone whose turn comes before it, and who says something while it is about to erase", async () => {
    const agent = new TestAgent();
    const one = bot({ retention: { idle: "1h" } }, agent);
    await say(one, "m1");
    await clock.pass(55 * minute);
    agent.reply = undefined;
    await say(one, "m2");
    // The turn runs while the sweep comes, which waits behind it.
    await clock.pass(6 * minute);
    agent.last.answer("here");
    await clock.pass(30 * minute);
    expect(await people()).toEqual(["ann"]);
  });

  it("goes in steps of a hundred a minute", async () => {
    const one = bot({ retention: { idle: "1d" } });
    for (let person = 0; person < 230; person += 1)
      await one.receive(`m${person}`, "hi", { user: `u${person}` });
    await clock.pass(day - 1);
    expect((await people()).length).toBe(230);
    const left: number[] = [];
    while (left.at(-1) !== 0 && left.length < 180) {
      await clock.pass(minute);
      left.push((await people()).length);
    }
    expect([...new Set(left)]).toEqual([130, 30, 0]);
    const at = (count: number) => left.indexOf(count);
    expect([at(30) - at(130), at(0) - at(30)]).toEqual([1, 1]);
  });

  it("is done by one of several processes, once an hour", async () => {
    const [one, two] = [bot({ retention }), bot({ retention })];
    let listings = 0;
    for (const { view } of [one, two]) {
      const { entries } = view.records;
      Object.assign(view.records, {
        entries: (prefix: string) => {
          listings += 1;
          return entries(prefix);
        },
      });
    }
    await clock.pass(10 * hour);
    expect(listings).toBe(10);
    expect(one.log.lines).toEqual([]);
  });

  it("goes on after the store, or the service, was away", async () => {
    const agent = new TestAgent();
    let isAway = true;
    agent.remove = async () => {
      if (isAway) throw storeAway();
    };
    const one = bot({ retention: { idle: "1h" } }, agent);
    await say(one, "m1");
    const { intercept } = one.view;
    one.view.intercept = cut;
    await clock.pass(3 * hour);
    expect(one.log.said).toContain("warn: old sessions could not be erased");
    one.view.intercept = intercept;
    await clock.pass(2 * hour);
    // Gone here; what the service has yet to erase is tried until it is done.
    expect(await people()).toEqual([]);
    isAway = false;
    await clock.pass(hour);
    for await (const [key] of store.direct.records.entries("erase:")) expect(key).toBe("none");
  });

  it("leaves what cannot be read, and goes on", async () => {
    const one = bot({ retention: { idle: "1h" } });
    await say(one, "m1");
    await store.direct.records.set("session:a0", { v: 99 });
    await clock.pass(3 * hour);
    expect(await records()).toEqual([{ v: 99 }]);
  });

  it("ends with the mapper", async () => {
    const one = bot({ retention });
    await one.mapper.close();
    expect(clock.planned).toEqual([]);
  });

  it("ends with the mapper while it erases, after the one that is under way", async () => {
    const kept = store.direct.records;
    const speaker = { scope: "user", user: "ann" };
    for (const name of ["a1_1", "a1_2"]) {
      await kept.set(`session:${name}`, { v: 1, speaker, createdAt: store.now(), conversations: {} });
    }
    const erased: string[] = [];
    let goOn = () => {};
    const log = new LogLines();
    const sweeps = new Retention({
      ...{ records: kept, clock, logger: log, idleMs: minute, storeNow: () => store.now() },
      erase: (name) => {
        erased.push(name);
        return new Promise((resolve) => (goOn = resolve));
      },
    });
    await clock.pass(hour);
    sweeps.close();
    goOn();
    await settled();
    expect(erased).toEqual(["a1_1"]);
    expect(log.lines).toEqual([
      {
        ...{ level: "info", message: "sessions were erased, since their people were silent" },
        fields: { count: 1 },
      },
    ]);
    expect(clock.planned).toEqual([]);
  });

  it("does nothing where it was not asked for", async () => {
    const one = bot();
    await say(one, "m1");
    await clock.pass(400 * day);
    expect(await people()).toEqual(["ann"]);
  });
});

describe("freshAfter", () => {
  const asked = ({ agent }: BotInTest) => agent.asked.map(({ call }) => call.conversationId);

  it("begins a new conversation after that much silence, and says so", async () => {
    const one = bot({ freshAfter: "24h" });
    await say(one, "m1");
    await clock.pass(day - 1);
    await say(one, "m2");
    await clock.pass(day);
    await say(one, "m3");
    expect(asked(one)).toEqual(["c1", "c1", "c2"]);
    expect(one.platform.shown).toEqual(["m1", "m2", "m3 (new-conversation)"]);
    await clock.pass(minute);
    await say(one, "m4");
    expect(asked(one).at(-1)).toBe("c2");
  });

  it("clears it where the service can, and has done so once where the process dies over the turn", async () => {
    const cleared: string[] = [];
    const agent = new TestAgent();
    agent.clear = async ({ conversationId }) => void cleared.push(conversationId);
    const one = bot({ freshAfter: "1h", leaseTime: minute }, agent);
    await say(one, "m1");
    await clock.pass(hour);
    agent.reply = undefined;
    await say(one, "m2");
    expect(cleared).toEqual(["c1"]);
    one.view.intercept = cut;
    const other = bot({ freshAfter: "1h", leaseTime: minute }, agent);
    agent.recover = async () => "not-sent";
    agent.reply = (text) => text;
    await clock.pass(2 * minute);
    expect(other.platform.shown).toEqual(["m2"]);
    expect(cleared).toEqual(["c1"]);
    expect(asked(one)).toEqual(["c1", "c1", "c1"]);
  });

  it("is for all agents of the session, also those that are asked later", async () => {
    const [helper, other] = [new TestAgent(), new TestAgent()];
    other.reply = (text) => text;
    const one = bot({ freshAfter: "24h", agents: { helper, other } }, helper);
    await say(one, "m1", "ann", "other");
    await say(one, "m2", "ann", "helper");
    await clock.pass(day);
    await say(one, "m3", "ann", "helper");
    await clock.pass(minute);
    await say(one, "m4", "ann", "other");
    expect(other.asked.map(({ call }) => call.conversationId)).toEqual(["c1", "c2"]);
    expect(one.platform.shown.at(-1)).toBe("m4");
  });

  it("fails the turn where the service cannot clear, since the agent would still know all", async () => {
    const agent = new TestAgent();
    const one = bot({ freshAfter: "24h" }, agent);
    await say(one, "m1");
    await clock.pass(day);
    agent.clear = async () => {
      throw storeAway();
    };
    await say(one, "m2");
    expect(agent.texts).toEqual(["m1"]);
    expect(one.platform.shown.at(-1)).toBe("failed: store-failed");
    agent.clear = async () => {};
    await say(one, "m3");
    expect(one.platform.shown.at(-1)).toBe("m3 (new-conversation)");
  });

  it("does not greet a person who never said anything", async () => {
    const one = bot({ freshAfter: "24h" });
    await one.mapper.select(ann, "helper");
    await clock.pass(day);
    await say(one, "m1");
    expect(one.platform.shown).toEqual(["m1"]);
  });
});

describe("A span of time", () => {
  const make = (options: object) => () =>
    new SessionMapper({
      agents: { helper: new TestAgent() },
      secret: "a secret of the tests, long enough",
      ...options,
    });

  it.each([0, -1, Number.NaN, "", "1", "1w", "0d", "-1d", "1.5h", "d", " 1d", null, {}])(
    "is no %j",
    (span) => {
      expect(make({ freshAfter: span })).toThrow(expect.objectContaining({ field: "freshAfter" }));
      expect(make({ retention: { idle: span } })).toThrow(
        expect.objectContaining({ field: "retention.idle" }),
      );
    },
  );

  it("of retention is for idle ones, and nothing else", () => {
    expect(make({ retention: { age: "1d" } })).toThrow(expect.objectContaining({ field: "retention.age" }));
    expect(make({ retention: {} })).toThrow(expect.objectContaining({ field: "retention.idle" }));
    expect(make({ retention: "90d" })).toThrow(expect.objectContaining({ field: "retention" }));
  });

  it.each(["90d", "24h", "30m", "10s", 1_000])("may be %j", async (span) => {
    const mapper = make({ freshAfter: span, retention: { idle: span }, store: await openStore("memory:") })();
    await mapper.close();
  });
});
