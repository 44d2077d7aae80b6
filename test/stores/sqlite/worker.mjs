// A process of its own on SQLite files: does with them what its parent asks for, and answers.
import { join } from "node:path";
import Database from "libsql";

const { openStore } = await import(join(process.argv[2], "src/stores/open.js"));

let store;
let locked;

const calls = {
  open: async (path) => {
    store = await openStore(`sqlite:${path}`);
  },
  close: () => store.close(),
  set: (key, value) => store.records.set(key, value),
  commit: (commit) => store.commit(commit),
  listen: async (owner) => {
    await store.beat(owner, 600_000);
    await store.listen(owner, (lane) => process.send({ woken: lane }));
  },
  /** Stands in a transaction. */
  lock: (path) => {
    locked = new Database(path);
    locked.exec("BEGIN IMMEDIATE");
  },
  unlock: () => locked.exec("ROLLBACK"),
  /** Adds one to the number in a lane's document, again and again, each time with an event of its own. */
  count: async (lane, times, name) => {
    let found = await store.read(lane);
    for (let done = 0; done < times; ) {
      const { version, document = { sum: 0 } } = found;
      const sum = document.sum + 1;
      const mark = `${name} ${done}`;
      const record = { sum };
      const next = { lane, version, document: { sum }, record, marks: [mark], until: 1e300 };
      const answer = await store.commit(next);
      found = answer.is === "done" ? { version: answer.version, document: { sum } } : answer;
      if (answer.is === "done") done += 1;
    }
  },
};

process.on("message", async ({ call, values }) => {
  try {
    process.send({ answer: await calls[call](...values) });
  } catch (error) {
    process.send({ error: `${error.code}: ${error.message}` });
  }
});
process.on("disconnect", () => process.exit());
process.send({ answer: "ready" });
