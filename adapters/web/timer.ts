/**
 * Calls back after `ms`, without keeping a process alive for it.
 * @returns stops it
 */
export function later(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  // Only Node, Bun and Deno have timers that are objects.
  (timer as { unref?(): void }).unref?.();
  return () => clearTimeout(timer);
}
