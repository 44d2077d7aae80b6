import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A name that the package exports. */
export interface PublicName {
  readonly name: string;
  readonly isType: boolean;
  /** The first sentence of its docstring; undefined where it has none. */
  readonly line: string | undefined;
}

/** The package's entries (`"aparte/coze"` …), each with its names as its source declares them, in its order. */
export function publicNames(): ReadonlyMap<string, readonly PublicName[]> {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { default: string }>;
  };
  return new Map(
    Object.entries(exports).flatMap(([path, entry]) => {
      if (typeof entry === "string") return [];
      const file = join(root, entry.default.replace("dist/", "").replace(/\.js$/, ".ts"));
      return [[path.replace(/^\./, "aparte"), namesIn(file)] as const];
    }),
  );
}

function namesIn(file: string): PublicName[] {
  const source = readFileSync(file, "utf8");
  if (/^export \*/m.test(source)) throw new Error(`${file} exports names that nobody chose.`);
  const exported = [...source.matchAll(/^export (type )?\{([^}]*)\} from "([^"]+)"/gm)].flatMap(
    ([, isAllTypes, list = "", from = ""]) =>
      list
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== "")
        .map((one) => {
          const [, isType, own = "", name = own] = /^(type )?(\w+)(?: as (\w+))?$/.exec(one) ?? [];
          const found = docstring(join(dirname(file), from), own);
          return { name, isType: (isAllTypes ?? isType) !== undefined, line: found };
        }),
  );
  const declared = [...source.matchAll(declaration(String.raw`\w+`))].map(([, kind = "", name = ""]) => ({
    ...{ name, isType: kind === "type" || kind === "interface", line: docstring(file, name) },
  }));
  // An overloaded function is declared more than once.
  const known = new Map<string, PublicName>();
  for (const one of [...exported, ...declared]) if (!known.has(one.name)) known.set(one.name, one);
  return [...known.values()];
}

function declaration(name: string): RegExp {
  return new RegExp(
    String.raw`^export (?:declare |abstract |async )*(class|interface|type|function\*?|const) (${name})\b`,
    "gm",
  );
}

/** The first sentence of what stands above a declaration, which may have been exported from elsewhere. */
function docstring(file: string, name: string): string | undefined {
  const source = readFileSync(file, "utf8");
  const again = new RegExp(String.raw`^export (?:type )?\{[^}]*\b${name}\b[^}]*\} from "([^"]+)"`, "m").exec(
    source,
  );
  if (again?.[1] !== undefined) return docstring(join(dirname(file), again[1]), name);
  const [found] = source.matchAll(declaration(name));
  if (found === undefined) throw new Error(`${name} is not declared in ${file}.`);
  // What a linter is told may stand between.
  const above = source.slice(0, found.index).replace(/(?:\n\/\/ biome-ignore .*)?\n$/, "");
  if (!above.endsWith("*/")) return undefined;
  const text = above
    .slice(above.lastIndexOf("/**") + 3, -2)
    .replace(/^\s*\* ?/gm, "")
    .trim();
  if (text.startsWith("@")) return undefined;
  const plain = text
    .split(/\n\s*\n|\n@/)[0]
    ?.replace(/\s+/g, " ")
    .replace(/\{@link (\S+?)\}/g, "`$1`");
  // A sentence ends before a capital, not after "e.g." or within code.
  return /^(.*?(?:[.:]|$))(?= (?:[A-Z"`-])|$)/.exec(plain ?? "")?.[1]?.replace(/:$/, ".") || plain;
}
