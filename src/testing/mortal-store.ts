import { AparteError } from "../errors.ts";
import type { LaneOwner, Rates, Store } from "../stores/old-store.ts";
import { Gate } from "./adapter-agent.ts";

/** A store whose process can die: from then on no call comes through, and nothing is told to it. */
export class MortalStore implements Store {
  readonly name: string;
  readonly shared: boolean;
  readonly durable: boolean;
  readonly records: Store["records"];
  readonly rates?: Rates;
  readonly join: Store["join"];
  readonly #store: Store;
  readonly #noted = new Gate();
  #isDead = false;

  constructor(store: Store) {
    this.#store = store;
    this.name = store.name;
    this.shared = store.shared;
    this.durable = store.durable;
    this.records = this.#mortal(store.records);
    if (store.rates !== undefined) this.rates = this.#mortal(store.rates);
    this.join = (owner) => {
      const lanes = this.#mortal(store.join(this.#deafened(owner)));
      const note: typeof lanes.note = async (grant, facts) => {
        await lanes.note(grant, facts);
        this.#noted.open();
      };
      return new Proxy(lanes, { get: (_, name) => (name === "note" ? note : Reflect.get(lanes, name)) });
    };
  }

  /** Resolves when something was noted of a turn. */
  get noted(): Promise<void> {
    return this.#noted.opened;
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
