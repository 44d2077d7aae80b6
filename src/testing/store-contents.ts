import type { JsonValue } from "../json.ts";
import { sessionKey } from "../stores/store.ts";
import { expectAnswer } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { commits, isRefused, listsDead, nothing, stands } from "./store-calls.ts";

const lane = "lane";

/** Values that something between here and a database's disk has been known to change. */
const values: readonly JsonValue[] = [
  ...[false, true, 0, -1.5, 1e308, Number.MAX_SAFE_INTEGER, "", " ", [], {}],
  { text: "hé 👩‍👧 李 e\u0301 \u2028 \ufeff", list: [null, "", [[]]], nested: { a: { b: [{}] } } },
  { "nul \u0000 in a key": "nul \u0000 in a text", "": "no key" },
  { "lone \ud800": "surrogates \udfff\ud83d" },
  {
    text: "'; DROP TABLE aparte_lanes; --",
    other: '\\u0000 \\" ":base64:YQ==" %s {0}',
    ":base64:": ":base64:YQ==",
  },
  { "1": 1, "0": 0, constructor: "c", toString: "s" },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  Array.from({ length: 1_000 }, (_, index) => ({ index })),
];

const megabyte = { text: `${"x".repeat(500_000)}${"李👩".repeat(100_000)}` };

/** Names that must not be mixed up, or taken for patterns. */
const names: readonly string[] = [
  ...["a", "A", "a ", " a", "a:b", "a::b", "a.b", "a-b", "a_b", "ab"],
  ...["%", "_", "*", "a*", "[a]", "?", "{a}", "{}", "a}b{c", "'", '"', "`", "\\", "\n", "\t"],
  ...["é", "e\u0301", "ß", "SS", "👩‍👧", "session:a", "1", "01", "1.0", "null", "__proto__", "constructor"],
  "n".repeat(200),
];

/** What was written comes back as it was: documents, records, and the names of lanes, owners and marks. */
export function contentContract({ it, itSpoilt }: StoreSuite): void {
  it("keeps any document and any record whole", async ({ store, other }) => {
    for (const [index, value] of [...values, megabyte].entries()) {
      const name = `lane ${index}`;
      const { version } = await commits(store, { lane: name, version: 0, document: value, record: value });
      await stands(other, name, { version, document: value, record: value });
      await isRefused(
        other,
        "changed",
        { lane: name, version: 0, document: 1 },
        { version, document: value, record: value },
      );
      const next = await commits(other, { lane: name, version, document: [value] });
      expectAnswer(`commit("${name}").record`, next.record, value);
      expectAnswer(`records.get("${sessionKey(name)}")`, await store.records.get(sessionKey(name)), value);
    }
  });

  it("keeps a document that is null apart from none", async ({ store, other }) => {
    const { version } = await commits(store, { lane, version: 0, document: null });
    await stands(other, lane, { ...nothing, version, document: null });
    await isRefused(
      other,
      "changed",
      { lane, version: 0, document: 1 },
      { ...nothing, version, document: null },
    );
  });

  it("keeps a hundred long messages in one document", async ({ store, other }) => {
    const waiting = Array.from({ length: 100 }, (_, n) => ({
      key: `e${n}`,
      text: `${n} ${"long, 李 ".repeat(1_000)}`,
    }));
    const { version } = await commits(store, { lane, version: 0, document: { waiting } });
    const shorter = waiting.slice(1);
    const next = await commits(other, { lane, version, document: { waiting: shorter } });
    await stands(store, lane, { ...nothing, version: next.version, document: { waiting: shorter } });
  });

  it("mixes up no lanes, records, marks and owners, however they are named", async ({ store, other }) => {
    const versions = new Map<string, number>();
    for (const name of names) {
      const change = { lane: name, version: 0, document: { name }, record: { of: name } };
      const { version } = await commits(store, { ...change, marks: [name], entering: [name, "all"] });
      versions.set(name, version);
      await store.beat(name, 0);
    }
    await other.beat("all", 0);
    for (const name of names) {
      const truth = { version: versions.get(name) ?? 0, document: { name }, record: { of: name } };
      await stands(other, name, truth);
      const again = { lane: name, version: truth.version, document: 1, marks: [name] };
      await isRefused(other, "duplicate", again, truth, [name]);
    }
    await listsDead(other, { all: names, ...Object.fromEntries(names.map((name) => [name, [name]])) });
    const [gone = ""] = names;
    const change = { lane: gone, version: versions.get(gone) ?? 0, document: undefined, record: null };
    await commits(other, { ...change, removedMarks: [gone], leaving: [gone] });
    for (const name of names.slice(1)) {
      await stands(store, name, {
        version: versions.get(name) ?? 0,
        document: { name },
        record: { of: name },
      });
    }
    const rest = names.slice(1);
    await listsDead(store, { all: names, ...Object.fromEntries(rest.map((name) => [name, [name]])) });
  });

  it("writes, leaves and deletes the session's record with the document, and tells the one before", async ({
    store,
    other,
  }) => {
    const one = await commits(store, { lane, version: 0, document: 1, record: { n: 1 } });
    expectAnswer("commit(first).record", one.record, null);
    const two = await commits(other, { lane, version: one.version, document: 2 });
    expectAnswer("commit(second).record", two.record, { n: 1 });
    const three = await commits(store, { lane, version: two.version, document: 3, record: { n: 3 } });
    expectAnswer("commit(third).record", three.record, { n: 1 });
    await other.records.set(sessionKey(lane), { by: "records.set" });
    await commits(other, { lane, version: three.version, document: undefined });
    await stands(store, lane, { ...nothing, record: { by: "records.set" } });
    const five = await commits(store, { lane, version: 0, document: 5, record: null });
    expectAnswer("commit(fifth).record", five.record, { by: "records.set" });
    await stands(other, lane, { version: five.version, document: 5, record: null });
    expectAnswer(`records.get("${sessionKey(lane)}")`, await other.records.get(sessionKey(lane)), undefined);
    await commits(other, { lane, version: five.version, document: 6, record: null });
  });

  itSpoilt(
    "goes on with a lane whose record cannot be understood, and with all others",
    async ({ store, other, spoil }) => {
      const good = await commits(store, { lane: "good", version: 0, document: 1, record: { r: 1 } });
      const bad = await commits(store, { lane, version: 0, document: 1, record: { r: 2 } });
      await spoil(sessionKey(lane));
      const truth = { version: bad.version, document: 1, record: undefined };
      await stands(other, lane, truth);
      await isRefused(other, "changed", { lane, version: 0, document: 2 }, truth);
      const next = await commits(store, { lane, version: bad.version, document: 2 });
      expectAnswer("commit(beside what cannot be understood).record", next.record, undefined);
      await stands(other, lane, { version: next.version, document: 2, record: undefined });
      await stands(other, "good", { version: good.version, document: 1, record: { r: 1 } });
      const mended = await commits(other, { lane, version: next.version, document: 3, record: { r: 3 } });
      await stands(store, lane, { version: mended.version, document: 3, record: { r: 3 } });
    },
  );
}
