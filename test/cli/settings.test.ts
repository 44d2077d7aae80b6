import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readSettings } from "../../src/cli/settings.ts";
import { secretCommand } from "../../src/speaker/secret.ts";

const folder = mkdtempSync(join(tmpdir(), "aparte-settings-"));
const keyFile = join(folder, "key.pem");
const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});

writeFileSync(keyFile, privateKey);

afterAll(() => rmSync(folder, { recursive: true }));

const secret = "a secret of the tests, long enough";
const coze = () => ({
  COZE_APP_ID: "1",
  COZE_KEY_ID: "k",
  COZE_BOT_ID: "7",
  COZE_PRIVATE_KEY_FILE: keyFile,
  APARTE_SECRET: secret,
});
const sonaops = {
  ...{ SONAOPS_BASE_URL: "https://api.example.com", SONAOPS_API_KEY: "k", SONAOPS_API_SECRET: "s" },
  ...{ SONAOPS_AGENT_ID: "7", APARTE_SECRET: secret },
};
const slack = { SLACK_BOT_TOKEN: "xoxb-1", SLACK_APP_TOKEN: "xapp-1" };

describe("The program's settings", () => {
  it("are complete with nothing set", () => {
    expect(readSettings({})).toStrictEqual({
      port: 3000,
      host: "127.0.0.1",
      folder: ".aparte",
      scope: "user",
      overlap: "queue",
    });
  });

  it("take bots with their agent, and all that may be said of them", () => {
    const settings = readSettings({
      ...coze(),
      ...slack,
      ...{ PORT: " 0 ", HOST: "0.0.0.0", APARTE_STORE: "memory:", APARTE_FOLDER: "state" },
      ...{ APARTE_SCOPE: "thread", APARTE_OVERLAP: "merge", APARTE_PAGE: "off" },
      ...{ COZE_REGION: "com", COZE_BASE_URL: "https://coze.example", COZE_ACCOUNT_ID: "a", COZE_QPS: "5" },
      ...{ COZE_ENTERPRISE_ID: "e", COZE_CONNECTOR_ID: "c", APARTE_ENCRYPT: "off" },
      ...{ SLACK_AGENT_VIEW: "false", SLACK_PORT: "65535", SLACK_API_URL: "https://slack.example/" },
      ...{
        SLACK_SIGNING_SECRET: "signs",
        DISCORD_TOKEN: "a.b.c",
        DISCORD_API_URL: "https://discord.example",
      },
    });
    expect(settings).toStrictEqual({
      ...{ port: 0, host: "0.0.0.0", store: "memory:", folder: "state", page: false },
      ...{ scope: "thread", overlap: "merge", secret: [secret] },
      coze: {
        ...{ appId: "1", keyId: "k", botId: "7", privateKey, region: "com", baseURL: "https://coze.example" },
        ...{ accountId: "a", enterpriseId: "e", connectorId: "c", qps: 5 },
      },
      slack: {
        ...{ botToken: "xoxb-1", appToken: "xapp-1", signingSecret: "signs", agentView: false, port: 65_535 },
        apiUrl: "https://slack.example/",
      },
      discord: { token: "a.b.c", apiUrl: "https://discord.example" },
    });
  });

  it("leave out what is not said, or said with blanks alone", () => {
    const settings = readSettings({ ...coze(), ...slack, DISCORD_TOKEN: "a.b.c", COZE_QPS: " ", HOST: "" });
    expect(settings).toStrictEqual({
      ...{
        port: 3000,
        host: "127.0.0.1",
        folder: ".aparte",
        scope: "user",
        overlap: "queue",
        secret: [secret],
      },
      coze: { appId: "1", keyId: "k", botId: "7", privateKey },
      slack: { botToken: "xoxb-1", appToken: "xapp-1", agentView: true, port: 3001 },
      discord: { token: "a.b.c" },
    });
    expect(
      readSettings({ ...coze(), SLACK_BOT_TOKEN: "xoxb-1", SLACK_SIGNING_SECRET: "signs" }).slack,
    ).toEqual({
      ...{ botToken: "xoxb-1", signingSecret: "signs", agentView: true, port: 3001 },
    });
    const { COZE_PRIVATE_KEY_FILE: _, ...others } = coze();
    expect(readSettings({ ...others, COZE_PRIVATE_KEY: "a key" }).coze).toMatchObject({
      privateKey: "a key",
    });
    expect(readSettings({ APARTE_PAGE: "on" })).toHaveProperty("page", true);
    expect(readSettings({ APARTE_PAGE: "auto" })).not.toHaveProperty("page");
  });

  it("take an agent on Dialogflow CX", () => {
    const agent = "projects/p/locations/l/agents/a";
    const read = (more: object) => readSettings({ DIALOGFLOW_AGENT: agent, APARTE_SECRET: secret, ...more });
    expect(read({}).dialogflow).toEqual({ agent });
    const all = {
      ...{ DIALOGFLOW_BASE_URL: "https://df.example", DIALOGFLOW_ENVIRONMENT: "test" },
      ...{ DIALOGFLOW_LANGUAGE: "de", DIALOGFLOW_CREDENTIALS_FILE: "key.json" },
    };
    expect(read(all).dialogflow).toEqual({
      ...{
        agent,
        baseURL: "https://df.example",
        environment: "test",
        languageCode: "de",
        credentials: "key.json",
      },
    });
    // A bot may have any of the agents.
    expect(read({ DISCORD_TOKEN: "a.b.c" }).discord).toEqual({ token: "a.b.c" });
    expect(readSettings({ ...sonaops, DISCORD_TOKEN: "a.b.c" }).discord).toEqual({ token: "a.b.c" });
  });

  it("take a Sonaops agent by id or by name, and leave the profile open where it is not named", () => {
    const { SONAOPS_AGENT_ID: _, ...own } = sonaops;
    const read = (more: object) => readSettings({ ...own, ...more }).sonaops;
    const base = { baseURL: "https://api.example.com", apiKey: "k", apiSecret: "s" };
    expect(read({ SONAOPS_AGENT_ID: "7" })).toEqual({ ...base, agentId: "7" });
    expect(read({ SONAOPS_AGENT_ID: "7", SONAOPS_PROFILE: "A" })).toEqual({
      ...base,
      agentId: "7",
      profile: "A",
    });
    expect(read({ SONAOPS_AGENT_NAME: "Ada", SONAOPS_PROFILE: "B" })).toEqual({
      ...base,
      agentName: "Ada",
      profile: "B",
    });
  });

  it("take limits", () => {
    const limits = { APARTE_TURNS_PER_MINUTE: "20", APARTE_TENANT_TURNS_PER_MINUTE: "500", COZE_QPS: "100" };
    expect(readSettings({ ...coze(), ...limits })).toMatchObject({
      limits: { person: 20, tenant: 500 },
      coze: { qps: 100 },
    });
    expect(readSettings({ APARTE_TENANT_TURNS_PER_MINUTE: "123456789" }).limits).toEqual({
      tenant: 123_456_789,
    });
  });

  it("take how long what is said is kept, and how", () => {
    const kept = { APARTE_FRESH_AFTER: "24h", APARTE_RETENTION: "90d", APARTE_ENCRYPT: "on" };
    expect(readSettings(kept)).toMatchObject({
      ...{ freshAfter: "24h", retention: { idle: "90d" }, encrypt: true },
    });
    for (const span of ["1s", "30m", "123456789d"])
      expect(readSettings({ APARTE_FRESH_AFTER: span })).toMatchObject({ freshAfter: span });
  });

  it("take the hosts to which links may lead", () => {
    const hosts = (text: string) => readSettings({ APARTE_LINK_HOSTS: text }).linkHosts;
    expect(hosts("docs.acme.com, *.acme.org")).toEqual(["docs.acme.com", "*.acme.org"]);
    expect(hosts(" docs.acme.com,,*.acme.org, ")).toEqual(["docs.acme.com", "*.acme.org"]);
    expect(hosts("none")).toEqual([]);
    expect(hosts("")).toBeUndefined();
  });

  it("take a list of secrets, for rotation", () => {
    const environment = {
      APARTE_SECRET: secret,
      APARTE_OTHER_SECRETS: "an-older-secret-of-ours and-one-still-older",
    };
    expect(readSettings(environment).secret).toEqual([
      secret,
      "an-older-secret-of-ours",
      "and-one-still-older",
    ]);
  });

  const wrong: [message: string, environment: () => Record<string, string>][] = [
    [
      "SLACK_APP_TOKEN is missing (xapp-…, for Socket Mode); or set SLACK_SIGNING_SECRET for HTTP.",
      () => ({ ...coze(), SLACK_BOT_TOKEN: "xoxb-1" }),
    ],
    ...["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"].map((name): (typeof wrong)[number] => [
      "SLACK_BOT_TOKEN is missing (xoxb-…): SLACK_APP_TOKEN and SLACK_SIGNING_SECRET need it.",
      () => ({ ...coze(), [name]: "xapp-1" }),
    ]),
    [
      'SLACK_BOT_TOKEN is no bot token: those start with "xoxb-".',
      () => ({ ...coze(), ...slack, SLACK_BOT_TOKEN: "xapp-1" }),
    ],
    [
      'SLACK_APP_TOKEN is no app-level token: those start with "xapp-".',
      () => ({ ...coze(), ...slack, SLACK_APP_TOKEN: "xoxb-1" }),
    ],
    [
      "SLACK_AGENT_VIEW must be one of: true, false.",
      () => ({ ...coze(), ...slack, SLACK_AGENT_VIEW: "no" }),
    ],
    [
      "SLACK_PORT must be a number from 0 to 65535 (0 takes a free port).",
      () => ({ ...coze(), ...slack, SLACK_PORT: "x" }),
    ],
    ...["abc", "a.b", "a.b.c.d"].map((token): (typeof wrong)[number] => [
      "DISCORD_TOKEN is no bot token: those have three parts with dots between them.",
      () => ({ ...coze(), DISCORD_TOKEN: token }),
    ]),
    ...[slack, { DISCORD_TOKEN: "a.b.c" }].map((bot): (typeof wrong)[number] => [
      "COZE_APP_ID is missing: a Slack or Discord bot needs an agent. Set the COZE_, SONAOPS_ or DIALOGFLOW_ variables.",
      () => bot,
    ]),
    ...[slack, { DISCORD_TOKEN: "a.b.c" }].map((bot): (typeof wrong)[number] => [
      "APARTE_PAGE does not go with a bot: the page lets everybody on it speak as everybody.",
      () => ({ ...coze(), ...bot, APARTE_PAGE: "on" }),
    ]),
    ["APARTE_PAGE must be one of: auto, on, off.", () => ({ APARTE_PAGE: "yes" })],
    ...["COZE_APP_ID", "COZE_KEY_ID", "COZE_BOT_ID"].map((name): (typeof wrong)[number] => [
      `${name} is missing: an agent on Coze needs COZE_APP_ID, COZE_KEY_ID, COZE_BOT_ID and COZE_PRIVATE_KEY_FILE together.`,
      () => ({ ...coze(), [name]: "" }),
    ]),
    ...[
      ...["COZE_PRIVATE_KEY_FILE", "COZE_PRIVATE_KEY", "COZE_REGION", "COZE_BASE_URL", "COZE_ACCOUNT_ID"],
      ...["COZE_ENTERPRISE_ID", "COZE_CONNECTOR_ID", "COZE_QPS"],
    ].map((name): (typeof wrong)[number] => [
      "COZE_APP_ID is missing: an agent on Coze needs COZE_APP_ID, COZE_KEY_ID, COZE_BOT_ID and COZE_PRIVATE_KEY_FILE together.",
      () => ({ [name]: "1" }),
    ]),
    [
      "COZE_PRIVATE_KEY_FILE is missing: the file with the OAuth app's private key (PEM).",
      () => ({ ...coze(), COZE_PRIVATE_KEY_FILE: "" }),
    ],
    [
      `COZE_PRIVATE_KEY_FILE names a file that cannot be read (ENOENT): ${join(folder, "nowhere.pem")}`,
      () => ({ ...coze(), COZE_PRIVATE_KEY_FILE: join(folder, "nowhere.pem") }),
    ],
    [
      "COZE_PRIVATE_KEY and COZE_PRIVATE_KEY_FILE are both set. Keep one of them.",
      () => ({ ...coze(), COZE_PRIVATE_KEY: privateKey }),
    ],
    ['COZE_REGION must be "cn" (coze.cn) or "com" (coze.com).', () => ({ ...coze(), COZE_REGION: "de" })],
    ["COZE_QPS must be a whole number above 0.", () => ({ ...coze(), COZE_QPS: "0" })],
    ...[coze, () => ({ APARTE_OTHER_SECRETS: secret })].map((some): (typeof wrong)[number] => [
      `APARTE_SECRET is missing. Set it to a random text, and never change it: it keys all sessions. This makes one: ${secretCommand}`,
      () => ({ ...some(), APARTE_SECRET: "" }),
    ]),
    [
      `APARTE_SECRET is too short: at least 16 characters. This makes a good one: ${secretCommand}`,
      () => ({ ...coze(), APARTE_SECRET: "short" }),
    ],
    ...["short", "an-older-secret-of-ours  short"].map((others): (typeof wrong)[number] => [
      `APARTE_OTHER_SECRETS holds one that is too short: at least 16 characters. This makes a good one: ${secretCommand}`,
      () => ({ ...coze(), APARTE_OTHER_SECRETS: others }),
    ]),
    [
      "APARTE_SCOPE must be one of: user, user-in-channel, user-in-thread, channel, thread.",
      () => ({ APARTE_SCOPE: "everybody" }),
    ],
    ["APARTE_OVERLAP must be one of: queue, merge, interrupt, reject.", () => ({ APARTE_OVERLAP: "drop" })],
    ["APARTE_ENCRYPT must be one of: off, on.", () => ({ APARTE_ENCRYPT: "true" })],
    ["APARTE_SCOP does not exist. Did you mean APARTE_SCOPE?", () => ({ APARTE_SCOP: "user" })],
    ...["SONAOPS_BASE_URL", "SONAOPS_API_KEY", "SONAOPS_API_SECRET", "SONAOPS_AGENT_ID"].map(
      (name): (typeof wrong)[number] => [
        `${name} is missing: an agent on Sonaops needs SONAOPS_BASE_URL, SONAOPS_API_KEY, SONAOPS_API_SECRET, SONAOPS_AGENT_ID.`,
        () => ({ ...sonaops, [name]: "" }),
      ],
    ),
    [
      "SONAOPS_BASE_URL is missing: an agent on Sonaops needs SONAOPS_BASE_URL, SONAOPS_API_KEY, SONAOPS_API_SECRET, SONAOPS_AGENT_NAME.",
      () => ({ SONAOPS_AGENT_NAME: "Ada" }),
    ],
    ...["SONAOPS_API_KEY", "SONAOPS_API_SECRET", "SONAOPS_AGENT_ID", "SONAOPS_PROFILE"].map(
      (name): (typeof wrong)[number] => [
        "SONAOPS_BASE_URL is missing: an agent on Sonaops needs SONAOPS_BASE_URL, SONAOPS_API_KEY, SONAOPS_API_SECRET, SONAOPS_AGENT_ID.",
        () => ({ [name]: "A" }),
      ],
    ),
    ["SONAOPS_PROFILE must be one of: A, B.", () => ({ ...sonaops, SONAOPS_PROFILE: "C" })],
    ...[
      "DIALOGFLOW_CREDENTIALS_FILE",
      "DIALOGFLOW_ENVIRONMENT",
      "DIALOGFLOW_LANGUAGE",
      "DIALOGFLOW_BASE_URL",
    ].map((name): (typeof wrong)[number] => [
      "DIALOGFLOW_AGENT is missing: the agent's resource name (projects/…/locations/…/agents/…).",
      () => ({ [name]: "x", APARTE_SECRET: secret }),
    ]),
    ...["https://docs.acme.com", "docs.acme.com http:"].map((hosts): (typeof wrong)[number] => [
      'APARTE_LINK_HOSTS must be hosts with blanks between them, e.g. "docs.example.com *.example.org", or "none".',
      () => ({ APARTE_LINK_HOSTS: hosts }),
    ]),
    ...["24", "0h", "24h.", "x24h", "1.5h", "24 h", "3 months", "1234567890s"].map(
      (span): (typeof wrong)[number] => [
        'APARTE_FRESH_AFTER must be a span of time such as "90d", "24h", "30m" or "10s".',
        () => ({ APARTE_FRESH_AFTER: span }),
      ],
    ),
    [
      'APARTE_RETENTION must be a span of time such as "90d", "24h", "30m" or "10s".',
      () => ({ APARTE_RETENTION: "3 months" }),
    ],
    ...["0", "-1", "1.5", "many", "x1", "1x", "1234567890"].map((count): (typeof wrong)[number] => [
      "APARTE_TURNS_PER_MINUTE must be a whole number above 0.",
      () => ({ APARTE_TURNS_PER_MINUTE: count }),
    ]),
    ...["http", "65536", "x1", "1x", "-1"].map((port): (typeof wrong)[number] => [
      "PORT must be a number from 0 to 65535 (0 takes a free port).",
      () => ({ PORT: port }),
    ]),
  ];
  it.each(wrong)("say so when they are wrong: %s", (message, environment) => {
    const read = () => readSettings(environment());
    const field = message.split(" ", 1)[0];
    expect(read).toThrow(expect.objectContaining({ code: "option-invalid", field, message }));
  });
});
