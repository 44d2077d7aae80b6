import { Keyv } from "keyv";
import { describe, expect, it } from "vitest";
import { keyvStore } from "../../src/stores/keyv.ts";
import { sessionKey } from "../../src/stores/store.ts";
import { storeContract } from "../../src/testing/store.ts";

storeContract(
  { describe, it },
  {
    name: "keyv",
    shared: false,
    durable: false,
    open: async () => {
      const store = keyvStore(new Keyv());
      return { store, close: () => store.close() };
    },
  },
);

describe("A Keyv that fails", () => {
  const commit = {
    lane: "lane",
    version: 0,
    document: { v: 1 },
    marks: ["m"],
    until: Number.MAX_SAFE_INTEGER,
  };

  it("fails a commit with nothing done, whether it cannot be read or not be written", async () => {
    const map = new Map<string, unknown>();
    let broken: "get" | "set" | undefined;
    const guarded = new Proxy(map, {
      get(target, name) {
        if (name === broken) throw new Error("the disk is gone");
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const store = keyvStore(new Keyv(guarded));
    for (const way of ["get", "set"] as const) {
      broken = way;
      await expect(store.commit({ ...commit, record: { v: 1 } })).rejects.toMatchObject({
        code: "store-failed",
      });
      broken = undefined;
      expect(await store.read("lane")).toMatchObject({ version: 0, record: null });
    }
    expect(await store.commit({ ...commit, record: { v: 1 } })).toMatchObject({ is: "done" });
    expect(await store.records.get(sessionKey("lane"))).toEqual({ v: 1 });
  });
});
