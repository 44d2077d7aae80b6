import type { ViolationKind } from "./judge.ts";
import { type Outcome, runSchedule } from "./run.ts";
import type { Schedule, Step } from "./schedule.ts";

/** With how many seeds a shorter schedule is tried. */
const tries = 4;

/**
 * Drops steps as long as what is left still violates the same promise.
 * @returns a schedule of which no single step can be dropped, and what it comes to
 */
export async function shrink(
  schedule: Schedule,
  kind: ViolationKind,
): Promise<{ readonly schedule: Schedule; readonly outcome: Outcome }> {
  let shortest = schedule;
  let outcome = await runSchedule(schedule);
  const fails = async (steps: readonly Step[]): Promise<boolean> => {
    // A step that is dropped changes when others arrive, which the seed decides as well.
    for (let other = 0; other < tries; other += 1) {
      const shorter = { ...shortest, steps, seed: shortest.seed + other };
      const result = await runSchedule(shorter);
      if (!result.violations.some((violation) => violation.kind === kind)) continue;
      shortest = shorter;
      outcome = result;
      return true;
    }
    return false;
  };
  for (let wasShortened = true; wasShortened; ) {
    wasShortened = false;
    // From the end on: what comes last often only follows.
    for (let index = shortest.steps.length - 1; index >= 0; index -= 1) {
      const others = shortest.steps.filter((_, other) => other !== index);
      if (await fails(others)) wasShortened = true;
    }
  }
  return { schedule: shortest, outcome };
}
