import { generateKeyPairSync } from "node:crypto";
import { AparteError } from "aparte";
import { describe, expect, it } from "vitest";
import { backendsOf } from "../../src/cli/agents.ts";
import { readSettings } from "../../src/cli/settings.ts";
import { rethrowOf } from "../../src/cli/variables.ts";

const privateKey = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const credentials = JSON.stringify({
  ...{ type: "service_account", client_email: "bot@p.iam.gserviceaccount.com", private_key: privateKey },
});
const agent = "projects/p/locations/global/agents/0f9b2c64-93ae-4b9f-a1e5-2b8c8f6f1a11";

/** Right options of each service. */
const right = {
  coze: { appId: "1", keyId: "k", botId: "2", privateKey, baseURL: "https://api.coze.com" },
  sonaops: { baseURL: "https://s.example", apiKey: "k", apiSecret: "s", agentId: "1" },
  dialogflow: { agent, credentials },
};

describe("The program's agents", () => {
  it("are made of right options", async () => {
    const backends = await backendsOf({ ...readSettings({}), ...right } as never);
    expect(Object.keys(backends)).toEqual(["helper", "sonaops", "dialogflow"]);
  });

  it.each([
    ["coze", "appId", "COZE_APP_ID"],
    ["coze", "keyId", "COZE_KEY_ID"],
    ["coze", "botId", "COZE_BOT_ID"],
    ["coze", "baseURL", "COZE_BASE_URL"],
    ["coze", "privateKey", "COZE_PRIVATE_KEY or COZE_PRIVATE_KEY_FILE"],
    ["coze", "accountId", "COZE_ACCOUNT_ID"],
    ["coze", "enterpriseId", "COZE_ENTERPRISE_ID"],
    ["coze", "connectorId", "COZE_CONNECTOR_ID"],
    ["sonaops", "baseURL", "SONAOPS_BASE_URL"],
    ["sonaops", "apiKey", "SONAOPS_API_KEY"],
    ["sonaops", "apiSecret", "SONAOPS_API_SECRET"],
    ["sonaops", "agentId", "SONAOPS_AGENT_ID"],
    ["sonaops", "agentName", "SONAOPS_AGENT_NAME"],
    ["dialogflow", "agent", "DIALOGFLOW_AGENT"],
    ["dialogflow", "baseURL", "DIALOGFLOW_BASE_URL"],
    ["dialogflow", "environment", "DIALOGFLOW_ENVIRONMENT"],
    ["dialogflow", "languageCode", "DIALOGFLOW_LANGUAGE"],
    ["dialogflow", "credentials", "DIALOGFLOW_CREDENTIALS_FILE"],
  ] as const)("tell %s' wrong %s by its variable: %s", async (service, option, variable) => {
    const wrong = { ...right[service], [option]: "" };
    const making = backendsOf({ ...readSettings({}), [service]: wrong } as never);
    await expect(making).rejects.toMatchObject({
      code: "option-invalid",
      field: variable,
      message: expect.stringMatching(new RegExp(`^${variable} (?!.*Option)`)),
    });
  });

  it("pass on what no variable has set, and what is no wrong option", () => {
    for (const error of [
      new AparteError("option-invalid", 'Option "other" must be set.', { field: "other" }),
      new AparteError("backend-auth", "The key is refused.", { field: "apiKey" }),
      new TypeError("fetch failed"),
    ]) {
      expect(() => rethrowOf({ apiKey: "SONAOPS_API_KEY" })(error)).toThrow(error);
    }
  });
});
