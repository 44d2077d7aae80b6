import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { commit, onFile, type TestFile } from "../../support/sqlite.ts";

/** Lets the looks come that are due within some milliseconds. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** What was heard, in alphabetical order, after one look more. */
async function afterLook(heard: readonly (string | undefined)[]) {
  await pass(10);
  return [...heard].sort();
}

describe("Wakes in a SQLite file", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  async function opened(file: TestFile) {
    const [store, other] = [await file.open(), await file.open()];
    const heard: (string | undefined)[] = [];
    await store.beat("ada", 600_000);
    const listen = (owner = "ada") => store.listen(owner, (lane) => heard.push(lane));
    const tell = async (lane: string, owner = "ada") => {
      const { version, unheard } = await commit(other, { lane, document: 1, wakes: [owner] });
      await commit(other, { lane, version });
      return unheard;
    };
    return { store, other, heard, listen, tell };
  }

  it("of another process are looked for each ten milliseconds", () =>
    onFile(async (file) => {
      const { heard, listen, tell } = await opened(file);
      await listen();
      expect(await tell("one")).toEqual([]);
      await pass(9);
      expect(heard).toEqual([]);
      await pass(1);
      await expect.poll(() => heard).toEqual(["one"]);
      await tell("two");
      await tell("three");
      await expect.poll(() => afterLook(heard)).toEqual(["one", "three", "two"]);
      expect(file.count("aparte_wakes")).toBe(0);
    }));

  it("are looked for no more when nobody listens, and again when somebody does", () =>
    onFile(async (file) => {
      const { heard, listen, tell } = await opened(file);
      const end = await listen();
      await pass(10);
      await expect.poll(() => vi.getTimerCount()).toBe(1);
      end();
      end();
      await pass(10);
      await expect.poll(() => vi.getTimerCount()).toBe(0);
      await tell("one");
      await listen();
      await pass(10);
      await expect.poll(() => heard).toEqual(["one"]);
    }));

  it("of the same process come at once, to those who still listen", () =>
    onFile(async (file) => {
      const { store, heard, listen } = await opened(file);
      const end = await listen();
      const others: unknown[] = [];
      await store.listen("ada", (lane) => others.push(lane));
      const { version, unheard } = await commit(store, { lane: "one", document: 1, wakes: ["ada", "bob"] });
      expect(unheard).toEqual(["bob"]);
      await expect.poll(() => [heard, others]).toEqual([["one"], ["one"]]);
      end();
      await commit(store, { lane: "one", version, document: 2, wakes: ["ada"] });
      await expect.poll(() => others).toEqual(["one", "one"]);
      expect(heard).toEqual(["one"]);
      expect(file.count("aparte_wakes")).toBe(0);
    }));

  it("are carried on when a look failed", () =>
    onFile(async (file) => {
      const { heard, listen, tell } = await opened(file);
      await listen();
      await tell("one");
      file.inFile((database) => database.exec("ALTER TABLE aparte_wakes RENAME TO away"));
      await pass(10);
      await expect.poll(() => vi.getTimerCount()).toBe(1);
      expect(heard).toEqual([]);
      file.inFile((database) => database.exec("ALTER TABLE away RENAME TO aparte_wakes"));
      await expect.poll(() => afterLook(heard)).toEqual(["one"]);
    }));

  it("end with the store", () =>
    onFile(async (file) => {
      const { store, listen } = await opened(file);
      await listen();
      expect(vi.getTimerCount()).toBe(1);
      await store.close();
      expect(vi.getTimerCount()).toBe(0);
    }));
});
