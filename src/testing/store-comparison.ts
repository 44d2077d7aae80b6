import type { JsonValue } from "../json.ts";
import { memoryStore } from "../stores/memory.ts";
import { type Commit, type Committed, type FoundLane, type Store, sessionKey } from "../stores/store.ts";
import { expectAnswer, expectThat, show } from "./expectations.ts";
import type { OpenedStore } from "./opened-store.ts";
import { until } from "./runner.ts";
import { never } from "./store-calls.ts";

/** A commit that says by words which version it is against, and when. */
export interface ComparedCommit extends Omit<Commit, "version" | "until" | "ttlMs" | "document"> {
  readonly do: "commit";
  /** The version that is there, the one before, none, or one that was never there. */
  readonly against: "current" | "former" | "none" | "unknown";
  readonly document?: JsonValue;
  readonly isLate?: boolean;
}

/** One call of a store, without times and versions: so it means the same for any store. */
export type StoreCommand = (
  | ComparedCommit
  | { readonly do: "read"; readonly lane: string }
  /** A sign of life, with a long lease, or with none. */
  | { readonly do: "beat"; readonly owner: string; readonly isOver: boolean }
  | { readonly do: "bury"; readonly owner: string; readonly isUnknownToo: boolean }
  | { readonly do: "dead" }
  /** Listens; does nothing if the owner listens already. */
  | { readonly do: "listen"; readonly owner: string }
  /** The session's record, as others than the lane read and write it. */
  | { readonly do: "get" | "delete"; readonly lane: string }
  | { readonly do: "set" | "setIfAbsent"; readonly lane: string; readonly value: JsonValue }
) & {
  /** Done by the store that is opened apart, if there is one. */
  readonly isApart?: boolean;
};

/**
 * Does the same to a store and to one in memory, and compares all that they answer, and what is in them at the end.
 * Of times and versions only the order is compared. Bring commands from a generator, as from `fast-check`.
 * @param opened an empty store
 * @throws {AssertionError} when they differ: which call it was, and what each of them answered
 */
export async function compareWithMemory(
  { store, again }: Pick<OpenedStore, "store" | "again">,
  commands: readonly StoreCommand[],
): Promise<void> {
  const compared = new ComparedStore(store, (await again?.()) ?? store);
  const memory = memoryStore();
  const reference = new ComparedStore(memory, memory);
  for (const [index, command] of [...commands, ...finalCommands(commands)].entries()) {
    const expected = await reference.run(command);
    expectAnswer(`call ${index + 1}, ${show(command)},`, await compared.run(command), expected);
  }
  compared.checkWakes();
}

/** Shows all that was written: documents, records, marks, and the lanes of all owners. */
function finalCommands(commands: readonly StoreCommand[]): StoreCommand[] {
  const lanes = new Set<string>();
  const owners = new Set<string>();
  const marks = new Set<string>();
  for (const command of commands) {
    if ("lane" in command) lanes.add(command.lane);
    if ("owner" in command) owners.add(command.owner);
    if (command.do !== "commit") continue;
    for (const owner of [...(command.entering ?? []), ...(command.leaving ?? [])]) owners.add(owner);
    for (const mark of [...(command.marks ?? []), ...(command.restoredMarks ?? [])]) marks.add(mark);
  }
  return [
    ...[...lanes].flatMap((lane): StoreCommand[] => [
      { do: "read", lane },
      { do: "get", lane },
      // Its answer names all marks that are there.
      { do: "commit", lane, against: "current", marks: [...marks] },
    ]),
    ...[...owners].flatMap((owner): StoreCommand[] => [
      { do: "beat", owner, isOver: true },
      { do: "bury", owner, isUnknownToo: true },
    ]),
    { do: "dead" },
  ];
}

const lease = 600_000;

/** A store whose answers can be compared with those of another one. */
class ComparedStore {
  /** Of which lanes each owner that listens was told. */
  readonly #listeners = new Map<string, Set<string>>();
  /** Of which lanes each owner may be told: one that listens late may hear what was left for it before. */
  readonly #news = new Map<string, Set<string>>();
  readonly #store: Store;
  readonly #apart: Store;
  readonly #alive = new Set<string>();
  /** All versions that each lane had. */
  readonly #versions = new Map<string, number[]>();
  /** The version that each lane has. */
  readonly #current = new Map<string, number>();
  #now = 0;

  constructor(store: Store, apart: Store) {
    this.#store = store;
    this.#apart = apart;
  }

  async run(command: StoreCommand): Promise<unknown> {
    const store = command.isApart ? this.#apart : this.#store;
    switch (command.do) {
      case "commit":
        return this.#commit(store, command);
      case "read":
        return this.#found(command.lane, await store.read(command.lane));
      case "beat":
        return this.#beat(store, command.owner, command.isOver ? 0 : lease);
      case "bury": {
        const state = await store.bury(command.owner, command.isUnknownToo);
        expectThat(
          `${command.owner}, which is alive, is not buried`,
          !(state === "dead" && this.#alive.has(command.owner)),
        );
        return state;
      }
      case "dead": {
        const dead = (await store.dead()).map(({ owner, lanes }) => [owner, [...lanes].sort()] as const);
        return dead.sort(([a], [b]) => (a < b ? -1 : 1));
      }
      case "listen": {
        if (this.#listeners.has(command.owner)) return undefined;
        const told = new Set<string>();
        this.#listeners.set(command.owner, told);
        await store.listen(command.owner, (lane) => {
          if (lane !== undefined) told.add(lane);
        });
        return undefined;
      }
      case "get":
        return store.records.get(sessionKey(command.lane));
      case "delete":
        return store.records.delete(sessionKey(command.lane));
      case "set":
        return store.records.set(sessionKey(command.lane), command.value);
      case "setIfAbsent":
        return store.records.setIfAbsent(sessionKey(command.lane), command.value);
    }
  }

  async #commit(store: Store, command: ComparedCommit): Promise<unknown> {
    const { do: _, against, isLate = false, document, ...rest } = command;
    const { lane } = command;
    const version = this.#versionFor(lane, against);
    for (const owner of command.wakes ?? []) this.#listeners.get(owner)?.delete(lane);
    const commit: Commit = { ...rest, version, document, until: isLate ? this.#now : never };
    const answer: Committed = await store.commit(commit);
    if (answer.is !== "done") {
      return { is: answer.is, ...this.#found(lane, answer), duplicates: [...answer.duplicates].sort() };
    }
    this.#pass(answer.now);
    const versions = this.#versions.get(lane) ?? [];
    const last = versions.at(-1) ?? 0;
    if (document !== undefined) {
      expectThat(
        `the version of ${lane} (${answer.version}) is more than the one before (${last})`,
        answer.version > last,
      );
      this.#versions.set(lane, [...versions, answer.version]);
    }
    this.#current.set(lane, answer.version);
    await this.#areWoken(lane, command.wakes ?? []);
    // Whether somebody who is alive listens in another process, not every store knows at once.
    const isSure = (owner: string) => this.#listeners.has(owner) === this.#alive.has(owner);
    const unheard = answer.unheard.filter(isSure).sort();
    // Of an idle lane's record not every store tells.
    const record = document === undefined ? {} : { record: answer.record };
    return { is: "done", version: this.#place(lane, answer.version), unheard, ...record };
  }

  /** Waits until all who are alive and listen are told. */
  async #areWoken(lane: string, owners: readonly string[]): Promise<void> {
    for (const owner of owners) {
      this.#news.set(owner, (this.#news.get(owner) ?? new Set()).add(lane));
      const told = this.#listeners.get(owner);
      if (told === undefined || !this.#alive.has(owner)) continue;
      await until(`"${owner}" is told of "${lane}"`, () => (told.has(lane) ? true : undefined));
    }
  }

  /** Nobody was told of a lane that had no news. */
  checkWakes(): void {
    for (const [owner, told] of this.#listeners) {
      const wrong = [...told].filter((lane) => !this.#news.get(owner)?.has(lane));
      expectAnswer(`the lanes of which "${owner}" was told although they had no news`, wrong, []);
    }
  }

  #versionFor(lane: string, against: ComparedCommit["against"]): number {
    const current = this.#current.get(lane) ?? 0;
    if (against === "current") return current;
    if (against === "none") return 0;
    if (against === "unknown") return current + 1;
    return this.#versions.get(lane)?.findLast((version) => version !== current) ?? 1;
  }

  #found(lane: string, { version, document, record, now }: FoundLane): object {
    this.#pass(now);
    return { version: this.#place(lane, version), document, record };
  }

  /** Which of the lane's versions it is, from 1 on; 0 for none. */
  #place(lane: string, version: number): number | string {
    if (version === 0) return 0;
    const index = this.#versions.get(lane)?.indexOf(version) ?? -1;
    return index === -1 ? "a version that the lane never had" : index + 1;
  }

  async #beat(store: Store, owner: string, leaseMs: number): Promise<unknown> {
    const { isBuried, until, now } = await store.beat(owner, leaseMs);
    this.#pass(now);
    if (isBuried) return { isBuried };
    if (leaseMs > 0) this.#alive.add(owner);
    else this.#alive.delete(owner);
    return { isBuried, was: until === undefined ? "unknown" : until > now ? "alive" : "over" };
  }

  #pass(now: number): void {
    expectThat(`the store's time does not go back from ${this.#now} to ${now}`, now >= this.#now);
    this.#now = now;
  }
}
