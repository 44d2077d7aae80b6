// Runs the tests of what the peer packages are used for with the oldest of them that are allowed, and with the newest.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tests = [
  ...["test/contracts", "test/limits.test.ts", "test/stores/sqlite/contract.test.ts"],
  ...["test/stores/redis/contract.test.ts", "test/adapters/slack/basics.test.ts"],
];

/** `>=4.7.3 <6` begins with 4.7.3, and `>=4.15` with 4.15.0. */
function oldest(range) {
  const [version = ""] = /\d+(\.\d+)*/.exec(range) ?? [];
  return [...version.split("."), "0", "0"].slice(0, 3).join(".");
}

const wanted = process.argv.slice(2);
for (const which of wanted.length > 0 ? wanted : ["oldest", "newest"]) {
  const manifest = JSON.parse(readFileSync("package.json", "utf8"));
  const peers = Object.entries(manifest.peerDependencies).map(([name, range]) => [
    name,
    which === "oldest" ? oldest(range) : range,
  ]);
  Object.assign(manifest.devDependencies, Object.fromEntries(peers));
  const folder = mkdtempSync(join(tmpdir(), `aparte-${which}-`));
  try {
    const files = execFileSync("git", ["ls-files"], { encoding: "utf8" }).trim().split("\n");
    for (const file of files) cpSync(file, join(folder, file));
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
    console.log(`${which}: ${peers.map(([name, version]) => `${name} ${version}`).join(", ")}`);
    const run = (command, args) => execFileSync(command, args, { cwd: folder, stdio: "inherit" });
    rmSync(join(folder, "package-lock.json"));
    run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    run("npx", ["tsc", "--noEmit", "-p", "."]);
    run("npx", ["vitest", "run", "--config", "test/vitest.config.ts", ...tests]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
