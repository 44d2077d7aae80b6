import { AparteError } from "../errors.ts";
import type { LaneOwner, Rates, Store } from "../store/store.ts";

/** A store whose process can die: from then on no call comes through, and nothing is told to it. */
export class MortalStore implements Store {
  readonly name: string;
  readonly shared: boolean;
  readonly durable: boolean;
  readonly records: Store["records"];
  readonly rates?: Rates;
  readonly join: Store["join"];
  readonly #store: Store;
  #isDead = false;

  constructor(store: Store) {
    this.#store = store;
    this.name = store.name;
    this.shared = store.shared;
    this.durable = store.durable;
    this.records = this.#mortal(store.records);
    if (store.rates !== undefined) this.rates = this.#mortal(store.rates);
    this.join = (owner) => this.#mortal(store.join(this.#deafened(owner)));
  }

  die(): void {
    this.#isDead = true;
  }

  async close(): Promise<void> {
    if (!this.#isDead) await this.#store.close();
  }

  #deafened(owner: LaneOwner): LaneOwner {
    const alive = (tell: () => void) => {
      if (!this.#isDead) tell();
    };
    return {
      id: owner.id,
      leaseMs: owner.leaseMs,
      granted: (grant, since) => alive(() => owner.granted(grant, since)),
      merged: (lane, key) => alive(() => owner.merged(lane, key)),
      taken: (lane, key) => alive(() => owner.taken(lane, key)),
      interrupted: (lane, key) => alive(() => owner.interrupted(lane, key)),
    };
  }

  #mortal<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          if (this.#isDead) throw new AparteError("store-failed", "The process of this store is dead.");
          return Reflect.apply(member, target, args) as unknown;
        };
      },
    });
  }
}
