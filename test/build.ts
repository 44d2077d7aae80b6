import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("..", import.meta.url));
const builds = join(repository, "node_modules/.cache/aparte-test-build");

let root: Promise<string> | undefined;

/**
 * The folder of the built package, laid out as in the repository (`src/`, `adapters/`), for tests that start
 * processes of their own: Node 20 runs no TypeScript. Built when the sources have changed since the last build;
 * several test files may ask at the same time.
 */
export function builtRoot(): Promise<string> {
  root ??= build();
  return root;
}

async function build(): Promise<string> {
  const target = join(builds, await fingerprint());
  if (existsSync(target)) return target;
  // Built apart and then given its name: whoever sees the name sees a whole build.
  const unfinished = `${target}.${process.pid}`;
  await promisify(execFile)(process.execPath, [join(repository, "build.mjs"), unfinished], {
    cwd: repository,
  });
  const tsc = join(repository, "node_modules/typescript/bin/tsc");
  // Types are checked by `npm run check`.
  await promisify(execFile)(process.execPath, [tsc, "-p", repository, "--noCheck", "--outDir", unfinished]);
  // The adapters import the core by its public name.
  const manifest = await readFile(join(repository, "package.json"), "utf8");
  await writeFile(join(unfinished, "package.json"), manifest.replaceAll("./dist/", "./"));
  await rename(unfinished, target).catch(async (error) => {
    await rm(unfinished, { recursive: true });
    // Another test file was faster.
    if (!existsSync(target)) throw error;
  });
  await removeOld(target);
  return target;
}

/** Of all that the build reads: changes whenever a file does. */
async function fingerprint(): Promise<string> {
  const hash = createHash("sha256");
  const folders = ["src", "adapters"].map((folder) => join(repository, folder));
  const listed = await Promise.all(
    folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })),
  );
  const sources = listed.flat().filter((entry) => entry.isFile());
  const paths = sources.map(({ parentPath, name }) => join(parentPath, name)).sort();
  for (const path of [join(repository, "package.json"), join(repository, "tsconfig.json"), ...paths]) {
    const { size, mtimeMs } = await stat(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Removes builds that no running test can need any more. */
async function removeOld(target: string): Promise<void> {
  for (const name of await readdir(builds)) {
    const path = join(builds, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (path !== target && age > 3_600_000) await rm(path, { recursive: true, force: true });
  }
}
