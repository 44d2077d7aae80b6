import { randomInt } from "node:crypto";
import { runSchedule, simulate } from "aparte/testing";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { schedules } from "./schedules.ts";
import { faults, simulateWith } from "./simulator-faults.mjs";

/** How many schedules are run of each kind of seeds: some seconds' worth. */
const seeds = 400;

describe("simulated processes, store, agent and platform", () => {
  it.each(schedules)("%s", async (_, schedule) => {
    const { violations } = await runSchedule(schedule);

    expect(violations).toEqual([]);
  });

  it("keep all promises under fixed schedules", async () => {
    const { failures, schedules: count } = await simulate({ from: 1, seeds });

    expect(failures).toEqual([]);
    expect(count).toBe(seeds);
  });

  it("keep all promises under schedules that nobody has seen", async () => {
    const { failures, schedules: count } = await simulate({ from: randomInt(2 ** 31), seeds });

    expect(failures).toEqual([]);
    expect(count).toBe(seeds);
  });
});

describe("the simulator", () => {
  const quick = faults.filter(({ within }) => within <= 20);

  it.each(quick)("notices $name", async (fault) => {
    const { failures } = await simulateWith(await builtRoot(), fault, fault.within);

    expect(failures).toHaveLength(1);
  });

  it("does the same again for the same seed", async () => {
    const lines: [string[], string[]] = [[], []];
    const [, schedule] = schedules[1] as (typeof schedules)[number];
    // The names of owners are drawn anew each time.
    const named = (line: string) => line.replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "owner");

    for (const trace of lines) await runSchedule(schedule, (line) => trace.push(named(line)));

    expect(lines[0].length).toBeGreaterThan(20);
    expect(lines[0]).toEqual(lines[1]);
  });
});
