// Puts faults into the built library, one at a time, and shows after how many schedules the simulator notices each.
// Run as `npm run simulate:faults -- [--seeds N] [--only TEXT]`; it fails where one is not noticed.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { faults, simulateWith } from "./testing/simulator-faults.mjs";

const { values } = parseArgs({
  options: { seeds: { type: "string" }, only: { type: "string", default: "" } },
});
const root = fileURLToPath(new URL("../dist", import.meta.url));

for (const fault of faults) {
  if (!fault.name.includes(values.only)) continue;
  const begun = performance.now();
  const { failures, schedules } = await simulateWith(root, fault, Number(values.seeds ?? fault.within));
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
  const [failure] = failures;
  console.log(
    failure === undefined
      ? `NOT NOTICED in ${schedules} schedules (${seconds} s): ${fault.name}`
      : `noticed after ${schedules} (${seconds} s) by ${failure.kind}: ${fault.name}`,
  );
  if (failure === undefined) process.exitCode = 1;
}
