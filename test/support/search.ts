import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";

// What a test run writes is searched for what must not be there: credentials in all of it, people's words and ids in
// what operators see. Nothing has to be planted by hand: it is what the tests use anyway, learned where it passes.

interface Search {
  /** What opens something: secrets of the options, and whatever a client of any service sent as a credential. */
  readonly secrets: Set<string>;
  /** Words and ids of the people of the running test. */
  readonly people: Set<string>;
  /** What was found, and where. */
  readonly leaks: Set<string>;
  isListening: boolean;
}

// One for the process: each test file has modules of its own.
const key = Symbol.for("aparte.tests.search");
const shared = globalThis as { [key]?: Search };
shared[key] ??= { secrets: new Set(), people: new Set(), leaks: new Set(), isListening: false };
/** Of the tests' own processes. */
const ownSecret = "a secret of the tests, long enough";
const search: Search = shared[key];
search.secrets.add(ownSecret);

/** More people than that are a flood, in which nobody's words are looked for. */
const mostPeople = 500;

/** Known by their form, whoever made them. */
const forms: readonly (readonly [string, RegExp])[] = [
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ["a signed token", /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/],
  ["a token of Slack", /\bx(?:ox[a-z]|app)-[\w-]{8,}/],
  ["a credential", /\bBearer [\w.~+/-]{8,}/],
];

/** From now on this must be written nowhere. */
export function plantSecret(secret: unknown): void {
  if (typeof secret === "string" && secret.length >= 8) search.secrets.add(secret);
}

/** Until the test's end this must not be written where operators read. */
export function plantPerson(user: unknown, text: unknown): void {
  if (search.people.size >= mostPeople) return;
  if (typeof user === "string" && /\p{L}{2}/u.test(user)) search.people.add(user);
  // Not one word alone, which may well be one of ours.
  if (typeof text === "string" && /\p{L}[^\p{L}]+\p{L}/u.test(text)) search.people.add(text);
}

/** Looks at what is written where credentials must not be, and words of people may. */
export function lookForSecrets(where: string, written: string | Buffer): void {
  const text = typeof written === "string" ? written : written.toString("latin1");
  for (const [what, form] of forms) if (form.test(text)) search.leaks.add(`${what} in ${where}`);
  for (const secret of search.secrets) if (text.includes(secret)) search.leaks.add(`a secret in ${where}`);
}

/** Looks at what operators see. */
export function look(where: string, written: unknown): void {
  const text = typeof written === "string" ? written : [written].flat().flatMap(chain).map(all).join("\n");
  lookForSecrets(where, text);
  for (const person of search.people) {
    if (hasWord(text, person)) search.leaks.add(`what a person said, or is known by, in ${where}: ${person}`);
  }
}

/** Looks into a file of a store, or all that are in a folder. */
export function lookInFiles(where: string, path: string): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file?.isDirectory()) for (const each of readdirSync(path)) lookInFiles(where, join(path, each));
  else if (file?.isFile()) lookForSecrets(where, readFileSync(path));
}

/** What was found since the last call. */
export function takeLeaks(): string[] {
  const leaks = [...search.leaks];
  search.leaks.clear();
  search.people.clear();
  return leaks;
}

/** Learns each credential that a client of this process sends to a service, and searches what goes to the terminal. */
export function beginSearch(): void {
  if (search.isListening) return;
  search.isListening = true;
  subscribe("undici:request:create", (event) => {
    const { headers } = (event as { request: { headers: string | readonly string[] } }).request;
    const lines = typeof headers === "string" ? headers.split("\r\n") : pairs(headers);
    for (const line of lines) learn(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1));
  });
  subscribe("http.client.request.start", (event) => {
    const { request } = event as { request: { getHeaders(): Record<string, unknown> } };
    for (const [header, value] of Object.entries(request.getHeaders())) learn(header, value);
  });
  for (const stream of [process.stdout, process.stderr]) lookAtStream("the terminal", stream);
}

/** Looks at all that is written to a stream from now on. */
export function lookAtStream(where: string, stream: NodeJS.WritableStream): void {
  const { write } = stream;
  stream.write = ((...args: Parameters<typeof write>) => {
    look(where, String(args[0]));
    return write.apply(stream, args);
  }) as typeof write;
}

/** Passes on what a process of the tests prints, and searches it. */
export function lookAtProcess({ stdout, stderr }: Pick<ChildProcess, "stderr" | "stdout">): void {
  stdout?.on("data", (data) => process.stdout.write(data));
  stderr?.on("data", (data) => process.stderr.write(data));
}

/** An error, or what a log says of one, and what caused it; but for what a test threw itself, as an application may. */
function chain(value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [value];
  if ("stack" in value && /^ +at .*$/m.exec(String(value.stack))?.[0].includes("/test/")) return [];
  const { cause, ...own } = Object.getOwnPropertyDescriptors(value) as PropertyDescriptorMap;
  return cause === undefined ? [value] : [Object.create(null, own), ...chain(cause.value)];
}

/** As it would be seen by a logger that shows all. */
function all(value: unknown): string {
  return inspect(value, {
    depth: 12,
    showHidden: true,
    maxStringLength: null,
    breakLength: Number.POSITIVE_INFINITY,
  });
}

function learn(header: string, value: unknown): void {
  if (/^authorization$|api-?key|token/i.test(header.trim()))
    plantSecret(/^(?:(?:Bearer|Bot|Basic) +)?(.*)$/is.exec(String(value).trim())?.[1]);
}

function pairs(list: readonly string[]): string[] {
  return list.flatMap((header, index) => (index % 2 === 0 ? [`${header}:${list[index + 1]}`] : []));
}

function hasWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!/[\p{L}\p{N}_-]/u.test(`${text[at - 1] ?? " "}${text[at + word.length] ?? " "}`)) return true;
  }
  return false;
}
