import { type Beat, burialMs, type Store } from "../stores/store.ts";
import { expectAnswer, expectThat } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { commits, forMany, listsDead } from "./store-calls.ts";

const lease = 600_000;

/** Owners are alive or dead, and the dead have lanes. */
export function ownerContract({ it, itInTime }: StoreSuite): void {
  it("takes an owner for alive until its time is over, and tells until when that was", async ({
    store,
    other,
  }) => {
    expectAnswer('bury("ada") before any sign of life', await other.bury("ada"), "unknown");
    const first = await lives(store, "ada", lease);
    expectAnswer('beat("ada").until, for the first time', first.until, undefined);
    expectAnswer('bury("ada") while it is alive', await other.bury("ada"), "alive");
    const second = await lives(other, "ada", lease);
    expectAnswer('beat("ada").until, for the second time', second.until, first.now + lease);
    const last = await lives(store, "ada", 0);
    expectAnswer('beat("ada", 0).until', last.until, second.now + lease);
    const late = await lives(other, "ada", lease);
    expectAnswer('beat("ada").until after beat("ada", 0)', late.until, last.now);
    expectAnswer('bury("ada") after it came back in time', await store.bury("ada"), "alive");
    await lives(store, "ada", 0);
    expectAnswer('bury("ada") after beat("ada", 0)', await other.bury("ada"), "dead");
  });

  it("takes no sign of life of an owner that is buried", async ({ store, other }) => {
    await commits(store, { lane: "one", version: 0, document: 1, entering: ["ada"] });
    await lives(store, "ada", 0);
    expectAnswer('bury("ada")', await other.bury("ada"), "dead");
    for (const leaseMs of [lease, 0, lease]) {
      const { isBuried } = await store.beat("ada", leaseMs);
      expectAnswer(`beat("ada", ${leaseMs}).isBuried`, isBuried, true);
      expectAnswer('bury("ada") once more', await other.bury("ada"), "dead");
      expectAnswer('bury("ada", true) once more', await other.bury("ada", true), "dead");
      await listsDead(store, { ada: ["one"] });
    }
    expectAnswer('bury("adam")', await store.bury("adam"), "unknown");
  });

  it("buries an owner that it does not know only if that is asked for", async ({ store, other }) => {
    expectAnswer('bury("bob", false)', await store.bury("bob", false), "unknown");
    expectAnswer('bury("bob", true)', await other.bury("bob", true), "dead");
    expectAnswer('bury("bob") after it was buried', await store.bury("bob"), "dead");
    expectAnswer('beat("bob").isBuried', (await store.beat("bob", lease)).isBuried, true);
    await lives(store, "eve", lease);
    expectAnswer('bury("eve", true) while it is alive', await other.bury("eve", true), "alive");
  });

  it("does not take an owner for dead of which it never heard, although it has lanes", async ({
    store,
    other,
  }) => {
    await commits(store, { lane: "one", version: 0, document: 1, entering: ["ada"] });
    await listsDead(other, {});
    expectAnswer('bury("ada") without a sign of life', await other.bury("ada"), "unknown");
    await other.bury("ada", true);
    await listsDead(store, { ada: ["one"] });
  });

  it("lists the lanes of the dead, buried or not, and of nobody else", async ({ store, other }) => {
    for (const owner of ["ada", "bob", "eve"]) await lives(store, owner, lease);
    await listsDead(other, {});
    const one = await commits(store, { lane: "one", version: 0, document: 1, entering: ["ada", "bob"] });
    await commits(other, { lane: "two", version: 0, document: 1, entering: ["bob", "ada"] });
    await commits(store, { lane: "three", version: 0, document: 1, entering: ["bob"] });
    await listsDead(other, {});
    await lives(other, "ada", 0);
    await lives(other, "eve", 0);
    await listsDead(other, { ada: ["one", "two"] });
    await other.bury("ada");
    await listsDead(store, { ada: ["one", "two"] });
    const change = { lane: "one", version: one.version, document: 2 };
    const next = await commits(other, {
      ...change,
      leaving: ["ada", "never there"],
      entering: ["bob", "eve"],
    });
    await listsDead(store, { ada: ["two"], eve: ["one"] });
    await commits(store, { lane: "one", version: next.version, document: undefined, leaving: ["eve"] });
    await listsDead(other, { ada: ["two"] });
    await lives(store, "bob", 0);
    await listsDead(other, { ada: ["two"], bob: ["one", "three", "two"] });
    await lives(other, "bob", lease);
    await listsDead(store, { ada: ["two"] });
  });

  it("lists a lane that a buried owner entered all the same", async ({ store, other }) => {
    await lives(store, "ada", 0);
    await other.bury("ada");
    await listsDead(other, {});
    const { version } = await commits(store, { lane: "late", version: 0, document: 1, entering: ["ada"] });
    await listsDead(other, { ada: ["late"] });
    await commits(other, { lane: "late", version, document: undefined, leaving: ["ada"] });
    await listsDead(store, {});
  });

  it("lists many lanes, some at a time, of which those that stay keep no others up", async ({
    store,
    other,
  }) => {
    const lanes = Array.from({ length: 1_500 }, (_, n) => `lane ${n}`);
    await lives(store, "ada", 0);
    const versions = new Map<string, number>();
    await forMany(lanes, async (lane, n) => {
      const change = { lane, version: 0, document: 1, entering: ["ada"] };
      const { version } = await commits(n % 2 ? store : other, change);
      versions.set(lane, version);
    });
    const leave = async (isStaying: (lane: string) => boolean, left: number) => {
      for (let rounds = 0; versions.size > left; rounds += 1) {
        expectThat(
          `the ${versions.size - left} lanes that are left come within 100 calls of dead()`,
          rounds < 100,
        );
        const [dead, ...others] = await other.dead();
        expectAnswer("dead(), owners", [dead?.owner, others.length], ["ada", 0]);
        const listed = dead?.lanes ?? [];
        expectThat(
          "dead() lists some lanes, each of them once",
          listed.length > 0 && new Set(listed).size === listed.length,
        );
        await forMany(listed, async (lane) => {
          const version = versions.get(lane);
          expectThat(
            `${lane}, which dead() lists, is one of those that have not left`,
            version !== undefined,
          );
          if (version === undefined || isStaying(lane)) return;
          versions.delete(lane);
          await commits(store, { lane, version, document: undefined, leaving: ["ada"] });
        });
      }
    };
    // More than are listed at a time, and the first ones, which are listed first if nothing is done about it.
    await leave((lane) => Number(lane.slice("lane ".length)) < 600, 600);
    await leave(() => false, 0);
    await listsDead(other, {});
  });

  itInTime(
    "takes an owner for dead from the end of its lease on, and remembers a burial for a day",
    async ({ store, other, advance }) => {
      await commits(store, { lane: "one", version: 0, document: 1, entering: ["ada"] });
      await lives(store, "ada", lease);
      advance(lease - 1);
      await listsDead(other, {});
      expectAnswer('bury("ada") before the end of its lease', await other.bury("ada"), "alive");
      await lives(store, "ada", lease);
      advance(lease);
      await listsDead(other, { ada: ["one"] });
      await lives(store, "ada", lease);
      await listsDead(other, {});
      advance(lease);
      expectAnswer('bury("ada") at the end of its lease', await other.bury("ada"), "dead");
      expectAnswer('bury("bob", true), who has no lanes', await other.bury("bob", true), "dead");
      advance(burialMs - 1);
      await other.dead();
      expectAnswer(
        'beat("ada").isBuried after nearly a day',
        (await store.beat("ada", lease)).isBuried,
        true,
      );
      expectAnswer('bury("bob") after nearly a day', await other.bury("bob"), "dead");
      advance(burialMs);
      await listsDead(other, { ada: ["one"] });
    },
  );
}

/** Gives a sign of life, which must be taken. */
async function lives(store: Store, owner: string, leaseMs: number): Promise<Beat> {
  const beat = await store.beat(owner, leaseMs);
  expectAnswer(`beat("${owner}", ${leaseMs}).isBuried`, beat.isBuried, false);
  return beat;
}
