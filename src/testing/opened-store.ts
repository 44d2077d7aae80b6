import assert from "node:assert/strict";
import type { Store } from "../stores/store.ts";

/** A store that was opened for one test. */
export interface OpenedStore {
  readonly store: Store;
  /** Opens the same data once more, as another process would. Shared and durable stores have it. */
  readonly again?: () => Promise<Store>;
  /** Makes the store's time go on, in milliseconds. Without it, what ends by time is not tested. */
  readonly advance?: (ms: number) => void;
  /** Closes all that was opened and removes its data. */
  readonly close: () => Promise<void>;
}

export interface StoreContractOptions {
  /** For the titles of the tests. */
  readonly name: string;
  /** What the store says of itself; it decides which promises are tested. */
  readonly shared: boolean;
  readonly durable: boolean;
  /** Opens an empty store. */
  readonly open: () => Promise<OpenedStore>;
}

/** Two ways to the same data: for a shared store also those of two processes. */
export interface StorePair {
  readonly store: Store;
  readonly other: Store;
  readonly opened: OpenedStore;
}

/**
 * Runs a test on a store of its own.
 * @param apart whether `other` is opened apart, as by another process.
 */
export async function onStore(
  { open }: StoreContractOptions,
  apart: boolean,
  test: (pair: StorePair) => Promise<void>,
): Promise<void> {
  const opened = await open();
  try {
    const other = apart ? await openAgain(opened) : opened.store;
    await test({ store: opened.store, other, opened });
  } finally {
    await opened.close();
  }
}

export async function openAgain({ again }: OpenedStore): Promise<Store> {
  assert.ok(again, "a store that is shared or durable can be opened again");
  return again();
}
