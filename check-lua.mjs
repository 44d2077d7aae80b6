// Reads the Lua files as Redis' Lua 5.1 does, and refuses names that stand for nothing: a misspelt one is a global
// variable, which Redis finds out when the line runs.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import luaparse from "luaparse";

const folder = "src/stores/redis";
/** What Redis gives a script, of which these use some. */
const given = new Set([
  ...["KEYS", "ARGV", "redis", "cjson", "cmsgpack", "struct", "bit", "math", "string", "table"],
  ...[
    "assert",
    "error",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "select",
    "tonumber",
    "tostring",
    "type",
    "unpack",
  ],
]);

const files = readdirSync(folder).filter((name) => name.endsWith(".lua"));
if (files.length === 0) throw new Error(`There is no Lua in ${folder}.`);
let faults = 0;
for (const name of files) {
  const path = join(folder, name);
  const source = readFileSync(path, "utf8");
  const declared = new Map();
  const used = new Set();
  const tell = (line, problem) => {
    faults += 1;
    console.error(`${path}:${line}: ${problem}`);
  };
  try {
    const { globals } = luaparse.parse(source, {
      ...{ luaVersion: "5.1", scope: true, locations: true },
      onCreateNode(node) {
        if (node.type === "LocalStatement") {
          for (const variable of node.variables) declared.set(variable.name, variable.loc.start.line);
        }
      },
    });
    for (const { name: global, loc } of globals) {
      if (!given.has(global)) tell(loc.start.line, `"${global}" is declared nowhere`);
    }
    // A name that stands in its declaration alone is used by nothing.
    for (const [word] of source.replace(/--.*$/gm, "").matchAll(/[A-Za-z_]\w*/g)) {
      if (used.has(word)) declared.delete(word);
      used.add(word);
    }
    for (const [variable, line] of declared)
      if (variable !== "_") tell(line, `"${variable}" is used nowhere`);
  } catch (error) {
    tell(error.line ?? 1, error.message);
  }
}
if (faults > 0) process.exit(1);
console.log(`Checked ${files.length} Lua files.`);
