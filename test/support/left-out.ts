import type { Reporter, TestModule } from "vitest/node";

/** Names at the end of a run what was left out, so that nobody takes it for tested. */
export class LeftOut implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap(({ children }) =>
      [...children.allSuites()].filter(({ options }) => options.mode === "skip").map(({ name }) => name),
    );
    if (skipped.length > 0)
      process.stdout.write(`Left out:\n${skipped.map((name) => `  ${name}\n`).join("")}`);
  }
}
