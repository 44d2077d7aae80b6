import { AparteError } from "aparte";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Commit, Store } from "../../src/stores/store.ts";
import type { TestClock } from "./test-clock.ts";

/** Stands between a process and the store: it runs the call, or fails, before or after. */
export type Intercept = (call: Call, run: () => Promise<unknown>) => Promise<unknown>;

export interface Call {
  readonly name: "commit" | "read" | "beat" | "bury" | "dead" | "listen" | "get" | "set";
  readonly commit?: Commit;
}

/** A store as one process sees it. */
export interface View extends Store {
  intercept: Intercept;
  /** The calls of lanes that came so far. */
  readonly calls: Call[];
  /** No wake reaches the process. */
  isDeaf: boolean;
}

/** The store's time is a Unix time, and none of the processes' own. */
const storeEpoch = 1_800_000_000_000;

const unlessCut: Intercept = (_, run) => run();
export const cut: Intercept = async () => {
  throw storeAway();
};

/** Commits are done, and their answers are lost. */
export const doneUnheard: Intercept = async (call, run) => {
  if (call.name !== "commit") return run();
  await run();
  throw storeAway();
};

export function storeAway(): AparteError {
  return new AparteError("store-failed", "The store is away.");
}

/** One store on the test's clock, that several processes see, and that can lose what was written last. */
export class TestStore {
  readonly #clock: TestClock;
  readonly #listening: [owner: string, wake: (lane: string | undefined) => void][] = [];
  #now: number | undefined;
  #ahead = 0;
  #inner: Store;
  /** With the owner whose sign of life it was. */
  #done: { readonly at: number; readonly again: () => Promise<unknown>; readonly owner?: string }[] = [];
  readonly #lostOwners = new Set<string>();

  constructor(clock: TestClock) {
    this.#clock = clock;
    this.#inner = memoryStore(() => this.now());
  }

  now(): number {
    return this.#now ?? storeEpoch + this.#clock.now() + this.#ahead;
  }

  /** The store's clock is set forward, or the store is another server, whose clock is ahead. */
  jump(ms: number): void {
    this.#ahead += ms;
  }

  /** The store itself, for what the test does and looks at. */
  get direct(): Store {
    return this.#inner;
  }

  /** @param clockTime what was written later, by the test's clock, is lost */
  async goBackTo(clockTime: number): Promise<void> {
    this.#inner = memoryStore(() => this.now());
    this.#done = this.#done.filter(({ at }) => at <= storeEpoch + clockTime);
    this.#done = this.#done.filter(({ owner }) => owner === undefined || !this.#lostOwners.has(owner));
    this.#lostOwners.clear();
    for (const { at, again } of this.#done) {
      this.#now = at;
      await again();
    }
    this.#now = undefined;
    for (const [owner, wake] of this.#listening) await this.#inner.listen(owner, wake);
  }

  /** Tells every process that a lane has news, or that it may have missed some. */
  tellAll(lane: string | undefined): void {
    for (const [, wake] of this.#listening) wake(lane);
  }

  /** The store forgets one owner's signs of life, and nothing else. */
  async loseOwner(owner: string): Promise<void> {
    this.#lostOwners.add(owner);
    await this.goBackTo(this.#clock.now());
  }

  /** A process' way to the store. */
  view(options: { readonly durable?: boolean } = {}): View {
    const { durable = true } = options;
    const call = <T>(made: Call, run: () => Promise<T>): Promise<T> => {
      view.calls.push(made);
      return view.intercept(made, run) as Promise<T>;
    };
    const done = <T>(again: () => Promise<T>, owner?: string): Promise<T> => {
      this.#done.push({ at: this.now(), again, ...(owner === undefined ? {} : { owner }) });
      return again();
    };
    const view: View = {
      ...{ name: "memory", shared: true, durable, intercept: unlessCut, calls: [], isDeaf: false },
      records: {
        get: <T>(key: string) => call({ name: "get" }, () => this.#inner.records.get<T>(key)),
        set: (key, value, ttlMs) =>
          call({ name: "set" }, () => done(() => this.#inner.records.set(key, value, ttlMs))),
        setIfAbsent: (key, value, ttlMs) =>
          call({ name: "set" }, () => done(() => this.#inner.records.setIfAbsent(key, value, ttlMs))),
        delete: (key) => call({ name: "set" }, () => done(() => this.#inner.records.delete(key))),
        entries: (prefix) => this.#inner.records.entries(prefix),
      },
      commit: (commit) => call({ name: "commit", commit }, () => done(() => this.#inner.commit(commit))),
      read: (lane) => call({ name: "read" }, () => this.#inner.read(lane)),
      beat: (owner, leaseMs) =>
        call({ name: "beat" }, () => done(() => this.#inner.beat(owner, leaseMs), owner)),
      bury: (owner, too) => call({ name: "bury" }, () => done(() => this.#inner.bury(owner, too))),
      dead: () => call({ name: "dead" }, () => this.#inner.dead()),
      listen: (owner, wake) =>
        call({ name: "listen" }, () => {
          const heard = (lane: string | undefined) => {
            if (!view.isDeaf && view.intercept !== cut) wake(lane);
          };
          this.#listening.push([owner, heard]);
          return this.#inner.listen(owner, heard);
        }),
      close: async () => {},
    };
    return view;
  }
}
