import { generateKeyPairSync } from "node:crypto";
import { type CozeOptions, coze } from "aparte/coze";
import { describe, expect, it } from "vitest";
import { readOptions } from "../../../src/backends/coze/options.ts";
import { consoleLogger } from "../../../src/logger.ts";

const pemOf = () =>
  generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
const privateKey = pemOf();
const good: CozeOptions = { appId: "1", keyId: "k", botId: "7", privateKey };
const byToken = { botId: "7", accessToken: "pat_x" };
const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [String.fromCharCode(97 + at), "v"]));

describe("coze options", () => {
  it.each<[field: string, problem: string, wrong: object]>([
    ["appID", "does not exist", { appID: "1" }],
    ["appId", "must be a string and not empty", { appId: undefined }],
    ["keyId", "must be a string and not empty", { keyId: undefined }],
    ["privateKey", "must be a string and not empty", { privateKey: undefined }],
    ["botId", "must be a string and not empty", { botId: "" }],
    ["accountId", "must be a string and not empty", { accountId: "" }],
    ["enterpriseId", "must be a string and not empty", { enterpriseId: 7 }],
    ["enterpriseId", "and accountId exclude each other", { accountId: "1", enterpriseId: "2" }],
    ["connectorId", "must be a string and not empty", { connectorId: 1024 }],
    ["audience", "must be a string and not empty", { audience: " " }],
    ["audience", 'must be a host alone, such as "api.coze.cn"', { audience: "https://api.coze.cn" }],
    ["audience", "must be a host alone", { audience: "api.coze.cn\n" }],
    ["region", 'must be "cn" or "com"', { region: "us" }],
    ["region", "and baseURL exclude each other", { region: "cn", baseURL: "https://api.coze.cn" }],
    ["baseURL", 'such as "https://api.coze.cn"', { baseURL: "api.coze.cn" }],
    ["scope", "must be an object", { scope: [] }],
    ["sessionContext", "must be an object, or a function that makes it", { sessionContext: "x" }],
    ["tokenTtlSeconds", "must be a whole number from 1 to 86399", { tokenTtlSeconds: 0 }],
    ["tokenTtlSeconds", "must be a whole number from 1 to 86399", { tokenTtlSeconds: 86_400 }],
    ["tokenTtlSeconds", "must be a whole number from 1 to 86399", { tokenTtlSeconds: 1.5 }],
    ["stream", "must be true or false", { stream: "yes" }],
    ["customVariables", "must be an object of strings", { customVariables: { a: 1 } }],
    ["customVariables", "must be an object of strings", { customVariables: ["a"] }],
    ["parameters", "must be an object, or a function that makes one of a turn", { parameters: [] }],
    ["metaData", "must be an object of strings", { metaData: { a: 1 } }],
    ["metaData", "takes at most 14 pairs", { metaData: pairs(15) }],
    ["metaData", "keys of 1 to 64", { metaData: { "": "v" } }],
    ["metaData", "keys of 1 to 64", { metaData: { ...pairs(2), ["k".repeat(65)]: "v" } }],
    ["metaData", "values of 1 to 512", { metaData: { a: "" } }],
    ["metaData", "values of 1 to 512", { metaData: { ...pairs(2), z: "v".repeat(513) } }],
    ["metaData", 'keys that begin with "aparte"', { metaData: { ...pairs(2), aparte: "mine" } }],
    ["opening", "must be a function", { opening: [] }],
    ["fetch", "must be a function", { fetch: {} }],
    ["tools", "must be an object of functions", { tools: [] }],
    ["tools", "must be an object of functions", { tools: { one: () => "", two: "no" } }],
    ["extra", "must be an object", { extra: "x" }],
    ["qps", "must be a whole number above 0", { qps: 0 }],
    ["qps", "must be a whole number above 0", { qps: 1.5 }],
    ["toolTimeout", "must be a number of milliseconds", { toolTimeout: 0 }],
    ["requestTimeout", "must be a number of milliseconds", { requestTimeout: 0 }],
    ["idleTimeout", "must be a number of milliseconds", { idleTimeout: -1 }],
    ["chatTimeout", "must be a number of milliseconds", { chatTimeout: Number.NaN }],
    ["waitTimeout", "must be a number of milliseconds", { waitTimeout: "1" }],
    ["pollInterval", "must be a number of milliseconds", { pollInterval: 0 }],
    ["retryDelay", "must be a number of milliseconds", { retryDelay: 0 }],
    ["workflow", "must be an object with an id", { workflow: "7350" }],
    ["workflow.id", "must be a string and not empty", { workflow: {} }],
    ["workflow.app", "does not exist", { workflow: { id: "7", app: "1" } }],
    ["workflow.appId", "must be a string and not empty", { workflow: { id: "7", appId: "" } }],
    ["workflow.appId", "and botId exclude each other", { workflow: { id: "7", appId: "1" } }],
    ["workflow.version", "must be a string and not empty", { workflow: { id: "7", version: "" } }],
    ["stream", "must not be false with workflow", { workflow: { id: "7" }, stream: false }],
    ["accessToken", "must be a string and not empty", { ...byToken, accessToken: " " }],
    ["accessToken", "must be of visible ASCII characters", { ...byToken, accessToken: "pat x" }],
    ...(["appId", "keyId", "privateKey", "audience", "accountId", "enterpriseId"] as const).map(
      (name): [string, string, object] => [
        "accessToken",
        `and ${name} exclude each other`,
        { ...byToken, [name]: "1" },
      ],
    ),
    ["accessToken", "and scope exclude each other", { ...byToken, scope: {} }],
    ["accessToken", "and sessionContext exclude each other", { ...byToken, sessionContext: {} }],
  ])("name a wrong %s: %s", (field, problem, wrong) => {
    const options = "accessToken" in wrong ? wrong : { ...good, ...wrong };
    const message = expect.stringMatching(new RegExp(`^Option "${field}" .*${problem}`));
    expect(() => coze(options as CozeOptions)).toThrow(
      expect.objectContaining({ code: "option-invalid", field, message }),
    );
  });

  it("are all taken, each at its limit", () => {
    const all: Omit<Required<CozeOptions>, "accessToken" | "region" | "enterpriseId"> = {
      appId: "1",
      keyId: "k",
      privateKey,
      botId: "7",
      workflow: { id: "7", version: "v0.0.5" },
      baseURL: "https://gateway.example/coze/",
      audience: "api.coze.cn",
      accountId: "42/1",
      scope: {},
      sessionContext: {},
      connectorId: "1024",
      tokenTtlSeconds: 86_399,
      stream: true,
      customVariables: { who: "me" },
      opening: () => undefined,
      parameters: {},
      tools: { one: () => "" },
      toolTimeout: 1,
      extra: {},
      logger: consoleLogger,
      metaData: { ...pairs(13), ["k".repeat(64)]: "v".repeat(512) },
      requestTimeout: 2,
      idleTimeout: 3,
      chatTimeout: 4,
      waitTimeout: 5,
      pollInterval: 6,
      retryDelay: 7,
      qps: 1,
      fetch: globalThis.fetch,
    };
    const { appId: _, keyId: __, privateKey: ___, accountId: ____, ...kept } = all;
    expect(readOptions(all)).toMatchObject({
      ...kept,
      baseURL: "https://gateway.example/coze",
      tokenPath: "/api/permission/oauth2/account/42%2F1/token",
      credentials: { appId: "1", keyId: "k" },
    });
    expect(readOptions({ ...good, enterpriseId: "a b", tokenTtlSeconds: 1, region: "com" })).toMatchObject({
      tokenPath: "/api/permission/oauth2/enterprise_id/a%20b/token",
      baseURL: "https://api.coze.com",
      audience: "api.coze.com",
    });
    expect(readOptions({ ...byToken, accessToken: '"!~"' }).credentials).toBe("!~");
  });

  it("take the app's id and its key as people paste them", () => {
    const asPasted = {
      appId: ' "1"\n',
      keyId: "'k'",
      privateKey: `\uFEFF"${privateKey.replaceAll("\n", "\\n")}"`,
    };
    const { credentials, issuer } = readOptions({ ...good, ...asPasted });
    expect(credentials).toMatchObject({ appId: "1", keyId: "k" });
    expect(issuer).toBe(readOptions(good).issuer);
  });

  it("have the defaults that their documentation names", () => {
    expect(readOptions(good)).toMatchObject({
      baseURL: "https://api.coze.cn",
      audience: "api.coze.cn",
      tokenPath: "/api/permission/oauth2/token",
      connectorId: undefined,
      tokenTtlSeconds: 3600,
      stream: true,
      tools: {},
      toolTimeout: 60_000,
      logger: consoleLogger,
      requestTimeout: 30_000,
      idleTimeout: 120_000,
      chatTimeout: 600_000,
      waitTimeout: 60_000,
      pollInterval: 1000,
      retryDelay: 500,
      qps: undefined,
    });
  });

  it("say nothing of a key or a token where it is wrong", () => {
    for (const wrong of [
      { ...byToken, accessToken: "pat_secret 1" },
      { ...good, privateKey: "secret" },
    ]) {
      expect(() => coze(wrong)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("secret") }),
      );
    }
  });

  it("tell two issuers of tokens apart by all that makes their tokens differ", () => {
    const differing: Partial<CozeOptions>[] = [
      {},
      { baseURL: "https://gateway.example", audience: "api.coze.cn" },
      { audience: "gateway.example" },
      { accountId: "1" },
      { enterpriseId: "1" },
      { appId: "2" },
      { keyId: "l" },
      { privateKey: pemOf() },
      { scope: { a: 1 } },
      { sessionContext: { device_info: { device_id: "1" } } },
      { tokenTtlSeconds: 60 },
    ];
    const issuers = differing.map((each) => readOptions({ ...good, ...each }).issuer);
    issuers.push(readOptions(byToken).issuer, readOptions({ ...byToken, accessToken: "pat_y" }).issuer);
    expect(new Set(issuers).size).toBe(issuers.length);
    // Nothing of a secret can be read off it, and what does not change a token does not change it.
    for (const issuer of issuers) expect(issuer).toMatch(/^[\w-]{22}$/);
    const same = readOptions({ ...good, botId: "8", stream: false, sessionContext: () => undefined });
    expect(same.issuer).toBe(issuers[0]);
  });
});
