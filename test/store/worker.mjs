// A process that takes turns into lanes, runs them and tells its parent. See processes.ts.
import { randomUUID } from "node:crypto";
import { appendFileSync, closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";

const [root, url, directory, leaseMs, turnMs] = process.argv.slice(2);
const { openStore } = await import(join(root, "src/store/open.js"));

const store = await openStore(url);
const held = new Set();
const owner = {
  id: randomUUID(),
  leaseMs: Number(leaseMs),
  granted: (grant) => void run(grant),
  merged: (lane, key) => process.send({ is: "merged", lane, key }),
  taken: () => {},
  interrupted: (lane, key) => process.send({ is: "interrupted", lane, key }),
};
const lanes = store.join(owner);

async function run(grant) {
  held.add(grant);
  const { lane, fence, attempt, turn, merged } = grant;
  const running = join(directory, `${lane}.running`);
  // The one that ran it before was killed, and has left this behind.
  if (attempt > 1) rmSync(running, { force: true });
  try {
    closeSync(openSync(running, "wx"));
  } catch {
    process.send({ is: "violated", lane, key: turn.key, attempt });
  }
  const line = JSON.stringify({
    key: turn.key,
    fence,
    attempt,
    merged: merged.map(({ key }) => key),
    pid: process.pid,
  });
  appendFileSync(join(directory, `${lane}.log`), `${line}\n`);
  process.send({ is: "running", lane, key: turn.key, attempt });
  if (turn.body.hangs && attempt === 1) return;
  await new Promise((resolve) => setTimeout(resolve, Number(turnMs)));
  rmSync(running, { force: true });
  held.delete(grant);
  await lanes.end(grant);
  process.send({ is: "ended", lane, key: turn.key, attempt });
}

setInterval(async () => {
  await lanes.renew([...held]);
  for (const grant of await lanes.takeOver(["test"])) void run(grant);
}, owner.leaseMs / 3);

process.on("message", async ({ lane, key, overlap, body }) => {
  const begun = await lanes.begin({
    ...{ lane, key, overlap, body },
    ...{ mergeKey: "", limit: 1000, platform: "test" },
  });
  process.send({ is: "begun", lane, key, begun: begun.is });
  if (begun.is === "run") void run(begun.grant);
});
process.on("disconnect", () => process.exit());
process.send({ is: "ready" });
