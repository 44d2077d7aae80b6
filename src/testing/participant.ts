import { randomUUID } from "node:crypto";
import type { Begun, Grant, LaneOwner, Lanes, NewTurn, SessionRecord, Store } from "../stores/old-store.ts";
import { until } from "./runner.ts";

/** A lease that does not run out while a test runs. */
const longLease = 600_000;
/** A lease that runs out soon: for owners that a test lets die. */
export const shortLease = 60;

/** What a step throws whose turn is another owner's, or has ended. */
export const leaseLost: { readonly name: string; readonly code: string } = {
  name: "AparteError",
  code: "lease-lost",
};

/** A session's record that can be told from others. */
export function recordOf(title: string): SessionRecord {
  const speaker = { scope: "user", platform: "test", tenant: "t", user: "ü" };
  return { v: 1, speaker, conversations: { helper: { id: "c1", title } } };
}

/** A process as the lanes see it, which writes down all that it is told. */
export class Participant implements LaneOwner {
  readonly id: string = randomUUID();
  readonly leaseMs: number;
  readonly lanes: Lanes;
  readonly grants: Grant[] = [];
  readonly mergedKeys: string[] = [];
  readonly takenKeys: string[] = [];
  readonly interruptedKeys: string[] = [];

  readonly #platforms: readonly string[];

  /** @param platforms where it can deliver replies */
  constructor(store: Store, leaseMs: number = longLease, platforms: readonly string[] = []) {
    this.leaseMs = leaseMs;
    this.#platforms = platforms;
    this.lanes = store.join(this);
  }

  granted(grant: Grant): void {
    this.grants.push(grant);
  }

  merged(_lane: string, key: string): void {
    this.mergedKeys.push(key);
  }

  taken(_lane: string, key: string): void {
    this.takenKeys.push(key);
  }

  interrupted(_lane: string, key: string): void {
    this.interruptedKeys.push(key);
  }

  begin(lane: string, key: string, turn: Partial<NewTurn> = {}): Promise<Begun> {
    return this.lanes.begin({
      ...{ lane, key, overlap: "queue", mergeKey: "", limit: 100, body: { text: key } },
      ...turn,
    });
  }

  /** Begins a turn that gets the lane at once. */
  async run(lane: string, key: string, turn: Partial<NewTurn> = {}): Promise<Grant> {
    const begun = await this.begin(lane, key, turn);
    if (begun.is === "run") return begun.grant;
    throw new Error(`The turn "${key}" should run at once, and the answer is "${begun.is}".`);
  }

  /** Begins a turn that has to wait. @returns how many turns come first. */
  async wait(lane: string, key: string, turn: Partial<NewTurn> = {}): Promise<number> {
    const begun = await this.begin(lane, key, turn);
    if (begun.is === "wait") return begun.ahead;
    throw new Error(`The turn "${key}" should wait, and the answer is "${begun.is}".`);
  }

  /** Waits until this participant is told that the turn may run. */
  grant(key: string): Promise<Grant> {
    return until(`"${key}" is granted`, () => this.grants.find(({ turn }) => turn.key === key));
  }

  takeOverAll(): Promise<readonly Grant[]> {
    return this.lanes.takeOver(this.#platforms);
  }

  /** Takes over until the turn is among what was taken, or is granted to this participant. */
  takeOver(key: string): Promise<Grant> {
    return until(`"${key}" is taken over`, async () => {
      this.grants.push(...(await this.takeOverAll()));
      return this.grants.findLast(({ turn }) => turn.key === key);
    });
  }
}
