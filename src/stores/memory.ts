import type { JsonValue } from "../json.ts";
import { localStore } from "./keyv.ts";
import { LocalLanes, steadyNow } from "./local-lanes.ts";
import type { Records, Store } from "./store.ts";

/**
 * A store in this process's memory: for trying things out and for tests. It is empty after a restart.
 * It remembers at least the last five million events, however many a day there are.
 * @param now the time in milliseconds, for simulations
 */
export function memoryStore(now: () => number = steadyNow): Store {
  const records = new MemoryRecords(now);
  const lanes = new LocalLanes(records, (key) => records.read(key), now);
  return localStore("memory", records, lanes, async () => {});
}

interface Kept {
  /** JSON, in one flat string: half the room of objects, and nobody can change what is kept. */
  readonly text: string;
  readonly until: number;
}

class MemoryRecords implements Records {
  readonly #now: () => number;
  readonly #kept = new Map<string, string | Kept>();

  constructor(now: () => number) {
    this.#now = now;
  }

  read(key: string): JsonValue | null {
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    if (typeof kept === "string") return JSON.parse(kept);
    if (kept.until > this.#now()) return JSON.parse(kept.text);
    this.#kept.delete(key);
    return null;
  }

  async get<T>(key: string): Promise<T | undefined> {
    return (this.read(key) ?? undefined) as T | undefined;
  }

  async set(key: string, value: unknown, ttlMs?: number): Promise<void> {
    const text = JSON.stringify(value);
    this.#kept.set(key, ttlMs === undefined ? text : { text, until: this.#now() + ttlMs });
  }

  async setIfAbsent(key: string, value: unknown, ttlMs?: number): Promise<boolean> {
    if (this.read(key) !== null) return false;
    await this.set(key, value, ttlMs);
    return true;
  }

  async delete(key: string): Promise<void> {
    this.#kept.delete(key);
  }

  async *entries<T>(prefix: string): AsyncGenerator<[string, T]> {
    for (const key of this.#kept.keys()) {
      if (!key.startsWith(prefix)) continue;
      const value = this.read(key);
      if (value !== null) yield [key, value as T];
    }
  }
}
