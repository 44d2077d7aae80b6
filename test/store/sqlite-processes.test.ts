import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { builtRoot } from "../build.ts";
import { Processes } from "./processes.ts";

const fileIn = (directory: string) => `sqlite:${join(directory, "aparte.db")}`;

/** Runs a test with real processes on one SQLite file. */
async function withProcesses(
  count: number,
  leaseMs: number,
  test: (processes: Processes) => Promise<void>,
): Promise<void> {
  const processes = await Processes.start(count, fileIn, leaseMs);
  try {
    await test(processes);
  } finally {
    await processes.stop();
  }
}

/** Begins the turns of a lane one after the other, each in another process, every third one twice. */
async function hammer(processes: Processes, lane: string, keys: readonly string[]): Promise<void> {
  const count = processes.workers.length;
  for (const [index, key] of keys.entries()) {
    let begun: string | undefined;
    // A message whose process dies before it was taken is delivered again.
    for (let turn = index; begun === undefined; turn += 1)
      begun = await processes.begin(turn % count, { lane, key });
    if (index % 3 === 0) await processes.begin((index + 1) % count, { lane, key });
  }
}

const lanes = ["a", "b", "c", "d", "e"];
const keys = Array.from({ length: 60 }, (_, index) => `turn ${index}`);

describe("SQLite file shared by processes", () => {
  it("is made by one of many that open it at once", async () => {
    const directory = await mkdtemp(join(tmpdir(), "aparte-opened-"));
    const root = await builtRoot();
    const openers = Array.from({ length: 8 }, () => fork(join(import.meta.dirname, "opener.mjs"), [root]));
    try {
      await Promise.all(openers.map((opener) => once(opener, "message")));
      for (let file = 0; file < 150; file += 1) {
        const answers = openers.map(async (opener) => {
          opener.send(`sqlite:${join(directory, `${file}.db`)}`);
          return (await once(opener, "message"))[0];
        });
        expect(await Promise.all(answers), `file ${file}`).toEqual(openers.map(() => "opened"));
      }
    } finally {
      const exits = openers.map((opener) => once(opener, "exit"));
      for (const opener of openers) opener.disconnect();
      await Promise.all(exits);
      await rm(directory, { recursive: true });
    }
  });

  it("runs the turns of each lane in order, one at a time and once, in 4 processes", () =>
    withProcesses(4, 10_000, async (processes) => {
      await Promise.all(lanes.map((lane) => hammer(processes, lane, keys)));
      const total = lanes.length * keys.length;
      await processes.until((told) => told.filter(({ is }) => is === "ended").length === total);
      expect(processes.told.filter(({ is }) => is === "violated")).toEqual([]);
      for (const lane of lanes) {
        const log = await processes.log(lane);
        expect(log.map(({ key }) => key)).toEqual(keys);
        expect(log.filter(({ attempt }) => attempt !== 1)).toEqual([]);
        const fences = log.map(({ fence }) => fence);
        expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
        expect(new Set(log.map(({ pid }) => pid)).size).toBe(4);
      }
    }));

  it("loses no turn and no order when processes are killed", () =>
    withProcesses(4, 600, async (processes) => {
      const hammered = Promise.all(lanes.map((lane) => hammer(processes, lane, keys)));
      await processes.until((told) => told.filter(({ is }) => is === "ended").length > 50);
      await processes.kill(0);
      await processes.until((told) => told.filter(({ is }) => is === "ended").length > 120);
      await processes.kill(1);
      await hammered;
      await processes.until((told) =>
        lanes.every((lane) =>
          told.some((one) => one.is === "ended" && one.lane === lane && one.key === keys.at(-1)),
        ),
      );
      expect(processes.told.filter(({ is }) => is === "violated")).toEqual([]);
      for (const lane of lanes) {
        const log = await processes.log(lane);
        // A turn whose process was killed is run again by another one, and before all that came after it.
        const first = log.filter(({ key }, index) => log[index - 1]?.key !== key);
        expect(first.map(({ key }) => key)).toEqual(keys);
        for (const again of log.filter((ran) => !first.includes(ran)))
          expect(again.attempt).toBeGreaterThan(1);
        const fences = log.map(({ fence }) => fence);
        expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
      }
    }));

  it("takes over the turn of a process that is killed while it runs, and then those that wait", () =>
    withProcesses(2, 400, async (processes) => {
      const lane = "lane";
      expect(await processes.begin(0, { lane, key: "1", hangs: true })).toBe("run");
      expect(await processes.begin(1, { lane, key: "2" })).toBe("wait");
      expect(await processes.begin(0, { lane, key: "3" })).toBe("wait");
      await processes.kill(0);
      await processes.until((told) => told.some(({ is, key }) => is === "ended" && key === "3"));
      const log = await processes.log(lane);
      expect(log.map(({ key, attempt }) => [key, attempt])).toEqual([
        ["1", 1],
        ["1", 2],
        ["2", 1],
        ["3", 1],
      ]);
      const pid = processes.workers[1]?.pid;
      expect(log.slice(1).map((ran) => ran.pid)).toEqual([pid, pid, pid]);
    }));

  it("reaches the process that runs a turn when another one interrupts it", () =>
    withProcesses(2, 10_000, async (processes) => {
      const turn = { lane: "lane", overlap: "interrupt" } as const;
      expect(await processes.begin(0, { ...turn, key: "1", hangs: true })).toBe("run");
      expect(await processes.begin(1, { ...turn, key: "2" })).toBe("wait");
      await processes.until((told) => told.some(({ is, key }) => is === "interrupted" && key === "1"));
    }));
});
