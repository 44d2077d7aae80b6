import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { faults } from "./faults.mjs";

const silent = { debug() {}, info() {}, isDebugEnabled: () => false };

/** Lets only `size` of the faults in these files be tried, the same ones for the same seed. Gives how many there are in all. */
export async function sampleFaults(files, size, seed) {
  const ids = [];
  const restore = filterFaults((id) => ids.push(id) > 0);
  const contents = await Promise.all(files.map((file) => readFile(file, "utf8")));
  await new Instrumenter(silent).instrument(
    files.map((name, index) => ({ name, mutate: true, content: contents[index] })),
    { ignorers: [], excludedMutations: [], plugins: null },
  );
  restore();
  const rank = (id) => createHash("sha256").update(`${seed} ${id}`).digest("hex");
  const ranked = ids.map((id) => ({ id, rank: rank(id) })).sort((one, two) => (one.rank < two.rank ? -1 : 1));
  const chosen = new Set(ranked.slice(0, size).map(({ id }) => id));
  filterFaults((id) => chosen.has(id));
  return ids.length;
}

/** Yields only the faults that `keep` wants; a fault's id is its file, its kind and its number in that file. */
function filterFaults(keep) {
  const counts = new Map();
  const originals = faults.map((fault) => fault.mutate);
  for (const fault of faults) {
    const mutate = fault.mutate;
    fault.mutate = function* (path) {
      for (const node of mutate(path)) {
        const place = `${relative(process.cwd(), path.hub.file.opts.filename)} ${fault.name}`;
        const count = (counts.get(place) ?? 0) + 1;
        counts.set(place, count);
        if (keep(`${place} ${count}`)) yield node;
      }
    };
  }
  return () => {
    for (const [index, fault] of faults.entries()) fault.mutate = originals[index];
  };
}
