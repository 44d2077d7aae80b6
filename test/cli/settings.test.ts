import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readSettings } from "../../src/cli/settings.ts";

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
const slack = { SLACK_BOT_TOKEN: "xoxb-1", SLACK_APP_TOKEN: "xapp-1" };

describe("The program's settings", () => {
  it("are complete with nothing set", () => {
    expect(readSettings({})).toEqual({
      port: 3000,
      host: "127.0.0.1",
      folder: ".aparte",
      scope: "user",
      overlap: "queue",
    });
  });

  it("take bots with their agent", () => {
    const settings = readSettings({
      ...coze(),
      ...slack,
      DISCORD_TOKEN: "a.b.c",
      COZE_REGION: "com",
      PORT: "0",
    });
    expect(settings).toMatchObject({
      port: 0,
      secret: [secret],
      coze: { appId: "1", keyId: "k", botId: "7", privateKey, region: "com" },
      slack: { botToken: "xoxb-1", appToken: "xapp-1" },
      discord: { token: "a.b.c" },
    });
  });

  it("take a Sonaops agent by id or by name, and leave the profile open where it is not named", () => {
    const own = {
      SONAOPS_BASE_URL: "https://api.example.com",
      SONAOPS_API_KEY: "k",
      SONAOPS_API_SECRET: "s",
      APARTE_SECRET: secret,
    };
    const sonaops = (more: object) => readSettings({ ...own, ...more }).sonaops;
    const base = { baseURL: "https://api.example.com", apiKey: "k", apiSecret: "s" };
    expect(sonaops({ SONAOPS_AGENT_ID: "7" })).toEqual({ ...base, agentId: "7" });
    expect(sonaops({ SONAOPS_AGENT_NAME: "Ada", SONAOPS_PROFILE: "B" })).toEqual({
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
    for (const wrong of ["0", "-1", "1.5", "many"]) {
      const read = () => readSettings({ APARTE_TURNS_PER_MINUTE: wrong });
      expect(read).toThrow(expect.objectContaining({ field: "APARTE_TURNS_PER_MINUTE" }));
    }
  });

  it("take how long what is said is kept, and how", () => {
    const kept = { APARTE_FRESH_AFTER: "24h", APARTE_RETENTION: "90d", APARTE_ENCRYPT: "on" };
    expect(readSettings(kept)).toMatchObject({
      ...{ freshAfter: "24h", retention: { idle: "90d" }, encrypt: true },
    });
  });

  it("take the hosts to which links may lead", () => {
    const hosts = (text: string) => readSettings({ APARTE_LINK_HOSTS: text }).linkHosts;
    expect(hosts("docs.acme.com, *.acme.org")).toEqual(["docs.acme.com", "*.acme.org"]);
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

  it("say what is wrong with them where that may be one of several things", () => {
    const told = (environment: Record<string, string>) => expect(() => readSettings(environment));
    const secrets = { APARTE_SECRET: secret, APARTE_OTHER_SECRETS: `${secret.replaceAll(" ", "-")} short` };
    told({ APARTE_SECRET: "short" }).toThrow(/^APARTE_SECRET is .+This makes a good one: /);
    told(secrets).toThrow(/^APARTE_OTHER_SECRETS holds one that is .+This makes a good one: /);
    told({ ...coze(), COZE_PRIVATE_KEY: privateKey }).toThrow(
      "COZE_PRIVATE_KEY and COZE_PRIVATE_KEY_FILE are both set. Keep one of them.",
    );
  });

  const wrong: [string, () => Record<string, string>][] = [
    ["SLACK_APP_TOKEN", () => ({ ...coze(), SLACK_BOT_TOKEN: "xoxb-1" })],
    ["SLACK_BOT_TOKEN", () => ({ ...coze(), SLACK_APP_TOKEN: "xapp-1" })],
    ["SLACK_BOT_TOKEN", () => ({ ...coze(), ...slack, SLACK_BOT_TOKEN: "xapp-1" })],
    ["SLACK_APP_TOKEN", () => ({ ...coze(), ...slack, SLACK_APP_TOKEN: "xoxb-1" })],
    ["DISCORD_TOKEN", () => ({ ...coze(), DISCORD_TOKEN: "abc" })],
    ["COZE_APP_ID", () => ({ ...slack })],
    ["COZE_KEY_ID", () => ({ ...coze(), COZE_KEY_ID: "" })],
    ["COZE_PRIVATE_KEY_FILE", () => ({ ...coze(), COZE_PRIVATE_KEY_FILE: "" })],
    ["COZE_PRIVATE_KEY_FILE", () => ({ ...coze(), COZE_PRIVATE_KEY_FILE: join(folder, "nowhere.pem") })],
    ["COZE_PRIVATE_KEY", () => ({ ...coze(), COZE_PRIVATE_KEY: privateKey })],
    ["COZE_REGION", () => ({ ...coze(), COZE_REGION: "de" })],
    ["APARTE_SECRET", () => ({ ...coze(), APARTE_SECRET: "" })],
    ["APARTE_SECRET", () => ({ ...coze(), APARTE_SECRET: "short" })],
    ["APARTE_SECRET", () => ({ APARTE_OTHER_SECRETS: secret })],
    ["APARTE_SCOPE", () => ({ APARTE_SCOPE: "everybody" })],
    ["APARTE_OVERLAP", () => ({ APARTE_OVERLAP: "drop" })],
    ["APARTE_SCOP", () => ({ APARTE_SCOP: "user" })],
    ["APARTE_OTHER_SECRETS", () => ({ ...coze(), APARTE_OTHER_SECRETS: "short" })],
    ["COZE_APP_ID", () => ({ COZE_REGION: "com" })],
    ["COZE_APP_ID", () => ({ COZE_QPS: "5" })],
    ["SONAOPS_BASE_URL", () => ({ SONAOPS_PROFILE: "A" })],
    ["SONAOPS_BASE_URL", () => ({ SONAOPS_AGENT_NAME: "Ada" })],
    ["DIALOGFLOW_AGENT", () => ({ DIALOGFLOW_CREDENTIALS_FILE: "key.json", APARTE_SECRET: secret })],
    ["APARTE_LINK_HOSTS", () => ({ APARTE_LINK_HOSTS: "https://docs.acme.com" })],
    ["APARTE_FRESH_AFTER", () => ({ APARTE_FRESH_AFTER: "24" })],
    ["APARTE_RETENTION", () => ({ APARTE_RETENTION: "3 months" })],
    ["APARTE_ENCRYPT", () => ({ APARTE_ENCRYPT: "true" })],
    ["PORT", () => ({ PORT: "http" })],
    ["PORT", () => ({ PORT: "70000" })],
  ];
  for (const [field, environment] of wrong) {
    it(`name ${field} when it is wrong: ${Object.keys(environment()).join(", ")} set`, () => {
      const read = () => readSettings(environment());
      expect(read).toThrow(expect.objectContaining({ code: "option-invalid", field }));
      expect(read).toThrow(new RegExp(`^${field} `));
      expect(read).not.toThrow(/BEGIN|xoxb-1|xapp-1/);
    });
  }
});
