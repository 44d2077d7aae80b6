#!/usr/bin/env node
import { nodeProblem } from "./node-version.ts";

// An old Node must be able to read this file: it loads the others only where they can run.
const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  process.stderr.write(problem);
  process.exitCode = 2;
} else {
  const { main } = await import("./main.ts");
  const code = await main({
    args: process.argv.slice(2),
    env: process.env,
    folder: ".",
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    stopped: () =>
      new Promise((resolve) => {
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
      }),
  });
  // Connections that are still open do not hold up the end, and what was written before goes out.
  process.stdout.write("", () => process.exit(code));
}
