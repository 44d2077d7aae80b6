import assert from "node:assert/strict";
import { sessionKey } from "../stores/old-store.ts";
import { type OpenedStore, onStore, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { leaseLost, Participant, recordOf, shortLease } from "./participant.ts";
import { type ContractRunner, until } from "./runner.ts";

/** Leases, and how turns change their owner. */
export function takeOverContract(
  { it }: ContractRunner,
  options: StoreContractOptions,
  apart: boolean,
): void {
  const on = (test: (pair: StorePair, opened: OpenedStore) => Promise<void>) => () =>
    onStore(options, apart, test);
  /** With two owners whose leases do not run out. */
  const by = (test: (a: Participant, b: Participant, pair: StorePair) => Promise<void>) => () =>
    onStore(options, apart, (pair) => test(new Participant(pair.store), new Participant(pair.other), pair));

  it(
    "takes over nothing while leases run",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      assert.deepEqual(await b.takeOverAll(), []);
      assert.deepEqual(await a.lanes.renew([running]), []);
      assert.deepEqual(await a.lanes.renew([]), []);
      assert.deepEqual(await b.takeOverAll(), []);
    }),
  );

  it(
    "lets another owner take over when a lease has run out, with what was noted",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other, shortLease);
      const c = new Participant(store);
      const first = await a.run("lane", "1", { body: { reply: "here" } });
      await a.lanes.note(first, { chat: "c0" });
      await a.lanes.note(first, { chat: "c1", posted: ["p"] });
      const second = await b.takeOver("1");
      assert.deepEqual(second.turn, { key: "1", body: { reply: "here" } });
      assert.deepEqual([second.attempt, second.facts], [2, { chat: "c1", posted: ["p"] }]);
      assert.ok(second.fence > first.fence);
      const third = await c.takeOver("1");
      assert.deepEqual([third.attempt, third.facts], [3, { chat: "c1", posted: ["p"] }]);
      assert.ok(third.fence > second.fence);
      await c.lanes.end(third);
      assert.deepEqual(await c.takeOverAll(), []);
      assert.ok((await c.run("lane", "2")).fence > third.fence);
    }),
  );

  it(
    "takes over a merged turn whole",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other);
      const running = await b.run("lane", "1");
      for (const key of ["2", "3", "4"]) await a.wait("lane", key, { overlap: "merge" });
      await b.lanes.end(running);
      const carrier = await a.grant("4");
      const taken = await b.takeOver("4");
      assert.deepEqual([taken.merged, taken.turn, taken.attempt], [carrier.merged, carrier.turn, 2]);
      await b.lanes.end(taken);
      await b.run("lane", "5");
    }),
  );

  it(
    "refuses every step of an owner whose turn was taken over",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other);
      const lost = await a.run("lane", "1");
      await a.lanes.save(lost, recordOf("kept"));
      const taken = await b.takeOver("1");
      await assert.rejects(a.lanes.note(lost, { chat: "of the dead" }), leaseLost);
      await assert.rejects(a.lanes.save(lost, recordOf("of the dead")), leaseLost);
      await assert.rejects(a.lanes.end(lost, recordOf("of the dead")), leaseLost);
      await assert.rejects(a.lanes.end(lost, null), leaseLost);
      const lost2 = await a.run("elsewhere", "1");
      assert.deepEqual(await a.lanes.renew([lost, lost2]), [lost]);
      assert.deepEqual(await store.records.get(sessionKey("lane")), recordOf("kept"));
      await b.lanes.note(taken, { chat: "of the living" });
      await b.lanes.end(taken, recordOf("of the living"));
      assert.deepEqual(await store.records.get(sessionKey("lane")), recordOf("of the living"));
    }),
  );

  it(
    "lets nobody take over a lease that is renewed",
    on(async ({ store, other }) => {
      const a = new Participant(store, 900);
      const b = new Participant(other);
      const grant = await a.run("lane", "1");
      const end = performance.now() + 2 * a.leaseMs;
      let renewedAt = performance.now();
      await until("two leases would have run out", async () => {
        const taken = await b.takeOverAll();
        // Where the machine stood still for a whole lease, it has run out rightly.
        if (taken.length > 0 && performance.now() - renewedAt > a.leaseMs / 2) return true;
        assert.deepEqual(taken, []);
        assert.deepEqual(await a.lanes.renew([grant]), []);
        renewedAt = performance.now();
        return renewedAt > end ? true : undefined;
      });
    }),
  );

  it(
    "leaves the waiting turns of an owner that leaves to others, as turns that never ran",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await b.wait("lane", "2");
      await a.wait("lane", "3");
      await b.lanes.leave();
      await a.lanes.end(running);
      const taken = await a.takeOver("2");
      assert.equal(taken.attempt, 1);
      assert.deepEqual(b.grants, []);
      await a.lanes.end(taken);
      await a.grant("3");
    }),
  );

  it(
    "lets an owner that leaves end what it runs, and finds what waits behind it",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      await a.lanes.leave();
      assert.deepEqual(await a.lanes.renew([running]), []);
      await a.lanes.note(running, {});
      await a.lanes.end(running, recordOf("left"));
      const taken = await b.takeOver("2");
      assert.equal(taken.attempt, 1);
      if (taken.record !== undefined) assert.deepEqual(taken.record, recordOf("left"));
      assert.deepEqual(a.grants, []);
      await b.lanes.end(taken);
      await b.run("lane", "3");
    }),
  );

  it(
    "gives a turn that its owner left to the owner that gets its event again",
    by(async (a, b) => {
      const running = await b.run("lane", "1");
      await a.wait("lane", "2");
      await a.wait("lane", "3");
      await a.lanes.leave();
      assert.deepEqual(await b.begin("lane", "3"), { is: "wait", ahead: 2 });
      assert.deepEqual(await b.begin("lane", "2"), { is: "wait", ahead: 1 });
      assert.deepEqual(await b.begin("lane", "2"), { is: "duplicate" });
      await b.lanes.end(running);
      const second = await b.grant("2");
      assert.equal(second.attempt, 1);
      await b.lanes.end(second);
      assert.equal((await b.grant("3")).attempt, 1);
    }),
  );

  it(
    "takes over only turns that the owner can deliver",
    on(async ({ store, other }) => {
      const dead = new Participant(store, shortLease, ["slack"]);
      const discord = new Participant(store, undefined, ["discord"]);
      const slack = new Participant(other, undefined, ["discord", "slack"]);
      await dead.run("lane", "1", { platform: "slack" });
      await dead.wait("lane", "2", { platform: "slack" });
      await dead.lanes.leave();
      const taken = await until("the turn is taken over", async () => {
        assert.deepEqual(await discord.takeOverAll(), []);
        return (await slack.takeOverAll())[0];
      });
      assert.equal(taken.turn.key, "1");
      await slack.lanes.leave();
      await slack.lanes.end(taken);
      assert.deepEqual(await discord.takeOverAll(), []);
      assert.equal(await discord.wait("lane", "3", { platform: "discord" }), 1);
      const next = new Participant(store, undefined, ["slack"]);
      await next.lanes.end(await next.takeOver("2"));
      await discord.grant("3");
    }),
  );

  it(
    "parks a turn with those that it carries",
    by(async (a, b) => {
      const merge = { overlap: "merge" } as const;
      const carried = { key: "2", body: { text: "2" } };
      const running = await a.run("lane", "1", merge);
      await b.wait("lane", "2", merge);
      await b.wait("lane", "3", merge);
      await a.lanes.end(running);
      const carrier = await b.grant("3");
      assert.deepEqual(carrier.merged, [carried]);
      await b.lanes.park(carrier);
      const again = await a.run("lane", "3", merge);
      assert.deepEqual([again.merged, again.attempt], [[carried], 2]);
      await a.lanes.park(again);
      // It waits this time, and is carried itself.
      const other = await a.run("lane", "4", merge);
      await a.wait("lane", "3", merge);
      await b.wait("lane", "5", merge);
      await a.lanes.end(other);
      const last = await b.grant("5");
      assert.deepEqual(
        last.merged.map(({ key }) => key),
        ["2", "3"],
      );
      await b.lanes.end(last);
      assert.deepEqual(await a.begin("lane", "2", merge), { is: "duplicate" });
    }),
  );

  it(
    "parks a turn until its event is delivered again",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.lanes.note(running, { chat: "c1" });
      await b.wait("lane", "2");
      await a.lanes.park(running);
      await assert.rejects(a.lanes.end(running), leaseLost);
      await assert.rejects(a.lanes.park(running), leaseLost);
      const second = await b.grant("2");
      assert.deepEqual(await b.begin("lane", "1", { limit: 0 }), { is: "full" });
      assert.deepEqual(await b.begin("lane", "1", { overlap: "reject" }), { is: "busy" });
      assert.equal(await b.wait("lane", "1"), 1);
      assert.deepEqual(await a.begin("lane", "1"), { is: "duplicate" });
      await b.lanes.end(second);
      const again = await b.grant("1");
      assert.deepEqual([again.attempt, again.facts], [2, { chat: "c1" }]);
      await b.lanes.park(again);
      const third = await a.run("lane", "1");
      assert.deepEqual([third.attempt, third.facts], [3, { chat: "c1" }]);
      assert.ok(third.fence > again.fence);
      await a.lanes.end(third);
      assert.deepEqual(await b.begin("lane", "1"), { is: "duplicate" });
    }),
  );
}
