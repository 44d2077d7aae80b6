const from = Number(process.env.CHAOS_FROM ?? Date.now());

/** Milliseconds since the run began, in all of its processes. */
export function sinceStart(): number {
  return Date.now() - from;
}

/** When the run began, for the processes that it starts. */
export const startOfRun = String(from);

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
