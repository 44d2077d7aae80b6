import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Where tests start processes or wait for long. What a file's name does not begin with comes later. */
const longest = [
  "test/many-processes/",
  "test/crash.test.ts",
  "test/examples.test.ts",
  "test/cli/",
  "test/adapters/slack/budgets.test.ts",
  "test/adapters/discord/outages.test.ts",
  "test/adapters/botkit/",
  "test/stores/differential.test.ts",
  "test/testing/",
  "test/stores/sqlite/processes.test.ts",
  "test/security/",
];

/** Begins with the files that take longest, so that at the end none of them is waited for while a core is idle. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config;
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = longest.findIndex((start) => moduleId.startsWith(`${root}/${start}`));
      return found < 0 ? longest.length : found;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
