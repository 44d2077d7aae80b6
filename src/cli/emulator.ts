import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Emulator } from "../emulators/emulator.ts";
import { AparteError } from "../errors.ts";
import type { Host } from "./main.ts";

interface Settings {
  readonly port: number;
  readonly persist?: string;
}

interface Started {
  readonly emulator: Emulator;
  /** PEM; goes to a file of its own, never to the terminal. */
  readonly privateKey?: string;
  /** What else a client has to know, printed as it is. */
  readonly facts: Readonly<Record<string, string>>;
}

/** One entry for each emulator that can be started alone. */
const services: Readonly<Record<string, (settings: Settings) => Promise<Started>>> = {
  coze: async (settings) => {
    const { startCozeEmulator } = await import("../emulators/coze/index.ts");
    const emulator = await startCozeEmulator(settings);
    const { appId, keyId, botId, privateKey } = emulator;
    return { emulator, privateKey, facts: { appId, keyId, botId } };
  },
  sonaops: async ({ port, persist }) => {
    if (persist !== undefined) throw new UsageError("--persist is not for sonaops: it keeps nothing.");
    const { startSonaopsEmulator } = await import("../emulators/sonaops/index.ts");
    const emulator = await startSonaopsEmulator({ port });
    const { apiKey, apiSecret, agentId, profile } = emulator;
    return { emulator, facts: { apiKey, apiSecret, agentId, profile } };
  },
  "dialogflow-cx": async ({ port, persist }) => {
    if (persist !== undefined)
      throw new UsageError("--persist is not for dialogflow-cx: its sessions lapse anyway.");
    const { startDialogflowCxEmulator } = await import("../emulators/dialogflow-cx/index.ts");
    const emulator = await startDialogflowCxEmulator({ port });
    return { emulator, facts: { agent: emulator.agent, credentialsFile: await emulator.writeCredentials() } };
  },
};

const usage = `Usage: aparte emulator [--service ${Object.keys(services).join("|")}] [--port N] [--persist FILE]`;

/** A wrong argument: told on stderr, ends with 2. */
class UsageError extends Error {}

/** What `aparte emulator` does. @returns the code with which the process ends */
export async function emulate(host: Host): Promise<number> {
  try {
    await run(host);
    return 0;
  } catch (error) {
    host.err(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) host.err(`${usage}\n`);
    return error instanceof UsageError || error instanceof AparteError ? 2 : 1;
  }
}

async function run({ args, out, stopped }: Host): Promise<void> {
  if (args.includes("--help")) return out(`${usage}\n`);
  const { service, settings } = readArguments(args);
  const start = Object.hasOwn(services, service) ? services[service] : undefined;
  if (start === undefined) {
    throw new UsageError(`There is no emulator "${service}". Known: ${Object.keys(services).join(", ")}.`);
  }
  // Before anything is started: a signal in between must not leave a key behind.
  const end = stopped();
  const { emulator, privateKey, facts } = await start(settings);
  const key = privateKey === undefined ? undefined : await writeKey(privateKey, settings.persist);
  const line = { service, baseURL: emulator.baseURL, ...facts, ...(key ? { privateKeyFile: key.file } : {}) };
  out(`${JSON.stringify(line)}\n`);
  await end;
  await emulator.close();
  await key?.remove();
}

function readArguments(args: readonly string[]): { service: string; settings: Settings } {
  const { service, port, persist } = parse(args);
  if (!/^\d+$/.test(port) || Number(port) > 65_535) {
    throw new UsageError(`--port must be a number from 0 to 65535 (0 takes a free one), not "${port}".`);
  }
  if (persist === "") throw new UsageError("--persist must name a file.");
  return {
    service,
    settings: { port: Number(port), ...(persist === undefined ? {} : { persist: resolve(persist) }) },
  };
}

function parse(args: readonly string[]): { service: string; port: string; persist?: string } {
  try {
    return parseArgs({
      args: [...args],
      options: {
        service: { type: "string", default: "coze" },
        port: { type: "string", default: "0" },
        persist: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Writes the app's key: beside the state where that is kept, otherwise into a file that is removed at the end. */
async function writeKey(
  privateKey: string,
  persist: string | undefined,
): Promise<{ file: string; remove: () => Promise<void> }> {
  const folder = persist === undefined ? await mkdtemp(join(tmpdir(), "aparte-emulator-")) : undefined;
  const file = folder === undefined ? `${persist}.private-key.pem` : join(folder, "private-key.pem");
  // The mode counts only for a new file.
  await rm(file, { force: true });
  await writeFile(file, privateKey, { mode: 0o600 });
  return {
    file,
    remove: async () => {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
