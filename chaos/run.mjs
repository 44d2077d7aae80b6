// Several bots on one store while everything around them breaks; afterwards it is counted whether what was promised
// was kept. The last line is the verdict, and the exit code is 1 when a promise was broken.
//
//   npm run chaos -- --store redis --minutes 10 --processes 4
//   npm run chaos -- --store sqlite --minutes 0.5 --seed 7
//
// `--store` is "redis" (a redis-server of its own, which must be on the PATH) or "sqlite". `--seed` repeats the
// schedule of faults; the processes' own timing is never the same twice. `--talkers` (24) is how many people talk at
// the same time, `--settle` (120) for how many seconds nothing may move at the end while something is not answered yet.
//
// When a promise was broken, the bots' logs, that of the faults and all cases (cases.log) are kept in a folder that
// is named at the end; the first cases are printed.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
// A copy of the built package: bots start again and again, and must all be the same while somebody works here.
const root = join(repository, "node_modules/.cache", `aparte-chaos-${process.pid}`);
mkdirSync(root, { recursive: true });
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

cpSync(join(repository, "dist"), root, { recursive: true });
const manifest = readFileSync(join(repository, "package.json"), "utf8");
writeFileSync(join(root, "package.json"), manifest.replaceAll("./dist/", "./"));
const tsc = join(repository, "node_modules/typescript/bin/tsc");
// Types are checked by `npm run check`.
const options = ["-p", join(repository, "chaos"), "--noCheck", "--outDir", root];
const built = spawnSync(process.execPath, [tsc, ...options], { stdio: "inherit" });
if (built.status !== 0) throw new Error("The program could not be built.");
const { main } = await import(join(root, "chaos/main.js"));
process.exitCode = await main(process.argv.slice(2));
