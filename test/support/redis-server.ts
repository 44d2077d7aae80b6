import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@keyv/redis";
import { lookInFiles } from "./search.ts";

const names = ["redis-server", "valkey-server"];

/** The server's program; undefined where there is none and none can be installed. */
const program = find() ?? install();

function find(): string | undefined {
  return names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

/** On Debian and its kin, as root, and told. Several test files may want to at once: the first one does. */
function install(): string | undefined {
  if (process.env.APARTE_TEST_INSTALL === "off") return undefined;
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) {
    return undefined;
  }
  const lock = join(tmpdir(), "aparte-redis.lock");
  const run = (...args: string[]) =>
    spawnSync("flock", [lock, ...args], { stdio: ["ignore", "ignore", "inherit"], timeout: 240_000 });
  closeSync(openSync(lock, "a"));
  const told =
    "The tests install redis-server with apt-get. APARTE_TEST_INSTALL=off leaves it, and what needs it, out.";
  const apt = "{ apt-get update; apt-get install -y --no-install-recommends redis-server; } 2>/dev/null";
  const script = `${names[0]} --version 2>/dev/null || { echo "${told}" >&2; ${apt}; }`;
  run("sh", "-c", script);
  return find();
}

/** Whether tests with Redis can run: on servers of their own, or on that of `REDIS_URL`. */
export const hasRedis: boolean = program !== undefined;

/** A real server with data of its own, on this machine only. It ends with the process that started it. */
export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #options: readonly string[];
  #process: ChildProcess | undefined;

  /** @param options of the command line */
  static async start(...options: string[]): Promise<RedisServer> {
    const server = await RedisServer.prepare(...options);
    await server.up();
    return server;
  }

  /** One that is not up yet. */
  static async prepare(...options: string[]): Promise<RedisServer> {
    return new RedisServer(await freePort(), options);
  }

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), "aparte-redis-"));
    process.once("exit", this.#end);
  }

  readonly #end = (): void => {
    this.#process?.kill("SIGKILL");
  };

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, with the data it had. Resolves when it answers. */
  async up(): Promise<void> {
    const folder = join(this.#folder, "data");
    mkdirSync(folder, { recursive: true });
    const options = ["--port", `${this.port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    // Written before each answer, so that a server that is killed has it; the disk is not waited for.
    const durable = ["--appendonly", "yes", "--appendfsync", "no"];
    const child = spawn(program ?? "", [...options, ...durable, ...this.#options], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#process = child;
    for await (const line of createInterface(child.stdout)) {
      if (!line.includes("Ready to accept")) continue;
      child.stdout.resume();
      return;
    }
    throw new Error("The Redis server ended before it was ready.");
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Kills it, loses its data, and starts it again. */
  async upEmpty(): Promise<void> {
    await this.kill();
    rmSync(join(this.#folder, "data"), { recursive: true });
    await this.up();
  }

  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Sends one command on a connection of its own. */
  async command(...command: string[]): Promise<unknown> {
    const client = createClient({ url: this.url });
    await client.connect();
    try {
      return await client.sendCommand(command);
    } finally {
      client.destroy();
    }
  }

  /** Ends it and removes its data. */
  async close(): Promise<void> {
    process.off("exit", this.#end);
    await this.kill();
    // Each command that it was ever sent stands in its log.
    lookInFiles("what Redis was sent", this.#folder);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Three masters that are one cluster. */
export async function startRedisCluster(): Promise<{ urls: string[]; close: () => Promise<void> }> {
  const servers = await Promise.all(
    Array.from({ length: 3 }, () => RedisServer.start("--cluster-enabled", "yes")),
  );
  const [first] = servers;
  const slots = 16_384;
  const size = Math.ceil(slots / servers.length);
  for (const [index, server] of servers.entries()) {
    const last = Math.min(slots, (index + 1) * size) - 1;
    await server.command("CLUSTER", "ADDSLOTSRANGE", `${index * size}`, `${last}`);
    await server.command("CLUSTER", "SET-CONFIG-EPOCH", `${index + 1}`);
  }
  for (const server of servers) await server.command("CLUSTER", "MEET", "127.0.0.1", `${first?.port}`);
  // They tell each other in their own time, and nobody else when they have.
  for (const server of servers) {
    while (!String(await server.command("CLUSTER", "INFO")).includes("cluster_known_nodes:3")) await tick();
    while (!String(await server.command("CLUSTER", "INFO")).includes("cluster_state:ok")) await tick();
  }
  return {
    urls: servers.map(({ url }) => url),
    close: async () => {
      for (const server of servers) await server.close();
    },
  };
}

/** The master and the sentinel that watches it. */
export async function startRedisSentinel(): Promise<{
  port: number;
  name: string;
  close: () => Promise<void>;
}> {
  const name = "main";
  const master = await RedisServer.start();
  const folder = mkdtempSync(join(tmpdir(), "aparte-sentinel-"));
  const file = join(folder, "sentinel.conf");
  execFileSync("sh", ["-c", `printf 'sentinel monitor ${name} 127.0.0.1 ${master.port} 1\n' > '${file}'`]);
  const port = await freePort();
  const options = [file, "--sentinel", "--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder];
  const sentinel = spawn(program ?? "", options, { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(sentinel.stdout)) if (line.includes("+monitor master")) break;
  sentinel.stdout.resume();
  const end = () => void sentinel.kill("SIGKILL");
  process.once("exit", end);
  return {
    port,
    name,
    close: async () => {
      process.off("exit", end);
      const exit = once(sentinel, "exit");
      end();
      await exit;
      await master.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("The listener has no port.");
  return address.port;
}
