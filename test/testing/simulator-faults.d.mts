import type { Simulation } from "aparte/testing";

export interface Fault {
  readonly name: string;
  /** The module of the built code, from `src/` on. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Within how many schedules the simulator must notice it. */
  readonly within: number;
}

export const faults: readonly Fault[];

export function simulateWith(root: string, fault: Fault, seeds: number): Promise<Simulation>;
