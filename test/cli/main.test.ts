import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { main } from "../../src/cli/main.ts";
import { nodeProblem } from "../../src/cli/node-version.ts";
import { slackManifestText } from "../../src/cli/slack-manifest.ts";
import { aparte, type Command, folder } from "../support/command.ts";

let emulator: CozeEmulator | undefined;

afterEach(async () => {
  vi.restoreAllMocks();
  await emulator?.close();
  emulator = undefined;
});

const secret = "a secret of the tests, long enough";
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** An agent's variables, without a secret. */
async function agent(): Promise<Record<string, string>> {
  emulator = await startCozeEmulator();
  writeFileSync(join(folder, "key.pem"), emulator.privateKey);
  return {
    PORT: "0",
    COZE_APP_ID: emulator.appId,
    COZE_KEY_ID: emulator.keyId,
    COZE_BOT_ID: emulator.botId,
    COZE_BASE_URL: emulator.baseURL,
    COZE_PRIVATE_KEY_FILE: join(folder, "key.pem"),
  };
}

async function say({ line }: Command, text: string): Promise<string> {
  const page = new URL(/^page: (\S+)$/m.exec(await line)?.[1] ?? "");
  const response = await fetch(`${page.origin}/messages?person=Ada`, {
    method: "POST",
    headers: {
      ...{ "x-aparte": "1", authorization: `Bearer ${page.searchParams.get("token")}` },
      ...{ "content-type": "application/json", accept: "application/json" },
    },
    body: JSON.stringify({ id: crypto.randomUUID(), text }),
  });
  return ((await response.json()) as { text: string }).text;
}

describe("aparte", () => {
  it("says how it is used, and which version it is, and starts nothing", async () => {
    const help = aparte(["--help"]);
    expect(await help.ended).toBe(0);
    expect(help.out()).toMatch(/^Usage: aparte \[options\] .*\n$/s);
    expect(help.out()).toContain("\n       aparte slack manifest ");
    for (const name of ["rekey", "emulator", "--port N", "--host NAME", "--store URL", "--page", "--version"])
      expect(help.out()).toContain(
        `  ${name}`.replace("  rekey", "aparte rekey").replace("  emulator", "aparte emulator"),
      );
    const told = aparte(["--version"]);
    expect([await told.ended, told.out(), told.err()]).toEqual([0, `${version}\n`, ""]);
  });

  it("says what it is and that it is ready, and ends with 0 when it is told to", async () => {
    const program = aparte([], { PORT: "0", APARTE_STORE: "memory:" });
    const address = /^page: (\S+)$/m.exec(await program.line)?.[1] ?? "";
    const { origin } = new URL(address);
    expect(program.out().split("\n")).toEqual([
      `aparte ${version} on Node ${process.versions.node}`,
      "agents: helper (a stand-in on this machine)",
      "store: memory:",
      "platforms: none",
      "scope: user",
      "reachable: from this machine: /healthz, /readyz, and the page by its token",
      `page: ${address}`,
      `aparte is ready: ${origin}`,
      "",
    ]);
    expect((await fetch(address)).status).toBe(200);
    expect(await program.stop()).toBe(0);
    await expect(fetch(address)).rejects.toThrow();
    expect(program.err()).toBe("");
  });

  it("takes an argument before a variable, and that before the file .env", async () => {
    writeFileSync(
      join(folder, ".env"),
      "APARTE_STORE=sqlite:never.db\nAPARTE_PAGE=off\nHOST=192.0.2.1\nPORT=1",
    );
    const program = aparte(["--store", "memory:", "--port=0"], {
      ...{ HOST: "127.0.0.1", APARTE_STORE: "sqlite:never.db", PORT: "http" },
    });
    expect(await program.line).toMatch(
      /^store: memory:\n(.*\n)*page: off\naparte is ready: http:\/\/127\.0\.0\.1:\d+\n$/m,
    );
  });

  it("prints the manifest of a Slack app for its variables", async () => {
    for (const env of [
      {},
      { SLACK_AGENT_VIEW: "false" },
      { SLACK_SIGNING_SECRET: "signs-requests" },
      { SLACK_SIGNING_SECRET: "signs-requests", SLACK_APP_TOKEN: "xapp-1" },
    ]) {
      const printed = aparte(["slack", "manifest"], env);
      expect([await printed.ended, printed.out()]).toEqual([0, await slackManifestText(env)]);
      const { settings, features } = JSON.parse(printed.out());
      const isHttp = "SLACK_SIGNING_SECRET" in env && !("SLACK_APP_TOKEN" in env);
      expect(settings.socket_mode_enabled).toBe(!isHttp);
      expect(settings.event_subscriptions.request_url).toBe(
        isHttp ? "https://YOUR-HOST/slack/events" : undefined,
      );
      expect("agent_view" in features).toBe(!("SLACK_AGENT_VIEW" in env));
    }
    writeFileSync(join(folder, ".env"), "SLACK_AGENT_VIEW=false\n");
    const ofFile = aparte(["slack", "manifest"]);
    expect([await ofFile.ended, ofFile.out()]).toEqual([
      ...[0, await slackManifestText({ SLACK_AGENT_VIEW: "false" })],
    ]);
    for (const args of [["slack"], ["manifest"], ["slack", "manifesto"]])
      expect(await aparte(args).ended, args.join(" ")).toBe(2);
  });

  it("ends with 2 and what is wrong, and shows no secret", async () => {
    const good = { ...(await agent()), APARTE_SECRET: secret };
    const busy = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => busy.once("listening", resolve));
    const { port } = busy.address() as { port: number };
    const noKey = join(folder, "no-key.pem");
    writeFileSync(noKey, "this is no key at all");
    const wrong: [RegExp, Record<string, string>, ...string[]][] = [
      [/^aparte: SLACK_APP_TOKEN is missing/, { SLACK_BOT_TOKEN: "xoxb-secret" }],
      [/^aparte: COZE_PRIVATE_KEY_FILE.*cannot be read/, { COZE_PRIVATE_KEY_FILE: join(folder, "nowhere") }],
      [
        /^aparte: COZE_PRIVATE_KEY or COZE_PRIVATE_KEY_FILE is no private key/,
        { COZE_PRIVATE_KEY_FILE: noKey },
      ],
      [/^aparte: COZE_BOT_ID .* does not exist .*\(code 4006\)\.\n$/, { COZE_BOT_ID: "7399999999999999999" }],
      [/coze\.com.*coze\.cn/, { COZE_KEY_ID: "a-key-of-the-other-region" }],
      [
        /PORT .* cannot be used on 127\.0\.0\.1: another program has it\. Set PORT to another/,
        { PORT: String(port) },
      ],
      [/PORT 0 cannot be used on 192\.0\.2\.1: look whether HOST/, { HOST: "192.0.2.1" }],
      [/APARTE_SECRET is missing/, { APARTE_SECRET: "" }],
      [/--prot is no option/, {}, "--prot"],
    ];
    for (const [message, settings, ...args] of wrong) {
      const { ended, out, err } = aparte(args, { ...good, ...settings });
      expect([await ended, out()], String(message)).toEqual([2, ""]);
      expect(err()).toMatch(message);
      expect(err()).toMatch(/^aparte: [^\n]*\n$/);
      expect(err()).not.toMatch(/xoxb-secret|no key at all/);
    }
    busy.close();
  });

  it("ends with 1 and a sentence where a platform cannot be reached", async () => {
    const { ended, err } = aparte([], {
      ...{ ...(await agent()), APARTE_SECRET: secret, APARTE_STORE: "memory:" },
      // Nothing listens there.
      ...{ DISCORD_TOKEN: "a.b.c", DISCORD_API_URL: "http://127.0.0.1:9" },
    });
    expect([await ended, err()]).toEqual([1, "aparte: The platform of DISCORD_TOKEN cannot be reached.\n"]);
  });

  it("ends with 1 and the code of what it did not expect", async () => {
    const told = vi.spyOn(console, "error").mockReturnValue();
    let err = "";
    const ended = main({
      ...{ args: ["--version"], env: {}, folder, stopped: async () => {} },
      out: () => {
        throw Object.assign(new Error("broken pipe"), { code: "EPIPE" });
      },
      err: (text) => {
        err += text;
      },
    });
    expect([await ended, err]).toEqual([1, ""]);
    expect(told.mock.calls).toEqual([["aparte: the program ended { error: 'Error', code: 'EPIPE' }"]]);
  });
});

describe("aparte rekey", () => {
  const old = "an-old-secret-of-the-tests-without-blanks";
  const fresh = "another secret of the tests, as long";

  it("ends a rotation of secrets, also while the program runs", async () => {
    const own = await agent();
    const before = aparte([], { ...own, APARTE_SECRET: old });
    expect(await say(before, "my name is Ada")).toContain("Ada");
    await before.stop();

    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const rotated = { ...own, APARTE_SECRET: fresh, APARTE_OTHER_SECRETS: old };
    const during = aparte([], rotated);
    await during.line;
    await expect.poll(() => warn.mock.calls.join()).toContain("sessions still need an old secret");
    const seen = warn.mock.calls.length;
    const rekey = aparte(["rekey"], rotated);
    expect(await rekey.ended, rekey.err()).toBe(0);
    expect(rekey.out()).toBe(
      "Sessions that are found without the other secrets from now on: 1\n" +
        "Sessions that are not, since their person has another one by now: 0\n" +
        "Drop APARTE_OTHER_SECRETS everywhere.\n",
    );
    expect(warn.mock.calls.slice(seen)).toEqual([]);
    await during.stop();

    const after = aparte([], { ...own, APARTE_SECRET: fresh });
    expect(await say(after, "what is my name?")).toContain("Ada");
    expect(emulator?.conversations()).toHaveLength(1);
  });

  it("opens what is encrypted in the store", async () => {
    const own = { ...(await agent()), APARTE_ENCRYPT: "on" };
    const before = aparte([], { ...own, APARTE_SECRET: old });
    await say(before, "my name is Ada");
    await before.stop();
    const rekey = aparte(["rekey"], { ...own, APARTE_SECRET: fresh, APARTE_OTHER_SECRETS: old });
    expect(await rekey.ended, rekey.err()).toBe(0);
    expect(rekey.out()).toMatch(/from now on: 1\n/);
    // It has left the store, in which nothing waits to be moved.
    expect(statSync(join(folder, ".aparte/aparte.db-wal"), { throwIfNoEntry: false })?.size ?? 0).toBe(0);
    const after = aparte([], { ...own, APARTE_SECRET: fresh });
    expect(await say(after, "what is my name?")).toContain("Ada");
  });

  it("ends with 2 where there is nothing to be rekeyed", async () => {
    const own = await agent();
    const rotated = { APARTE_SECRET: fresh, APARTE_OTHER_SECRETS: old };
    const pointless: [string, Record<string, string>, ...string[]][] = [
      [
        "APARTE_OTHER_SECRETS is missing: the secrets that are to be needed no more.",
        { ...own, APARTE_SECRET: fresh },
      ],
      ["COZE_APP_ID is missing: set the variables with which the program runs.", rotated],
      ["APARTE_STORE is missing: nothing is kept in memory.", { ...own, ...rotated }, "--store", "memory:"],
    ];
    for (const [message, settings, ...args] of pointless) {
      const { ended, out, err } = aparte(["rekey", ...args], settings);
      expect([await ended, out(), err()]).toEqual([2, "", `aparte: ${message}\n`]);
    }
  });
});

describe("The version of Node", () => {
  it.each(["20.19.0", "20.19.6", "20.20.1", "21.0.0", "22.4.1", "24.0.0", "100.0.0"])(
    "may be %s",
    (version) => {
      expect(nodeProblem(version)).toBeUndefined();
    },
  );

  it.each(["20.18.3", "20.9.0", "19.19.0", "18.20.8", "16.99.0", "8.0.0"])("may not be %s", (version) => {
    expect(nodeProblem(version)).toBe(
      `aparte needs Node 20.19 or later, and this is ${version}. See https://nodejs.org\n`,
    );
  });
});
