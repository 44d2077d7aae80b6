/**
 * A map of what comes and goes all the time. A `Map` would keep what has left it until a full garbage collection: V8 makes
 * the table of such a map anew again and again, and each old table points at the one after it. An object's does not.
 */
export class BriefMap<V> {
  readonly #entries: Record<string, V | undefined> = Object.create(null);

  get(key: string): V | undefined {
    return this.#entries[key];
  }

  set(key: string, value: V): void {
    this.#entries[key] = value;
  }

  delete(key: string): void {
    delete this.#entries[key];
  }

  clear(): void {
    for (const key of this.keys()) this.delete(key);
  }

  /** As they are at this moment. */
  keys(): string[] {
    return Object.keys(this.#entries);
  }

  values(): V[] {
    return Object.values(this.#entries) as V[];
  }

  entries(): [string, V][] {
    return Object.entries(this.#entries) as [string, V][];
  }
}
