import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@keyv/redis";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { instantAgent, quiet } from "./agent.mjs";
import { median, row } from "./measure.mjs";
import { startServer } from "./redis.mjs";

const atOnce = 64;
const people = 1_000;
const turns = 20_000;
const rounds = 3;
const crowd = 20_000;

/** Turns a second in one process, with an agent that answers at once: how much of the time is ours. */
export async function benchThroughput() {
  await turnsASecond("memory", "memory:", "reach: >= 60,000");
  const folder = mkdtempSync(join(tmpdir(), "aparte-bench-sqlite-"));
  await turnsASecond("SQLite", `sqlite:${join(folder, "store.db")}`, "reach: >= 15,000");
  rmSync(folder, { recursive: true, force: true });
  const server = await startServer();
  if (server === undefined) return;
  const client = createClient({ url: server.url });
  await client.connect();
  await turnsASecond("Redis", client, "reach: >= 20,000");
  await atTheSameTime(client);
  client.destroy();
  await server.close();
}

async function turnsASecond(name, where, goal) {
  const mapper = await start(where);
  const speeds = [];
  let id = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const end = id + turns;
    const from = performance.now();
    const one = async () => {
      while (id < end) await say(mapper, `m${++id}`, `u${id % people}`);
    };
    await Promise.all(Array.from({ length: atOnce }, one));
    // The first round opens the conversations.
    if (round > 0) speeds.push(turns / ((performance.now() - from) / 1000));
  }
  row(`turns a second, ${atOnce} at once, ${name} store`, median(speeds).toFixed(0), goal);
  await mapper.close();
}

/** So many people say their first words in the same moment: each is answered. */
async function atTheSameTime(client) {
  const mapper = await start(client);
  const from = performance.now();
  const replies = Array.from({ length: crowd }, (_, person) => say(mapper, "first", `crowd${person}`));
  const settled = await Promise.allSettled(replies);
  const answered = settled.filter(({ value }) => value === "ok").length;
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  row(`${crowd} people at once, Redis store: answered`, answered, `in ${seconds} s; reach: all`);
  await mapper.close();
}

async function start(where) {
  return new SessionMapper({
    agents: { helper: instantAgent() },
    store: await openStore(where, { logger: quiet }),
    secret: "a secret for the benchmark",
    logger: quiet,
  });
}

function say(mapper, id, user) {
  return mapper.handle({ id, platform: "web", tenant: "t", user, text: "hi" }).text();
}
