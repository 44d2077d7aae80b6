import type { NewTurn } from "./old-store.ts";

/** How many of the turns that wait, from the first on, become one turn that the last of them runs. At least 1. */
export function countMerged(waiting: readonly Pick<NewTurn, "overlap" | "mergeKey">[]): number {
  const [head] = waiting;
  if (head?.overlap !== "merge" && head?.overlap !== "interrupt") return 1;
  const end = waiting.findIndex(
    ({ overlap, mergeKey }) => overlap !== head.overlap || mergeKey !== head.mergeKey,
  );
  return end < 0 ? waiting.length : end;
}
