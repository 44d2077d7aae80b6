import { Keyv } from "keyv";
import { afterEach, describe, expect, it, vi } from "vitest";
import { keyvStore } from "../../src/stores/keyv.ts";
import { sessionKey } from "../../src/stores/store.ts";
import { storeContract } from "../../src/testing/store.ts";

storeContract(
  { describe, it },
  {
    name: "keyv",
    shared: false,
    durable: false,
    canSpoil: true,
    open: async () => {
      const map = new Map<string, unknown>();
      const store = keyvStore(new Keyv(map));
      const spoil = async (key: string) => {
        if (!map.has(`keyv:${key}`)) throw new Error(`There is no record to spoil: ${[...map.keys()]}`);
        map.set(`keyv:${key}`, '{"value":');
      };
      return { store, spoil, close: () => store.close() };
    },
  },
);

/** A Keyv whose database does what a test says, and otherwise what a map does. */
class Database {
  readonly #map = new Map<string, unknown>();
  /** Called first by each call of that name; what it returns is waited for, and is the answer if it is not undefined. */
  fault: { readonly name: "get" | "set" | "delete"; readonly run: (key: string) => unknown } | undefined;

  readonly get = (key: string) => this.#call("get", key, () => this.#map.get(key));
  readonly set = (key: string, value: unknown) =>
    this.#call("set", key, () => {
      this.#map.set(key, value);
      return true;
    });
  readonly delete = (key: string) => this.#call("delete", key, () => this.#map.delete(key));
  readonly clear = () => this.#map.clear();
  readonly keyv: Keyv = new Keyv({ store: this });

  async #call(name: string, key: string, run: () => unknown): Promise<unknown> {
    const answer = this.fault?.name === name ? await this.fault.run(key) : undefined;
    return answer ?? run();
  }
}

const never = Number.MAX_SAFE_INTEGER;
const base = { lane: "lane", version: 0, document: { v: 1 }, marks: ["m"], until: never };
const throwing = () => {
  throw new Error("the disk is gone");
};

describe("A Keyv that fails", () => {
  const faults = [
    { title: "it cannot be read", name: "get", record: { v: 1 }, run: throwing },
    { title: "it cannot be read, and no record is written", name: "get", record: undefined, run: throwing },
    { title: "it cannot be written", name: "set", record: { v: 1 }, run: throwing },
    { title: "it answers that nothing was written", name: "set", record: { v: 1 }, run: () => false },
    { title: "a record cannot be deleted", name: "delete", record: null, run: throwing },
  ] as const;
  for (const { title, record, ...fault } of faults) {
    it(`fails a commit with nothing done where ${title}`, async () => {
      const database = new Database();
      const store = keyvStore(database.keyv);
      const wakes: unknown[] = [];
      await store.listen("ada", (lane) => wakes.push(lane));
      await store.records.set(sessionKey("lane"), "as it was");
      const commit = {
        ...base,
        entering: ["ada"],
        wakes: ["ada"],
        ...(record === undefined ? {} : { record }),
      };
      database.fault = fault;
      await expect(store.commit(commit)).rejects.toMatchObject({ code: "store-failed" });
      database.fault = undefined;
      expect(await store.read("lane")).toMatchObject({
        version: 0,
        document: undefined,
        record: "as it was",
      });
      await store.beat("ada", 0);
      expect(await store.dead()).toEqual([]);
      expect(wakes).toEqual([]);
      expect(await store.commit(commit)).toMatchObject({ is: "done", record: "as it was" });
      expect(await store.dead()).toEqual([{ owner: "ada", lanes: ["lane"] }]);
      expect(wakes).toEqual(["lane"]);
    });
  }

  it("fails one commit, and not the one of the same lane that waits for it", async () => {
    const database = new Database();
    const store = keyvStore(database.keyv);
    let isFirst = true;
    const run = () => {
      if (!isFirst) return undefined;
      isFirst = false;
      return throwing();
    };
    database.fault = { name: "set", run };
    const [failed, waited] = await Promise.allSettled([
      store.commit({ ...base, record: { n: 1 } }),
      store.commit({ ...base, record: { n: 2 } }),
    ]);
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "store-failed" } });
    expect(waited).toMatchObject({ status: "fulfilled", value: { is: "done", record: null } });
    expect(await store.read("lane")).toMatchObject({ record: { n: 2 } });
  });

  it("fails reading a lane and never says that there is no record", async () => {
    const database = new Database();
    const store = keyvStore(database.keyv);
    database.fault = { name: "get", run: throwing };
    await expect(store.read("lane")).rejects.toMatchObject({ code: "store-failed" });
    await expect(store.records.get("a")).rejects.toMatchObject({ code: "store-failed" });
    await expect(store.records.setIfAbsent("a", 1)).rejects.toMatchObject({ code: "store-failed" });
  });
});

describe("A Keyv that does not answer", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  for (const name of ["get", "set"] as const) {
    it(`fails a commit after a second with nothing done (${name}), and goes on with the lane`, async () => {
      vi.useFakeTimers();
      const database = new Database();
      const store = keyvStore(database.keyv);
      database.fault = { name, run: () => new Promise(() => {}) };
      const settled = vi.fn();
      const failing = store.commit({ ...base, record: { v: 1 } });
      failing.catch(() => {}).finally(settled);
      await vi.advanceTimersByTimeAsync(999);
      expect(settled).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      await expect(failing).rejects.toMatchObject({ code: "store-timeout" });
      database.fault = undefined;
      expect(await store.read("lane")).toMatchObject({ version: 0, document: undefined });
      expect(await store.commit({ ...base, record: { v: 1 } })).toMatchObject({ is: "done", record: null });
      expect(vi.getTimerCount()).toBe(0);
    });
  }
});

describe("A Keyv that is slow", () => {
  it("holds up the calls of one lane, in their order, and none of another lane", async () => {
    const database = new Database();
    const store = keyvStore(database.keyv);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reach = () => {};
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const run = (key: string) => {
      if (!key.endsWith(sessionKey("lane"))) return undefined;
      reach();
      return held;
    };
    database.fault = { name: "set", run };
    const order: string[] = [];
    const note = <T>(call: string, promise: Promise<T>) => promise.finally(() => order.push(call));
    const first = note("first", store.commit({ ...base, record: { n: 1 } }));
    await reached;
    const read = note("read", store.read("lane"));
    const second = note("second", store.commit({ ...base, marks: ["m2"], record: { n: 2 } }));
    await note("other lane", store.commit({ ...base, lane: "other", marks: ["m3"], record: { n: 3 } }));
    release();
    const { version } = await first;
    expect(await read).toMatchObject({ version, document: { v: 1 }, record: { n: 1 } });
    expect(await second).toMatchObject({ is: "changed", version, record: { n: 1 } });
    expect(order).toEqual(["other lane", "first", "read", "second"]);
  });
});

describe("A Keyv that is handed over", () => {
  const invalid = (message: string) =>
    expect.objectContaining({
      ...{ code: "option-invalid", field: "store" },
      message: expect.stringContaining(message),
    });
  const thrownBy = (run: () => unknown): unknown => {
    try {
      run();
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it("is told to throw, and refused where it cannot be, or where its adapter hides failures", () => {
    const keyv = new Keyv();
    expect(keyv.throwOnErrors).toBe(false);
    expect(keyvStore(keyv)).toMatchObject({ name: "keyv", shared: false, durable: false });
    expect(keyv.throwOnErrors).toBe(true);
    const six = { get() {}, set() {}, delete() {}, store: new Map() } as unknown as Keyv;
    expect(thrownBy(() => keyvStore(six))).toEqual(invalid("Use keyv 5.6.0."));
    const on = (adapter: unknown) => () =>
      keyvStore({ throwOnErrors: false, store: adapter } as unknown as Keyv);
    expect(thrownBy(on({ throwOnErrors: false }))).toEqual(invalid("adapter hides failures"));
    for (const adapter of [{ throwOnErrors: true }, {}, null, undefined, () => {}, "x"]) {
      expect(thrownBy(on(adapter))).toBeUndefined();
    }
  });

  it("stays open when the store is closed", async () => {
    const keyv = new Keyv();
    const store = keyvStore(keyv);
    await store.close();
    await keyv.set("key", 1);
    expect(await store.records.get("key")).toBe(1);
  });

  it("keeps times in whole milliseconds, and at least one", async () => {
    const set: [string, number | undefined][] = [];
    const database = new Database();
    const { keyv } = database;
    const plain = keyv.set.bind(keyv);
    keyv.set = async (key: string, value: unknown, ttl?: number) => {
      set.push([key, ttl]);
      return plain(key, value, ttl);
    };
    const { records } = keyvStore(keyv);
    await records.set("a", 1, 1_500.7);
    await records.set("b", 1, 0.2);
    await records.set("c", 1, -5);
    await records.set("d", 1);
    await records.setIfAbsent("e", 1, 2.5);
    expect(set).toEqual([
      ["keyv:a", 1_500],
      ["keyv:b", 1],
      ["keyv:c", 1],
      ["keyv:d", undefined],
      ["keyv:e", 2],
    ]);
  });

  it.each(["bot", "bot:1", "session", "session:x", ""])(
    "lists what lies in its namespace, and in no other one: %j",
    async (namespace) => {
      const map = new Map();
      const [mine, other] = [new Keyv(map, { namespace }), new Keyv(map, { namespace: `a ${namespace}` })];
      const [{ records }, others] = [keyvStore(mine), keyvStore(other)];
      await records.set(sessionKey("x:1"), 1);
      await records.set("token", 2);
      await others.records.set(sessionKey("y"), 3);
      const list = async () => {
        const found: unknown[] = [];
        for await (const entry of records.entries(sessionKey(""))) found.push(entry);
        return found;
      };
      expect(await list()).toEqual([[sessionKey("x:1"), 1]]);
      await records.set(sessionKey("z"), 4);
      expect(await list()).toContainEqual([sessionKey("z"), 4]);
    },
  );

  it("lists all that can be read, of what is damaged its text, and nothing whose time is over", async () => {
    const map = new Map();
    const { records } = keyvStore(new Keyv(map));
    for (const key of ["a", "b", "c", "d"]) await records.set(key, key);
    map.set("keyv:b", '{"value":');
    map.set("keyv:c", "null");
    map.set("keyv:d", '{"value":"d","expires":1}');
    // Deleted since its key was listed.
    map.set("keyv:gone", undefined);
    await records.set("e", "e", 60_000);
    const found: unknown[] = [];
    for await (const entry of records.entries("")) found.push(entry);
    expect(found).toEqual([
      ["a", "a"],
      ["b", '{"value":'],
      ["e", "e"],
    ]);
  });

  it("says that it cannot list where its adapter cannot", async () => {
    const { keyv } = new Database();
    const listing = keyvStore(keyv).records.entries("")[Symbol.asyncIterator]().next();
    await expect(listing).rejects.toMatchObject({
      code: "backend-unsupported",
      message: "This Keyv's adapter cannot list its keys.",
    });
  });

  it("is written by one of those that write at once only if nothing is there, also after one that failed", async () => {
    const database = new Database();
    const { records } = keyvStore(database.keyv);
    let isFirst = true;
    const run = () => {
      if (!isFirst) return undefined;
      isFirst = false;
      return throwing();
    };
    database.fault = { name: "set", run };
    const writes = await Promise.allSettled([1, 2, 3].map((value) => records.setIfAbsent("key", value)));
    expect(writes).toMatchObject([
      { status: "rejected", reason: { code: "store-failed" } },
      { status: "fulfilled", value: true },
      { status: "fulfilled", value: false },
    ]);
    expect(await records.get("key")).toBe(2);
    await records.delete("key");
    expect(await records.setIfAbsent("key", 4)).toBe(true);
  });

  it("is written by one of those that come while another one writes, also after one that ended meanwhile", async () => {
    const database = new Database();
    const { records } = keyvStore(database.keyv);
    const looks: (() => void)[] = [];
    const run = () => new Promise<void>((resolve) => looks.push(resolve));
    database.fault = { name: "get", run };
    const first = records.setIfAbsent("key", 1);
    const second = records.setIfAbsent("key", 2);
    await vi.waitUntil(() => looks.length === 1);
    looks[0]?.();
    expect(await first).toBe(true);
    await records.delete("key");
    // The second one looks now, and the third one must wait for it.
    await vi.waitUntil(() => looks.length === 2);
    const third = records.setIfAbsent("key", 3);
    await new Promise((resolve) => setImmediate(resolve));
    database.fault = undefined;
    for (const look of looks) look();
    expect(await Promise.all([second, third])).toEqual([true, false]);
    expect(await records.get("key")).toBe(2);
  });
});
