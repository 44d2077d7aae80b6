import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** The TypeScript files at a path of the repository, which is a file or a folder. */
export function sourceFiles(path) {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(path, name));
}

/**
 * Patterns of the tests of a source file: those with its name, or else those of the nearest folder that has some,
 * since test/ mirrors src/ and adapters/; and the attacks of test/security/, which go through all parts. All tests where
 * there is no such folder.
 */
export function mirroredTests(sourceFile) {
  let name = sourceFile.replace(/^src\//, "").replace(/\.ts$/, "");
  for (; name !== "."; name = dirname(name)) {
    const patterns = testPatterns(`test/${name}`);
    if (patterns.length > 0) return [...patterns, "test/security/**/*.test.ts"];
  }
  return ["test/**/*.test.ts"];
}

/** Patterns of the tests at a path: a test file with or without its ending, or a folder. */
export function testPatterns(path) {
  if (path.endsWith(".test.ts")) return [path];
  return [
    ...(existsSync(`${path}.test.ts`) ? [`${path}.test.ts`] : []),
    ...(existsSync(path) ? [`${path}/**/*.test.ts`] : []),
  ];
}
