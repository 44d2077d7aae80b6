import { AparteError } from "aparte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { boundedRecords, withDeadline } from "../../src/stores/deadline.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Records } from "../../src/stores/store.ts";

const never = () => new Promise<never>(() => {});
const broken = new Error("the disk is gone");
const breaks = () => Promise.reject(broken);

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const calls: [string, (records: Records) => Promise<unknown>][] = [
  ["read", (records) => records.get("a")],
  ["write", (records) => records.set("a", 1)],
  ["write", (records) => records.setIfAbsent("a", 1)],
  ["delete", (records) => records.delete("a")],
  ["list", (records) => records.entries("")[Symbol.asyncIterator]().next()],
];

function all(call: () => Promise<never>): Records {
  return boundedRecords({
    ...{ get: call, set: call, setIfAbsent: call, delete: call },
    entries: () => ({ [Symbol.asyncIterator]: () => ({ next: call }) }),
  });
}

describe("A call of a store", () => {
  it.each(calls)("fails where no answer comes within a second (%s)", async (what, call) => {
    const failed = expect(call(all(never))).rejects.toMatchObject({
      code: "store-timeout",
      message: `The store did not answer within 1000 ms (${what}). Look whether its server is up.`,
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await failed;
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(calls)("fails with what the store failed with (%s)", async (what, call) => {
    await expect(call(all(breaks))).rejects.toMatchObject({
      ...{ code: "store-failed", cause: broken },
      message: `The store failed (${what}). The cause is kept in the error.`,
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("fails as its own failure says", async () => {
    const own = new AparteError("backend-unsupported", "It cannot.");
    await expect(withDeadline("list", () => Promise.reject(own))).rejects.toBe(own);
  });

  it("brings what the store has, and leaves no timer", async () => {
    const records = boundedRecords(memoryStore(() => Date.now()).records);
    await records.set("a1", 1, 1_000);
    expect(await records.setIfAbsent("a1", 2)).toBe(false);
    expect(await records.setIfAbsent("a2", 2, 500)).toBe(true);
    await records.set("b", 3);
    const listed: unknown[] = [];
    for await (const entry of records.entries("a")) listed.push(entry);
    expect(listed).toEqual([
      ["a1", 1],
      ["a2", 2],
    ]);
    await records.delete("b");
    vi.setSystemTime(Date.now() + 500);
    expect([await records.get("a1"), await records.get("a2"), await records.get("b")]).toEqual([
      ...[1, undefined, undefined],
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends the store's list where its reader leaves, or a step fails, and waits for no end of it", async () => {
    for (const [step, ends] of [
      [async () => ({ done: false as const, value: ["a", 1] as [string, unknown] }), 1],
      [breaks, 1],
      [async () => ({ done: true as const, value: undefined }), 0],
    ] as const) {
      let ended = 0;
      const end = () => {
        ended += 1;
        return never();
      };
      const list = { [Symbol.asyncIterator]: () => ({ next: step, return: end }) } as unknown;
      const inner = memoryStore(() => 0).records;
      const records = boundedRecords({ ...inner, entries: () => list as AsyncIterable<[string, never]> });
      try {
        for await (const _ of records.entries("")) break;
      } catch (error) {
        expect(error).toMatchObject({ cause: broken });
      }
      expect(ended).toBe(ends);
    }
  });
});
