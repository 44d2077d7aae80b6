import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@keyv/redis";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { instantAgent, quiet } from "./agent.mjs";
import { median, row, sideBySide } from "./measure.mjs";
import { benchWholeTurns } from "./turns.mjs";

/** The way to the agent on a Redis server, beside one bare GET of the same client. */
export async function benchRedis() {
  const server = await startServer();
  if (server === undefined) {
    row("Redis", "not measured", "no redis-server or valkey-server on the PATH");
    return;
  }
  const client = createClient({ url: server.url });
  await client.connect();
  const store = await openStore(client, { logger: quiet });
  let asked = 0;
  const mapper = new SessionMapper({
    agents: {
      helper: instantAgent(() => {
        asked = performance.now();
      }),
    },
    store,
    secret: "a secret for the benchmark",
    logger: quiet,
  });
  let id = 0;
  const turn = async () => {
    id += 1;
    const from = performance.now();
    await mapper
      .handle({ id: `m${id}`, platform: "web", tenant: "t", user: `u${id % 100}`, text: "hi" })
      .text();
    // The turn's end is on its way: the next one does not stand behind it.
    await client.ping();
    return (asked - from) * 1_000;
  };
  const timed = (name, run) => ({
    name,
    async run(turns) {
      const times = [];
      for (let index = 0; index < turns; index += 1) times.push(await run());
      return median(times);
    },
  });
  await client.set("bench:key", "x".repeat(200));
  const get = async () => {
    const from = performance.now();
    await client.get("bench:key");
    return (performance.now() - from) * 1_000;
  };
  const medians = await sideBySide([timed("GET", get), timed("turn", turn)], { turns: 2_000 });
  const [bare, own] = [medians.get("GET"), medians.get("turn")];
  row("one bare GET of the same client", `${bare.toFixed(1)} µs`);
  row("before the agent is asked: aparte, Redis store", `${own.toFixed(1)} µs`, "");
  row("the same, as a multiple of GET", `${(own / bare).toFixed(2)} x`, "reach: <= 1.5 x");

  const before = await commands(client);
  for (let index = 0; index < 1_000; index += 1) await turn();
  const after = await commands(client);
  row("Redis commands per warm turn", ((after - before) / 1_000).toFixed(2), "reach: <= 3");
  await mapper.close();
  client.destroy();
  await benchWholeTurns(server.url);
  await server.close();
}

/** How many commands clients have sent; what scripts call within is part of one. */
async function commands(client) {
  const stats = await client.info("commandstats");
  const count = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return count("evalsha") + count("eval");
}

export async function startServer() {
  const binary = ["redis-server", "valkey-server"].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );
  if (binary === undefined) return undefined;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "aparte-bench-redis-"));
  const options = [
    "--port",
    `${port}`,
    "--bind",
    "127.0.0.1",
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "yes",
  ];
  const server = spawn(binary, options, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface(server.stdout)) if (line.includes("Ready to accept")) break;
  server.stdout.resume();
  return {
    url: `redis://127.0.0.1:${port}`,
    close: async () => {
      server.kill("SIGKILL");
      await once(server, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
