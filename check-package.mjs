// The first hour of somebody who has no clone: packs the package, installs it into an empty folder, starts it with
// nothing set, and asks the page's agent. With arguments, by those versions of Node: `20.19 22 24`.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "aparte-package-"));
const quietly = ["--no-audit", "--no-fund", "--loglevel=error"];
/** npm is run by the Node that runs this, whatever stands in the folder. */
const npm = (cwd, ...args) => execFileSync("npm", args, { cwd, encoding: "utf8" });

/** Resolves with the output when it has the line, and rejects when the program ends before. */
function untilReady(child) {
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (data) => {
      output += data;
      if (/^aparte is ready: \S+$/m.test(output)) resolve(output);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("close", (code) => reject(new Error(`aparte ended with ${code}: ${output}`)));
  });
}

async function ask(page, text) {
  const { origin, searchParams } = new URL(page);
  const response = await fetch(`${origin}/messages?person=Ada`, {
    method: "POST",
    headers: {
      ...{ "x-aparte": "1", authorization: `Bearer ${searchParams.get("token")}` },
      ...{ "content-type": "application/json", accept: "application/json" },
    },
    body: JSON.stringify({ id: text, text }),
  });
  return (await response.json()).text;
}

/** @param version of the npm package `node`; undefined: the Node that runs this */
async function firstHour(tarball, version) {
  const home = join(folder, version ?? "here");
  mkdirSync(home);
  writeFileSync(join(home, "package.json"), "{}");
  npm(home, "install", ...quietly, tarball);
  const path = [process.env.PATH];
  if (version !== undefined) {
    // In a folder of its own. Its install script puts the program there.
    const own = join(folder, `node-${version}`);
    mkdirSync(own);
    writeFileSync(join(own, "package.json"), "{}");
    npm(own, "install", ...quietly, "--ignore-scripts=false", `node@${version}`);
    path.unshift(join(own, "node_modules/.bin"));
  }
  const env = { PATH: path.join(delimiter), HOME: home, PORT: "0" };
  const child = spawn("npx", ["aparte"], {
    cwd: home,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    const output = await untilReady(child);
    // The page's token lets whoever has it speak as everybody.
    console.log(output.replace(/token=\S+/, "token=…"));
    const page = /^page: (\S+)$/m.exec(output)?.[1];
    await ask(page, "my name is Ada");
    const answer = await ask(page, "what is my name?");
    console.log(`what is my name? ${answer}\n`);
    if (!answer?.includes("Your name is Ada")) throw new Error("The agent does not know what it was told.");
  } finally {
    // npx has the program for a child: both are told.
    if (child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await ended;
  }
}

try {
  npm(process.cwd(), "run", "--silent", "build");
  const [{ filename, files }] = JSON.parse(
    npm(process.cwd(), "pack", "--json", "--pack-destination", folder),
  );
  if (!files.some(({ path }) => path === "dist/src/cli/aparte.js")) throw new Error("No code was packed.");
  const wanted = process.argv.slice(2);
  for (const version of wanted.length > 0 ? wanted : [undefined])
    await firstHour(join(folder, filename), version);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
