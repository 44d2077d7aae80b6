import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  type CozeEmulator,
  type FaultHandle,
  startCozeEmulator,
  startDialogflowCxEmulator,
  startSonaopsEmulator,
} from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";
import { describeWithRedis, RedisServer } from "./support/redis.ts";
import { lookAtProcess } from "./support/search.ts";

let emulator: CozeEmulator;
let folder: string;
let processes: ChildProcess[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
  folder = mkdtempSync(join(tmpdir(), "aparte-crash-"));
});

afterEach(async () => {
  for (const child of processes) child.kill("SIGKILL");
  processes = [];
  await emulator.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly id: string;
  readonly text?: string;
  readonly code?: string;
}

function ours() {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  return { service: "coze", agent: { appId, keyId, privateKey, botId, baseURL, pollInterval: 50 } };
}

/** A real process with a mapper on the store that all of them share. */
async function start(store: string, service: { readonly service: string; readonly agent: object } = ours()) {
  const settings = { root: await builtRoot(), store, ...service, options: { leaseTime: 500 } };
  const child = spawn(process.execPath, [fileURLToPath(new URL("processes/mapper.mjs", import.meta.url))], {
    env: { ...process.env, SETTINGS: JSON.stringify(settings) },
    stdio: ["pipe", "pipe", "pipe"],
  });
  lookAtProcess({ stdout: null, stderr: child.stderr });
  processes.push(child);
  const waiting = new Map<string, (answer: Answer) => void>();
  const told = new EventEmitter();
  let ends = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer: Answer & { readonly ended?: string } = JSON.parse(line);
    if (answer.ended === undefined) waiting.get(answer.id)?.(answer);
    else {
      ends += 1;
      told.emit("ended");
    }
  });
  return {
    /** Resolves when the ends of so many turns are written: an answer is read before. */
    async ended(count: number): Promise<void> {
      while (ends < count) await once(told, "ended");
    },
    say(id: string, text: string, user = "ada"): Promise<Answer> {
      child.stdin.write(`${JSON.stringify({ id, platform: "web", tenant: "t", user, text })}\n`);
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    kill(): Promise<void> {
      const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGKILL");
      return gone;
    },
  };
}

/** The suite for a store that outlives its processes. */
function killed(store: () => string): void {
  it("after the service has opened a conversation and before it was written: the same one is found", async () => {
    const opened = emulator.once("conversation");
    const first = await start(store());
    void first.say("m1", "my name is Ada");
    await opened; // The service has it; its answer is not sent yet.
    await first.kill();
    expect(emulator.conversations()).toHaveLength(1);

    const second = await start(store());
    const answer = await second.say("m2", "hello again");
    expect(answer.text).toContain("hello again");
    expect(emulator.conversations()).toHaveLength(1);
    // The message that was under way can be delivered again, and is answered then.
    expect((await second.say("m1", "my name is Ada")).text).toContain("Ada");
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("in the middle of an answer: the turn is not sent twice, and its answer is fetched when it comes again", async () => {
    const first = await start(store());
    await first.say("m0", "hello");
    const chat = emulator.once("chat");
    void first.say("m1", "slow: 30 one two three four five six seven eight nine ten");
    const { id } = await chat;
    const ended = emulator.once("chat-ended", (each) => each.id === id);
    await first.kill();
    await ended;
    const second = await start(store());
    // While the dead process's lease runs, the message counts as being answered.
    const again = async () =>
      (await second.say("m1", "slow: 30 one two three four five six seven eight nine ten")).text;
    await expect.poll(again, { timeout: 10_000 }).toContain("one two three");
    expect(emulator.chats()).toHaveLength(2);
  });

  it("between two questions of a workflow, and while its tool is asked for: two people go on where they were", async () => {
    const first = await start(store());
    const people = [
      { user: "ada", size: "large", price: "12" },
      { user: "ben", size: "small", price: "8" },
    ];
    const all = async (
      process: typeof first,
      id: string,
      words: (person: (typeof people)[number]) => string,
    ) =>
      (
        await Promise.all(people.map((each) => process.say(`${each.user}-${id}`, words(each), each.user)))
      ).map(({ text }) => text);
    expect(await all(first, "1", () => "survey")).toEqual(["What is your name?", "What is your name?"]);
    expect(await all(first, "2", ({ user }) => user)).toEqual(["Which size, ada?", "Which size, ben?"]);
    await first.ended(4);
    await first.kill();

    const second = await start(store());
    const path = "/v3/chat/submit_tool_outputs";
    const held: FaultHandle[] = [];
    for (const { user, size } of people) {
      // The answer to the question goes through; what the tool said is held.
      const through = emulator.fail({ path, delayMs: 1 });
      const holds = emulator.fail({ path, hang: true });
      held.push(holds);
      void second.say(`${user}-3`, size, user);
      await Promise.all([through.hit, holds.hit]);
    }
    await second.kill();
    for (const fault of held) fault.lift();

    const third = await start(store());
    const answers = () => all(third, "3", ({ size }) => size);
    await expect
      .poll(answers, { timeout: 20_000 })
      .toEqual(people.map(({ user, size, price }) => `Thank you, ${user}. Size ${size} is ${price}.`));
    expect(emulator.chats().map(({ status }) => status)).toEqual(["completed", "completed"]);
  });
}

describe("A process on a SQLite file that is killed", () => {
  killed(() => `sqlite:${join(folder, "aparte.db")}`);
});

describeWithRedis("A process on Redis that is killed", () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await RedisServer.start();
  });
  afterEach(() => redis.close());
  killed(() => redis.url);
});

/** A service, and the moments of a turn in which the process may die. */
interface Victim {
  readonly agent: object;
  /** A message that takes some time to answer. */
  readonly text: string;
  /** Each resolves when the turn has come to that moment. */
  readonly moments: Readonly<Record<string, () => Promise<unknown>>>;
  /** How often the message ran. */
  runs(): number;
  close(): Promise<void>;
}

const services: Readonly<Record<string, () => Promise<Victim>>> = {
  async coze() {
    const held = (path: string) => () => emulator.fail({ path, hang: true }).hit;
    return {
      agent: ours().agent,
      text: "slow: 30 one two three four",
      moments: {
        "before the token is made": held("/api/permission/oauth2/token"),
        "before the conversation is opened": held("/v1/conversation/create"),
        "when the conversation is opened": () => emulator.once("conversation"),
        "before the turn is taken": held("/v3/chat"),
        "when the turn is taken": () => emulator.once("chat"),
        "when the turn is answered": () => emulator.once("chat-ended"),
      },
      runs: () => emulator.chats().length,
      close: async () => {},
    };
  },
  async sonaops() {
    const service = await startSonaopsEmulator({ profile: "A" });
    const { apiKey, apiSecret, agentId, baseURL } = service;
    const held = (path: string) => () => service.fail({ path, hang: true }).hit;
    return {
      agent: { apiKey, apiSecret, agentId, baseURL },
      text: "slow: 30 one two three four",
      moments: {
        "before the conversation is opened": held("/v1/chat/conversation"),
        "before the turn is taken": held("/v1/chat/stream"),
        "when the turn is taken": () => service.nextTurn(),
      },
      runs: () => service.turnsTaken,
      close: () => service.close(),
    };
  },
  async "dialogflow-cx"() {
    const service = await startDialogflowCxEmulator();
    const { agent, credentials, baseURL } = service;
    return {
      agent: { agent, credentials, baseURL },
      text: "wait: 200, one two three four",
      moments: {
        "before the turn is taken": () => service.fail({ hang: true }).hit,
        "when the turn is taken": () => service.nextTurn(),
      },
      runs: () => service.turns().length,
      close: () => service.close(),
    };
  },
};

/** In these moments the service that cannot be asked for a turn may have it. */
const doubtful = ["before the turn is taken", "when the turn is taken"];

describe("A process that is killed at each step of a turn", () => {
  it.each(Object.keys(services))(
    "runs it once at most on %s, and the person is answered or told",
    async (name) => {
      const victim = await victimOf(name);
      const moments = Object.keys(victim.moments);
      const told: unknown[] = [];
      const store = `sqlite:${join(folder, `step-${name}.db`)}`;
      // Each is new to whom it takes over from, and is killed at the next moment, with a person new to it.
      let running = await start(store, { service: name, agent: victim.agent });
      for (const [index, moment] of moments.entries()) {
        const [id, person] = [`m${index}`, `person ${index}`];
        const before = victim.runs();
        const reached = victim.moments[moment]?.();
        void running.say(id, victim.text, person);
        await reached;
        await running.kill();
        running = await start(store, { service: name, agent: victim.agent });
        let last: Answer | undefined;
        const again = async () => {
          last = await running.say(id, victim.text, person);
          return last.code === "busy" || last.code === "duplicate" ? undefined : last;
        };
        await expect.poll(again, { timeout: 20_000 }).toBeDefined();
        told.push([moment, victim.runs() - before, last?.text?.includes("one two three") ?? last?.code]);
      }
      await victim.close();
      const isAsked = name === "coze";
      expect(told).toEqual(
        moments.map((moment) =>
          isAsked || !doubtful.includes(moment)
            ? [moment, 1, true]
            : [moment, moment.startsWith("before") ? 0 : 1, "answer-lost"],
        ),
      );
    },
  );
});

async function victimOf(name: string): Promise<Victim> {
  const victim = await services[name]?.();
  if (victim === undefined) throw new Error(name);
  return victim;
}
