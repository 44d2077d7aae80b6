import { fork, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@keyv/redis";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { instantAgent, quiet } from "./agent.mjs";
import { median, row, sideBySide } from "./measure.mjs";
import { benchWholeTurns } from "./turns.mjs";

const networkMs = 0.5;

export async function benchRedis() {
  const server = await startServer();
  if (server === undefined) {
    row("Redis", "not measured", "no redis-server or valkey-server on the PATH");
    return;
  }
  await withPerson(server.url, costs);
  await withPerson(server.url, (person) => besideGet(person, "back to back", "reach: <= 1.8 x"));
  const script = fileURLToPath(new URL("network.mjs", import.meta.url));
  const network = fork(script, [new URL(server.url).port, `${networkMs}`]);
  const [port] = await once(network, "message");
  await withPerson(`redis://127.0.0.1:${port}`, (person) =>
    besideGet(person, `${networkMs} ms of network`, "reach: <= 1.2 x", 300),
  );
  network.disconnect();
  await benchWholeTurns(server.url);
  await server.close();
}

const people = 100;

/** Known people who say something, one after the other: others each time that this is called. */
async function withPerson(url, measure) {
  const client = createClient({ url });
  await client.connect();
  const store = await openStore(client, { logger: quiet });
  const person = { client, store, whenAsked: () => {}, turn };
  const mapper = new SessionMapper({
    agents: { helper: instantAgent(() => person.whenAsked()) },
    store,
    secret: "a secret for the benchmark",
    logger: quiet,
  });
  const tenant = randomUUID();
  let id = 0;
  async function turn() {
    id += 1;
    await mapper
      .handle({ id: `m${id}`, platform: "web", tenant, user: `u${id % people}`, text: "hi" })
      .text();
    // The turn's end is on its way: the next one does not stand behind it.
    await client.ping();
  }
  for (let first = 0; first < people; first += 1) await turn();
  await measure(person);
  await mapper.close();
  client.destroy();
}

/** The way to the agent, beside one bare GET of the same client, and beside the one commit that it cannot do without. */
async function besideGet(person, way, goal, turns = 2_000) {
  const { client, store, turn } = person;
  let asked = 0;
  person.whenAsked = () => {
    asked = performance.now();
  };
  const timed = (name, micros) => ({
    name,
    async run(times) {
      const all = [];
      for (let index = 0; index < times; index += 1) all.push(await micros());
      return median(all);
    },
  });
  await client.set("bench:key", "x".repeat(200));
  const contenders = [
    timed("GET", async () => {
      const from = performance.now();
      await client.get("bench:key");
      return (performance.now() - from) * 1_000;
    }),
    timed("commit", async () => {
      const from = performance.now();
      const { version } = await take(store);
      const micros = (performance.now() - from) * 1_000;
      await store.commit({ ...lane, version, document: undefined, leaving: [owner] });
      return micros;
    }),
    timed("turn", async () => {
      const from = performance.now();
      await turn();
      return (asked - from) * 1_000;
    }),
  ];
  const medians = await sideBySide(contenders, { turns });
  const [bare, commit, own] = ["GET", "commit", "turn"].map((name) => medians.get(name));
  row(`one bare GET of the same client, ${way}`, `${bare.toFixed(1)} µs`);
  row("one commit of the store, with no turn around it", `${commit.toFixed(1)} µs`);
  row(
    "  the same, as a multiple of GET",
    `${(commit / bare).toFixed(2)} x`,
    "the least that a turn can take",
  );
  row("before the agent is asked: aparte, Redis store", `${own.toFixed(1)} µs`);
  row("  the same, as a multiple of GET", `${(own / bare).toFixed(2)} x`, goal);
}

const owner = "owner";
const lane = { lane: "lane", until: Number.MAX_SAFE_INTEGER };

/** As a turn of one short message is taken. */
function take(store) {
  const body = { speaker: { scope: "user", platform: "web", tenant: randomUUID(), user: "u1" }, text: "hi" };
  const running = { owner, attempt: 1, phase: "taken", key: "m1", overlap: "queue", mergeKey: "web", body };
  const document = { v: 1, running, waiting: [] };
  return store.commit({
    ...lane,
    version: 0,
    document,
    marks: [randomUUID().slice(0, 22)],
    entering: [owner],
  });
}

/** What turns are for an empty server: so many that its tables, which double, are neither full nor half empty then. */
async function costs(person) {
  const { client, turn } = person;
  const turns = 50_000;
  person.whenAsked = () => {};
  const start = await statsOf(client);
  for (let index = 0; index < turns; index += 1) await turn();
  const end = await statsOf(client);
  const commands = end.commands - start.commands;
  // Sent when the agent is asked, and answered behind what was sent before.
  const whenAsked = new Promise((resolve) => {
    person.whenAsked = () => resolve(statsOf(client));
  });
  await turn();
  const before = (await whenAsked).commands - end.commands;
  row(
    "Redis commands per warm turn, and before the agent is asked",
    `${(commands / turns).toFixed(2)} / ${before}`,
    "reach: 2 / 1",
  );
  row(
    "Redis' own time per command",
    `${((end.micros - start.micros) / commands).toFixed(1)} µs`,
    "reach: <= 10 µs",
  );
  const idle = await client.scriptLoad("return 1");
  const from = await statsOf(client);
  for (let index = 0; index < turns; index += 1) await client.evalSha(idle);
  const to = await statsOf(client);
  row(
    "  the same of a script that does nothing, without keys",
    `${((to.micros - from.micros) / turns).toFixed(1)} µs`,
  );
  row(
    "memory of Redis per remembered event",
    `${((end.bytes - start.bytes) / turns).toFixed(0)} bytes`,
    "reach: <= 120",
  );
}

async function statsOf(client) {
  const [scripts, memory] = await Promise.all([client.info("commandstats"), client.info("memory")]);
  const [, commands, micros] = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(scripts);
  const [, bytes] = /used_memory:(\d+)/.exec(memory);
  return { commands: Number(commands), micros: Number(micros), bytes: Number(bytes) };
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
