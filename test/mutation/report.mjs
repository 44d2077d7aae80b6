import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** What became of the faults, as text: counts for each file, then each fault that was not noticed. */
export function report(mutants) {
  const lines = [];
  const files = [...new Set(mutants.map(fileOf))].sort();
  for (const file of files) {
    lines.push(`${file}: ${summary(mutants.filter((mutant) => fileOf(mutant) === file))}`);
  }
  if (files.length > 1) lines.push(`all: ${summary(mutants)}`);
  const survivors = mutants.filter(({ status }) => status === "Survived" || status === "NoCoverage");
  if (survivors.length > 0) lines.push("", "Not noticed:", ...survivors.sort(inOrder).map(describe));
  const late = mutants.filter(({ status }) => status === "Timeout");
  if (late.length > 0) lines.push("", "Noticed by their time alone:", ...late.sort(inOrder).map(describe));
  return lines.join("\n");
}

function summary(mutants) {
  const count = (...statuses) => mutants.filter(({ status }) => statuses.includes(status)).length;
  const noticed = count("Killed", "RuntimeError", "Timeout");
  const tried = noticed + count("Survived", "NoCoverage");
  const share = tried === 0 ? 100 : Math.floor((1_000 * noticed) / tried) / 10;
  return `${noticed} of ${tried} noticed (${share} %), ${count("NoCoverage")} reached by no test, ${count("Timeout")} by time`;
}

/** `src/adapter/cut.ts:7:3 EqualityOperator: a < b → a <= b` */
function describe(mutant) {
  const { start } = mutant.location;
  const before = oneLine(original(mutant));
  return `${fileOf(mutant)}:${start.line}:${start.column} ${mutant.mutatorName}: ${before} → ${oneLine(mutant.replacement)}`;
}

function original({ fileName, location: { start, end } }) {
  const lines = readFileSync(fileName, "utf8")
    .split("\n")
    .slice(start.line - 1, end.line);
  lines.push(lines.pop().slice(0, end.column - 1));
  return [lines[0].slice(start.column - 1), ...lines.slice(1)].join("\n");
}

function fileOf({ fileName }) {
  return relative(process.cwd(), fileName);
}

function inOrder(one, two) {
  const [a, b] = [one.location.start, two.location.start];
  return fileOf(one).localeCompare(fileOf(two)) || a.line - b.line || a.column - b.column;
}

function oneLine(code) {
  const text = code.replace(/\s+/g, " ");
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}
