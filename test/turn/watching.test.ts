import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Writable } from "node:stream";
import { type Backend, type MapperOptions, type ReplyEvent, SessionMapper, type TurnEvent } from "aparte";
import pino from "pino";
import { afterEach, expect, it } from "vitest";

import { botOf } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const secret = "a secret of the tests, long enough";
const ada = { platform: "web", tenant: "acme", user: "user-canary" };

const names = ["start", "asked", "first-word", "usage", "error", "end"] as const;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function agent(name: string, fails = false): Backend {
  return {
    name,
    open: async () => "c1",
    async *ask({ text, files }) {
      if (fails) throw new Error("broken");
      yield { type: "text", delta: `${name}: ` };
      yield { type: "message", text: `${name}: ${text} ${files.map((file) => file.name)}` };
      yield { type: "usage", input: 3, output: 4, total: 7 };
    },
  };
}

/** A mapper of two agents, and what its logger was told, line by line. */
function mapperOf(options: Partial<MapperOptions<"helper" | "broken">> = {}): {
  mapper: SessionMapper;
  lines: Record<string, unknown>[];
} {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(line, _, done) {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  const agents = { helper: agent("helper"), broken: agent("broken", true) };
  const mapper = new SessionMapper({ agents, secret, logger: pino({ level: "info" }, sink), ...options });
  closers.push(() => mapper.close());
  return { mapper, lines };
}

function watched(): [string, TurnEvent][] {
  const told: [string, TurnEvent][] = [];
  for (const name of names) {
    const listener = (event: unknown) => told.push([name, event as TurnEvent]);
    subscribe(`aparte:turn:${name}`, listener);
    closers.push(() => unsubscribe(`aparte:turn:${name}`, listener));
  }
  return told;
}

it("tells on diagnostics channels what happens to a turn, without its words and its person", async () => {
  const told = watched();
  const { mapper } = mapperOf();
  await mapper.handle({ ...ada, id: "event-canary", text: "word-canary" }).text();
  await mapper.close();
  expect(told.map(([name]) => name)).toEqual(["start", "asked", "first-word", "usage", "end"]);
  const [sessionName] = new Set(told.map(([, event]) => event.sessionName));
  for (const [, event] of told) expect(event).toMatchObject({ sessionName, platform: "web", attempt: 1 });
  expect(new Set(told.map(([, event]) => event.turnId)).size).toBe(1);
  expect(told[1]?.[1].agent).toBe("helper");
  expect(told[3]?.[1].usage).toEqual({ input: 3, output: 4, total: 7 });
  expect(JSON.stringify(told)).not.toContain("canary");
});

it("tells how long it took until then, and how often the turn was begun", async () => {
  const told = watched();
  const clock = new TestClock();
  const store = new TestStore(clock);
  const never = () => new Promise<never>(() => {});
  const [a, b] = [botOf(clock, store, { route: never }), botOf(clock, store)];
  await clock.pass(3_000);
  await a.receive("m1");
  await settled();
  a.view.intercept = cut;
  await clock.pass(leaseTime * 2);
  await clock.pass(1_000);
  const asked = clock.now();
  b.agent.last.say({ type: "text", delta: "h" });
  await clock.pass(500);
  b.agent.last.say({ type: "text", delta: "i" });
  b.agent.last.answer("hi");
  await settled();
  const ofB = told.filter(([, { attempt }]) => attempt === 2).map(([name, event]) => [name, event.elapsedMs]);
  const [, [, begun] = []] = ofB;
  expect(begun).toBe(0);
  expect(ofB.map(([name]) => name)).toEqual(["start", "asked", "first-word", "end"]);
  const [, , word, end] = ofB.map(([, elapsed]) => Number(elapsed));
  expect(Number(end) - Number(word)).toBe(500);
  expect(Number(word)).toBeGreaterThanOrEqual(1_000);
  expect(Number(word)).toBeLessThan(asked);
  expect(told.filter(([, { attempt }]) => attempt === 1).map(([name]) => name)).toEqual(["start"]);
  expect(told[0]?.[1]).toEqual({
    ...{ sessionName: expect.any(String), turnId: expect.any(String), platform: "chat" },
    ...{ attempt: 1, elapsedMs: 0 },
  });
  expect(told.map(([, event]) => event).find(({ usage }) => usage !== undefined)).toBeUndefined();
});

it.each<[ReplyEvent, number]>([
  [{ type: "text", delta: "h" }, 1],
  [{ type: "message", text: "hi" }, 1],
  [{ type: "file", kind: "image", url: "https://acme.com/a.png" }, 1],
  [{ type: "status", text: "thinks" }, 0],
  [{ type: "suggestions", items: ["a"] }, 0],
])("tells of the first word with what the person gets of the answer: %j", async (event, times) => {
  const told = watched();
  const clock = new TestClock();
  const { agent, receive } = botOf(clock, new TestStore(clock));
  await receive("m1");
  await settled();
  agent.last.say(event);
  await settled();
  expect(told.filter(([name]) => name === "first-word")).toHaveLength(times);
});

it("tells the code of what a turn failed with", async () => {
  const told = watched();
  const { mapper } = mapperOf();
  const reply = mapper.handle({ ...ada, id: "1", text: "hello", agent: "broken" });
  await expect(reply.text()).rejects.toMatchObject({ code: "backend-failed" });
  await mapper.close();
  expect(told.map(([name]) => name)).toEqual(["start", "asked", "error", "end"]);
  expect(told[2]?.[1]).toMatchObject({ agent: "broken", code: "backend-failed" });
});

it("lets a middleware choose the agent, the words and the files, and no agent that there is not", async () => {
  const told = watched();
  const { mapper, lines } = mapperOf();
  mapper.use(async (turn, next) => {
    turn.text = `(${turn.text})`;
    turn.files = [{ name: "a.txt", load: async () => new Uint8Array() }];
    if (turn.message.text === "slip") {
      expect(() => {
        turn.agent = "helprr";
      }).toThrow(expect.objectContaining({ code: "agent-unknown" }));
      expect(turn.agent).toBe("broken");
      turn.agent = "helprr";
    }
    turn.agent = "helper";
    await next();
  });
  const says = (id: string, text: string) => mapper.handle({ ...ada, id, text, agent: "broken" });
  expect(await says("1", "hello").text()).toBe("helper: (hello) a.txt");
  expect(told.map(([, event]) => event.agent)).toEqual([undefined, ...Array(3).fill("helper")]);
  await expect(says("2", "slip").text()).rejects.toMatchObject({ code: "agent-unknown" });
  expect(lines.find(({ msg }) => msg === "a turn failed")).toMatchObject({ code: "agent-unknown" });
});

it("logs in pino's order, with the message and stack of what the app's own code failed with", async () => {
  const { mapper, lines } = mapperOf();
  mapper.use(() => {
    throw new TypeError("the app's own mistake");
  });
  await expect(mapper.handle({ ...ada, id: "1", text: "hello" }).text()).rejects.toMatchObject({
    code: "hook-failed",
  });
  const line = lines.find(({ msg }) => msg === "a turn failed") as {
    reference: string;
    cause: { error: string; stack: string };
  };
  expect(line.reference).toMatch(/^\w/);
  expect(line.cause.error).toBe("TypeError");
  expect(line.cause.stack).toMatch(/the app's own mistake[\s\S]*watching\.test\.ts/);
});

const mistake = (): never => {
  throw new TypeError("the app's own mistake");
};

it.each<[string, Partial<MapperOptions<"helper" | "broken">>]>([
  ["route", { route: mistake }],
  ["route", { route: async () => mistake() }],
  ["identify", { identify: mistake }],
  ["identify", { identify: async () => mistake() }],
  ["allow", { allow: async () => mistake() }],
  ["scope", { scope: mistake }],
  ["title", { title: mistake }],
])("names the option that failed, with its stack in the log: %s", async (option, options) => {
  const { mapper, lines } = mapperOf(options);
  await expect(mapper.handle({ ...ada, id: "1", text: "hello" }).text()).rejects.toMatchObject({
    code: "hook-failed",
    message: `The option ${option} failed.`,
  });
  expect(JSON.stringify(lines)).toMatch(/TypeError: the app's own mistake[^"]*watching\.test\.ts/);
});
