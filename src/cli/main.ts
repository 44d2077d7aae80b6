import { join } from "node:path";
import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import { help, readArguments } from "./arguments.ts";
import { readEnvFile } from "./env-file.ts";
import { startProgram } from "./program.ts";
import { useProxy } from "./proxy.ts";
import { rekey } from "./rekey.ts";
import { readSettings } from "./settings.ts";
import type { Environment } from "./variables.ts";
import { version } from "./version.ts";

/** What a command has of the process in which it runs. */
export interface Host {
  /** What stands after `aparte`. */
  readonly args: readonly string[];
  readonly env: Environment;
  /** Where a file `.env` is looked for. */
  readonly folder: string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Resolves when the command is to end; from this call on, a signal does not end the process itself. */
  readonly stopped: () => Promise<void>;
}

/** A setting is wrong: the program did not start. */
const wrongSetting = 2;

/** What `aparte` does. @returns the code with which the process ends */
export async function main(host: Host): Promise<number> {
  const { args, env, out, err } = host;
  try {
    if (args[0] === "emulator") {
      const { emulate } = await import("./emulator.ts");
      return await emulate({ ...host, args: args.slice(1) });
    }
    if (args.join(" ") === "slack manifest") {
      const { slackManifestText } = await import("./slack-manifest.ts");
      out(await slackManifestText({ ...readEnvFile(join(host.folder, ".env")), ...env }));
    } else await run(host);
    return 0;
  } catch (error) {
    if (!(error instanceof AparteError)) {
      consoleLogger.error("the program ended", describeError(error));
      return 1;
    }
    err(`aparte: ${error.message}\n`);
    return error.code === "option-invalid" || error.code === "backend-auth" ? wrongSetting : 1;
  }
}

async function run({ args, env, folder, out, stopped }: Host): Promise<void> {
  const said = readArguments(args);
  if (!("variables" in said)) return out(said.command === "help" ? help : `${version}\n`);
  // The environment's own variables go before those of the file, as everywhere.
  const environment = { ...readEnvFile(join(folder, ".env")), ...env, ...said.variables };
  const settings = readSettings(environment);
  if (said.command === "rekey") return out(await rekey(settings));
  // Before anything is started, so that a signal in between is not lost.
  const end = stopped().then(() => undefined);
  await useProxy(environment);
  // A platform that is away is waited for. What was taken by then is gone on with by the next process.
  const program = await Promise.race([startProgram(settings), end]);
  if (program === undefined) return;
  out([...program.facts, `aparte is ready: ${program.url}\n`].join("\n"));
  await end;
  await program.close();
}
