import assert from "node:assert/strict";
import { again, onStore, type StoreContractOptions } from "./opened-store.ts";
import { Participant, shortLease } from "./participant.ts";
import type { ContractRunner } from "./runner.ts";
import { laneContract } from "./store-lanes.ts";
import { overlapContract } from "./store-overlaps.ts";
import { deadOwnerContract } from "./store-owners.ts";
import { recordContract } from "./store-records.ts";
import { takeOverContract } from "./store-takeovers.ts";

/**
 * Defines the tests of what every {@link Store} promises, for the store that `options.open` opens.
 *
 * ```ts
 * import { describe, it } from "node:test";
 * import { storeContract } from "aparte/testing";
 *
 * storeContract({ describe, it }, { name: "mine", shared: false, durable: false, open: async () => … });
 * ```
 */
export function storeContract(runner: ContractRunner, options: StoreContractOptions): void {
  const { describe, it } = runner;
  const { name, shared, durable } = options;
  describe(`Store ${name}`, () => {
    it(`says that it is ${shared ? "" : "not "}shared and ${durable ? "" : "not "}durable`, () =>
      onStore(options, false, async ({ store }, opened) => {
        assert.deepEqual({ shared: store.shared, durable: store.durable }, { shared, durable });
        if (shared || durable) assert.ok(opened.again, "it can be opened again");
      }));
    for (const apart of shared ? [false, true] : [false]) {
      const where = apart ? "of two processes" : "of one process";
      describe(`records ${where}`, () => recordContract(runner, options, apart));
      describe(`lanes ${where}`, () => {
        laneContract(runner, options, apart);
        overlapContract(runner, options, apart);
        takeOverContract(runner, options, apart);
      });
      if (durable) describe(`owners that die, ${where}`, () => deadOwnerContract(runner, options, apart));
    }
    if (durable) describe("what is kept", () => durableContract(runner, options));
  });
}

function durableContract({ it }: ContractRunner, options: StoreContractOptions): void {
  it("finds its records and its turns again after it was closed", () =>
    onStore(options, false, async ({ store }, opened) => {
      const before = new Participant(store, shortLease);
      await store.records.set("session:kept", { v: 1 });
      const running = await before.run("lane", "running");
      await before.lanes.note(running, { chat: "c1" });
      await before.wait("lane", "waiting");
      await store.close();

      const reopened = await again(opened);
      const after = new Participant(reopened);
      assert.deepEqual(await reopened.records.get("session:kept"), { v: 1 });
      const taken = await after.takeOver("running");
      assert.deepEqual(taken.facts, { chat: "c1" });
      assert.ok(taken.fence > running.fence, "the fence goes on");
      assert.deepEqual(await after.begin("lane", "running"), { is: "duplicate" });
      await after.lanes.end(taken);
      assert.equal((await after.takeOver("waiting")).attempt, 1);
    }));
}
