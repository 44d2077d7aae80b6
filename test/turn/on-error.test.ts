import type { AparteError, MapperOptions, TurnFailure } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, messageOf, PlatformError, TestAgent } from "../support/bot.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

let clock: TestClock;
let store: TestStore;
let told: { readonly error: unknown; readonly failure: TurnFailure }[];

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
  told = [];
});

function bot(options: Partial<MapperOptions> = {}): BotInTest {
  const agent = new TestAgent();
  agent.reply = (text) => text;
  const onError = (error: unknown, failure: TurnFailure) => void told.push({ error, failure });
  return botOf(clock, store, { agent, onError, ...options });
}

const where = { sessionName: expect.stringMatching(/^a1_/), turnId: expect.stringMatching(/^[\w-]{22}$/) };

describe("What a turn failed with", () => {
  it("is told once with session, turn and agent, and with what was thrown underneath", async () => {
    const { mapper, agent } = bot();
    agent.reply = undefined;
    const { sessionName } = await mapper.resolve(messageOf("m1"));
    const reply = mapper.handle(messageOf("m1", "word-canary"));
    await settled();
    const thrown = new RangeError("of the agent");
    agent.last.fail(thrown);
    const failed = await reply.text().catch((error: unknown) => error);
    await settled();
    expect(told).toEqual([
      { error: failed, failure: { ...where, sessionName, agent: "helper", stage: "answer" } },
    ]);
    expect((failed as AparteError).cause).toBe(thrown);
    expect(JSON.stringify(told[0]?.failure)).not.toContain("canary");
  });

  it("is told of a middleware, before the agent is known where a hook failed, and not of a turn that was stopped", async () => {
    const mistake = new TypeError("the app's own mistake");
    const { mapper } = bot({
      route: ({ text }) => {
        if (text === "route") throw mistake;
        return undefined;
      },
    });
    mapper.use(async (turn, next) => {
      if (turn.text === "middleware") throw mistake;
      if (turn.text === "stopped") reply.cancel();
      await next();
    });
    for (const text of ["route", "middleware"])
      await mapper
        .handle(messageOf(text))
        .text()
        .catch(() => {});
    const reply = mapper.handle(messageOf("stopped"));
    await expect(reply.text()).rejects.toMatchObject({ code: "stopped" });
    await settled();
    expect(told).toEqual([
      {
        error: expect.objectContaining({ code: "hook-failed", cause: mistake }),
        failure: { ...where, stage: "answer" },
      },
      {
        error: expect.objectContaining({ code: "hook-failed", cause: mistake }),
        failure: { ...where, agent: "helper", stage: "answer" },
      },
    ]);
  });

  it("is told of a message that is not taken: with its session where that is known", async () => {
    const { mapper, view } = bot();
    const { sessionName } = await mapper.resolve(messageOf("m1"));
    await mapper
      .handle(messageOf(""))
      .text()
      .catch(() => {});
    view.intercept = cut;
    const away = mapper
      .handle(messageOf("m1"))
      .text()
      .catch(() => {});
    await clock.pass(60_000);
    await away;
    expect(told).toEqual([
      { error: expect.objectContaining({ code: "input-invalid", field: "id" }), failure: { stage: "take" } },
      { error: expect.objectContaining({ code: "store-failed" }), failure: { sessionName, stage: "take" } },
    ]);
  });

  it("is told of an answer that the platform does not take: of the first try, and of the last", async () => {
    const { receive, platform } = bot();
    const failures = [true, true, false].map((passes) => new PlatformError({ passes }));
    let tries = 0;
    platform.beforePost = () => {
      throw failures[tries++];
    };
    await receive("m1");
    await clock.pass(10_000);
    expect(tries).toBe(3);
    expect(told).toEqual([
      { error: failures[0], failure: { ...where, stage: "deliver" } },
      { error: failures[2], failure: { ...where, stage: "deliver" } },
    ]);
  });

  it("is told as an error, also where the adapter threw none", async () => {
    const { receive, platform } = bot();
    Object.assign(platform, { deliver: () => Promise.reject(undefined) });
    await receive("m1");
    await settled();
    expect(told).toEqual([
      { error: new Error("The adapter failed without an error."), failure: { ...where, stage: "deliver" } },
    ]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("of the report");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("of the report");
      },
    ],
  ] as const)("harms no turn where who is told %s", async (_, onError) => {
    const { mapper, agent, log, receive, platform } = bot({ onError });
    const mistake = () => {
      throw new TypeError("the app's own mistake");
    };
    mapper.use((turn, next) => (turn.text === "m1" ? mistake() : next()));
    await expect(mapper.handle(messageOf("m1")).text()).rejects.toMatchObject({ code: "hook-failed" });
    expect(await mapper.handle(messageOf("m2")).text()).toBe("m2");
    await receive("m1");
    await settled();
    expect(platform.shown).toEqual(["failed: hook-failed"]);
    expect(agent.texts).toEqual(["m2"]);
    expect(log.said.filter((line) => line === "error: the option onError failed")).toHaveLength(2);
  });
});

it("refuses an onError that is no function", () => {
  expect(() => bot({ onError: "log" as never })).toThrow(
    expect.objectContaining({ code: "option-invalid", field: "onError" }),
  );
});
