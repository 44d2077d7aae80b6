import { SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { startCozeEmulator } from "aparte/testing";
import { afterEach, describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";

const secret = "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp";
const quiet = { info() {}, warn() {}, error() {} };

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

describe("Two customers in one process, with one app at the service", () => {
  it("have each their own tokens in their own store, and forget their own alone", async () => {
    const emulator = await startCozeEmulator();
    endings.push(() => emulator.close());
    const { appId, keyId, privateKey, botId, baseURL } = emulator;
    const customers = ["a", "b"].map(() => {
      const store = { ...memoryStore(), shared: true };
      const helper = coze({ appId, keyId, privateKey, botId, baseURL });
      const mapper = new SessionMapper({ agents: { helper }, store, secret, logger: quiet });
      endings.push(() => mapper.close());
      const tokens = async () => {
        let count = 0;
        for await (const _ of store.records.entries("token:")) count += 1;
        return count;
      };
      return { mapper, tokens };
    });
    const [a, b] = customers;
    if (a === undefined || b === undefined) throw new Error("There are two.");
    // The same person by name: with the same secret even the session's name is the same.
    const ada = { platform: "web", tenant: "acme", user: "ada" };
    const first = await a.mapper.resolve(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 0]);
    const second = await b.mapper.resolve(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 1]);
    expect(second.accessToken).not.toBe(first.accessToken);
    await b.mapper.forget(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 0]);
  });
});
