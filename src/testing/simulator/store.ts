import { AparteError } from "../../errors.ts";
import type { LaneDocument } from "../../lane/machine.ts";
import { memoryStore } from "../../stores/memory.ts";
import type { Commit, Committed, Records, Store } from "../../stores/store.ts";
import { Link } from "./link.ts";
import type { ProcessClock } from "./process-clock.ts";
import { drawn } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** How long a call of the store may take, in milliseconds. */
const callMs = 1_000;

/** How long news of a lane are on their way at most, in milliseconds. */
const wakeMs = 4;

/** The store's time at the beginning: that of servers has many digits. */
const firstNow = 1_700_000_000_000;

/** What was written, so that a store can be made that knows all of it but the last of it. */
interface Write {
  readonly at: number;
  readonly run: (store: Store) => Promise<unknown>;
}

interface Listener {
  readonly owner: string;
  readonly wake: (lane: string | undefined) => void;
  end: (() => void) | undefined;
}

/** The one store of a simulation: one in memory, as its server. It can lose what was written last. */
export class StoreServer {
  readonly #timeline: Timeline;
  readonly #isLossy: boolean;
  readonly #committed: (commit: Commit, committed: Committed) => void;
  #store: Store;
  /** The store's time, where it is not the present: while what was written is written again. */
  #replayed: number | undefined;
  #ahead = firstNow;
  #writes: Write[] = [];
  readonly #listeners = new Set<Listener>();

  /**
   * @param isLossy whether it will lose something, and so remembers how it came to what it has
   * @param committed told of every commit that was done
   */
  constructor(
    timeline: Timeline,
    isLossy: boolean,
    committed: (commit: Commit, committed: Committed) => void,
  ) {
    this.#timeline = timeline;
    this.#isLossy = isLossy;
    this.#committed = committed;
    this.#store = memoryStore(() => this.now());
  }

  now(): number {
    return this.#replayed ?? this.#timeline.now + this.#ahead;
  }

  jump(ms: number): void {
    this.#ahead += ms;
  }

  read<T>(run: (store: Store) => Promise<T>): Promise<T> {
    return run(this.#store);
  }

  write<T>(run: (store: Store) => Promise<T>): Promise<T> {
    if (this.#isLossy) this.#writes.push({ at: this.now(), run });
    return run(this.#store);
  }

  async commit(commit: Commit): Promise<Committed> {
    const committed = await this.write((store) => store.commit(commit));
    if (committed.is === "done") this.#committed(commit, committed);
    return committed;
  }

  async listen(owner: string, wake: (lane: string | undefined) => void): Promise<Listener> {
    const listener: Listener = { owner, wake, end: undefined };
    this.#listeners.add(listener);
    await this.#connect(listener);
    return listener;
  }

  /** Its connection is there again: some news may have been missed. */
  async reconnect(listener: Listener): Promise<void> {
    if (!this.#listeners.has(listener)) return;
    await this.#connect(listener);
    listener.wake(undefined);
  }

  disconnect(listener: Listener): void {
    listener.end?.();
    listener.end = undefined;
  }

  silence(listener: Listener): void {
    this.disconnect(listener);
    this.#listeners.delete(listener);
  }

  /** Goes back in time: what was written in the last `ms` is gone, as after a failover. */
  async lose(ms: number): Promise<void> {
    const kept = this.#writes.filter(({ at }) => at < this.now() - ms);
    const connected = [...this.#listeners].filter(({ end }) => end !== undefined);
    for (const listener of connected) this.disconnect(listener);
    this.#writes = kept;
    this.#replayed = kept[0]?.at ?? this.now();
    this.#store = memoryStore(() => this.now());
    for (const { at, run } of kept) {
      this.#replayed = at;
      await run(this.#store);
    }
    this.#replayed = undefined;
    for (const listener of connected) void this.reconnect(listener);
  }

  async #connect(listener: Listener): Promise<void> {
    listener.end?.();
    listener.end = await this.#store.listen(listener.owner, listener.wake);
  }
}

/** The store as one process has it: behind a connection that delays, loses and doubles. */
export class StoreLink {
  readonly store: Store;
  readonly link: Link;
  readonly #server: StoreServer;
  readonly #timeline: Timeline;
  readonly #listeners = new Set<Listener>();

  constructor(server: StoreServer, timeline: Timeline, clock: ProcessClock, seed: readonly number[]) {
    this.#server = server;
    this.#timeline = timeline;
    const failure = (isTimeout: boolean, call: string) =>
      isTimeout
        ? new AparteError("store-timeout", `The simulated store did not answer (${call}).`)
        : new AparteError("store-failed", `The simulated store refused the connection (${call}).`);
    const link = new Link({ timeline, clock, server: "store", timeoutMs: callMs, failure, seed });
    this.link = link;
    const write = <T>(call: string, run: (store: Store) => Promise<T>) =>
      link.call(call, () => server.write(run));
    const read = <T>(call: string, run: (store: Store) => Promise<T>) =>
      link.call(call, () => server.read(run));
    const records: Records = {
      get: <T>(key: string) => read("record", (store) => store.records.get<T>(key)),
      set: (key, value, ttlMs) => write("record", (store) => store.records.set(key, value, ttlMs)),
      setIfAbsent: (key, value, ttlMs) =>
        write("record", (store) => store.records.setIfAbsent(key, value, ttlMs)),
      delete: (key) => write("record", (store) => store.records.delete(key)),
      entries: <T>(prefix: string) => entriesOf<T>(link, server, prefix),
    };
    let wakes = 0;
    this.store = {
      // Only tokens depend on `shared`, which this agent has none of.
      name: "simulated",
      shared: false,
      durable: true,
      records,
      commit: (commit) => link.call("commit", () => server.commit(commit)),
      read: (lane) => read("read", (store) => store.read(lane)),
      beat: (owner, leaseMs) => write("beat", (store) => store.beat(owner, leaseMs)),
      bury: (owner, isUnknownToo) => write("bury", (store) => store.bury(owner, isUnknownToo)),
      dead: () => read("dead", (store) => store.dead()),
      listen: async (owner, wake) => {
        const hear = (lane: string | undefined) => {
          wakes += 1;
          const { fault, ms = 0 } = link.takeFault("wake") ?? {};
          if (fault === "request-lost" || fault === "reply-lost") return;
          const lateMs = wakeMs * drawn(...seed, wakes, 3) + ms;
          timeline.after(lateMs, () => {
            if (!link.isDown) clock.enter(() => wake(lane));
          });
        };
        const listener = await link.call("listen", () => server.listen(owner, hear));
        this.#listeners.add(listener);
        return () => {
          this.#listeners.delete(listener);
          server.silence(listener);
        };
      },
      close: async () => {},
    };
  }

  /** Nothing comes through for a while, and whoever listens is heard of no more until then. */
  cut(ms: number, refuses: boolean): void {
    const until = this.#timeline.now + ms;
    this.link.cut(until, refuses);
    for (const listener of this.#listeners) {
      this.#server.disconnect(listener);
      this.#timeline.at(until, () => {
        if (!this.link.isDown) void this.#server.reconnect(listener);
      });
    }
  }

  /** The process died: its connections are closed. */
  close(): void {
    for (const listener of this.#listeners) this.#server.silence(listener);
    this.#listeners.clear();
  }
}

async function* entriesOf<T>(link: Link, server: StoreServer, prefix: string): AsyncGenerator<[string, T]> {
  const list = async (store: Store) => {
    const entries: [string, T][] = [];
    for await (const entry of store.records.entries<T>(prefix)) entries.push(entry);
    return entries;
  };
  yield* await link.call("record", () => server.read(list));
}

/** What stands on the platform of a lane's running turn, as it is written there. */
export function postsIn(commit: Commit): unknown {
  return (commit.document as unknown as LaneDocument | undefined)?.running?.posts;
}
