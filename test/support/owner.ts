import type { NewTurn } from "../../src/lane/lane.ts";
import type { LaneDocument } from "../../src/lane/machine.ts";
import { Owner } from "../../src/lane/owner.ts";
import type { Place } from "../../src/lane/place.ts";
import { turnOf } from "./lane-notation.ts";
import { LogLines } from "./log-lines.ts";
import type { TestClock } from "./test-clock.ts";
import type { TestStore, View } from "./test-store.ts";

export interface OwnerInTest {
  readonly owner: Owner;
  readonly view: View;
  readonly log: LogLines;
  /** Turns that nobody in this process waits for, as they came. */
  readonly adopted: Place[];
  /** Taking over fails, as it never should. */
  adoptFails: boolean;
}

export const leaseTime = 10_000;
export const storeTimeout = 5_000;

export function ownerOf(
  clock: TestClock,
  store: TestStore,
  options: { readonly canDeliver?: (place: string) => boolean; readonly durable?: boolean } = {},
): OwnerInTest {
  const { canDeliver = () => true, durable = true } = options;
  const view = store.view({ durable });
  const log = new LogLines();
  const owner = new Owner({
    ...{ clock, leaseTime, storeTimeout, canDeliver, logger: log, store: view },
    adopt: (place) => {
      if (made.adoptFails) throw new Error("It cannot be gone on with.");
      made.adopted.push(place);
    },
    track: () => {},
  });
  const made: OwnerInTest = { owner, view, log, adopted: [], adoptFails: false };
  return made;
}

/** A turn in the notation of lanes, as it is handed to one: `q1`, `m2'` … */
export function newTurn(written: string): NewTurn {
  const { owner: _, attempt: __, phase: ___, ...turn } = turnOf(`${written}@A`);
  return turn;
}

/** A lane as the store has it: keys in order, the first one runs. */
export async function keysIn(store: TestStore, lane: string): Promise<string[]> {
  const document = (await store.direct.read(lane)).document as unknown as LaneDocument | undefined;
  const { running, waiting = [] } = document ?? {};
  return (running === undefined ? waiting : [running, ...waiting]).map(({ key }) => key);
}
