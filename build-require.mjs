// What `require` finds: for each export a CommonJS file that loads the module itself, of which there is one only, with
// the same declarations. TypeScript and Node take both for CommonJS by the manifest beside them.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, relative } from "node:path";

for (const folder of ["src", "adapters"]) {
  cpSync(`dist/${folder}`, `dist/require/${folder}`, {
    recursive: true,
    filter: (path) => !/\.[^./]+$/.test(path) || path.endsWith(".d.ts"),
  });
}
writeFileSync("dist/require/package.json", '{ "type": "commonjs" }\n');
const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
for (const { require: own, default: module } of Object.values(exports)) {
  if (own === undefined) continue;
  writeFileSync(own, `module.exports = require(${JSON.stringify(relative(dirname(own), module))});\n`);
}
