import { expectAnswer, expectThat } from "./expectations.ts";
import { type StoreContractOptions, storeSuite } from "./opened-store.ts";
import type { ContractRunner } from "./runner.ts";
import { commits, isRefused, listsDead, stands } from "./store-calls.ts";
import { commitContract } from "./store-commits.ts";
import { contentContract } from "./store-contents.ts";
import { ownerContract } from "./store-owners.ts";
import { raceContract } from "./store-races.ts";
import { recordContract } from "./store-records.ts";
import { newsOf, wakeContract } from "./store-wakes.ts";

/**
 * Defines the tests of what every {@link Store} promises.
 *
 * ```ts
 * import { describe, it } from "node:test";
 * import { storeContract } from "aparte/testing";
 *
 * storeContract({ describe, it }, { name: "mine", shared: true, durable: true, open: async () => ({ store, … }) });
 * ```
 */
export function storeContract(runner: ContractRunner, options: StoreContractOptions): void {
  const { describe } = runner;
  const { name, shared, durable } = options;
  describe(`Store ${name}`, () => {
    for (const apart of shared ? [false, true] : [false]) {
      const suite = storeSuite(runner, options, apart);
      describe(apart ? "of two processes" : "of one process", () => {
        suite.it("says what it is", async ({ store }) => {
          expectAnswer("store", { shared: store.shared, durable: store.durable }, { shared, durable });
          expectThat("store.name is a word for people", /^\w+$/.test(store.name));
        });
        describe("commits", () => commitContract(suite));
        describe("contents", () => contentContract(suite));
        describe("races", () => raceContract(suite));
        describe("owners", () => ownerContract(suite));
        describe("wakes", () => wakeContract(suite));
        describe("records", () => recordContract(suite));
      });
    }
    describe("when it is closed", () => closingContract(runner, options));
  });
}

function closingContract(runner: ContractRunner, options: StoreContractOptions): void {
  const { it } = storeSuite(runner, options, options.shared);

  it("ends, also twice", async ({ store }) => {
    await newsOf(store, "ada");
    await store.close();
    await store.close();
  });

  if (options.shared) {
    it("takes nothing from other processes", async ({ store, other }) => {
      const ada = await newsOf(store, "ada");
      const bob = await newsOf(other, "bob");
      await store.close();
      const { version } = await commits(other, {
        lane: "lane",
        version: 0,
        document: 1,
        wakes: ["ada", "bob"],
      });
      await bob.comes("lane");
      await stands(other, "lane", { version, document: 1, record: null });
      expectAnswer("what a store was told after it was closed", ada.lanes, []);
    });
  }

  if (options.durable) {
    it("is found again as it was", async ({ store, again }) => {
      for (const owner of ["ada", "bob"]) await store.beat(owner, 0);
      await store.bury("bob");
      await store.beat("eve", 600_000);
      const change = { lane: "lane", version: 0, document: { v: 1 }, record: { r: 1 } };
      const { version } = await commits(store, { ...change, marks: ["m"], entering: ["ada", "bob", "eve"] });
      await store.records.set("kept", 1);
      await store.close();

      const reopened = await again();
      const truth = { version, document: { v: 1 }, record: { r: 1 } };
      await stands(reopened, "lane", truth);
      expectAnswer('records.get("kept")', await reopened.records.get("kept"), 1);
      await listsDead(reopened, { ada: ["lane"], bob: ["lane"] });
      expectAnswer('beat("bob").isBuried', (await reopened.beat("bob", 600_000)).isBuried, true);
      expectAnswer('bury("eve")', await reopened.bury("eve"), "alive");
      await isRefused(reopened, "duplicate", { lane: "lane", version, document: 2, marks: ["m"] }, truth, [
        "m",
      ]);
      const next = await commits(reopened, { lane: "lane", version, document: 2 });
      expectThat(
        `a version after opening again (${next.version}) is more than ${version}`,
        next.version > version,
      );
    });
  }
}
