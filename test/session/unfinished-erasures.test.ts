import { createHash } from "node:crypto";
import { AparteError, type Backend, type ConversationCall } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { UnfinishedErasures } from "../../src/session/unfinished-erasures.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Records } from "../../src/stores/store.ts";
import { LogLines } from "../support/log-lines.ts";
import { settled, TestClock } from "../support/test-clock.ts";

const tenMinutes = 600_000;
const one = { sessionName: "a1_ann", agent: "helper", conversationId: "c1" };
const two = { sessionName: "a1_bob", agent: "helper", conversationId: "c2" };

/** Where one lies. */
function keyOf(agent: string, conversationId: string): string {
  return `erase:${createHash("sha256").update(`["${agent}","${conversationId}"]`).digest("base64url")}`;
}

let clock: TestClock;
let records: Records;
let log: LogLines;
let removed: ConversationCall[];
/** What the service does instead. */
let fault: ((call: ConversationCall) => Promise<void>) | undefined;
let listings: number;
let calls: string[];
/** What the store does before a call. */
let before: (call: string) => Promise<void> | void;

beforeEach(() => {
  clock = new TestClock();
  log = new LogLines();
  [removed, fault, listings, calls] = [[], undefined, 0, []];
  before = () => {};
  const { records: kept } = memoryStore();
  const noted = async <T>(call: string, run: () => Promise<T>): Promise<T> => {
    calls.push(call);
    await before(call);
    return run();
  };
  records = {
    get: (key) => noted(`get ${key}`, () => kept.get(key)),
    set: (key, value, ttlMs) => noted(`set ${key}`, () => kept.set(key, value, ttlMs)),
    setIfAbsent: (key, value) => kept.setIfAbsent(key, value),
    delete: (key) => noted(`delete ${key}`, () => kept.delete(key)),
    entries: (prefix) => {
      listings += 1;
      return kept.entries(prefix);
    },
  };
});

const helper: Backend = {
  name: "test",
  open: async () => "c",
  async *ask() {},
  remove: async (call) => {
    if (fault !== undefined) return fault(call);
    removed.push(call);
  },
};

function process(agents: Record<string, Backend> = { helper }): UnfinishedErasures {
  const options = { records, clock, logger: log, callTimeout: 5_000 };
  return new UnfinishedErasures({ ...options, agents: new Map(Object.entries(agents)) });
}

async function left(): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const [, value] of memoryOf().entries("erase:")) found.push(value);
  return found;
}

/** Without being counted. */
function memoryOf(): Records {
  const before = listings;
  return {
    ...records,
    entries: (prefix) => {
      const entries = records.entries(prefix);
      listings = before;
      return entries as never;
    },
  };
}

const away = async () => {
  throw new AparteError("backend-unavailable", "The service is away.", { cause: new Error("word-canary") });
};

describe("A conversation that its service has yet to erase", () => {
  it("is kept, and erased when the next process begins, with all that the service needs", async () => {
    await process().add(one);
    expect(await records.get(keyOf("helper", "c1"))).toEqual(one);
    await process().begin();
    expect(removed).toEqual([{ ...one, signal: expect.any(AbortSignal) }]);
    expect(removed[0]?.signal.aborted).toBe(false);
    expect(await left()).toEqual([]);
    expect(await records.get("unfinished-erasures")).toBeUndefined();
    expect(log.lines).toEqual([]);
  });

  it("is erased by the process that could not do it, ten minutes later", async () => {
    const erasures = process();
    await erasures.begin();
    await erasures.add(one);
    await erasures.add(two);
    expect(clock.planned).toEqual([tenMinutes]);
    await clock.pass(tenMinutes - 1);
    expect(removed).toEqual([]);
    await clock.pass(1);
    expect(removed.map(({ conversationId }) => conversationId).sort()).toEqual(["c1", "c2"]);
    expect(clock.planned).toEqual([]);
  });

  it.each(["get unfinished-erasures", "set unfinished-erasures"])(
    "is tried again in ten minutes where the store fails with: %s",
    async (failing) => {
      const first = process();
      await first.add(one);
      first.close();
      fault = away;
      const next = process();
      before = (call) => {
        if (call === failing) throw new Error("The store is away.");
      };
      await next.begin();
      expect(log.said.at(-1)).toBe("warn: erasures could not be finished");
      expect(clock.planned).toEqual([tenMinutes]);
      [before, fault] = [() => {}, undefined];
      if (failing.startsWith("set")) await records.set("unfinished-erasures", true);
      await clock.pass(tenMinutes);
      expect(removed.map(({ conversationId }) => conversationId)).toEqual(["c1"]);
      expect(clock.planned).toEqual([]);
    },
  );

  it("is kept apart from that of another agent, whose service may use the same ids", async () => {
    const erasures = process();
    await erasures.add(one);
    await erasures.add({ ...one, agent: "other" });
    expect(await left()).toHaveLength(2);
    expect(await records.get(keyOf("other", "c1"))).toEqual({ ...one, agent: "other" });
  });

  it("is tried again every ten minutes until it is done, and told without anybody's words", async () => {
    fault = away;
    const erasures = process();
    await erasures.add(one);
    await erasures.begin();
    await clock.pass(2 * tenMinutes);
    expect(log.said).toEqual(Array(3).fill("warn: a conversation is yet to be erased"));
    expect(log.lines[0]?.fields).toMatchObject({ agent: "helper", code: "backend-unavailable" });
    expect(JSON.stringify(log.lines)).not.toContain("canary");
    expect(await left()).toEqual([one]);
    // The next process looks, too.
    expect(await records.get("unfinished-erasures")).toBe(true);
    fault = undefined;
    await clock.pass(tenMinutes);
    expect(removed).toHaveLength(1);
    expect(await left()).toEqual([]);
    expect(clock.planned).toEqual([]);
  });

  it("holds up no other one", async () => {
    const erasures = process();
    await erasures.add(one);
    await erasures.add(two);
    fault = async (call) => {
      if (call.conversationId === "c1") return away();
      removed.push(call);
    };
    await erasures.begin();
    expect(removed.map(({ conversationId }) => conversationId)).toEqual(["c2"]);
    expect(await left()).toEqual([one]);
  });

  it("is left to the processes that have its agent, and can erase with it", async () => {
    await process().add(one);
    const { remove: _, ...unable } = helper;
    for (const agents of [{ other: helper }, { helper: unable }]) {
      await process(agents).begin();
      expect(removed).toEqual([]);
      expect(await records.get("unfinished-erasures")).toBe(true);
    }
    expect(log.lines).toEqual([]);
    await process().begin();
    expect(removed).toHaveLength(1);
  });

  it("is not lost when it is added while others are erased", async () => {
    const erasures = process();
    await erasures.add(one);
    fault = async () => {
      fault = undefined;
      await erasures.add(two);
    };
    await erasures.begin();
    expect(await records.get("unfinished-erasures")).toBe(true);
    await process().begin();
    expect(removed.map(({ conversationId }) => conversationId)).toEqual(["c2"]);
  });

  it.each([1, 2])("is found where the process dies after %d of its writes", async (writes) => {
    let left = writes;
    before = () => {
      left -= 1;
      if (left < 0) throw new AparteError("store-failed", "The process is dead.");
    };
    await expect(process().add(one)).rejects.toThrow();
    before = () => {};
    await process().begin();
    // With the first write alone there is nothing yet, and forgetting fails: it is asked for again.
    expect(removed).toHaveLength(writes - 1);
  });

  it("has its call end in time", async () => {
    const { signal } = await new Promise<ConversationCall>((called) => {
      fault = async (call) => called(call);
      const erasures = new UnfinishedErasures({
        ...{ records, clock, logger: log, callTimeout: 1 },
        agents: new Map([["helper", helper]]),
      });
      void erasures.add(one).then(() => erasures.begin());
    });
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    expect(signal.reason).toMatchObject({ name: "TimeoutError" });
  });
});

describe("Looking for conversations that are yet to be erased", () => {
  it("happens once in a process, and lists nothing where there are none", async () => {
    const erasures = process();
    await Promise.all([erasures.begin(), erasures.begin()]);
    expect(calls).toEqual(["get unfinished-erasures"]);
    expect(listings).toBe(0);
    await erasures.begin();
    expect(calls).toHaveLength(1);
    expect(clock.planned).toEqual([]);
  });

  it("is told, and tried again, where the store is away", async () => {
    await process().add(one);
    before = () => {
      throw new AparteError("store-failed", "The store is away.");
    };
    await process().begin();
    expect(log.said).toEqual(["warn: erasures could not be finished"]);
    expect(log.lines[0]?.fields).toMatchObject({ code: "store-failed" });
    before = () => {};
    await clock.pass(tenMinutes);
    expect(removed).toHaveLength(1);
  });

  it("is marked again where the store failed in the midst of it", async () => {
    const erasures = process();
    await erasures.add(one);
    before = (call) => {
      if (call.startsWith("delete erase:")) throw new AparteError("store-failed", "The store is away.");
    };
    await erasures.begin();
    expect(log.said).toEqual(["warn: a conversation is yet to be erased"]);
    expect(await records.get("unfinished-erasures")).toBe(true);
    before = () => {};
    await clock.pass(tenMinutes);
    // Once more: that does no harm.
    expect(removed).toHaveLength(2);
    expect(await left()).toEqual([]);
  });

  it("is not planned any more once the process ends", async () => {
    const erasures = process();
    erasures.close();
    await erasures.add(one);
    expect(clock.planned).toEqual([]);
    expect(await left()).toEqual([one]);
  });

  it("ends with the process, and leaves the rest to the next one", async () => {
    const erasures = process();
    await erasures.add(one);
    await erasures.add(two);
    fault = async (call) => {
      removed.push(call);
      erasures.close();
    };
    await erasures.begin();
    expect(removed).toHaveLength(1);
    expect(await left()).toHaveLength(1);
    expect(clock.planned).toEqual([]);
    await erasures.add(one);
    await settled();
    expect(clock.planned).toEqual([]);
    fault = undefined;
    await process().begin();
    expect(await left()).toEqual([]);
  });
});
