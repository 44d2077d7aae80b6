import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtRoot } from "./build.ts";
import { TelegramServer } from "./fakes/telegram-server.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const ada = { id: 1, name: "ada" };
const bob = { id: 2, name: "bob" };

let emulator: CozeEmulator;
let folder: string;
let children: ChildProcess[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
  folder = await mkdtemp(join(tmpdir(), "aparte-example-"));
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  await emulator.close();
  await rm(folder, { recursive: true });
});

/** Runs an example as its README says, on the built package and the variables that it names. */
async function run(path: string, variables: Record<string, string> = {}, args: readonly string[] = []) {
  // Where the package's own name leads to the build, as it does in the repository.
  const root = await builtRoot();
  await cp(examples, join(root, "examples"), { recursive: true });
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const child = spawn(process.execPath, [join(root, "examples", path), ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      APARTE_SECRET: "a secret of the tests, long enough",
      COZE_APP_ID: appId,
      COZE_KEY_ID: keyId,
      COZE_PRIVATE_KEY: privateKey,
      COZE_BOT_ID: botId,
      COZE_BASE_URL: baseURL,
      ...variables,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

/** Waits for the line that says it is ready. */
async function ready(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("The example has no output.");
  for await (const line of createInterface(child.stdout)) if (line.startsWith("ready")) return line;
  throw new Error("The example ended before it was ready.");
}

async function terminate(child: ChildProcess): Promise<unknown> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  return (await exit)[0];
}

describe.each(["telegram-grammy/bot.mjs", "chat-sdk/bot.mjs"])("The example %s", (path) => {
  let telegram: TelegramServer;
  beforeEach(async () => {
    telegram = await TelegramServer.start();
  });
  afterEach(() => telegram.close());

  const start = async () => {
    const child = await run(path, { TELEGRAM_TOKEN: telegram.token, TELEGRAM_API_URL: telegram.url });
    await ready(child);
    return child;
  };
  const shows = (chat: number, text: string) => telegram.until(() => telegram.textIn(chat).includes(text));

  it("gives two people a conversation each, in private and in a group, also after a restart", async () => {
    const first = await start();
    telegram.say(ada, "My name is Ada Lovelace.");
    telegram.say(bob, "My name is Bob Dylan.");
    await Promise.all([shows(ada.id, "Turn 1."), shows(bob.id, "Turn 1.")]);
    telegram.say(ada, "What do you know of me?");
    await shows(ada.id, "Ada Lovelace");
    telegram.say(ada, "@helper_bot What do you know of me?", -500);
    await shows(-500, "Turn 1.");
    expect(telegram.textIn(-500)).not.toContain("Lovelace");
    expect(await terminate(first)).toBe(0);

    await start();
    telegram.say(bob, "What do you know of me?");
    await shows(bob.id, "Bob Dylan");
    expect(telegram.textIn(bob.id)).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(3);
  });
});

describe("The example telegram-grammy/bot.mjs", () => {
  it("goes on with a reply whose process was killed, in the same message, and starts over when asked to", async () => {
    const telegram = await TelegramServer.start();
    const variables = { TELEGRAM_TOKEN: telegram.token, TELEGRAM_API_URL: telegram.url };
    const first = await run("telegram-grammy/bot.mjs", variables);
    await ready(first);
    telegram.say(ada, "slow: 200 one two three four five six seven eight nine ten");
    await telegram.until(() => telegram.textIn(ada.id).includes("You said"));
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(telegram.textIn(ada.id)).not.toContain("ten");
    await ready(await run("telegram-grammy/bot.mjs", variables));
    await telegram.until(() => telegram.textIn(ada.id).includes("nine ten"));
    expect(telegram.shown).toHaveLength(1);
    expect(emulator.chats()).toHaveLength(1);
    telegram.say(ada, "/reset");
    await telegram.until(() => telegram.textIn(ada.id).includes("Let's start over."));
    await telegram.close();
  });
});

describe("The example express-app/app.mjs", () => {
  it("answers people with the app's own JWT, and callers with its key", async () => {
    const variables = {
      PORT: "0",
      APP_JWT_SECRET: "a secret of the app's own JWTs, long enough",
      APP_API_KEY: "the key",
    };
    const child = await run("express-app/app.mjs", variables);
    const url = (await ready(child)).split(" ")[1] ?? "";
    const token = (sub: string) =>
      new SignJWT()
        .setProtectedHeader({ alg: "HS256" })
        .setSubject(sub)
        .setAudience("express-app")
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(variables.APP_JWT_SECRET));
    let count = 0;
    const chat = async (user: string, text: string) => {
      count += 1;
      const response = await fetch(`${url}/chat`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          authorization: `Bearer ${await token(user)}`,
        },
        body: JSON.stringify({ id: `m${count}`, text }),
      });
      return response.text();
    };
    await chat("ada", "My name is Ada Lovelace.");
    await chat("bob", "My name is Bob Dylan.");
    expect(await chat("ada", "What do you know of me?")).toContain("Ada Lovelace");
    expect(await chat("bob", "What do you know of me?")).not.toContain("Ada");
    expect((await fetch(`${url}/chat`, { method: "POST", body: "{}" })).status).toBe(401);

    const answer = (key: string, body: object) =>
      fetch(`${url}/answer`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify(body),
      });
    const response = await answer("the key", { id: "a1", user: "u1", text: "word5" });
    expect(await response.json()).toEqual({ text: expect.stringContaining("word5") });
    expect((await answer("no key", { id: "a2", user: "u1", text: "word6" })).status).toBe(401);
    expect((await answer("the key", { id: "a3", user: "", text: "word6" })).status).toBe(400);
    expect(await terminate(child)).toBe(0);
  });
});

describe("The example coze-client/ask.mjs", () => {
  it("talks to Coze with its own client, in the person's conversation", async () => {
    const ask = async (user: string, text: string) => {
      const child = await run("coze-client/ask.mjs", {}, [user, text]);
      let output = "";
      child.stdout?.setEncoding("utf8").on("data", (part) => {
        output += part;
      });
      expect((await once(child, "exit"))[0]).toBe(0);
      return output;
    };
    await ask("ada", "My name is Ada Lovelace.");
    expect(await ask("ada", "What do you know of me?")).toContain("Ada Lovelace");
    expect(await ask("bob", "What do you know of me?")).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(2);
  });
});
