import type { Violation, ViolationKind } from "./judge.ts";
import { runSchedule } from "./run.ts";
import { type Schedule, scheduleOf } from "./schedule.ts";
import { shrink } from "./shrink.ts";

/** What `simulate` takes. */
export interface SimulateOptions {
  /** The first seed. @default 1 */
  readonly from?: number;
  /** How many seeds, one after another. @default 1000 */
  readonly seeds?: number;
  /** Ends after so many failing seeds. @default 1 */
  readonly failures?: number;
  /** Whether the schedules of failing seeds are made as short as they can be. @default true */
  readonly shrinks?: boolean;
  /** Asked after each seed whether to go on. */
  readonly goesOn?: (seed: number) => boolean;
}

/** A seed whose schedule violates a promise. */
export interface SimulationFailure {
  readonly seed: number;
  readonly kind: ViolationKind;
  /** The shortest schedule that was found to do so. */
  readonly schedule: Schedule;
  readonly violations: readonly Violation[];
}

/** What came of a simulation. */
export interface Simulation {
  /** How many schedules were run, with how many accepted messages, over how long a simulated time in milliseconds. */
  readonly schedules: number;
  readonly accepted: number;
  readonly lastedMs: number;
  readonly failures: readonly SimulationFailure[];
  /** What was violated where the store had lost what was written, or a machine stood still with its clock: how often. */
  readonly limits: { readonly [kind: string]: number };
}

/**
 * Runs random schedules on the real lanes, turns and deliveries: several processes on one store, an agent and a
 * platform, on a virtual clock. Requests and replies are late, lost or doubled; processes crash, stand still and close.
 * What comes of it is judged: nothing asked or delivered twice, mixed or out of order, nothing accepted and lost.
 */
export async function simulate(options: SimulateOptions = {}): Promise<Simulation> {
  const { from = 1, seeds = 1_000, failures: most = 1, shrinks = true, goesOn = () => true } = options;
  const failures: SimulationFailure[] = [];
  const limits: Record<string, number> = {};
  const sum = { schedules: 0, accepted: 0, lastedMs: 0 };
  for (let seed = from; seed < from + seeds; seed += 1) {
    const schedule = scheduleOf(seed);
    const outcome = await runSchedule(schedule);
    sum.schedules += 1;
    sum.accepted += outcome.accepted;
    sum.lastedMs += outcome.lastedMs;
    const [first] = outcome.violations;
    if (first !== undefined && isBeyond(schedule)) {
      for (const { kind } of outcome.violations) limits[kind] = (limits[kind] ?? 0) + 1;
    } else if (first !== undefined) {
      const { kind } = first;
      const shortest = shrinks ? await shrink(schedule, kind) : { schedule, outcome };
      failures.push({
        seed,
        kind,
        schedule: shortest.schedule,
        violations: shortest.outcome.violations,
      });
      if (failures.length >= most) break;
    }
    if (!goesOn(seed)) break;
  }
  return { ...sum, failures, limits };
}

/**
 * Runs the schedule of one seed again, as short as it can be made.
 * @param trace called with each event of the run, as one line of text
 * @returns undefined where it breaks no promise
 */
export async function replay(
  seed: number,
  trace?: (line: string) => void,
): Promise<SimulationFailure | undefined> {
  const whole = scheduleOf(seed);
  const [first] = (await runSchedule(whole)).violations;
  if (first === undefined) return undefined;
  const { kind } = first;
  const { schedule } = await shrink(whole, kind);
  const { violations } = await runSchedule(schedule, trace);
  return { seed, kind, schedule, violations };
}

/** Whether something befalls that no store and no clock can make up for: what it may cost is written in the guarantees. */
function isBeyond({ steps }: Schedule): boolean {
  return steps.some((step) => step.do === "lose" || (step.do === "freeze" && step.withClock));
}
