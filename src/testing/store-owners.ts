import assert from "node:assert/strict";
import { onStore, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { Participant, shortLease } from "./participant.ts";
import { type ContractRunner, until } from "./runner.ts";

/** What becomes of turns whose owner dies without a word: of stores that keep turns. */
export function deadOwnerContract(
  { it }: ContractRunner,
  options: StoreContractOptions,
  apart: boolean,
): void {
  const on = (test: (pair: StorePair) => Promise<void>) => () => onStore(options, apart, test);

  it(
    "gives a running turn whose owner died to the owner that gets its event again",
    on(async ({ store, other }) => {
      const dead = new Participant(store, shortLease);
      const b = new Participant(other);
      const lost = await dead.run("lane", "1");
      await dead.lanes.note(lost, { chat: "c1" });
      const grant = await until("the event is taken again", async () => {
        const begun = await b.begin("lane", "1");
        if (begun.is === "run") return begun.grant;
        assert.deepEqual(begun, { is: "duplicate" });
        return undefined;
      });
      assert.deepEqual([grant.attempt, grant.facts, grant.turn.body], [2, { chat: "c1" }, { text: "1" }]);
      assert.ok(grant.fence > lost.fence);
      await assert.rejects(dead.lanes.end(lost), { code: "lease-lost" });
      assert.deepEqual(await b.begin("lane", "1"), { is: "duplicate" });
      await b.lanes.end(grant);
    }),
  );

  it(
    "gives a waiting turn whose owner died to the owner that gets its event again",
    on(async ({ store, other }) => {
      const dead = new Participant(store, shortLease);
      const b = new Participant(other);
      const running = await b.run("lane", "1");
      await dead.wait("lane", "2");
      await dead.wait("lane", "3");
      const ahead = await until("the event is taken again", async () => {
        const begun = await b.begin("lane", "3");
        if (begun.is === "wait") return begun.ahead;
        assert.deepEqual(begun, { is: "duplicate" });
        return undefined;
      });
      assert.equal(ahead, 2);
      assert.deepEqual(await b.begin("lane", "3"), { is: "duplicate" });
      await b.lanes.end(running);
      const second = await b.takeOver("2");
      await b.lanes.end(second);
      assert.equal((await b.grant("3")).attempt, 1);
    }),
  );

  it(
    "finds the waiting turns of an owner that died when their time comes",
    on(async ({ store, other }) => {
      const a = new Participant(store);
      const dead = new Participant(other, shortLease);
      const c = new Participant(other);
      const running = await a.run("lane", "1");
      await dead.wait("lane", "2");
      await c.wait("lane", "3");
      await a.lanes.leave();
      await a.lanes.end(running);
      const second = await c.takeOver("2");
      await c.lanes.end(second);
      const third = await c.grant("3");
      assert.equal(third.attempt, 1);
      await c.lanes.end(third);
      await c.run("lane", "4");
    }),
  );

  it(
    "finds all turns of an owner that died, running and waiting, in their order",
    on(async ({ store, other }) => {
      const dead = new Participant(store, shortLease);
      const b = new Participant(other);
      await dead.run("lane", "1");
      await dead.run("other lane", "1");
      await dead.wait("lane", "2");
      await dead.wait("lane", "3");
      for (const key of ["1", "2", "3"]) {
        const taken = await until(`"${key}" is taken over`, async () => {
          b.grants.push(...(await b.takeOverAll()));
          return b.grants.find(({ lane, turn }) => lane === "lane" && turn.key === key);
        });
        await b.lanes.end(taken);
      }
      const order = b.grants.filter(({ lane }) => lane === "lane").map(({ turn }) => turn.key);
      assert.deepEqual(order, ["1", "2", "3"]);
      assert.ok(b.grants.some(({ lane }) => lane === "other lane"));
    }),
  );

  it(
    "tells an owner that stood still that its waiting turn is another's",
    on(async ({ store, other }) => {
      const still = new Participant(store, shortLease);
      const b = new Participant(other);
      const running = await b.run("lane", "1");
      await still.wait("lane", "2");
      const end = performance.now() + 2 * shortLease;
      await until("it has stood still for long", () => (performance.now() > end ? true : undefined));
      assert.deepEqual(await b.lanes.renew([running]), []);
      await b.lanes.end(running);
      await b.lanes.end(await b.takeOver("2"));
      await until("it is told", async () => {
        await still.lanes.renew([]);
        return still.takenKeys[0];
      });
      assert.deepEqual([still.takenKeys, still.grants], [["2"], []]);
    }),
  );

  it(
    "takes an owner that renews for alive, also one that runs nothing",
    on(async ({ store, other }) => {
      const a = new Participant(store, 900);
      const b = new Participant(other);
      await b.run("lane", "1");
      await a.wait("lane", "2");
      const end = performance.now() + 2 * a.leaseMs;
      let renewedAt = performance.now();
      await until("two leases would have run out", async () => {
        const { is } = await b.begin("lane", "2");
        // Where the machine stood still for a whole lease, the owner was given up rightly.
        if (is !== "duplicate" && performance.now() - renewedAt > a.leaseMs / 2) return true;
        assert.equal(is, "duplicate");
        await a.lanes.renew([]);
        renewedAt = performance.now();
        return renewedAt > end ? true : undefined;
      });
    }),
  );
}
