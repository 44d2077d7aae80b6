#!/usr/bin/env node
import { existsSync } from "node:fs";
import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import { startProgram } from "./program.ts";
import { readSettings } from "./settings.ts";
import { slackManifestText } from "./slack-manifest.ts";

/** A setting is wrong: the program did not start. */
const wrongSetting = 2;

async function main(): Promise<void> {
  if (existsSync(".env")) process.loadEnvFile(".env");
  if (process.argv[2] === "slack" && process.argv[3] === "manifest") {
    process.stdout.write(await slackManifestText(process.env));
    return;
  }
  // Before anything is started, so that a signal in between is not lost.
  const stopped = new Promise<undefined>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(undefined));
  });
  const starting = startProgram(readSettings(process.env));
  // A platform that is away is waited for. What was taken by then is gone on with by the next process.
  const program = await Promise.race([starting, stopped]);
  if (program === undefined) return;
  process.stdout.write(`aparte is ready: ${program.url}\n`);
  await stopped;
  await program.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    if (error instanceof AparteError) {
      process.stderr.write(`aparte: ${error.message}\n`);
      process.exit(error.code === "option-invalid" || error.code === "backend-auth" ? wrongSetting : 1);
    }
    consoleLogger.error("the program ended", describeError(error));
    process.exit(1);
  },
);
