// Runs random schedules on the built library for as long as one likes, and shows the shortest schedule that breaks a
// promise. Run as `npm run simulate -- [--minutes M] [--seeds N] [--from S] [--failures F] [--replay S]`.
import { parseArgs } from "node:util";
import { replay, simulate } from "../dist/src/testing/index.js";

const number = { type: "string" };
const { values } = parseArgs({
  options: { from: number, seeds: number, minutes: number, failures: number, replay: number },
});

if (values.replay !== undefined) {
  const failure = await replay(Number(values.replay), console.log);
  if (failure === undefined) console.log(`Seed ${values.replay} breaks no promise.`);
  else show(failure);
  process.exit(failure === undefined ? 0 : 1);
}

const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes);
const endless = values.minutes === undefined ? 10_000 : Number.MAX_SAFE_INTEGER;
const from = Number(values.from ?? 1 + Math.floor(Math.random() * 1e9));
const begun = performance.now();
const end = begun + minutes * 60_000;
const result = await simulate({
  from,
  seeds: Number(values.seeds ?? endless),
  failures: Number(values.failures ?? 1),
  goesOn: () => performance.now() < end,
});

for (const failure of result.failures) show(failure);
const seconds = (performance.now() - begun) / 1_000;
const hours = result.lastedMs / 3_600_000;
console.log(
  `${result.schedules} schedules from seed ${from} on in ${seconds.toFixed(1)} s: ` +
    `${Math.round(result.schedules / seconds)} a second, ${result.accepted} messages, ${hours.toFixed(1)} hours.`,
);
console.log(
  `Where the store lost data or a machine stood still with its clock: ${JSON.stringify(result.limits)}`,
);
process.exit(result.failures.length > 0 ? 1 : 0);

function show({ seed, kind, schedule, violations }) {
  console.log(`Seed ${seed} breaks a promise: ${kind}. Again with: npm run simulate -- --replay ${seed}`);
  console.log(`  ${JSON.stringify(schedule.setting)}`);
  for (const step of schedule.steps) console.log(`  ${JSON.stringify(step)}`);
  for (const violation of violations) console.log(`  ${violation.kind}: ${violation.what}`);
}
