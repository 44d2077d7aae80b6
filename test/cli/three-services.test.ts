import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCozeEmulator, startDialogflowCxEmulator, startSonaopsEmulator } from "aparte/testing";
import { afterEach, expect, it } from "vitest";
import { startProgram } from "../../src/cli/program.ts";
import { readSettings } from "../../src/cli/settings.ts";

const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

it("One program serves agents of three services; people switch, and keep a conversation with each", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aparte-three-"));
  const [coze, sonaops, dialogflow] = await Promise.all([
    startCozeEmulator(),
    // The program is not told how requests are signed.
    startSonaopsEmulator({ profile: "A" }),
    startDialogflowCxEmulator(),
  ]);
  endings.push(() => rmSync(folder, { recursive: true }));
  endings.push(...[coze, sonaops, dialogflow].map((emulator) => () => emulator.close()));
  const program = await startProgram(
    readSettings({
      PORT: "0",
      APARTE_SECRET: "a secret of the tests, long enough",
      APARTE_STORE: `sqlite:${join(folder, "aparte.db")}`,
      COZE_APP_ID: coze.appId,
      COZE_KEY_ID: coze.keyId,
      COZE_BOT_ID: coze.botId,
      COZE_BASE_URL: coze.baseURL,
      COZE_PRIVATE_KEY: coze.privateKey,
      SONAOPS_BASE_URL: sonaops.baseURL,
      SONAOPS_API_KEY: sonaops.apiKey,
      SONAOPS_API_SECRET: sonaops.apiSecret,
      SONAOPS_AGENT_NAME: `Agent ${sonaops.agentId}`,
      DIALOGFLOW_AGENT: dialogflow.agent,
      DIALOGFLOW_BASE_URL: dialogflow.baseURL,
      DIALOGFLOW_CREDENTIALS_FILE: await dialogflow.writeCredentials(join(folder, "credentials.json")),
    }),
  );
  endings.push(() => program.close());
  expect(program.facts).toContain("agents: helper (coze), sonaops (sonaops), dialogflow (dialogflow-cx)");

  const authorization = `Bearer ${new URL(program.pageUrl ?? "").searchParams.get("token")}`;
  let count = 0;
  const call = (path: string, init: RequestInit = {}) =>
    fetch(program.url + path, {
      ...init,
      headers: {
        "x-aparte": "1",
        accept: "application/json",
        "content-type": "application/json",
        authorization,
      },
    });
  const say = async (person: string, text: string) => {
    count += 1;
    const body = JSON.stringify({ id: String(count), text });
    const response = await call(`/messages?person=${person}`, { method: "POST", body });
    return ((await response.json()) as { text: string }).text;
  };

  const { agents } = (await (await call("/people")).json()) as { agents: string[] };
  expect(agents).toEqual(["helper", "sonaops", "dialogflow"]);
  expect(await say("Ada", "!use nobody")).toContain("helper, sonaops, dialogflow");
  // Each agent is told another name: none may know what another one was told.
  const names = { helper: "Ada", sonaops: "Bea", dialogflow: "Cleo" };
  for (const [agent, name] of Object.entries(names)) {
    expect((await call(`/select?person=Ada&agent=${agent}`, { method: "POST" })).ok).toBe(true);
    await say("Ada", `my name is ${name}`);
  }
  for (const [agent, name] of Object.entries(names)) {
    expect(await say("Ada", `!use ${agent}`)).toContain(agent);
    const answer = await say("Ada", "what is my name?");
    expect(answer).toContain(name);
    for (const other of Object.values(names)) if (other !== name) expect(answer).not.toContain(other);
    // Ben has told nobody his name.
    await say("Ben", `!use ${agent}`);
    expect(await say("Ben", "what is my name?")).not.toMatch(/Ada|Bea|Cleo/);
  }
});

const services = {
  ...{ PORT: "0", APARTE_SECRET: "a secret of the tests, long enough", APARTE_STORE: "memory:" },
  ...{ COZE_APP_ID: "1", COZE_KEY_ID: "k", COZE_BOT_ID: "1", COZE_PRIVATE_KEY: "no key" },
  ...{ SONAOPS_BASE_URL: "sonaops.example", SONAOPS_API_KEY: "k", SONAOPS_API_SECRET: "s" },
  ...{ SONAOPS_AGENT_ID: "1", DIALOGFLOW_AGENT: "my agent" },
};

it.each([
  ["COZE_BASE_URL", { COZE_BASE_URL: "coze.example" }, /^COZE_BASE_URL must be an http or https address /],
  ["COZE_PRIVATE_KEY or COZE_PRIVATE_KEY_FILE", {}, / is no private key: /],
  [
    "SONAOPS_BASE_URL",
    { COZE_APP_ID: "", COZE_KEY_ID: "", COZE_BOT_ID: "", COZE_PRIVATE_KEY: "" },
    /^SONAOPS_BASE_URL must /,
  ],
])(
  "A wrong value is told by its variable, since two services have a base URL: %s",
  async (field, variables, message) => {
    await expect(startProgram(readSettings({ ...services, ...variables }))).rejects.toMatchObject({
      ...{ code: "option-invalid", field, message: expect.stringMatching(message) },
    });
  },
);
