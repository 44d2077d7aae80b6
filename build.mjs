// Empties the folder of the build and puts there what the compiler does not: files of other languages, each beside its
// module. Run as `node build.mjs [folder]`.
import { cpSync, readdirSync, rmSync } from "node:fs";
import { extname, join } from "node:path";

const [target = "dist"] = process.argv.slice(2);
// Those of the browser are compiled by a project of their own (`npm run page`).
const languages = [".lua", ".sql", ".html", ".css", ".js"];

rmSync(target, { recursive: true, force: true });
for (const entry of readdirSync("src", { recursive: true, withFileTypes: true })) {
  if (!languages.includes(extname(entry.name))) continue;
  const file = join(entry.parentPath ?? entry.path, entry.name);
  cpSync(file, join(target, file), { recursive: true });
}
