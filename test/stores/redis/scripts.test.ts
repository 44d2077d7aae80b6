import { createClient } from "@keyv/redis";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RedisClient } from "../../../src/stores/redis/client.ts";
import { loadScripts, runScript } from "../../../src/stores/redis/scripts.ts";
import { describeWithRedis, RedisServer } from "../../support/redis.ts";

describeWithRedis("Scripts on Redis", () => {
  let server: RedisServer;
  let client: RedisClient;

  beforeEach(async () => {
    server = await RedisServer.start();
    const made = createClient({ url: server.url, socket: { reconnectStrategy: 5 } });
    made.on("error", () => {});
    client = made as unknown as RedisClient;
  });

  afterEach(async () => {
    client.destroy();
    await server.close();
  });

  /** How often the server was sent a command since it started. */
  async function count(command: string): Promise<number> {
    const text = String(await server.command("INFO", "commandstats"));
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(text)?.[1] ?? 0);
  }

  const beat = () => runScript(client, "beat", ["owners"], ["ada", "1000"]);
  const alive = ["", "", expect.stringMatching(/^\d{13}$/)];

  it("are loaded when the client connects, so that no call carries one", async () => {
    loadScripts(client);
    await client.connect();
    expect(await beat()).toEqual(alive);
    expect(await runScript(client, "bury", ["owners"], ["bob", ""])).toBe("unknown");
    expect(await runScript(client, "dead", ["owners"], ["1000"])).toEqual([]);
    const late = ["", "0", "lane", "", "", "", "1000", "0", "0", "0", "0", "0"];
    expect(await runScript(client, "commit", ["document", "record"], late)).toEqual([
      "late",
      "",
      null,
      expect.stringMatching(/^\d{13}$/),
    ]);
    expect(await count("evalsha")).toBe(4);
    expect(await count("eval")).toBe(0);
  });

  it("are loaded at once where the client is connected already, and again at a server that was restarted", async () => {
    await client.connect();
    loadScripts(client);
    await beat();
    expect(await count("eval")).toBe(0);
    const ready = new Promise<void>((resolve) => client.on("ready", () => resolve()));
    await server.upEmpty();
    await ready;
    expect(await beat()).toEqual(alive);
    expect(await count("eval")).toBe(0);
  });

  it("are brought by the first call where somebody has flushed them, and by no other", async () => {
    loadScripts(client);
    await client.connect();
    await beat();
    await server.command("SCRIPT", "FLUSH");
    for (let call = 0; call < 3; call += 1) expect(await beat()).toHaveLength(3);
    expect(await count("eval")).toBe(1);
  });

  it("are not run again where they fail otherwise", async () => {
    loadScripts(client);
    await client.connect();
    await server.command("SET", "owners", "no set");
    await expect(beat()).rejects.toThrow(/^WRONGTYPE/);
    expect(await count("eval")).toBe(0);
  });
});
