import { beforeEach, describe, expect, it } from "vitest";
import { RekeyedNames } from "../../src/speaker/rekeyed.ts";
import { scoped } from "../../src/speaker/scope.ts";
import { sessionName } from "../../src/speaker/session-name.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Records } from "../../src/stores/store.ts";
import { settled, TestClock } from "../support/test-clock.ts";

const ann = scoped({ platform: "chat", tenant: "acme", user: "ann" }, "user");
const [born, first] = [sessionName(ann, "the old secret of 2024"), sessionName(ann, "the new one of 2025")];

let clock: TestClock;
let records: Records;
/** Runs before each read of the store. */
let beforeRead: () => unknown;
/** When the store was read, by the clock. */
let read: number[];

beforeEach(() => {
  clock = new TestClock();
  records = memoryStore(() => clock.now()).records;
  beforeRead = () => {};
  read = [];
});

function names(): RekeyedNames {
  const get: Records["get"] = async (key) => {
    read.push(clock.now());
    await beforeRead();
    return records.get(key);
  };
  const inner = records;
  const slow: Records = {
    get,
    set: (key, value) => inner.set(key, value),
    setIfAbsent: (key, value) => inner.setIfAbsent(key, value),
    delete: (key) => inner.delete(key),
    entries: (prefix) => inner.entries(prefix),
  };
  return new RekeyedNames(slow, "the new one of 2025", clock, 1_000);
}

function away(): never {
  throw new Error("away");
}

describe("Whether names are kept", () => {
  it("is asked once for all who want to know", async () => {
    const some = names();
    expect(await Promise.all([some.read(), some.read(), some.bornAs(first)])).toEqual([
      false,
      false,
      undefined,
    ]);
    expect(await some.read()).toBe(false);
    expect([read.length, some.isUsed]).toEqual([1, false]);
  });

  it("is asked again and again while the store is away, for as long as a message waits, and then told", async () => {
    const some = names();
    beforeRead = away;
    const failed = expect(some.read()).rejects.toThrow("away");
    await clock.pass(5_000);
    await failed;
    expect(read).toEqual([0, 250, 500, 750, 1_000]);
    expect(some.isUsed).toBeUndefined();
    // Whoever comes next asks anew.
    beforeRead = () => {};
    expect(await some.read()).toBe(false);
  });

  it("is known once the store is back", async () => {
    await records.set("rekeyed", true);
    const some = names();
    beforeRead = away;
    const used = some.read();
    await clock.pass(100);
    beforeRead = () => {};
    await clock.pass(149);
    expect(read).toEqual([0]);
    await clock.pass(1);
    expect(await used).toBe(true);
    expect(read).toEqual([0, 250]);
  });

  it("stays known of a name that is kept while the store is asked", async () => {
    const some = names();
    let answer = () => {};
    beforeRead = () => new Promise<void>((resolve) => (answer = resolve));
    const get = records.get;
    // The answer is of the time before.
    records.get = async () => undefined;
    const used = some.read();
    await settled();
    beforeRead = () => {};
    expect(await some.keep(born, ann)).toBe(true);
    answer();
    expect([await used, await some.read(), some.isUsed]).toEqual([true, true, true]);
    records.get = get;
    expect(await some.bornAs(first)).toBe(born);
  });
});

describe("A name that is kept", () => {
  it("is found under the first secret, in this process and others", async () => {
    const some = names();
    expect(await some.needsOther(born, ann)).toBe(true);
    expect(await some.keep(born, ann)).toBe(true);
    expect(await some.needsOther(born, ann)).toBe(false);
    expect(await some.needsOther(first, ann)).toBe(false);
    expect([await some.bornAs(first), await names().bornAs(first)]).toEqual([born, born]);
  });

  it("is kept once the store has it", async () => {
    const { set } = records;
    const failing = (failed: (key: string) => boolean) => {
      records.set = async (key, value) => {
        if (failed(key)) throw new Error("away");
        await set.call(records, key, value);
      };
    };
    failing((key) => key === `born:${first}`);
    await expect(names().keep(born, ann)).rejects.toThrow("away");
    failing((key) => key === "rekeyed");
    await expect(names().keep(born, ann)).rejects.toThrow("away");
    expect(await records.get(`born:${first}`)).toBeUndefined();
  });

  it("does not take the place of another session of the person", async () => {
    const some = names();
    await records.set(`session:${first}`, { v: 1 });
    expect(await some.keep(born, ann)).toBe(false);
    expect([await some.read(), await some.needsOther(born, ann)]).toEqual([false, true]);
  });
});
