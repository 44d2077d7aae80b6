import { describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { burialMs } from "../../src/stores/store.ts";

const base = { lane: "lane", version: 0, document: 1, until: Number.MAX_SAFE_INTEGER };

describe("Lanes in this process", () => {
  it("say that an owner who has ended listening did not hear, and not one who listens again", async () => {
    const store = memoryStore();
    const heard: string[] = [];
    const first = await store.listen("ada", () => heard.push("first"));
    const second = await store.listen("ada", () => heard.push("second"));
    const wake = async (lane: string) => {
      const answer = await store.commit({ ...base, lane, wakes: ["ada"] });
      return answer.is === "done" ? answer.unheard : answer.is;
    };
    first();
    expect(await wake("1")).toEqual([]);
    expect(heard).toEqual(["second"]);
    second();
    expect(await wake("2")).toEqual(["ada"]);
    await store.listen("ada", () => heard.push("third"));
    // Ended long ago: nothing of who listens now.
    first();
    second();
    expect(await wake("3")).toEqual([]);
    expect(heard).toEqual(["second", "third"]);
  });

  it("wake nobody who ends listening in the same moment", async () => {
    const store = memoryStore();
    const heard: unknown[] = [];
    const end = await store.listen("ada", (lane) => heard.push(lane));
    const committed = store.commit({ ...base, wakes: ["ada"] });
    end();
    await committed;
    expect(heard).toEqual([]);
  });

  it("end with their time, to the millisecond, and an owner is remembered for a day after its end", async () => {
    let now = 1_800_000_000_000;
    const store = memoryStore(() => now);
    const { version } = (await store.commit({ ...base, ttlMs: 1_000 })) as { version: number };
    await store.beat("ada", 1_000);
    now += 999;
    expect(await store.read("lane")).toMatchObject({ version, document: 1 });
    expect(await store.dead()).toEqual([]);
    expect(await store.bury("ada")).toBe("alive");
    now += 1;
    expect(await store.read("lane")).toMatchObject({ version: 0, document: undefined });
    expect(await store.commit({ ...base, version })).toMatchObject({ is: "changed", version: 0 });
    now += burialMs;
    await store.dead();
    expect(await store.beat("ada", 0)).toMatchObject({ until: now - burialMs });
    now += burialMs + 1;
    await store.dead();
    expect(await store.beat("ada", 0)).toMatchObject({ until: undefined });
  });

  it("of a dead owner are listed 500 at a time, those that were not listed first", async () => {
    const store = memoryStore();
    for (let lane = 0; lane < 700; lane += 1) {
      await store.commit({ ...base, lane: `${lane}`, entering: ["ada"] });
    }
    await store.beat("ada", 0);
    const list = async () => (await store.dead())[0]?.lanes.map(Number) ?? [];
    const numbers = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => from + index);
    expect(await list()).toEqual(numbers(0, 500));
    expect(await list()).toEqual([...numbers(500, 700), ...numbers(0, 300)]);
  });
});
