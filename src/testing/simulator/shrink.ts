import type { ViolationKind } from "./judge.ts";
import { type Outcome, run } from "./run.ts";
import type { Schedule, Step } from "./schedule.ts";

/**
 * Drops steps as long as what is left still violates the same promise.
 * @returns a schedule of which no single step can be dropped, and what it comes to
 */
export async function shrink(
  schedule: Schedule,
  kind: ViolationKind,
): Promise<{ readonly schedule: Schedule; readonly outcome: Outcome }> {
  let shortest = schedule;
  let outcome = await run(schedule);
  const fails = async (steps: readonly Step[]): Promise<boolean> => {
    const shorter = { ...shortest, steps };
    const result = await run(shorter);
    if (!result.violations.some((violation) => violation.kind === kind)) return false;
    shortest = shorter;
    outcome = result;
    return true;
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
