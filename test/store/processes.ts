import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Overlap } from "../../src/stores/old-store.ts";
import { builtRoot } from "../build.ts";

/** What a process tells of a turn. */
export interface Told {
  readonly is: "begun" | "running" | "ended" | "merged" | "interrupted" | "violated";
  readonly lane: string;
  readonly key: string;
  readonly attempt?: number;
  readonly begun?: string;
}

/** A line that a turn leaves in its lane's log when it runs. */
export interface Ran {
  readonly key: string;
  readonly fence: number;
  readonly attempt: number;
  readonly merged: readonly string[];
  readonly pid: number;
}

/** Real processes that share a store. */
export class Processes {
  readonly workers: ChildProcess[] = [];
  /** Everything told, in order. */
  readonly told: Told[] = [];
  readonly directory: string;
  readonly #news = new EventEmitter().setMaxListeners(1000);

  static async start(
    count: number,
    urlIn: (directory: string) => string,
    leaseMs: number,
  ): Promise<Processes> {
    const processes = new Processes(await mkdtemp(join(tmpdir(), "aparte-processes-")));
    const script = fileURLToPath(new URL("worker.mjs", import.meta.url));
    const { directory } = processes;
    const turnMs = 2;
    const args = [await builtRoot(), urlIn(directory), directory, `${leaseMs}`, `${turnMs}`];
    for (let index = 0; index < count; index += 1) processes.workers.push(fork(script, args));
    // Listened to at once: any of them may be the first to be ready.
    await Promise.all(processes.workers.map((worker) => once(worker, "message")));
    for (const worker of processes.workers) {
      worker.on("message", (told) => {
        processes.told.push(told as Told);
        processes.#news.emit("news");
      });
      worker.on("exit", () => processes.#news.emit("news"));
    }
    return processes;
  }

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Begins a turn. @returns the lane's answer; undefined if the process died instead. */
  async begin(
    worker: number,
    turn: {
      readonly lane: string;
      readonly key: string;
      readonly overlap?: Overlap;
      readonly hangs?: boolean;
    },
  ): Promise<string | undefined> {
    const child = this.workers[worker];
    if (child === undefined || isDead(child)) return undefined;
    const { lane, key, overlap = "queue", hangs = false } = turn;
    const answer = new Promise<string | undefined>((resolve) => {
      const done = (begun: string | undefined) => {
        child.off("message", listen);
        child.off("exit", exited);
        resolve(begun);
      };
      const exited = () => done(undefined);
      const listen = (told: unknown) => {
        const { is, lane: itsLane, key: itsKey, begun } = told as Told;
        if (is === "begun" && itsLane === lane && itsKey === key) done(begun);
      };
      child.on("message", listen);
      child.on("exit", exited);
    });
    child.send({ lane, key, overlap, body: { hangs } }, () => {}); // One that was killed meanwhile takes nothing.
    return answer;
  }

  /** Waits until something is told. */
  async until(isTold: (told: readonly Told[]) => boolean): Promise<void> {
    while (!isTold(this.told)) await once(this.#news, "news");
  }

  async log(lane: string): Promise<Ran[]> {
    const text = await readFile(join(this.directory, `${lane}.log`), "utf8");
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Ran);
  }

  async kill(worker: number): Promise<void> {
    const child = this.workers[worker];
    if (child === undefined || isDead(child)) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((_, index) => this.kill(index)));
    await rm(this.directory, { recursive: true });
  }
}

function isDead({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
