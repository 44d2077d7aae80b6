import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { row } from "./measure.mjs";

/** What `npm i aparte` brings: packages and bytes, with a backend (all backends are inside) and no platform. */
export function benchInstalled(root) {
  const folder = mkdtempSync(join(tmpdir(), "aparte-installed-"));
  try {
    const [{ filename }] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root, encoding: "utf8" }),
    );
    writeFileSync(join(folder, "package.json"), '{ "private": true }');
    execFileSync("npm", ["i", "--no-save", "--omit=optional", "--ignore-scripts", join(folder, filename)], {
      cwd: folder,
      stdio: "ignore",
    });
    const files = readdirSync(join(folder, "node_modules"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
    const packages = files.filter((file) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file));
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    row("installed for aparte + one backend, no platform: packages", packages.length, "reach: <= 8");
    row("the same: size", `${(bytes / 1e6).toFixed(2)} MB`, "reach: <= 5 MB");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
