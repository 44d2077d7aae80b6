/** The two functions of a test runner that the contract suites need; Vitest, Jest and `node:test` have them. */
export interface ContractRunner {
  readonly describe: (name: string, define: () => void) => unknown;
  /** @param timeoutMs `node:test` has no limit of its own, and takes no notice of it. */
  readonly it: (name: string, run: () => Promise<void>, timeoutMs: number) => unknown;
}

/** How long a test may take, also on a busy machine, in milliseconds: what it waits for is told before its time is over. */
export const testTimeoutMs = 120_000;

/** How long a contract waits for something that must happen, in milliseconds. */
const patienceMs = 10_000;

/** Asks again and again until there is an answer. Throws, naming `what`, when none comes. */
export async function until<T>(
  what: string | (() => string),
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) {
      throw new Error(`In vain waited ${patienceMs} ms until ${typeof what === "string" ? what : what()}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
