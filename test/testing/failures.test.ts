import type { Backend, SessionMapper } from "aparte";
import { type Adapter, deliverPosts } from "aparte/adapter";
import { adapterContract, backendContract, type ContractRunner, storeContract } from "aparte/testing";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";

interface Run {
  /** For each test that fails: the first line, below which the runner shows the two values. */
  readonly failures: readonly string[];
  /** How long the tests may take, in milliseconds. */
  readonly timeouts: ReadonlySet<number | undefined>;
}

/** What a suite says of what it tests. */
async function runOf(suite: (runner: ContractRunner) => void, titles = /./): Promise<Run> {
  const tests: (() => unknown)[] = [];
  const timeouts = new Set<number | undefined>();
  suite({
    describe: (_, define) => define(),
    it: (title, test, timeoutMs) => {
      timeouts.add(timeoutMs);
      if (titles.test(title)) tests.push(test);
    },
  });
  expect(tests).not.toEqual([]);
  const failures: string[] = [];
  for (const test of tests) {
    await Promise.resolve()
      .then(test)
      .catch((error: Error) => failures.push(error.message.split("\n", 1)[0] ?? ""));
  }
  return { failures, timeouts };
}

/** Says what was done, what came of it and what was expected. */
const whole = / (answers|fails with) .*; expected is |^This does not hold: /s;

function storeRun(broken: Partial<ReturnType<typeof memoryStore>>): Promise<Run> {
  const open = async () => {
    const store = { ...memoryStore(), ...broken };
    return { store, close: () => store.close() };
  };
  return runOf((runner) => storeContract(runner, { name: "broken", shared: false, durable: false, open }));
}

/** A backend that remembers in this process, and fails as it is told. */
function backendRun(broken: (failing: string) => Partial<Backend>, titles?: RegExp): Promise<Run> {
  const start = async () => {
    const told = new Map<string, string>();
    let failing = "";
    let begin = () => {};
    const backend: Backend = {
      name: "broken",
      open: async () => {
        told.set(`c${told.size}`, "");
        return `c${told.size - 1}`;
      },
      async *ask({ conversationId, text }) {
        begin();
        const memory = `${told.get(conversationId)} ${text}`;
        told.set(conversationId, memory);
        yield { type: "message", text: memory };
      },
      ...broken(failing),
    };
    const fail = (how: string) => () => {
      failing = how;
    };
    return {
      backend,
      begun: () =>
        new Promise<void>((resolve) => {
          begin = resolve;
        }),
      opened: () => told.size + 1,
      lose: () => {},
      cutNext: fail("cut"),
      refuse: fail("refuse"),
      limit: fail("limit"),
      hangNext: fail("hang"),
      accept: fail(""),
      close: async () => {},
    };
  };
  const remember = (name: string) => `I am ${name}`;
  return runOf(
    (runner) => backendContract(runner, { name: "broken", remember, recall: "Who?", slow: "slow", start }),
    titles,
  );
}

/** An adapter for a platform of which nothing is known but its name. */
function adapterRun(platform: string, maxLength: number, titles: RegExp): Promise<Run> {
  const start = async () => {
    const shown: string[] = [];
    let mapper: SessionMapper | undefined;
    let count = 0;
    const say = async (user: string, text: string) => {
      count += 1;
      await mapper?.receive({ platform: "board", tenant: "t", user, id: `m${count}`, text, replyTo: {} });
    };
    const post = async (text: string) => shown.push(text);
    const adapter: Adapter = {
      platform: "board",
      deliver: (_, delivery) => deliverPosts(delivery, { maxLength: 1000, post }),
    };
    return {
      attach: async (one: SessionMapper) => {
        mapper = one;
        mapper.connect(adapter);
        return async () => {};
      },
      say,
      again: async () => {},
      shown: () => shown,
      close: async () => {},
    };
  };
  return runOf((runner) => adapterContract(runner, { name: "broken", platform, maxLength, start }), titles);
}

describe("A contract suite", () => {
  it("says of a store which call failed, with what it answered and what was expected", async () => {
    const { failures, timeouts } = await storeRun({ bury: async () => "unknown" });
    expect(failures).toContain('bury("ada") answers "unknown"; expected is "dead"');
    expect(failures.filter((failure) => !whole.test(failure))).toEqual([]);
    expect([...timeouts]).toEqual([120_000]);
  });

  it("says of a backend what was asked, with what came of it and what was expected", async () => {
    const { failures, timeouts } = await backendRun(() => ({}));
    expect(failures).toContain('ask("Who?") answers "I am Ada Who?"; expected is a failure: backend-auth');
    expect(failures).toContain('open() with an aborted signal answers "c0"; expected is a failure: any');
    expect(failures.filter((failure) => !whole.test(failure))).toEqual([]);
    expect([...timeouts]).toEqual([120_000]);
  });

  it("says of a backend that forgets what each person was told", async () => {
    const ask = async function* () {
      yield { type: "message", text: "I am Ben" } as const;
    };
    const { failures } = await backendRun(() => ({ ask }));
    expect(failures.filter((failure) => !whole.test(failure))).toEqual([]);
    expect(failures[0]).toBe(
      'This does not hold: Ada, who said "I am Ada", is told so when they ask "Who?", and was told "I am Ben"',
    );
  });

  it("says of an adapter what did not hold", async () => {
    const { failures } = await adapterRun("bored", 100, /session each|long answer/);
    expect(failures[0]).toEqual(
      expect.stringMatching(
        /^This does not hold: the messages are of the platform "bored", and were \[\{"platform":"board"/,
      ),
    );
    expect(failures[1]).toMatch(
      /^This does not hold: a message has at most 100 characters, and one has \d+$/,
    );
  });
});
