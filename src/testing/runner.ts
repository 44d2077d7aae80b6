/** The two functions of a test runner that the contract suites need; Vitest, Jest and `node:test` have them. */
export interface ContractRunner {
  readonly describe: (name: string, define: () => void) => unknown;
  readonly it: (name: string, run: () => Promise<void>) => unknown;
}

/** How long a contract waits for something that must happen, in milliseconds. */
const patienceMs = 10_000;

/** Asks again and again until there is an answer. Throws, naming `what`, when none comes. */
export async function until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`In vain waited ${patienceMs} ms until ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
