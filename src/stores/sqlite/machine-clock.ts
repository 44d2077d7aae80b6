/**
 * Milliseconds since the machine started: one clock for all processes of a machine, which nobody can set.
 * (Node reads CLOCK_MONOTONIC on Linux, mach_continuous_time on macOS, QueryPerformanceCounter on Windows.)
 *
 * It begins anew when the machine restarts. So what is kept with such a time keeps its beginning, too: a
 * lease that begins in the future is of an earlier start, and has run out.
 */
export function machineNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + Math.floor(nanoseconds / 1e6);
}
