import assert from "node:assert/strict";
import { onStore, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { Participant } from "./participant.ts";
import { type ContractRunner, until } from "./runner.ts";

/** What becomes of turns that meet a running one. */
export function overlapContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  /** With two owners whose leases do not run out. */
  const by = (test: (a: Participant, b: Participant, pair: StorePair) => Promise<void>) => () =>
    onStore(options, apart, (pair) => test(new Participant(pair.store), new Participant(pair.other), pair));

  it(
    "takes no more turns than may wait",
    by(async (a, b) => {
      const running = await a.run("lane", "1", { limit: 2 });
      await b.wait("lane", "2", { limit: 2 });
      await a.wait("lane", "3", { limit: 2 });
      assert.deepEqual(await b.begin("lane", "4", { limit: 2 }), { is: "full" });
      assert.deepEqual(await b.begin("lane", "5", { limit: 0 }), { is: "full" });
      assert.deepEqual(await a.begin("lane", "5"), { is: "duplicate" });
      await a.lanes.end(running);
      const second = await b.grant("2");
      assert.equal(await b.wait("lane", "6", { limit: 2 }), 2);
      await b.lanes.end(second);
      await a.lanes.end(await a.grant("3"));
      await b.lanes.end(await b.grant("6"));
      await a.run("lane", "7", { limit: 0 });
    }),
  );

  it(
    "does not take a turn that rejects waiting",
    by(async (a, b) => {
      const running = await a.run("lane", "1", { overlap: "reject" });
      assert.deepEqual(await b.begin("lane", "2", { overlap: "reject" }), { is: "busy" });
      // The person was told; a second delivery of the event is not told again.
      assert.deepEqual(await a.begin("lane", "2", { overlap: "reject" }), { is: "duplicate" });
      await a.lanes.end(running);
      assert.deepEqual(await b.begin("lane", "2", { overlap: "reject" }), { is: "duplicate" });
      await b.run("lane", "3", { overlap: "reject" });
      assert.deepEqual([a.grants, b.grants], [[], []]);
    }),
  );

  it(
    "merges those that wait into the last of them, if their merge keys are equal",
    by(async (a, b) => {
      const merge = (mergeKey: string) => ({ overlap: "merge", mergeKey }) as const;
      const running = await a.run("lane", "1", merge("x"));
      await a.wait("lane", "2", merge("x"));
      await b.wait("lane", "3", merge("x"));
      await b.wait("lane", "4", merge("x"));
      await a.wait("lane", "5", merge("y"));
      await b.wait("lane", "6", merge("x"));
      await a.lanes.end(running);
      const carrier = await b.grant("4");
      assert.deepEqual(carrier.merged, [
        { key: "2", body: { text: "2" } },
        { key: "3", body: { text: "3" } },
      ]);
      await until("the owners know", () =>
        a.mergedKeys.length + b.mergedKeys.length === 2 ? true : undefined,
      );
      assert.deepEqual([a.mergedKeys, b.mergedKeys], [["2"], ["3"]]);
      assert.deepEqual(await a.begin("lane", "2", merge("x")), { is: "duplicate" });
      assert.equal(await a.lanes.withdraw("lane", "2"), false);
      await b.lanes.end(carrier);
      const alone = await a.grant("5");
      assert.deepEqual(alone.merged, []);
      await a.lanes.end(alone);
      assert.deepEqual((await b.grant("6")).merged, []);
      assert.deepEqual(await a.begin("lane", "2", merge("x")), { is: "duplicate" });
    }),
  );

  it(
    "does not merge turns that queue",
    by(async (a) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      await a.wait("lane", "3", { overlap: "merge" });
      await a.lanes.end(running);
      assert.deepEqual((await a.grant("2")).merged, []);
    }),
  );

  it(
    "tells the owner of a running turn that it is interrupted, and merges those that interrupt",
    by(async (a, b) => {
      const interrupt = { overlap: "interrupt" } as const;
      const running = await a.run("lane", "1", interrupt);
      await b.wait("lane", "2", interrupt);
      await until("the owner knows", () => a.interruptedKeys[0]);
      await b.wait("lane", "3", interrupt);
      assert.deepEqual(new Set(a.interruptedKeys), new Set(["1"]));
      assert.deepEqual(b.grants, []);
      await a.lanes.end(running);
      const carrier = await b.grant("3");
      assert.deepEqual(
        carrier.merged.map(({ key }) => key),
        ["2"],
      );
      await a.wait("lane", "4", interrupt);
      await until("the owner knows", () => b.interruptedKeys[0]);
      assert.deepEqual(b.interruptedKeys, ["3"]);
    }),
  );
}
