import { expectAnswer, expectThat } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { forMany } from "./store-calls.ts";

/** Records are those of a Keyv, of which no failure looks like "nothing there". */
export function recordContract({ it, itSpoilt }: StoreSuite): void {
  it("keeps records, tells that there is none, and deletes them", async ({ store, other }) => {
    expectAnswer('records.get("a") before it was set', await store.records.get("a"), undefined);
    for (const value of [{ text: "hé 👩‍👧 \u0000", list: [1, null] }, "text", "", 0, false, [], {}]) {
      await store.records.set("a", value);
      expectAnswer('records.get("a")', await other.records.get("a"), value);
    }
    await store.records.set("b", "b", 600_000.5);
    expectAnswer('records.get("b"), which lives for a while', await other.records.get("b"), "b");
    await other.records.delete("a");
    await other.records.delete("never there");
    expectAnswer('records.get("a") after it was deleted', await store.records.get("a"), undefined);
    expectAnswer('records.get("b") after another was deleted', await store.records.get("b"), "b");
  });

  it("forgets a record whose life is over, and keeps one that got a longer life", async ({
    store,
    other,
    pass,
  }) => {
    await store.records.set("long", 1, 150);
    await store.records.set("long", 2);
    await store.records.setIfAbsent("lock", 1, 150);
    await store.records.set("short", 1, 150);
    const isGone = async () => (await other.records.get("short")) === undefined;
    await pass(150, "a record is gone whose life is over", isGone);
    expectThat("a record is gone whose life is over", await isGone());
    expectAnswer('records.get("long")', await other.records.get("long"), 2);
    expectAnswer(
      'records.setIfAbsent("lock") after its life',
      await other.records.setIfAbsent("lock", 2),
      true,
    );
    const listed = [];
    for await (const [key] of store.records.entries("")) listed.push(key);
    expectAnswer('the keys of records.entries("")', listed.sort(), ["lock", "long"]);
  });

  it("does not write over what is there", async ({ store, other }) => {
    expectAnswer('records.setIfAbsent("lock", 0)', await store.records.setIfAbsent("lock", 0), true);
    expectAnswer('records.setIfAbsent("lock", 1)', await other.records.setIfAbsent("lock", 1), false);
    expectAnswer('records.get("lock")', await other.records.get("lock"), 0);
    await store.records.setIfAbsent("short", "of its own", 60_000);
    expectAnswer('records.get("short")', await other.records.get("short"), "of its own");
  });

  it("lists the records whose key begins with a text, and no others", async ({ store, other }) => {
    const keys = [
      "session:a",
      "session:b%",
      "session:*",
      "sessions",
      "Session:a",
      "token:a",
      "session",
      "a session:b",
    ];
    for (const key of keys) await store.records.set(key, { key });
    const list = async (prefix: string) => {
      const found: [string, unknown][] = [];
      for await (const entry of other.records.entries(prefix)) found.push(entry);
      return found.sort(([a], [b]) => (a < b ? -1 : 1));
    };
    const entry = (key: string) => [key, { key }];
    expectAnswer(
      'records.entries("session:")',
      await list("session:"),
      ["session:*", "session:a", "session:b%"].map(entry),
    );
    expectAnswer('records.entries("session:*")', await list("session:*"), [entry("session:*")]);
    expectAnswer('records.entries("session:_")', await list("session:_"), []);
    expectAnswer('records.entries("none")', await list("none"), []);
  });

  it("lists more records than any page has, each of them once", async ({ store, other }) => {
    const keys = Array.from({ length: 1_100 }, (_, n) => `session:${n}`);
    await forMany(keys, (key, n) => (n % 2 ? store : other).records.set(key, key));
    const found: string[] = [];
    for await (const [key, value] of other.records.entries<string>("session:")) {
      expectAnswer(`the value of ${key}`, value, key);
      found.push(key);
    }
    expectAnswer("the keys of records.entries()", found.sort(), keys.sort());
  });

  itSpoilt(
    "fails to read a record that cannot be understood, and no other",
    async ({ store, other, spoil }) => {
      await store.records.set("good", 1);
      await store.records.set("bad", 1);
      await spoil("bad");
      const failure = await other.records.get("bad").then(
        (value) => `the value ${JSON.stringify(value)}`,
        () => "a failure",
      );
      expectAnswer('records.get("bad")', failure, "a failure");
      expectAnswer('records.get("good")', await other.records.get("good"), 1);
      await other.records.set("bad", 2);
      expectAnswer('records.get("bad") after it was written anew', await store.records.get("bad"), 2);
    },
  );

  it("counts uses of a limit, if it counts them", async ({ store, other }) => {
    if (store.rates === undefined || other.rates === undefined) return;
    const span = 60_000;
    expectAnswer("rates.take(), first of two", await store.rates.take("ada", 2, span), 0);
    expectAnswer("rates.take(), second of two", await other.rates.take("ada", 2, span), 0);
    const waitMs = await store.rates.take("ada", 2, span);
    expectThat(
      `rates.take() past the limit answers 1 to ${span} ms, and answered ${waitMs}`,
      waitMs >= 1 && waitMs <= span,
    );
    expectAnswer("rates.take() of another", await other.rates.take("bob", 2, span), 0);
  });
}
