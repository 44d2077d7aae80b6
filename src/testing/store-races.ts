import { type Store, sessionKey } from "../stores/store.ts";
import { expectAnswer, expectThat } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { commits, isRefused, never, nothing, stands } from "./store-calls.ts";

const lane = "lane";

/** Each operation is done as a whole, before or after every other. */
export function raceContract({ it }: StoreSuite): void {
  it("lets exactly one of a hundred commits win each version, and tells the others of it", async ({
    store,
    other,
  }) => {
    let version = 0;
    for (let round = 1; round <= 3; round += 1) {
      const answers = await Promise.all(
        both(100, store, other).map((racer, n) =>
          racer.commit({
            lane,
            version,
            document: { round, n },
            record: { round, n },
            marks: [`${round}/${n}`],
            until: never,
          }),
        ),
      );
      const winners = answers.flatMap((answer, n) =>
        answer.is === "done" ? [{ n, version: answer.version }] : [],
      );
      expectAnswer(`the number of winners of 100 commits against version ${version}`, winners.length, 1);
      const winner = winners[0] as { n: number; version: number };
      const value = { round, n: winner.n };
      const truth = { version: winner.version, document: value, record: value };
      for (const answer of answers) {
        if (answer.is === "done") continue;
        const { is, document, record } = answer;
        expectAnswer(
          "a commit that lost",
          { is, version: answer.version, document, record },
          { is: "changed", ...truth },
        );
      }
      await stands(other, lane, truth);
      const marks = Array.from({ length: 100 }, (_, n) => `${round}/${n}`);
      await isRefused(store, "duplicate", { lane, version: winner.version, document: 1, marks }, truth, [
        `${round}/${winner.n}`,
      ]);
      ({ version } = winner);
    }
  });

  it("loses no change of many who change one document", async ({ store, other }) => {
    const rounds = 5;
    const add = async (racer: Store) => {
      let seen = await racer.read(lane);
      for (let done = 0; done < rounds; ) {
        const document = Number(seen.document ?? 0) + 1;
        const answer = await racer.commit({
          lane,
          version: seen.version,
          document,
          record: document,
          until: never,
        });
        if (answer.is === "done") {
          done += 1;
          seen = { ...answer, document, record: document };
        } else seen = answer;
      }
    };
    const racers = both(20, store, other);
    await Promise.all(racers.map(add));
    const { document, record } = await store.read(lane);
    const expected = racers.length * rounds;
    expectAnswer("read(after all were done)", { document, record }, { document: expected, record: expected });
  });

  it("shows document and record only as they were committed together", async ({ store, other }) => {
    let isOver = false;
    const write = async () => {
      let version = 0;
      for (let n = 1; n <= 200; n += 1) {
        const document = n % 5 === 0 ? undefined : { n };
        ({ version } = await commits(store, {
          lane,
          version,
          document,
          record: document === undefined ? null : { n },
        }));
      }
      isOver = true;
    };
    const watch = async (watcher: Store) => {
      while (!isOver) {
        const { document = null, record } = await watcher.read(lane);
        expectAnswer("read(while another commits).record", record, document);
      }
    };
    await Promise.all([write(), watch(other), watch(other), watch(store)]);
  });

  it("lets one of many take an event", async ({ store, other }) => {
    const change = { lane, version: 0, document: undefined, marks: ["event"], until: never };
    const answers = await Promise.all(both(60, store, other).map((racer) => racer.commit(change)));
    const taken = answers.filter(({ is }) => is === "done").length;
    expectAnswer("the number of those who took one event of 60", taken, 1);
    for (const answer of answers) {
      if (answer.is !== "done")
        expectAnswer("who came late", [answer.is, answer.duplicates], ["duplicate", ["event"]]);
    }
    await stands(other, lane, nothing);
  });

  it("takes an owner for alive or dead, and never for both", async ({ store, other }) => {
    const owners = Array.from({ length: 40 }, (_, n) => `owner ${n}`);
    for (const owner of owners) await store.beat(owner, 0);
    await Promise.all(
      owners.map(async (owner, n) => {
        const [one, two] = n % 2 ? [store, other] : [other, store];
        const beats = () => one.beat(owner, 600_000);
        const buries = () => two.bury(owner);
        const [first, second] = n % 4 < 2 ? [beats(), buries()] : [buries(), beats()];
        const [beat, state] = n % 4 < 2 ? [await first, await second] : [await second, await first];
        const { isBuried } = beat as Awaited<ReturnType<typeof beats>>;
        expectAnswer(
          `bury("${owner}") beside beat() that answers isBuried: ${isBuried}`,
          state,
          isBuried ? "dead" : "alive",
        );
      }),
    );
  });

  it("writes a record that is not there once", async ({ store, other }) => {
    const won = await Promise.all(
      both(40, store, other).map((racer, n) => racer.records.setIfAbsent("lock", n)),
    );
    expectAnswer("the number of those who wrote of 40", won.filter(Boolean).length, 1);
    expectAnswer('records.get("lock")', await other.records.get("lock"), won.indexOf(true));
    await store.records.delete("lock");
    expectThat(
      "what was deleted can be written again",
      await other.records.setIfAbsent("lock", "next", 600_000),
    );
    expectAnswer('records.setIfAbsent("lock")', await store.records.setIfAbsent("lock", "late"), false);
    expectAnswer(`records.get("${sessionKey(lane)}")`, await store.records.get(sessionKey(lane)), undefined);
  });
}

/** So many racers, by turns of one process and of the other. */
function both(count: number, store: Store, other: Store): Store[] {
  return Array.from({ length: count }, (_, n) => (n % 2 ? store : other));
}
