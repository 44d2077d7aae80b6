import { AparteError, openStore } from "aparte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RedisClient } from "../../../src/stores/redis/client.ts";
import { Commands } from "../../../src/stores/redis/commands.ts";
import { LogLines } from "../../support/log-lines.ts";
import { describeWithRedis, RedisServer } from "../../support/redis.ts";
import { settled } from "../../support/test-clock.ts";

/** Calls that the test answers, each with what is known of it. */
class Calls {
  readonly commands: Commands;
  readonly refused: string[] = [];
  /** The numbers of those that were sent, in their order. */
  readonly sent: number[] = [];
  readonly sentAt: number[] = [];
  readonly outcomes = new Map<number, unknown>();
  readonly #answers = new Map<
    number,
    { resolve: (answer: unknown) => void; reject: (error: unknown) => void }
  >();
  #last = -1;

  constructor() {
    this.commands = new Commands((word) => this.refused.push(word));
  }

  /** Calls that many more, in one go. */
  call(count: number, then: () => void = () => {}): void {
    for (let called = 0; called < count; called += 1) {
      this.#last += 1;
      const number = this.#last;
      const answer = new Promise<unknown>((resolve, reject) => {
        this.#answers.set(number, { resolve, reject });
      });
      const run = () => {
        this.sent.push(number);
        this.sentAt.push(performance.now());
        return answer;
      };
      const settle = (outcome: unknown) => {
        this.outcomes.set(number, outcome);
        then();
      };
      this.commands.run("read", run).then(settle, settle);
    }
  }

  answer(...numbers: readonly number[]): void {
    for (const number of numbers) this.#answers.get(number)?.resolve(`answer ${number}`);
  }

  fail(number: number, error: unknown): void {
    this.#answers.get(number)?.reject(error);
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe("Commands to Redis", () => {
  let calls: Calls;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    calls = new Calls();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it("are sent at once, 500 at a time, and the others one for one as those are answered, in their order", async () => {
    calls.call(503);
    expect(calls.sent).toEqual(numbers(0, 500));
    await settled();
    expect(calls.sent).toEqual(numbers(0, 500));
    calls.answer(7);
    await settled();
    expect(calls.sent).toEqual(numbers(0, 501));
    calls.fail(3, new Error("the connection broke"));
    await settled();
    expect(calls.sent).toEqual(numbers(0, 502));
    calls.answer(500, 501);
    await settled();
    expect(calls.sent).toEqual(numbers(0, 503));
    calls.answer(...numbers(0, 503));
    await settled();
    expect(calls.outcomes.size).toBe(503);
    expect(calls.outcomes.get(502)).toBe("answer 502");
    calls.call(1);
    expect(calls.sent).toHaveLength(504);
  });

  it("are never more than 500 under way, and those that wait go first, when whoever is answered calls again", async () => {
    let left = 500;
    const again = () => {
      if (left === 0) return;
      left -= 1;
      calls.call(1);
    };
    calls.call(1_000, again);
    calls.answer(...numbers(0, 500));
    await settled();
    expect(calls.sent).toEqual(numbers(0, 1_000));
    calls.answer(...numbers(500, 1_000));
    await settled();
    expect(calls.sent).toEqual(numbers(0, 1_500));
  });

  it("keep their order however many wait", async () => {
    calls.call(6_000);
    for (let answered = 0; answered < 6_000; answered += 100) {
      calls.answer(...numbers(answered, answered + 100));
      await settled();
    }
    expect(calls.sent).toEqual(numbers(0, 6_000));
    expect(calls.outcomes.size).toBe(6_000);
  });

  it("are given up a second after they were sent, however long they waited before", async () => {
    calls.call(501);
    await vi.advanceTimersByTimeAsync(900);
    calls.answer(0);
    await vi.advanceTimersByTimeAsync(99);
    expect([...calls.outcomes.keys()]).toEqual([0]);
    await vi.advanceTimersByTimeAsync(101);
    const late = calls.outcomes.get(1);
    expect(late).toBeInstanceOf(AparteError);
    expect(late).toMatchObject({
      code: "store-timeout",
      message: "Redis did not answer within 1000 ms (read). Look whether it is up.",
    });
    expect(calls.outcomes.size).toBe(500);
    // Sent 900 ms later than the others.
    expect(calls.outcomes.has(500)).toBe(false);
    await vi.advanceTimersByTimeAsync(799);
    expect(calls.outcomes.has(500)).toBe(false);
    await vi.advanceTimersByTimeAsync(101);
    expect(calls.outcomes.get(500)).toMatchObject({ code: "store-timeout" });
    expect(calls.refused).toEqual([]);
    // What is answered after all does no harm, and neither is a timer left.
    calls.answer(1, 500);
    await vi.advanceTimersByTimeAsync(100);
    expect(vi.getTimerCount()).toBe(0);
    expect(calls.outcomes.get(1)).toBe(late);
  });

  it("are given up in time each, where one after another is sent", async () => {
    calls.call(1);
    await vi.advanceTimersByTimeAsync(550);
    calls.call(1);
    await vi.advanceTimersByTimeAsync(550);
    expect([...calls.outcomes.keys()]).toEqual([0]);
    await vi.advanceTimersByTimeAsync(550);
    expect([...calls.outcomes.keys()]).toEqual([0, 1]);
  });

  it("that waited for ten seconds are refused and never sent", async () => {
    calls.call(7_000);
    await vi.advanceTimersByTimeAsync(9_999);
    const refusals = () =>
      [...calls.outcomes.values()].filter((outcome) => String(outcome).includes("does not keep up"));
    expect(refusals()).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(calls.outcomes.size).toBe(7_000);
    expect(refusals()).toHaveLength(7_000 - calls.sent.length);
    expect(refusals()[0]).toMatchObject({
      code: "store-timeout",
      message: "Redis does not keep up: a command waited 10000 ms to be sent, and was not.",
    });
    expect(calls.sent.length).toBeGreaterThanOrEqual(4_500);
    const [first = 0] = calls.sentAt;
    expect(Math.max(...calls.sentAt) - first).toBeLessThanOrEqual(10_100);
    // And it goes on.
    calls.call(1);
    calls.answer(7_000);
    await settled();
    expect(calls.outcomes.get(7_000)).toBe("answer 7000");
  });

  it.each([
    ["READONLY You can't write against a read only replica.", "It is a replica. Name the primary."],
    [
      "NOPERM No permissions",
      "Its user may not do what aparte does. See the docs for the rights that it needs.",
    ],
    ["NOAUTH Authentication required.", "It wants a password."],
    ["WRONGPASS invalid username-password pair", "It does not accept the user and the password."],
    ["OOM command not allowed", "Its memory is full."],
    ["MISCONF Redis is configured to save", "It cannot write to its disk."],
    ["LOADING Redis is loading", "It is starting."],
    ["CROSSSLOT Keys in request", "It is a cluster: hand in a cluster client."],
    ["CLUSTERDOWN Hash slot not served", "The cluster is down."],
    ["BUSY Redis is busy", "A script of somebody else keeps it busy."],
    ["WRONGTYPE Operation against a key", "Look at its log."],
  ])("that the server refuses say what to do: %s", async (answer, remedy) => {
    const cause = new Error(answer);
    calls.call(1);
    calls.fail(0, cause);
    await settled();
    const [word = ""] = answer.split(" ");
    expect(calls.outcomes.get(0)).toMatchObject({
      code: "store-failed",
      message: `Redis refused a command (read): ${word}. ${remedy}`,
      cause,
    });
    expect(calls.refused).toEqual([word]);
  });

  it("whose answer cannot be understood do not say that the server was away", async () => {
    const cause = new SyntaxError("Unexpected end of JSON input");
    calls.call(1);
    calls.fail(0, cause);
    await settled();
    expect(calls.outcomes.get(0)).toMatchObject({
      code: "store-failed",
      message: "A record on Redis is damaged (read).",
      cause,
    });
    expect(calls.refused).toEqual([]);
  });

  it("that do not reach the server say so, and an error of ours stays what it is", async () => {
    const cause = new Error("connect ECONNREFUSED 127.0.0.1:6379");
    const ours = new AparteError("closed", "It was closed.");
    calls.call(3);
    calls.fail(0, cause);
    calls.fail(1, ours);
    calls.fail(2, "no error");
    await settled();
    const unreached = "Redis could not be reached (read). Look whether it is up.";
    expect(calls.outcomes.get(0)).toMatchObject({ code: "store-failed", message: unreached, cause });
    expect(calls.outcomes.get(1)).toBe(ours);
    expect(calls.outcomes.get(2)).toMatchObject({ code: "store-failed", message: unreached });
    expect(calls.refused).toEqual([]);
  });
});

describeWithRedis("Commands to a Redis server that stands still", () => {
  it("are given up also where they count uses of a limit", async () => {
    const { createClient } = await import("@keyv/redis");
    const server = await RedisServer.start();
    // It has no timeouts of its own, as one that is handed in.
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    const store = await openStore(client as unknown as RedisClient, { logger: new LogLines() });
    try {
      const take = () => store.rates?.take("key", 1, 60_000);
      await vi.waitUntil(() => take()?.then(Boolean, () => false), 30_000);
      server.freeze();
      await expect(take()).rejects.toMatchObject({
        code: "store-timeout",
        message: "Redis did not answer within 1000 ms (count). Look whether it is up.",
      });
      server.thaw();
      await server.command("CONFIG", "SET", "maxmemory", "1");
      // Where the machine is busy, the first answers come late.
      const other = () => store.rates?.take("other", 1, 60_000).catch(({ code }) => code);
      await expect.poll(other).toBe("store-failed");
    } finally {
      server.thaw();
      await store.close();
      client.destroy();
      await server.close();
    }
  });

  it("are given up, and reach it again when it goes on", async () => {
    const { createClient } = await import("@keyv/redis");
    const server = await RedisServer.start();
    const client = createClient({ url: server.url });
    await client.connect();
    const commands = new Commands(() => {});
    try {
      server.freeze();
      await expect(commands.run("read", () => client.get("key"))).rejects.toMatchObject({
        code: "store-timeout",
      });
      server.thaw();
      const read = () => commands.run("read", () => client.get("key")).catch(({ code }) => code);
      await expect.poll(read).toBeNull();
    } finally {
      server.thaw();
      client.destroy();
      await server.close();
    }
  });
});
