import { copyFile } from "node:fs/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { machineTime } from "../../../src/stores/sqlite/clock.ts";
import { burialMs, eventMemoryMs } from "../../../src/stores/store.ts";
import { commit, onFile, type TestFile } from "../../support/sqlite.ts";

const hour = 3_600_000;
const lease = 30_000;

function setWallClock(by: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + by });
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** An owner, and whether it lives to the end of its lease and no longer, whatever `happens` meanwhile. */
async function livesItsLease(file: TestFile, happens: () => void): Promise<void> {
  const store = await file.open();
  const { now } = await store.beat("ada", lease);
  happens();
  file.advance(lease - 1);
  expect(await store.bury("ada")).toBe("alive");
  expect((await store.beat("bob", lease)).now).toBe(now + lease - 1);
  file.advance(1);
  expect(await store.bury("ada")).toBe("dead");
}

describe("The time of a SQLite file", () => {
  it("begins with the wall clock's", () =>
    onFile(async (file) => {
      setWallClock(0);
      const { now } = await (await file.open()).read("lane");
      expect(now).toBe(Date.now());
    }));

  it("lets an owner live for its lease when the wall clock is set back or forth", async () => {
    await onFile((file) => livesItsLease(file, () => setWallClock(-hour)));
    await onFile((file) => livesItsLease(file, () => setWallClock(2 * hour)));
  });

  it("goes on when the machine was started anew, by the wall clock", () =>
    onFile(async (file) => {
      setWallClock(0);
      const store = await file.open();
      const { now } = await store.beat("ada", 10 * hour);
      file.restartMachine();
      setWallClock(11 * hour);
      expect((await store.read("lane")).now).toBe(now + 11 * hour);
      expect(await store.bury("ada")).toBe("dead");
    }));

  it("never goes back, also when the machine was started anew with a wall clock that is behind", () =>
    onFile(async (file) => {
      const store = await file.open();
      const { now } = await store.beat("ada", lease);
      file.restartMachine();
      setWallClock(-hour);
      expect((await store.beat("bob", lease)).now).toBe(now);
      file.advance(lease);
      expect(await store.bury("ada")).toBe("dead");
    }));

  it("keeps no owner alive that gave its signs for long before a short pause of the machine", () =>
    onFile(async (file) => {
      file.restartMachine();
      setWallClock(0);
      const store = await file.open();
      await commit(store, { lane: "lane", document: 1 });
      file.advance(10 * hour);
      await store.beat("ada", lease);
      // Started anew, and up for longer than it was at the last commit.
      file.restartMachine();
      file.advance(1_000);
      setWallClock(10 * hour + lease);
      expect(await store.bury("ada")).toBe("dead");
    }));

  it("is the same for all who have the file open", () =>
    onFile(async (file) => {
      const [one, other] = [await file.open(), await file.open()];
      const { now } = await one.beat("ada", lease);
      file.advance(lease);
      expect((await other.read("lane")).now).toBe(now + lease);
      expect(await other.bury("ada")).toBe("dead");
    }));
});

describe("The versions of a SQLite file", () => {
  it("grow at one time, over deletion, and over a new start", () =>
    onFile(async (file) => {
      const store = await file.open();
      const versions: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        const { version } = await commit(store, { lane: "lane", document: round });
        versions.push(version);
        await commit(store, { lane: "lane", version });
      }
      await store.close();
      versions.push((await commit(await file.open(), { lane: "lane", document: 3 })).version);
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    }));

  it("grow when a copy of the file is put back", () =>
    onFile(async (file) => {
      const first = await file.open();
      const before = await commit(first, { lane: "lane", document: 1 });
      await first.close();
      await copyFile(file.path, `${file.path}.copy`);
      const second = await file.open();
      file.advance(1_000);
      const lost = await commit(second, { lane: "lane", version: before.version, document: 2 });
      await second.close();
      await copyFile(`${file.path}.copy`, file.path);
      file.advance(1_000);
      const third = await file.open();
      expect((await third.read("lane")).version).toBe(before.version);
      const after = await commit(third, { lane: "lane", version: before.version, document: 3 });
      expect(after.version).toBeGreaterThan(lost.version);
    }));
});

describe("What is out of date in a SQLite file", () => {
  it("is removed with signs of life, and nothing else is", () =>
    onFile(async (file) => {
      setWallClock(0);
      const store = await file.open();
      await store.beat("ada", lease);
      await store.beat("bob", lease);
      await store.bury("cid", true);
      await commit(store, { lane: "parked", document: 1, ttlMs: hour, marks: ["event"], entering: ["bob"] });
      await commit(store, { lane: "kept", document: 1, wakes: ["bob"] });
      await store.records.set("token", "t", hour);
      await store.records.set("kept", "k");
      await store.rates?.take("key", 5, hour);
      const counts = () => ({
        documents: file.count("aparte_lanes"),
        marks: file.count("aparte_marks"),
        owners: file.count("aparte_owners"),
        wakes: file.count("aparte_wakes"),
        records: file.count("keyv"),
        rates: file.count("aparte_rates"),
      });
      const all = { documents: 2, marks: 1, owners: 3, wakes: 1, records: 2, rates: 1 };
      await store.beat("ada", lease);
      await store.read("kept");
      expect(counts()).toEqual(all);
      file.advance(hour + 1);
      setWallClock(hour + 1);
      await store.beat("ada", lease);
      await store.read("kept");
      expect(counts()).toEqual({ ...all, documents: 1, wakes: 0, records: 1, rates: 0 });
      file.advance(2 * eventMemoryMs + burialMs);
      await store.beat("ada", lease);
      await store.read("kept");
      // Bob has a lane that somebody has to go on with.
      expect(counts()).toEqual({ documents: 1, marks: 0, owners: 2, wakes: 0, records: 1, rates: 0 });
      expect(await store.dead()).toEqual([{ owner: "bob", lanes: ["parked"] }]);
    }));

  it("is no owner that was buried within the last day, however long it was silent before", () =>
    onFile(async (file) => {
      const store = await file.open();
      await store.beat("ada", lease);
      file.advance(3 * burialMs);
      expect(await store.bury("ada")).toBe("dead");
      file.advance(burialMs - 1);
      await store.beat("bob", lease);
      expect((await store.beat("ada", lease)).isBuried).toBe(true);
      file.advance(1);
      await store.beat("bob", lease);
      expect((await store.beat("ada", lease)).isBuried).toBe(false);
    }));

  it("is all removed after one sign of life, however much it is", () =>
    onFile(async (file) => {
      const store = await file.open();
      const marks = Array.from({ length: 1_000 }, (_, index) => `event ${index}`);
      await commit(store, { lane: "lane", marks });
      file.advance(3 * eventMemoryMs);
      await store.beat("ada", lease);
      await expect.poll(() => file.count("aparte_marks")).toBe(0);
    }));

  it("counts an event as taken for a day, whenever in a day it came", () =>
    onFile(async (file) => {
      const store = await file.open();
      const commitAgain = () =>
        store.commit({ lane: "lane", version: 0, document: undefined, marks: ["event"], until: 1e300 });
      for (let quarter = 0; quarter < 4; quarter += 1) {
        expect((await commitAgain()).is).toBe("done");
        file.advance(eventMemoryMs);
        await store.beat("ada", lease);
        expect((await commitAgain()).is).toBe("duplicate");
        file.advance(eventMemoryMs * 1.25);
        await store.beat("ada", lease);
      }
    }));

  it("is a record whose time is over, for whoever writes only if nothing is there", () =>
    onFile(async (file) => {
      setWallClock(0);
      const store = await file.open();
      expect(await store.records.setIfAbsent("lock", 1, 1_000)).toBe(true);
      setWallClock(1_000);
      expect(await store.records.setIfAbsent("lock", 2, 1_000)).toBe(false);
      setWallClock(1);
      expect(await store.records.get("lock")).toBeUndefined();
      expect(await store.records.setIfAbsent("lock", 3, 1_000)).toBe(true);
    }));

  it("frees uses of a limit when their span is over", () =>
    onFile(async (file) => {
      const { rates } = await file.open();
      const take = () => rates?.take("key", 2, 10_000);
      expect([await take(), await take(), await take()]).toEqual([0, 0, 10_000]);
      file.advance(4_000);
      expect(await take()).toBe(6_000);
      file.advance(6_000);
      expect([await take(), await take(), await take()]).toEqual([0, 0, 10_000]);
    }));
});

describe("The machine's clock", () => {
  it("counts whole microseconds, and cannot be set", () => {
    vi.spyOn(Date, "now").mockImplementation(() => 0);
    const before = process.hrtime.bigint() / 1_000n;
    const time = machineTime();
    const after = process.hrtime.bigint() / 1_000n;
    expect(Number.isInteger(time)).toBe(true);
    expect(BigInt(time)).toBeGreaterThanOrEqual(before);
    expect(BigInt(time)).toBeLessThanOrEqual(after);
  });
});
