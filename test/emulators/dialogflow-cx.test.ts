import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { SessionsClient } from "@google-cloud/dialogflow-cx";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type DialogflowCxEmulator,
  type DialogflowCxEmulatorOptions,
  startDialogflowCxEmulator,
} from "../../src/emulators/dialogflow-cx/index.ts";

const privateKey = newKey();
const open: DialogflowCxEmulator[] = [];

function newKey(): string {
  return generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}

async function start(options: DialogflowCxEmulatorOptions = {}): Promise<DialogflowCxEmulator> {
  const emulator = await startDialogflowCxEmulator({ privateKey, ...options });
  open.push(emulator);
  return emulator;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((emulator) => emulator.close()));
});

/** A request as anybody could write it. */
async function post(
  emulator: DialogflowCxEmulator,
  path: string,
  body: unknown,
  headers: Record<string, string> = { authorization: `Bearer ${emulator.accessToken()}` },
): Promise<{ status: number; body: unknown; error: { status?: string; message?: string } }> {
  const response = await fetch(`${emulator.baseURL}/v3/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const json = (await response.json()) as { error?: { status?: string; message?: string } };
  return { status: response.status, body: json, error: json.error ?? {} };
}

const say = (text: string, queryParams: object = {}): object => ({
  queryInput: { text: { text }, languageCode: "en" },
  queryParams,
});

describe("the Dialogflow CX emulator, judged by Google's client over REST", () => {
  let emulator: DialogflowCxEmulator;
  let client: SessionsClient;

  beforeAll(async () => {
    emulator = await startDialogflowCxEmulator({ privateKey });
    const { hostname, port } = new URL(emulator.baseURL);
    client = new SessionsClient({
      apiEndpoint: hostname,
      port: Number(port),
      protocol: "http",
      fallback: true,
      projectId: emulator.credentials.project_id,
      credentials: emulator.credentials,
    });
  });

  afterAll(async () => {
    await client.close();
    await emulator.close();
  });

  const session = (id: string, environment?: string): string =>
    `${emulator.agent}${environment === undefined ? "" : `/environments/${environment}`}/sessions/${id}`;
  const ask = async (id: string, text: string, queryParams = {}) => {
    const queryInput = { text: { text }, languageCode: "en" };
    const [response] = await client.detectIntent({ session: session(id), queryInput, queryParams });
    const messages = response.queryResult?.responseMessages ?? [];
    return { response, texts: messages.flatMap((message) => message.text?.text ?? []) };
  };

  it("knows each session's name and no other one's", async () => {
    await ask("ada", "my name is Ada");
    await ask("bob", "my name is Bob");
    expect((await ask("ada", "what is my name?")).texts).toEqual(["Turn 2. Your name is Ada."]);
    expect((await ask("bob", "what is my name?")).texts).toEqual(["Turn 2. Your name is Bob."]);
    expect((await ask("eve", "what is my name?")).texts).toEqual(["Turn 1. You have not told me your name."]);
  });

  it("answers in the enums, structs and names that the client reads", async () => {
    const { response } = await ask("enums", "my name is Ada", { sessionTtl: { seconds: 86_400 } });
    expect(response.responseType).toBe("FINAL");
    expect(response.queryResult?.match?.matchType).toBe("INTENT");
    expect(response.queryResult?.currentPage?.displayName).toBe("Start Page");
    expect(response.queryResult?.parameters?.fields).toMatchObject({ name: { stringValue: "Ada" } });
  });

  it("goes through its flow page by page and takes page and parameters from outside", async () => {
    await ask("flow", "I want a pizza");
    const { response } = await ask("flow", "large");
    expect(response.queryResult?.currentPage?.displayName).toBe("Topping");
    const { name } = response.queryResult?.currentPage ?? {};
    const revived = await ask("elsewhere", "mushrooms", {
      currentPage: name,
      parameters: { fields: { size: { stringValue: "large" } } },
    });
    expect(revived.texts).toEqual(["One large pizza with mushrooms. Shall I order it?"]);
  });

  it("streams a partial response before the final one", async () => {
    const queryInput = { text: { text: "wait" }, languageCode: "en" };
    const stream = client.serverStreamingDetectIntent({ session: session("stream"), queryInput });
    const types: unknown[] = [];
    stream.on("data", (response: { responseType: unknown }) => types.push(response.responseType));
    await once(stream, "end");
    expect(types).toEqual(["PARTIAL", "FINAL"]);
  });

  it("takes events, intents and keys", async () => {
    const queryInput = { event: { event: "ORDER" }, languageCode: "en" };
    const [ordered] = await client.detectIntent({ session: session("keys"), queryInput });
    expect(ordered.queryResult?.match?.matchType).toBe("EVENT");
    const [filled] = await client.detectIntent({
      session: session("keys"),
      queryInput: { dtmf: { digits: "3" }, languageCode: "en" },
    });
    expect(filled.queryResult?.parameters?.fields).toMatchObject({ size: { stringValue: "large" } });
    const [triggered] = await client.detectIntent({
      session: session("intent"),
      queryInput: { intent: { intent: `${emulator.agent}/intents/order.pizza` }, languageCode: "en" },
    });
    expect(triggered.queryResult?.match?.matchType).toBe("DIRECT_INTENT");
  });

  it("keeps the draft's and an environment's sessions apart", async () => {
    await ask("same", "my name is Ada");
    const [response] = await client.detectIntent({
      session: session("same", "production"),
      queryInput: { text: { text: "what is my name?" }, languageCode: "en" },
    });
    expect(response.queryResult?.responseMessages?.[0]?.text?.text).toEqual([
      "Turn 1. You have not told me your name.",
    ]);
  });

  it("tells its refusals so that the client understands them", async () => {
    emulator.fail({ status: "RESOURCE_EXHAUSTED" });
    await expect(ask("refused", "hello")).rejects.toMatchObject({ code: 429 });
    await expect(ask("x".repeat(37), "hello")).rejects.toMatchObject({ code: 400 });
  });
});

describe("the Dialogflow CX emulator", () => {
  it("forgets a session 30 minutes after its last turn, or when the turn's own lifetime is over", async () => {
    const emulator = await start();
    const path = `${emulator.agent}/sessions/s:detectIntent`;
    await post(emulator, path, say("my name is Ada"));
    emulator.advance(29 * 60_000);
    await post(emulator, path, say("hello"));
    emulator.advance(31 * 60_000);
    await post(emulator, path, say("hello", { sessionTtl: "86400s" }));
    emulator.advance(23 * 3_600_000);
    await post(emulator, path, say("hello"));
    expect(emulator.turns().map((turn) => turn.startedSession)).toEqual([true, false, true, false]);
    expect(emulator.turns().at(-1)?.parameters).toEqual({});
  });

  it.each([
    ["an id of 37 bytes", { path: `AGENT/sessions/${"x".repeat(37)}` }, 400, "INVALID_ARGUMENT"],
    [
      "an id of 36 characters but 37 bytes",
      { path: `AGENT/sessions/${"x".repeat(35)}%C3%A9` },
      400,
      "INVALID_ARGUMENT",
    ],
    [
      "another location",
      { path: "projects/P/locations/us-central1/agents/A/sessions/s" },
      400,
      "INVALID_ARGUMENT",
    ],
    ["another agent", { path: "projects/P/locations/global/agents/other/sessions/s" }, 404, "NOT_FOUND"],
    [
      "another project",
      { path: "projects/other/locations/global/agents/A/sessions/s" },
      403,
      "PERMISSION_DENIED",
    ],
    ["an unknown environment", { path: "AGENT/environments/none/sessions/s" }, 404, "NOT_FOUND"],
    ["no session", { path: "AGENT/sessions/" }, 400, "INVALID_ARGUMENT"],
    ["no language", { body: { queryInput: { text: { text: "hi" } } } }, 400, "INVALID_ARGUMENT"],
    [
      "a language inside the text, as in ES",
      { body: { queryInput: { text: { text: "hi", languageCode: "en" } } } },
      400,
      "INVALID_ARGUMENT",
    ],
    ["no input", { body: { queryInput: { languageCode: "en" } } }, 400, "INVALID_ARGUMENT"],
    [
      "two inputs",
      { body: { queryInput: { text: { text: "a" }, event: { event: "b" }, languageCode: "en" } } },
      400,
      "INVALID_ARGUMENT",
    ],
    ["an unknown field", { body: say("hi", { sessionTTL: "60s" }) }, 400, "INVALID_ARGUMENT"],
    ["a lifetime that is no duration", { body: say("hi", { sessionTtl: 86_400 }) }, 400, "INVALID_ARGUMENT"],
    ["a lifetime over a day", { body: say("hi", { sessionTtl: "86401s" }) }, 400, "INVALID_ARGUMENT"],
    [
      "an unknown page",
      { body: say("hi", { currentPage: "AGENT/flows/f/pages/p" }) },
      400,
      "INVALID_ARGUMENT",
    ],
    ["parameters that are a list", { body: say("hi", { parameters: ["a"] }) }, 400, "INVALID_ARGUMENT"],
    [
      "a time zone that does not exist",
      { body: say("hi", { timeZone: "Mars/Olympus" }) },
      400,
      "INVALID_ARGUMENT",
    ],
    ["a text of 501 characters", { body: say("x".repeat(501)) }, 400, "INVALID_ARGUMENT"],
    ["a body that is no JSON", { body: "{" }, 400, "INVALID_ARGUMENT"],
  ])("refuses %s", async (_, request: { path?: string; body?: unknown }, status, name) => {
    const emulator = await start({ project: "P", agentId: "A" });
    const path = (request.path ?? "AGENT/sessions/s").replace("AGENT", emulator.agent);
    const answer = await post(emulator, `${path}:detectIntent`, request.body ?? say("hi"));
    expect([answer.status, answer.error.status]).toEqual([status, name]);
    expect(emulator.turns()).toEqual([]);
  });

  it("takes an id of exactly 36 bytes", async () => {
    const emulator = await start();
    const answer = await post(
      emulator,
      `${emulator.agent}/sessions/${"x".repeat(36)}:detectIntent`,
      say("hi"),
    );
    expect(answer.status).toBe(200);
  });

  describe("looks at the token", () => {
    const scope = "https://www.googleapis.com/auth/cloud-platform";
    const sign = (
      emulator: DialogflowCxEmulator,
      claims: Record<string, unknown>,
      { key = privateKey, age = 0, life = 3600, issuer = emulator.credentials.client_email } = {},
    ): Promise<string> => {
      const issuedAt = Math.floor(emulator.now() / 1000) - age;
      return new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256" })
        .setIssuer(issuer)
        .setSubject(issuer)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + life)
        .sign(createPrivateKey(key));
    };
    const statusWith = async (emulator: DialogflowCxEmulator, token: string): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      return (await post(emulator, `${emulator.agent}/sessions/s:detectIntent`, say("hi"), headers)).status;
    };

    it("takes one by audience and one by scope", async () => {
      const emulator = await start();
      const aud = "https://dialogflow.googleapis.com/";
      expect(await statusWith(emulator, await sign(emulator, { aud }))).toBe(200);
      expect(await statusWith(emulator, await sign(emulator, { scope }))).toBe(200);
    });

    it("refuses both at once, neither, and another service's", async () => {
      const emulator = await start();
      const aud = "https://dialogflow.googleapis.com/";
      expect(await statusWith(emulator, await sign(emulator, { aud, scope }))).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, {}))).toBe(401);
      expect(
        await statusWith(emulator, await sign(emulator, { aud: "https://storage.googleapis.com/" })),
      ).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, { scope: "openid" }))).toBe(401);
    });

    it("refuses another key, another account, an old one and one that lives too long", async () => {
      const emulator = await start();
      expect(await statusWith(emulator, await sign(emulator, { scope }, { key: newKey() }))).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, { scope }, { issuer: "eve@x.com" }))).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, { scope }, { age: 4000 }))).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, { scope }, { age: -600 }))).toBe(401);
      expect(await statusWith(emulator, await sign(emulator, { scope }, { life: 7200 }))).toBe(401);
    });

    it("refuses access tokens that ended, and none at all", async () => {
      const emulator = await start();
      const token = emulator.accessToken();
      expect(await statusWith(emulator, token)).toBe(200);
      emulator.advance(3_600_000);
      expect(await statusWith(emulator, token)).toBe(401);
      const bare = await post(emulator, `${emulator.agent}/sessions/s:detectIntent`, say("hi"), {});
      expect([bare.status, bare.error.status]).toEqual([401, "UNAUTHENTICATED"]);
    });
  });

  it("sends enums by name, or by number when asked for that", async () => {
    const emulator = await start();
    const path = `${emulator.agent}/sessions/s:detectIntent`;
    const named = await post(emulator, path, say("hi"));
    const numbered = await post(emulator, `${path}?$alt=json%3Benum-encoding=int`, say("hi"));
    expect(named.body).toMatchObject({ responseType: "FINAL" });
    expect(numbered.body).toMatchObject({ responseType: 2 });
  });

  it("ends a session for good when the agent says so", async () => {
    const emulator = await start();
    const path = `${emulator.agent}/sessions/s:detectIntent`;
    await post(emulator, path, say("my name is Ada"));
    expect(emulator.sessions()).toHaveLength(1);
    const ended = await post(emulator, path, say("bye"));
    expect(ended.body).toMatchObject({ queryResult: { responseMessages: [{}, { endInteraction: {} }] } });
    expect(emulator.sessions()).toEqual([]);
  });

  it("writes the key where only its owner reads it, and takes it away when it closes", async () => {
    const emulator = await startDialogflowCxEmulator({ privateKey });
    const file = await emulator.writeCredentials();
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
      type: "service_account",
      project_id: "aparte-emulator",
      private_key_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      private_key: privateKey,
      client_email: "aparte@aparte-emulator.iam.gserviceaccount.com",
      client_id: "100000000000000000001",
      token_uri: "https://oauth2.googleapis.com/token",
      universe_domain: "googleapis.com",
    });
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(emulator.credentials);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await emulator.close();
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("refuses options and faults that do not exist", async () => {
    const wrong = { ttl: 1 } as DialogflowCxEmulatorOptions;
    await expect(startDialogflowCxEmulator(wrong)).rejects.toMatchObject({
      code: "option-invalid",
      field: "ttl",
    });
    const emulator = await start();
    const fault = { delay: 1 } as Parameters<typeof emulator.fail>[0];
    expect(() => emulator.fail(fault)).toThrow(expect.objectContaining({ field: "fault.delay" }));
  });

  it("lets go of what it holds when it closes", async () => {
    const emulator = await startDialogflowCxEmulator({ privateKey });
    const { hit } = emulator.fail({ hang: true });
    const answer = post(emulator, `${emulator.agent}/sessions/s:detectIntent`, say("hi")).catch(() => "gone");
    await hit;
    await emulator.close();
    await answer;
    expect(emulator.turns()).toEqual([]);
  });
});
