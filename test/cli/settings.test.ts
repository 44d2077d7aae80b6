import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSettings } from "../../src/cli/settings.ts";

let folder: string;
let keyFile: string;
const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aparte-settings-"));
  keyFile = join(folder, "key.pem");
  await writeFile(keyFile, privateKey);
});

afterAll(() => rm(folder, { recursive: true }));

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
      store: "sqlite:.aparte/aparte.db",
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

  it("take a list of secrets, for rotation", () => {
    expect(readSettings({ APARTE_SECRET: `${secret},${secret}2` }).secret).toEqual([secret, `${secret}2`]);
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
    ["APARTE_SCOPE", () => ({ APARTE_SCOPE: "everybody" })],
    ["APARTE_OVERLAP", () => ({ APARTE_OVERLAP: "drop" })],
    ["PORT", () => ({ PORT: "http" })],
    ["PORT", () => ({ PORT: "70000" })],
  ];
  for (const [field, environment] of wrong) {
    it(`name ${field} when it is wrong: ${Object.keys(environment()).join(", ")}`, () => {
      const read = () => readSettings(environment());
      expect(read).toThrow(expect.objectContaining({ code: "option-invalid", field }));
      expect(read).toThrow(new RegExp(`^${field} `));
      expect(read).not.toThrow(/BEGIN|xoxb-1|xapp-1/);
    });
  }
});
