import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect } from "vitest";
import { builtRoot } from "../build.ts";
import { lookForSecrets, plantSecret } from "./search.ts";

/** The folder in which the programs of a test run. */
export let folder: string;
let processes: ChildProcess[] = [];

// On a busy machine the build takes as long as a test may.
beforeAll(() => builtRoot(), 120_000);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aparte-program-"));
});

afterEach(() => {
  for (const child of processes) child.kill("SIGKILL");
  processes = [];
  rmSync(folder, { recursive: true });
});

/** The program as a process of its own, which is ready. */
export interface Running {
  readonly url: string;
  /** The page's headers for a script. */
  readonly headers: Record<string, string>;
  readonly output: () => string;
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

export async function launch(settings: Record<string, string>, ...args: string[]) {
  const entry = join(await builtRoot(), "src/cli/aparte.js");
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(child);
  let output = "";
  // The key's head is known by its form.
  for (const [name, value] of Object.entries(settings))
    if (/SECRET|TOKEN$|API_KEY/.test(name)) plantSecret(value);
  const ended = new Promise<number | null>((resolve) =>
    child.once("close", (code) => {
      // The page's address is told there, and nowhere else.
      lookForSecrets("what the program printed", output.replaceAll(/\?token=\S+/g, ""));
      resolve(code);
    }),
  );
  const ready = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        output += data;
        const url = /^aparte is ready: (\S+)$/m.exec(output)?.[1];
        if (url !== undefined) resolve(url);
      });
    }
  });
  return { child, ended, ready, output: () => output };
}

export async function start(settings: Record<string, string> = {}, ...args: string[]): Promise<Running> {
  const { child, ended, ready, output } = await launch({ PORT: "0", ...settings }, ...args);
  const url = await Promise.race([
    ready,
    ended.then((code) => {
      throw new Error(`ended with ${code}: ${output()}`);
    }),
  ]);
  const token = /\?token=(\S+)/.exec(output())?.[1];
  return {
    url,
    headers: { "x-aparte": "1", authorization: `Bearer ${token}` },
    output,
    stop(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

export async function say(
  { url, headers }: Running,
  person: string,
  id: string,
  text: string,
): Promise<string> {
  const response = await fetch(`${url}/messages?person=${person}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ id, text }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { text: string }).text;
}
