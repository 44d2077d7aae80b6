/**
 * Calls back after `ms`, without keeping a process alive for it.
 * @returns stops it
 */
export function later(ms: number, callback: () => void): () => void {
  const timer: unknown = setTimeout(callback, ms);
  // Only Node, Bun and Deno have timers that are objects.
  if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") {
    timer.unref();
  }
  return () => clearTimeout(timer as Parameters<typeof clearTimeout>[0]);
}
