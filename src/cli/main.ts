import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import { help, readArguments } from "./arguments.ts";
import { readEnvFile } from "./env-file.ts";
import { startProgram } from "./program.ts";
import { useProxy } from "./proxy.ts";
import { rekey } from "./rekey.ts";
import { readSettings } from "./settings.ts";
import { version } from "./version.ts";

/** A setting is wrong: the program did not start. */
const wrongSetting = 2;

async function main(): Promise<void> {
  const said = readArguments(process.argv.slice(2));
  if (!("variables" in said)) {
    process.stdout.write(said.command === "help" ? help : `${version}\n`);
    return;
  }
  // Before anything is started, so that a signal in between is not lost.
  const stopped = new Promise<undefined>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(undefined));
  });
  // The environment's own variables go before those of the file, as everywhere.
  const environment = { ...readEnvFile(".env"), ...process.env, ...said.variables };
  const settings = readSettings(environment);
  if (said.command === "rekey") {
    process.stdout.write(await rekey(settings));
    return;
  }
  await useProxy(environment);
  // A platform that is away is waited for. What was taken by then is gone on with by the next process.
  const program = await Promise.race([startProgram(settings), stopped]);
  if (program === undefined) return;
  process.stdout.write([...program.facts, `aparte is ready: ${program.url}\n`].join("\n"));
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
