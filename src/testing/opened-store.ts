import assert from "node:assert/strict";
import type { Store } from "../stores/store.ts";
import { type ContractRunner, testTimeoutMs, until } from "./runner.ts";

/** A store that was opened for one test. */
export interface OpenedStore {
  readonly store: Store;
  /** Opens the same data once more, as another process would. Shared and durable stores have it. */
  readonly again?: () => Promise<Store>;
  /** Makes the store's time go on, in milliseconds. Of a store with `canAdvance`. */
  readonly advance?: (ms: number) => void;
  /** Puts something that cannot be understood in the place of a record. Of a store with `canSpoil`. */
  readonly spoil?: (key: string) => Promise<void>;
  /** Closes all that was opened and removes its data. */
  readonly close: () => Promise<void>;
}

/** What `storeContract` takes. */
export interface StoreContractOptions {
  /** For the titles of the tests. */
  readonly name: string;
  /** What the store says of itself; it decides which promises are tested. */
  readonly shared: boolean;
  readonly durable: boolean;
  /**
   * Whether the store's time is the test's own: it stands still but for `advance`. Without it, what takes minutes is not
   * tested. @default false
   */
  readonly canAdvance?: boolean;
  /** Whether a record can be spoilt. Without it, what then holds is not tested. @default false */
  readonly canSpoil?: boolean;
  /** Opens an empty store. */
  readonly open: () => Promise<OpenedStore>;
}

/** Two ways to the same data: of one process, or of two. */
export interface StorePair {
  readonly store: Store;
  readonly other: Store;
  /** Opens the data once more, as another process would. */
  readonly again: () => Promise<Store>;
  readonly advance: (ms: number) => void;
  readonly spoil: (key: string) => Promise<void>;
  /** Lets `ms` of the store's time pass: advances it where it can be, and waits until `isOver` where it cannot. */
  readonly pass: (ms: number, what: string, isOver: () => Promise<boolean>) => Promise<void>;
}

/** Defines a test on an empty store of its own. */
export type ItOnStore = (title: string, test: (pair: StorePair) => Promise<void>) => void;

/** What a part of the suite needs to define its tests. */
export interface StoreSuite {
  readonly it: ItOnStore;
  /** For what needs `advance`. */
  readonly itInTime: ItOnStore;
  /** For what needs `spoil`. */
  readonly itSpoilt: ItOnStore;
}

/** @param apart whether `other` is opened apart, as by another process */
export function storeSuite(
  runner: ContractRunner,
  options: StoreContractOptions,
  apart: boolean,
): StoreSuite {
  const define =
    ({ it }: ContractRunner): ItOnStore =>
    (title, test) =>
      void it(title, () => onStore(options, apart, test), testTimeoutMs);
  const { canAdvance = false, canSpoil = false } = options;
  return {
    it: define(runner),
    itInTime: canAdvance ? define(runner) : () => {},
    itSpoilt: canSpoil ? define(runner) : () => {},
  };
}

async function onStore(
  { open }: StoreContractOptions,
  apart: boolean,
  test: (pair: StorePair) => Promise<void>,
): Promise<void> {
  const opened = await open();
  const given = <T>(what: keyof OpenedStore, value: T | undefined): T => {
    assert.ok(value, `open() gives no ${what}, which the options of the suite say that there is`);
    return value;
  };
  try {
    const again = () => given("again", opened.again)();
    await test({
      store: opened.store,
      other: apart ? await again() : opened.store,
      again,
      advance: (ms) => given("advance", opened.advance)(ms),
      spoil: (key) => given("spoil", opened.spoil)(key),
      pass: async (ms, what, isOver) => {
        if (opened.advance === undefined)
          await until(what, async () => ((await isOver()) ? true : undefined));
        else opened.advance(ms);
      },
    });
  } finally {
    await opened.close();
  }
}
