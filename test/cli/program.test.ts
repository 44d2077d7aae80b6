import { writeFileSync } from "node:fs";
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
});
