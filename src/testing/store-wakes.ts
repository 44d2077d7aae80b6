import type { Store } from "../stores/store.ts";
import { expectAnswer, expectThat } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { until } from "./runner.ts";
import { commits, isRefused, nothing } from "./store-calls.ts";

const lease = 600_000;

/** What an owner is told, from when it began to listen. */
export interface News {
  /** Waits until it was told of a lane. */
  readonly comes: (lane: string) => Promise<void>;
  /** Has `waker` wake it once more: when that comes, nothing else has come before, not even late. */
  readonly areNone: (waker: Store) => Promise<void>;
  /** Of which lanes it was told. */
  readonly lanes: readonly string[];
  readonly end: () => void;
}

/** Listens to the news of an owner that is alive. */
export async function newsOf(store: Store, owner: string): Promise<News> {
  const lanes: string[] = [];
  await store.beat(owner, lease);
  const end = await store.listen(owner, (lane) => {
    // Undefined is a hint that some may have been missed, and allowed at any time.
    if (lane !== undefined) lanes.push(lane);
  });
  const comes = (lane: string) =>
    until(`"${owner}" is told of "${lane}"`, () => (lanes.includes(lane) ? true : undefined)).then(() => {});
  const areNone = async (waker: Store) => {
    const fence = `news for ${owner}`;
    await commits(waker, { lane: fence, version: 0, document: undefined, wakes: [owner] });
    await comes(fence);
    expectAnswer(`what "${owner}" was told of`, lanes, [fence]);
  };
  return { comes, areNone, lanes, end };
}

/** Owners hear that their lanes have news. */
export function wakeContract({ it }: StoreSuite): void {
  it("wakes exactly those who are to be woken, from when listen() has resolved", async ({ store, other }) => {
    const ada = await newsOf(store, "ada");
    const bob = await newsOf(other, "bob");
    const eve = await newsOf(store, "eve");
    const first = await commits(other, { lane: "to ada", version: 0, document: 1, wakes: ["ada"] });
    const second = await commits(store, {
      lane: "to ada and bob",
      version: 0,
      document: 1,
      wakes: ["ada", "bob"],
    });
    const third = await commits(store, { lane: "to bob", version: 0, document: undefined, wakes: ["bob"] });
    expectAnswer(
      "commit(…).unheard of those who listen",
      [first, second, third].map(({ unheard }) => unheard),
      [[], [], []],
    );
    for (const lane of ["to ada", "to ada and bob"]) await ada.comes(lane);
    for (const lane of ["to ada and bob", "to bob"]) await bob.comes(lane);
    await eve.areNone(other);
    expectAnswer('what "ada" was told of', [...ada.lanes].sort(), ["to ada", "to ada and bob"]);
    expectAnswer('what "bob" was told of', [...bob.lanes].sort(), ["to ada and bob", "to bob"]);
  });

  it("names those who do not listen", async ({ store, other }) => {
    await newsOf(store, "ada");
    await store.beat("dead", 0);
    const wakes = ["nobody", "ada", "dead"];
    const { unheard } = await commits(other, { lane: "lane", version: 0, document: 1, wakes });
    expectAnswer("commit(…).unheard", [...unheard].sort(), ["dead", "nobody"]);
  });

  it("wakes nobody for what is not done", async ({ store, other }) => {
    const ada = await newsOf(store, "ada");
    const change = { lane: "lane", version: 7, document: 1, wakes: ["ada"] };
    await isRefused(other, "changed", change, nothing);
    await isRefused(other, "late", { ...change, version: 0, until: 0 }, nothing);
    await commits(store, { lane: "lane", version: 0, document: undefined, marks: ["m"] });
    await isRefused(other, "duplicate", { ...change, version: 0, marks: ["m"] }, nothing, ["m"]);
    await ada.areNone(other);
  });

  it("shows whoever was woken what it was woken for", async ({ store, other }) => {
    await store.beat("ada", lease);
    const seen = new Set<number>();
    const looks: Promise<void>[] = [];
    await store.listen("ada", () => {
      looks.push(store.read("lane").then(({ document }) => void seen.add(Number(document))));
    });
    for (let version = 0, n = 1; n <= 20; n += 1) {
      ({ version } = await commits(n % 2 ? store : other, {
        lane: "lane",
        version,
        document: n,
        wakes: ["ada"],
      }));
      await until(`"ada" is woken, and sees that the document is ${n}`, () =>
        seen.has(n) ? true : undefined,
      );
    }
    await Promise.all(looks);
    expectThat(
      "no document is seen that was never committed",
      [...seen].every((n) => n >= 1 && n <= 20),
    );
  });

  it("tells nothing to whoever has ended listening, also of what is on its way", async ({ store, other }) => {
    const ada = await newsOf(store, "ada");
    const bob = await newsOf(store, "bob");
    const wakes = ["ada", "bob"];
    const commit = commits(other, { lane: "on its way", version: 0, document: 1, wakes });
    ada.end();
    await commit;
    await commits(other, { lane: "later", version: 0, document: 1, wakes });
    for (const lane of ["on its way", "later"]) await bob.comes(lane);
    expectAnswer('what "ada" was told of after it had ended listening', ada.lanes, []);
  });

  it("goes on telling an owner that listens anew, whatever its former listener does", async ({
    store,
    other,
  }) => {
    const former = await newsOf(store, "ada");
    former.end();
    const ada = await newsOf(store, "ada");
    await commits(other, { lane: "one", version: 0, document: 1, wakes: ["ada"] });
    await ada.comes("one");
    former.end();
    await commits(other, { lane: "two", version: 0, document: 1, wakes: ["ada"] });
    await ada.comes("two");
    expectAnswer("what the former listener was told of", former.lanes, []);
  });
}
