import type { Message } from "aparte";
import type { Adapter } from "aparte/adapter";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, messageOf } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

type Reread = NonNullable<Adapter["reread"]>;

const turnTimeout = 60_000;

let clock: TestClock;
let a: BotInTest;
/** The messages that the platform was asked for, each with the signal that it was given. */
let asked: { readonly message: Message; readonly signal: AbortSignal }[];

beforeEach(() => {
  clock = new TestClock();
  a = botOf(clock, new TestStore(clock), { turnTimeout });
  asked = [];
});

function rereads(reread: Reread): void {
  Object.assign(a.platform, {
    reread: (message: Parameters<Reread>[0], signal: AbortSignal) => {
      asked.push({ message, signal });
      return reread(message, signal);
    },
  });
}

/** The first turn has ended, and the second one has waited for it. */
async function secondRuns(): Promise<void> {
  await a.receive("m1");
  await a.receive("m2", "two", { files: [{ name: "a.txt", data: new Uint8Array([1]) }] });
  await settled();
  expect(asked).toEqual([]);
  a.agent.last.answer("one");
  await settled();
}

describe("A message whose turn has waited", () => {
  it("is asked as its person left it", async () => {
    const files = [{ name: "b.txt", data: new Uint8Array([2]) }];
    rereads(async (message) => ({ ...message, text: "two, changed", files }));
    await secondRuns();
    expect(asked.map(({ message }) => message.id)).toEqual(["m2"]);
    expect(a.agent.texts).toEqual(["m1", "two, changed"]);
    expect(a.agent.last.call.files).toEqual(files);
  });

  it("keeps what the platform does not tell of it", async () => {
    rereads(async () => ({ text: "two, changed" }));
    await secondRuns();
    expect(a.agent.last.call).toMatchObject({ text: "two, changed", files: [{ name: "a.txt" }] });
  });

  it("is not asked where its person took it back, and nothing is said", async () => {
    rereads(async () => undefined);
    await secondRuns();
    await a.receive("m3");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "m3"]);
    expect(a.platform.shown).toEqual(["one", ""]);
  });

  it("is asked as it came where the platform fails, and the log says so", async () => {
    rereads(() => Promise.reject(new Error("away")));
    await secondRuns();
    expect(a.agent.texts).toEqual(["m1", "two"]);
    expect(a.log.said).toEqual(["warn: a message could not be read again"]);
    expect(a.log.lines[0]?.fields).toMatchObject({ error: "Error" });
  });

  it("is asked as it came where the platform takes five seconds", async () => {
    rereads(() => new Promise(() => {}));
    await secondRuns();
    await clock.pass(4_999);
    expect(a.agent.texts).toEqual(["m1"]);
    expect(asked[0]?.signal.aborted).toBe(false);
    await clock.pass(1);
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(a.agent.texts).toEqual(["m1", "two"]);
    expect(a.log.said).toEqual(["warn: a message could not be read again"]);
  });

  it("is no longer read where its turn is stopped", async () => {
    rereads(
      (_, signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    await a.receive("m1");
    const stop = new AbortController();
    await a.receive("m2", "two", { signal: stop.signal });
    await settled();
    a.agent.last.answer("one");
    await settled();
    stop.abort();
    await settled();
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(a.agent.texts).toEqual(["m1"]);
    expect(a.platform.shown).toEqual(["one", "(stopped)"]);
  });

  it("is asked as its person left it by a process that takes over, and not what ran before", async () => {
    const store = new TestStore(clock);
    const first = botOf(clock, store);
    first.agent.recover = async () => "unknown";
    await first.receive("m1");
    await first.receive("m2", "two");
    await settled();
    a = botOf(clock, store);
    a.agent.recover = async () => "not-sent";
    rereads(async ({ text }) => ({ text: `${text}, changed` }));
    first.view.intercept = cut;
    await clock.pass(3 * leaseTime);
    a.agent.last.answer("one");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "two, changed"]);
    expect(asked.map(({ message }) => message.id)).toEqual(["m2"]);
  });

  it("is asked as it came where nobody can read it again", async () => {
    const { mapper, agent } = a;
    mapper.handle(messageOf("m1"));
    mapper.handle(messageOf("m2", "two"));
    await settled();
    agent.last.answer("one");
    await settled();
    expect(agent.texts).toEqual(["m1", "two"]);
  });
});
