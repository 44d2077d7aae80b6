import { AparteError } from "../errors.ts";
import type { LaneDocument } from "../lane/machine.ts";
import type { Store } from "../stores/store.ts";
import { Gate } from "./adapter-agent.ts";

/** A store whose process can die: from then on no call comes through, and nothing is told to it. */
export class MortalStore {
  readonly store: Store;
  readonly #noted = new Gate();
  #isDead = false;

  constructor(store: Store) {
    const alive = <Arguments extends unknown[], Result>(run: (...args: Arguments) => Promise<Result>) => {
      return async (...args: Arguments): Promise<Result> => {
        this.#assertAlive();
        const result = await run(...args);
        this.#assertAlive();
        return result;
      };
    };
    const { records } = store;
    this.store = {
      ...store,
      records: {
        get: <T>(key: string) => alive(() => records.get<T>(key))(),
        set: alive(records.set.bind(records)),
        setIfAbsent: alive(records.setIfAbsent.bind(records)),
        delete: alive(records.delete.bind(records)),
        entries: (prefix) => records.entries(prefix),
      },
      commit: alive(async (commit) => {
        const committed = await store.commit(commit);
        const { running } = (commit.document ?? {}) as Partial<LaneDocument>;
        if (running?.posts !== undefined) this.#noted.open();
        return committed;
      }),
      read: alive(store.read),
      beat: alive(store.beat),
      bury: alive(store.bury),
      dead: alive(store.dead),
      listen: alive((owner, wake) =>
        store.listen(owner, (lane) => {
          if (!this.#isDead) wake(lane);
        }),
      ),
      close: async () => {},
    };
  }

  /** Resolves when it was written down what stands on the platform. */
  get noted(): Promise<void> {
    return this.#noted.opened;
  }

  die(): void {
    this.#isDead = true;
  }

  #assertAlive(): void {
    if (this.#isDead) throw new AparteError("store-failed", "The process of this store has died.");
  }
}
