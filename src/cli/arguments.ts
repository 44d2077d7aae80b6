import { parseArgs } from "node:util";
import { AparteError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** What stands after `aparte` on the command line. */
export type Arguments =
  | { readonly command: "help" | "version" }
  /** With the variables that say the same as the options; they go before those of the environment. */
  | { readonly command: "start" | "rekey"; readonly variables: Readonly<Record<string, string>> };

export const help = `Usage: aparte [options]            starts what the variables ask for; with nothing set, a page to try it out
       aparte rekey [--store URL]  ends a rotation of secrets: the other secrets are needed no more
       aparte slack manifest       prints the manifest of a Slack app that fits the variables
       aparte emulator [options]   starts a stand-in for an agent's service; see aparte emulator --help

  --port N       the page and /healthz (PORT, 3000)
  --host NAME    the address to listen on (HOST, 127.0.0.1)
  --store URL    memory:, sqlite:./aparte.db or redis://… (APARTE_STORE)
  --page         the page also where others reach it (APARTE_PAGE=on)
  --version      the version
  --help         this

The variables stand in the environment or in a file .env. The package's docs/program.md lists them.
`;

const variables: Readonly<Record<string, string>> = { port: "PORT", host: "HOST", store: "APARTE_STORE" };
const switches = ["page", "version", "help"];
const short: Readonly<Record<string, string>> = { h: "help", v: "version" };

/** @throws {AparteError} `option-invalid` with the argument that is wrong, and the one that was meant */
export function readArguments(args: readonly string[]): Arguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries([
      ...Object.keys(variables).map((name) => [name, { type: "string" as const }]),
      ...switches.map((name) => [name, { type: "boolean" as const }]),
    ]),
    strict: false,
    tokens: true,
  });
  const said: Record<string, string> = {};
  let command: Arguments["command"] = "start";
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional" && token.value === "rekey") {
      if (command === "start") command = "rekey";
      continue;
    }
    if (token.kind === "positional" && token.value === "slack")
      throw wrong("slack", "has one command, which takes no arguments: aparte slack manifest");
    if (token.kind === "positional") throw unknown(token.value, ["emulator", "rekey"], "command");
    const name = short[token.name] ?? token.name;
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (variable !== undefined) {
      if (token.value === undefined || token.value === "" || /^--\w/.test(token.value)) {
        throw wrong(`--${name}`, `needs a value: --${name}=…`);
      }
      said[variable] = token.value;
    } else if (!switches.includes(name)) {
      const all = [...Object.keys(variables), ...switches].map((each) => `--${each}`);
      throw unknown(token.rawName, all, "option");
    } else if (token.value !== undefined) throw wrong(`--${name}`, "takes no value.");
    else if (name === "page") said.APARTE_PAGE = "on";
    else if (command !== "help" && command !== "version") command = name === "help" ? "help" : "version";
  }
  return command === "help" || command === "version" ? { command } : { command, variables: said };
}

function unknown(name: string, names: readonly string[], kind: string): AparteError {
  const meant = nearest(name, names);
  return wrong(
    name,
    `is no ${kind}. ${meant === undefined ? `See: aparte --help` : `Did you mean ${meant}?`}`,
  );
}

function wrong(name: string, problem: string): AparteError {
  return new AparteError("option-invalid", `${name} ${problem}`, { field: name });
}
