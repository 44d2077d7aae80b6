import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, describe, expect, it } from "vitest";
import { folder, launch, say, start } from "../support/program.ts";

let emulator: CozeEmulator | undefined;

afterEach(async () => {
  await emulator?.close();
  emulator = undefined;
});

describe("The program with nothing set", () => {
  it("serves a page and /healthz, and keeps people and their words apart over a restart", async () => {
    const first = await start();
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${first.url}/healthz`)).json()).toMatchObject({ status: "ok" });
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
    expect((await fetch(first.url)).status).toBe(401);
    const address = /^page: (\S+)$/m.exec(first.output())?.[1] ?? "";
    expect(await (await fetch(address)).text()).toContain("<html");
    await Promise.all([say(first, "Ada", "1", "my name is Ada"), say(first, "Ben", "1", "my name is Ben")]);
    expect(await first.stop("SIGTERM")).toBe(0);
    expect(first.output().split("\n")).toEqual([
      expect.stringMatching(/^aparte \d+\.\d+\.\d+ on Node \d+/),
      "agents: helper (a stand-in on this machine)",
      "store: sqlite:.aparte/aparte.db",
      "platforms: none",
      "scope: user",
      "reachable: from this machine: /healthz, /readyz, and the page by its token",
      `page: ${address}`,
      `aparte is ready: ${first.url}`,
      "",
    ]);

    const second = await start();
    expect(await say(second, "Ada", "2", "what is my name?")).toContain("Ada");
    expect(await say(second, "Ben", "2", "what is my name?")).toContain("Ben");
    const history = await (await fetch(`${second.url}/history?person=Ada`, second)).text();
    expect(history).toContain("my name is Ada");
    expect(history).not.toContain("Ben");
    expect(await second.stop("SIGINT")).toBe(0);
  });

  it("keeps people's words when it is killed", async () => {
    const first = await start();
    await say(first, "Ada", "1", "my name is Ada");
    await first.stop("SIGKILL");
    const second = await start();
    expect(await say(second, "Ada", "2", "what is my name?")).toContain("Ada");
  });

  it("finishes a running turn when it is told to stop", async () => {
    const program = await start();
    const response = await fetch(`${program.url}/messages?person=Ada`, {
      method: "POST",
      headers: { ...program.headers, "content-type": "application/json" },
      body: JSON.stringify({ id: "1", text: "one two three four five six seven eight nine ten" }),
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read(); // It has begun to answer.
    const ended = program.stop("SIGTERM");
    let rest = "";
    for (let step = await reader.read(); !step.done; step = await reader.read())
      rest += Buffer.from(step.value);
    expect(rest).toMatch(/"type":"message".*nine ten/);
    expect(await ended).toBe(0);
  });
});

describe("The program with Coze keys", () => {
  async function keys(): Promise<Record<string, string>> {
    emulator = await startCozeEmulator();
    const file = join(folder, "key.pem");
    writeFileSync(file, emulator.privateKey);
    return {
      COZE_APP_ID: emulator.appId,
      COZE_KEY_ID: emulator.keyId,
      COZE_BOT_ID: emulator.botId,
      COZE_BASE_URL: emulator.baseURL,
      COZE_PRIVATE_KEY_FILE: file,
      APARTE_SECRET: "a secret of the tests, long enough",
    };
  }

  it("talks to that agent, with settings from a .env file", async () => {
    const lines = Object.entries(await keys()).map(([name, value]) => `${name}="${value}"`);
    writeFileSync(join(folder, ".env"), lines.join("\n"));
    const program = await start();
    expect(await say(program, "Ada", "1", "my name is Ada")).toContain("Ada");
    expect(emulator?.conversations()).toHaveLength(1);
    expect(await program.stop("SIGTERM")).toBe(0);
  });

  it("ends a rotation of secrets by `aparte rekey`, also while it runs", async () => {
    const { APARTE_SECRET: _, ...agent } = await keys();
    const old = "an-old-secret-of-the-tests-without-blanks";
    const fresh = "another secret of the tests, as long";
    const before = await start({ ...agent, APARTE_SECRET: old });
    expect(await say(before, "Ada", "1", "my name is Ada")).toContain("Ada");
    expect(await before.stop("SIGTERM")).toBe(0);

    const rotated = { ...agent, APARTE_SECRET: fresh, APARTE_OTHER_SECRETS: old };
    const during = await start(rotated);
    await expect.poll(during.output, { timeout: 10_000 }).toContain("sessions still need an old secret");
    const { ended, output } = await launch(rotated, "rekey");
    expect(await ended, output()).toBe(0);
    expect(output()).toBe(
      "Sessions that are found without the other secrets from now on: 1\n" +
        "Sessions that are not, since their person has another one by now: 0\n" +
        "Drop APARTE_OTHER_SECRETS everywhere.\n",
    );
    expect(await during.stop("SIGTERM")).toBe(0);

    const after = await start({ ...agent, APARTE_SECRET: fresh });
    expect(await say(after, "Ada", "2", "what is my name?")).toContain("Ada");
    expect(await after.stop("SIGTERM")).toBe(0);
    expect(emulator?.conversations()).toHaveLength(1);

    const pointless: [RegExp, Record<string, string>, ...string[]][] = [
      [/APARTE_OTHER_SECRETS is missing/, { ...agent, APARTE_SECRET: fresh }, "rekey"],
      [/COZE_APP_ID is missing/, { APARTE_SECRET: fresh, APARTE_OTHER_SECRETS: old }, "rekey"],
      [/APARTE_STORE is missing/, rotated, "rekey", "--store", "memory:"],
    ];
    for (const [message, settings, ...args] of pointless) {
      const refused = await launch(settings, ...args);
      expect(await refused.ended).toBe(2);
      expect(refused.output()).toMatch(message);
    }
  });

  it("does not run the stand-in agent twice in one folder: one would not know what the other was told", async () => {
    const program = await start();
    const { ended, output } = await launch({ PORT: "0" });
    expect(await ended, output()).toBe(2);
    expect(output()).toContain("APARTE_FOLDER");
    expect(await say(program, "Ada", "1", "my name is Ada")).toContain("Ada");
    expect(await program.stop("SIGTERM")).toBe(0);
  });

  it("can be stopped while it waits for a platform, and tells of one that cannot be reached", async () => {
    const good = await keys();
    // Nothing listens there.
    const away = "http://127.0.0.1:9";
    const slack = { SLACK_BOT_TOKEN: "xoxb-secret", SLACK_APP_TOKEN: "xapp-1", SLACK_API_URL: `${away}/` };
    const waiting = await launch({ ...good, ...slack });
    await new Promise((resolve) => waiting.child.stderr.once("data", resolve));
    waiting.child.kill("SIGTERM");
    expect(await waiting.ended).toBe(0);
    const discord = await launch({ ...good, DISCORD_TOKEN: "a.b.c", DISCORD_API_URL: away });
    expect(await discord.ended).toBe(1);
    expect(discord.output()).toContain("The platform of DISCORD_TOKEN cannot be reached");
  });

  it("ends with 2 and what is wrong, and shows no secret", async () => {
    const good = await keys();
    const busy = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => busy.once("listening", resolve));
    const address = busy.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    const noKey = join(folder, "no-key.pem");
    writeFileSync(noKey, "this is no key at all");
    const wrong: [RegExp, Record<string, string>][] = [
      [/SLACK_APP_TOKEN is missing/, { ...good, SLACK_BOT_TOKEN: "xoxb-secret" }],
      [/COZE_PRIVATE_KEY_FILE.*cannot be read/, { ...good, COZE_PRIVATE_KEY_FILE: join(folder, "nowhere") }],
      [/privateKey/, { ...good, COZE_PRIVATE_KEY_FILE: noKey }],
      [/botId.*does not exist/, { ...good, COZE_BOT_ID: "7399999999999999999" }],
      [/coze\.com.*coze\.cn/, { ...good, COZE_KEY_ID: "a-key-of-the-other-region" }],
      [/PORT .* another/, { ...good, PORT: port }],
      [/look whether HOST/, { ...good, HOST: "192.0.2.1" }],
      [/APARTE_SECRET is missing/, { ...good, APARTE_SECRET: "" }],
    ];
    for (const [message, settings] of wrong) {
      const { ended, output } = await launch({ PORT: "0", ...settings });
      expect(await ended, output()).toBe(2);
      expect(output()).toMatch(message);
      expect(output()).not.toMatch(/xoxb-secret|BEGIN PRIVATE|no key at all|at Object\./);
    }
    busy.close();
  });
});

describe("The program behind a proxy", () => {
  /** Whatever host is asked for is the emulator; the hosts are kept. */
  async function startProxy(port: number) {
    const hosts: string[] = [];
    const proxy = createHttpServer();
    proxy.on("connect", ({ url = "" }, client) => {
      hosts.push(url);
      const server = connect({ port, host: "127.0.0.1" }, () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        server.pipe(client).pipe(server);
      });
      server.on("error", () => client.destroy());
      client.on("error", () => server.destroy());
    });
    await once(proxy.listen(0, "127.0.0.1"), "listening");
    const { port: own } = proxy.address() as AddressInfo;
    return {
      hosts,
      url: `http://127.0.0.1:${own}`,
      close: () => proxy.closeAllConnections() ?? proxy.close(),
    };
  }

  async function settings() {
    emulator = await startCozeEmulator();
    const { appId, keyId, privateKey, botId } = emulator;
    return {
      ...{ COZE_APP_ID: appId, COZE_KEY_ID: keyId, COZE_BOT_ID: botId, COZE_PRIVATE_KEY: privateKey },
      APARTE_SECRET: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
    };
  }

  it.each(["HTTP_PROXY", "http_proxy"])(
    "calls the agent through %s, and nothing on this machine",
    async (name) => {
      const own = await settings();
      const proxy = await startProxy(Number(new URL(emulator?.baseURL ?? "").port));
      try {
        const through = await start({ ...own, COZE_BASE_URL: "http://api.coze.cn", [name]: proxy.url });
        expect(proxy.hosts).toContain("api.coze.cn:80");
        expect(emulator?.signatures).toBe(1);
        await through.stop("SIGTERM");
        const seen = proxy.hosts.length;
        const direct = await start({ ...own, COZE_BASE_URL: emulator?.baseURL ?? "", [name]: proxy.url });
        expect(emulator?.signatures).toBe(2);
        expect(proxy.hosts).toHaveLength(seen);
        await direct.stop("SIGTERM");
      } finally {
        proxy.close();
      }
    },
  );

  it("goes past the proxy where NO_PROXY says so, and ends where its address is none", async () => {
    const own = await settings();
    const proxy = await startProxy(Number(new URL(emulator?.baseURL ?? "").port));
    try {
      const COZE_BASE_URL = "http://service.invalid";
      const program = await start({ ...own, COZE_BASE_URL, HTTP_PROXY: proxy.url, NO_PROXY: ".invalid" });
      expect(program.output()).toContain("an agent cannot be reached yet");
      expect(proxy.hosts).toEqual([]);
      await program.stop("SIGTERM");
      const wrong = await launch({ ...own, PORT: "0", HTTPS_PROXY: "my secret:proxy" });
      expect(await wrong.ended).toBe(2);
      expect(wrong.output()).toContain("HTTPS_PROXY and HTTP_PROXY must be addresses");
      expect(wrong.output()).not.toContain("my secret");
    } finally {
      proxy.close();
    }
  });
});
