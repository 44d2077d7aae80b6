import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";
import { describeWithRedis, RedisServer } from "./support/redis.ts";

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

/** A real process with a mapper on the store that all of them share. */
async function start(store: string) {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const settings = {
    root: await builtRoot(),
    store,
    agent: { appId, keyId, privateKey, botId, baseURL },
    options: { leaseTime: 500 },
  };
  const child = spawn(process.execPath, [fileURLToPath(new URL("processes/mapper.mjs", import.meta.url))], {
    env: { ...process.env, SETTINGS: JSON.stringify(settings) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  processes.push(child);
  const waiting = new Map<string, (answer: Answer) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer: Answer = JSON.parse(line);
    waiting.get(answer.id)?.(answer);
  });
  return {
    say(id: string, text: string): Promise<Answer> {
      child.stdin.write(`${JSON.stringify({ id, platform: "web", tenant: "t", user: "ada", text })}\n`);
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
