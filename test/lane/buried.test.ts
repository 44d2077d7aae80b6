import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { Owner } from "../../src/lane/owner.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Store } from "../../src/stores/store.ts";

const turn = { key: "q1", overlap: "queue", mergeKey: "m", body: { text: "hello" } } as const;
const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/**
 * An owner whose first commit is done or not, and never answered; others bury it meanwhile.
 * @param then what it does besides before it is buried
 */
async function buriedInCommit(isDone: boolean, then: (owner: Owner) => void = () => {}) {
  const memory = memoryStore();
  let firstIsSent = () => {};
  const sent = new Promise<void>((resolve) => {
    firstIsSent = resolve;
  });
  let commits = 0;
  const store: Store = {
    ...memory,
    ...{ read: (lane) => memory.read(lane), beat: (id, leaseMs) => memory.beat(id, leaseMs) },
    ...{ bury: (id, isUnknownToo) => memory.bury(id, isUnknownToo), dead: async () => [] },
    listen: (id, wake) => memory.listen(id, wake),
    commit: async (commit) => {
      commits += 1;
      if (commits > 1) return memory.commit(commit);
      if (isDone) await memory.commit(commit);
      firstIsSent();
      return new Promise(() => {});
    },
  };
  const owner = new Owner({
    ...{ store, leaseTime: 150, storeTimeout: 5_000, clock: systemClock },
    ...{ logger: { info() {}, warn() {}, error() {} }, canDeliver: () => true, adopt: () => {} },
  });
  endings.push(() => owner.stop());
  const taken = owner.lane("lane").take(turn, 100, 5_000);
  await sent;
  then(owner);
  // No sign of life is in between: the next one comes after a third of the lease.
  await memory.beat(owner.id, 0);
  expect(await memory.bury(owner.id)).toBe("dead");
  return { taken, id: () => owner.id, former: owner.id, memory };
}

describe("An owner that is buried while it takes a turn", () => {
  it("takes it under its new id where the store does not have it", async () => {
    const { taken, id, former, memory } = await buriedInCommit(false);
    expect(await taken).toMatchObject({ is: "taken" });
    expect(id()).not.toBe(former);
    const { document } = await memory.read("lane");
    expect(document).toMatchObject({ running: { key: "q1", owner: id() } });
  });

  it("goes on with it under its new id where the store has it", async () => {
    const { taken, id, former, memory } = await buriedInCommit(true);
    expect(await taken).toMatchObject({ is: "taken", place: { attempt: 2 } });
    expect(id()).not.toBe(former);
    const { document } = await memory.read("lane");
    expect(document).toMatchObject({ running: { key: "q1", owner: id() } });
  });
});

describe("An owner that is buried while it stops a turn", () => {
  it("stops it under its new id", async () => {
    let stopped: Promise<boolean> | undefined;
    const { taken, memory } = await buriedInCommit(true, (owner) => {
      stopped = owner.lane("lane").stop(() => true);
    });
    await taken;
    expect(await stopped).toBe(true);
    const { document } = await memory.read("lane");
    // It runs, or waits for its event to come again.
    expect(JSON.stringify(document)).toContain('"isStopped":true');
  });
});
