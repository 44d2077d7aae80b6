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

/** The package as most Botkit bots have it: by `require`, in TypeScript of those versions that are in use. */
function fromCommonJS(tarball) {
  const home = join(folder, "commonjs");
  mkdirSync(home);
  const names = ["", "/adapter", "/backend", "/coze", "/sonaops", "/dialogflow-cx", "/web", "/testing"];
  const packages = names.map((name) => `aparte${name}`);
  writeFileSync(join(home, "package.json"), JSON.stringify({ type: "commonjs" }));
  const imports = packages.map((name, index) => `import * as part${index} from "${name}";`);
  const uses = `const store: Promise<part0.Store> = part0.openStore("memory:");\nexport const parts = [store, ${packages.map((_, index) => `part${index}`)}];`;
  writeFileSync(join(home, "bot.ts"), [...imports, uses].join("\n"));
  npm(home, "install", ...quietly, tarball, "@types/node@20");
  const run = (...args) => execFileSync(process.execPath, args, { cwd: home, stdio: "inherit" });
  const calls = packages.map((name) => `if (Object.keys(require("${name}")).length === 0) throw "${name}";`);
  run("-e", calls.join("\n"));
  const resolutions = [
    ["commonjs", "node"],
    ["node16", "node16"],
  ];
  for (const version of ["5.4", "5.9", "7"]) {
    npm(home, "install", ...quietly, `typescript@${version}`);
    // TypeScript 7 knows "node" no more.
    for (const [module, resolution] of version === "7" ? resolutions.slice(1) : resolutions) {
      const compiled = `--module ${module} --moduleResolution ${resolution}`;
      const options = `--strict --types node --target es2022 ${compiled}`.split(" ");
      run("node_modules/typescript/bin/tsc", ...options, "bot.ts");
      run("bot.js");
      console.log(`TypeScript ${version} compiles a CommonJS package: ${compiled}`);
    }
  }
}

try {
  npm(process.cwd(), "run", "--silent", "build");
  const [{ filename, files }] = JSON.parse(
    npm(process.cwd(), "pack", "--json", "--pack-destination", folder),
  );
  if (!files.some(({ path }) => path === "dist/src/cli/aparte.js")) throw new Error("No code was packed.");
  fromCommonJS(join(folder, filename));
  const wanted = process.argv.slice(2);
  for (const version of wanted.length > 0 ? wanted : [undefined])
    await firstHour(join(folder, filename), version);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
