import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { runSchedule, type Schedule, simulate } from "aparte/testing";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { schedules } from "./schedules.ts";
import { faults, simulateWith } from "./simulator-faults.mjs";

type Step = Schedule["steps"][number];

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

describe("a platform that is away for ten minutes", () => {
  const away = 600_000;
  const person = (word: string) => Number(word.slice(1, word.indexOf("w")));
  const say = (at: number, word: string, process: number): Step => ({
    at,
    do: "say",
    person: person(word),
    word,
    process,
  });
  const befallings: readonly (readonly [string, readonly Step[]])[] = [
    ["a process is killed meanwhile", [{ at: 300_000, do: "crash", process: 0, ms: 5_000 }]],
    [
      "all processes are killed meanwhile, one after another",
      [0, 1, 2].map(
        (process): Step => ({ at: 100_000 + process * 150_000, do: "crash", process, ms: 8_000 }),
      ),
    ],
    [
      "all are killed at once",
      [0, 1, 2].map((process): Step => ({ at: 300_000, do: "crash", process, ms: 20_000 })),
    ],
    ["there is a deploy meanwhile", [{ at: 300_000, do: "close", process: 0, ms: 1_000 }]],
    [
      "one stands still when it comes back",
      [{ at: away - 1_000, do: "freeze", process: 0, ms: 20_000, withClock: false }],
    ],
  ];

  it.each(befallings)("gets every answer once, in order, if %s", async (_, befalling) => {
    const steps: Step[] = [
      { at: 1_000, do: "cut", process: "all", server: "platform", ms: away, refuses: true },
      say(500, "p0w0", 0),
      say(900, "p0w1", 1),
      say(2_000, "p1w0", 0),
      say(30_000, "p0w2", 0),
      say(200_000, "p1w1", 1),
      say(320_000, "p0w3", 2),
      say(590_000, "p1w2", 0),
    ];
    const outcomes = await Promise.all(
      [true, false].map((streams) =>
        runSchedule({
          seed: 1,
          setting: {
            processes: 3,
            people: 2,
            overlap: "queue",
            agentRecovers: true,
            platformFinds: true,
            streams,
            slowestMs: 500,
          },
          steps: [...steps, ...befalling].sort((one, other) => one.at - other.at),
        }),
      ),
    );

    for (const { violations, accepted } of outcomes) {
      expect(violations).toEqual([]);
      expect(accepted).toBe(7);
    }
  });
});

describe("the simulator", () => {
  const quick = faults.filter(({ within }) => within <= 20);

  it.each(quick)("notices $name", async (fault) => {
    const { failures } = await simulateWith(await builtRoot(), fault, fault.within);

    expect(failures).toHaveLength(1);
  });

  it("has faults to be tried with that fit the code", async () => {
    const root = await builtRoot();
    const places = faults.map(async ({ file, from }) =>
      (await readFile(`${root}/src/${file}`, "utf8")).split(from),
    );
    for (const [index, place] of (await Promise.all(places)).entries()) {
      expect(place.length - 1, faults[index]?.name).toBe(1);
    }
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
