import { AssertionError } from "node:assert";
import type { JsonValue } from "../json.ts";
import type { Commit, Committed, Store } from "../stores/store.ts";
import { expectAnswer, expectThat, show } from "./expectations.ts";

/** A time that no test lives to see. */
export const never: number = Number.MAX_SAFE_INTEGER;

/** A commit that is not too late, if it does not say so. */
export type Change = Omit<Commit, "until"> & { readonly until?: number };

export type Done = Extract<Committed, { is: "done" }>;
export type Refused = Exclude<Committed, Done>;

/** What a store must say of a lane. */
export interface Truth {
  readonly version: number;
  readonly document: JsonValue | undefined;
  readonly record: JsonValue | null | undefined;
}

/** A lane that nobody has used. */
export const nothing: Truth = { version: 0, document: undefined, record: null };

/** Does something for each of many, a hundred at a time: a store has a second for a call, also on a busy machine. */
export async function forMany<T>(
  all: readonly T[],
  run: (one: T, index: number) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < all.length; from += 100) {
    await Promise.all(all.slice(from, from + 100).map((one, index) => run(one, from + index)));
  }
}

/** Commits, which must be done. */
export async function commits(store: Store, change: Change): Promise<Done> {
  const answer = await store.commit({ until: never, ...change });
  if (answer.is !== "done")
    expectAnswer(callOf(change), { is: answer.is, version: answer.version }, { is: "done" });
  const { version } = answer;
  expectThat(
    `${callOf(change)} gives a version as there is a document, and got ${version}`,
    change.document === undefined ? version === 0 : Number.isSafeInteger(version) && version > 0,
  );
  return answer as Done;
}

/** Commits, which must be refused with all that is true. */
export async function isRefused(
  store: Store,
  is: Refused["is"],
  change: Change,
  truth: Truth,
  duplicates: readonly string[] = [],
): Promise<Refused> {
  const answer = await store.commit({ until: never, ...change });
  const call = callOf(change);
  if (answer.is === "done")
    throw new AssertionError({ message: `${call} is done; it must be refused: ${is}` });
  const { version, document, record, duplicates: found } = answer;
  const actual = { is: answer.is, version, document, record, duplicates: [...found].sort() };
  expectAnswer(call, actual, { is, ...pick(truth), duplicates: [...duplicates].sort() });
  expectThat(`${call} answers with the store's time`, answer.now > 0);
  return answer;
}

/** Reads a lane, in which this must be. */
export async function stands(store: Store, lane: string, truth: Truth): Promise<void> {
  const { version, document, record, now } = await store.read(lane);
  expectAnswer(`read(${show(lane)})`, { version, document, record }, pick(truth));
  expectThat(`read(${show(lane)}) answers with the store's time`, now > 0);
}

/** The dead owners with their lanes, in order. */
export async function listsDead(
  store: Store,
  expected: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const dead = await store.dead();
  const actual = dead.map(({ owner, lanes }) => [owner, [...lanes].sort()] as const);
  const wanted = Object.entries(expected).map(([owner, lanes]) => [owner, [...lanes].sort()] as const);
  expectAnswer("dead()", actual.sort(byOwner), wanted.sort(byOwner));
}

function byOwner([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function pick({ version, document, record }: Truth): Truth {
  return { version, document, record };
}

function callOf(change: Change): string {
  return `commit(${show(change)})`;
}
