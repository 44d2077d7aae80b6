import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { openStore, type Store } from "aparte";
import { afterEach, describe, expect, it } from "vitest";
import { builtRoot } from "../../build.ts";
import { commit, onFile, type TestFile } from "../../support/sqlite.ts";

interface Told {
  readonly answer?: unknown;
  readonly error?: string;
  readonly woken?: string;
}

/** A process with a SQLite store of its own. */
class Worker {
  readonly woken: string[] = [];
  readonly process: ChildProcess;
  #asked: ((told: Told) => void) | undefined;

  private constructor(child: ChildProcess) {
    this.process = child;
    child.on("message", (told: Told) => {
      if (told.woken === undefined) this.#asked?.(told);
      else this.woken.push(told.woken);
    });
  }

  static async start(): Promise<Worker> {
    const worker = new Worker(fork(join(import.meta.dirname, "worker.mjs"), [await builtRoot()]));
    workers.push(worker);
    await worker.#answer();
    return worker;
  }

  static all(count: number): Promise<Worker[]> {
    return Promise.all(Array.from({ length: count }, () => Worker.start()));
  }

  ask(call: string, ...values: unknown[]): Promise<unknown> {
    const answer = this.#answer();
    this.process.send({ call, values });
    return answer;
  }

  async #answer(): Promise<unknown> {
    const { answer, error } = await new Promise<Told>((resolve) => {
      this.#asked = resolve;
    });
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await exit;
  }
}

let workers: Worker[] = [];

/** A file for this process and others: all read the machine's own clock. */
function onSharedFile(test: (store: Store, file: TestFile) => Promise<void>): Promise<void> {
  return onFile(async (file) => {
    const store = await openStore(`sqlite:${file.path}`);
    try {
      await test(store, file);
    } finally {
      await store.close();
    }
  });
}

afterEach(async () => {
  for (const worker of workers) await worker.kill();
  workers = [];
});

describe("A SQLite file that several processes share", () => {
  it("is made by one of many that open it at once", () =>
    onFile(async ({ folder }) => {
      const openers = await Worker.all(6);
      for (let round = 0; round < 40; round += 1) {
        const path = join(folder, `${round}.db`);
        const opened = openers.map(async (opener, index) => {
          await opener.ask("open", path);
          // Writing may take longer than a second where all do it on a busy machine; opening waits.
          const set = () => opener.ask("set", `of ${index}`, true).then(() => "set", String);
          await expect.poll(set).toBe("set");
          await opener.ask("close");
        });
        await Promise.all(opened);
      }
    }));

  it("loses no commit and does none twice, when all commit to one lane at once and one is killed", () =>
    onSharedFile(async (store, { path, count }) => {
      const [victim, ...others] = await Worker.all(4);
      for (const worker of [victim, ...others]) await worker?.ask("open", path);
      void victim?.ask("count", "lane", 1e9, "victim");
      const counted = others.map((worker, index) => worker.ask("count", "lane", 300, `worker ${index}`));
      await expect.poll(() => store.records.get("session:lane"), { timeout: 20_000 }).toBeDefined();
      await victim?.kill();
      await Promise.all(counted);
      // Each commit has left its mark, and that of the killed process is whole or not there.
      const { document, record } = await store.read("lane");
      expect(document).toEqual({ sum: count("aparte_marks") });
      expect(record).toEqual(document);
      expect(count("aparte_marks")).toBeGreaterThanOrEqual(900);
    }));

  it("carries wakes to the processes of their owners, and keeps none for the dead and the unknown", () =>
    onSharedFile(async (store, { path, count }) => {
      const [ada, bob] = await Worker.all(2);
      await ada?.ask("open", path);
      await ada?.ask("listen", "ada");
      await bob?.ask("open", path);
      await bob?.ask("listen", "bob");
      await store.bury("cid", true);
      const wakes = ["ada", "cid", "nobody"];
      const { unheard, version } = await commit(store, { lane: "one", document: 1, wakes });
      expect(unheard).toEqual(["cid", "nobody"]);
      await expect.poll(() => ada?.woken, { timeout: 20_000 }).toEqual(["one"]);
      await bob?.ask("commit", { lane: "one", version, wakes: ["ada", "bob"], until: 1e300 });
      await expect.poll(() => ada?.woken, { timeout: 20_000 }).toEqual(["one", "one"]);
      await expect.poll(() => bob?.woken).toEqual(["one"]);
      expect(count("aparte_wakes")).toBe(0);
    }));
});

describe("A SQLite file in whose transaction another process stands still", () => {
  it("fails calls that write in time, answers those that read, and stops nothing else", () =>
    onSharedFile(async (store, { path }) => {
      await store.records.set("key", 1);
      const [other] = await Worker.all(1);
      await other?.ask("lock", path);
      other?.process.kill("SIGSTOP");
      let ticks = 0;
      const ticking = setInterval(() => {
        ticks += 1;
      }, 1);
      const writes = Array.from({ length: 50 }, (_, index) =>
        store.commit({ lane: `lane ${index}`, version: 0, document: 1, until: 1e300 }),
      );
      const outcomes = await Promise.allSettled([...writes, store.records.set("key", 2)]);
      clearInterval(ticking);
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: "rejected", reason: { code: "store-timeout" } });
      }
      // A store that waits inside SQLite lets none through.
      expect(ticks).toBeGreaterThan(20);
      expect(await store.records.get("key")).toBe(1);
      expect((await store.read("lane 1")).document).toBeUndefined();
      other?.process.kill("SIGCONT");
      await other?.ask("unlock");
      await store.records.set("key", 3);
      expect(await store.records.get("key")).toBe(3);
    }));

  it("is waited for, and then used in the order of the calls", () =>
    onSharedFile(async (store, { path }) => {
      const [other] = await Worker.all(1);
      await other?.ask("lock", path);
      const order: number[] = [];
      const calls = Array.from({ length: 20 }, async (_, index) => {
        await store.records.set("key", index);
        order.push(index);
      });
      await other?.ask("unlock");
      await Promise.all(calls);
      expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
      expect(await store.records.get("key")).toBe(19);
    }));
});

describe("A SQLite file without its package", () => {
  it("is not opened, and it is said what to install", async () => {
    const url = (script: string) => `data:text/javascript,${encodeURIComponent(script)}`;
    const resolve = `export const resolve = (name, context, next) => {
      if (name === "libsql") throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
      return next(name, context);
    }`;
    const register = `import { register } from "node:module"; register(${JSON.stringify(url(resolve))});`;
    const script = `const { openStore } = await import(process.argv[1]);
      await openStore("sqlite::memory:").catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
    const module = join(await builtRoot(), "src/stores/open.js");
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...["--import", url(register), "--input-type=module", "--eval", script, module],
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      code: "option-invalid",
      message: expect.stringContaining("npm i libsql"),
    });
  });
});
