import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { main } from "../../src/cli/main.ts";
import { lookForSecrets, plantSecret } from "./search.ts";

/** The folder of a test's commands, where a `.env` is looked for. */
export let folder: string;
let commands: Command[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aparte-command-"));
});

afterEach(async () => {
  for (const command of commands) await command.stop();
  commands = [];
  rmSync(folder, { recursive: true });
});

/** `aparte` with these arguments and variables, in this process. */
export interface Command {
  /** Its code. */
  readonly ended: Promise<number>;
  /** What it says first. @throws when it ends without */
  readonly line: Promise<string>;
  readonly out: () => string;
  readonly err: () => string;
  /** As a signal does. @returns its code */
  stop(): Promise<number>;
}

export function aparte(args: readonly string[], env: Record<string, string> = {}): Command {
  const written = { out: "", err: "" };
  for (const [name, value] of Object.entries(env))
    if (/SECRET|TOKEN$|API_KEY/.test(name)) for (const each of value.split(" ")) plantSecret(each);
  let signal = () => {};
  const signalled = new Promise<void>((resolve) => {
    signal = resolve;
  });
  let begun: (line: string) => void = () => {};
  const first = new Promise<string>((resolve) => {
    begun = resolve;
  });
  const ended = main({
    ...{ args, env: { APARTE_FOLDER: join(folder, ".aparte"), ...env }, folder },
    out(text) {
      written.out += text;
      begun(text);
    },
    err(text) {
      written.err += text;
    },
    stopped: () => signalled,
  }).then((code) => {
    // The page's address, and a stand-in's own keys, are told there and nowhere else.
    if (args[0] !== "emulator")
      lookForSecrets("what the program printed", (written.out + written.err).replaceAll(/\?token=\S+/g, ""));
    return code;
  });
  const command = {
    ended,
    line: Promise.race([
      first,
      ended.then((code) => {
        throw new Error(`ended with ${code}: ${written.err}`);
      }),
    ]),
    out: () => written.out,
    err: () => written.err,
    stop() {
      signal();
      return ended;
    },
  };
  command.line.catch(() => {});
  commands.push(command);
  return command;
}
