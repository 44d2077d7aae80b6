import { generateKeyPairSync } from "node:crypto";
import { getEventListeners } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { type CozeOptions, coze, serviceWords } from "aparte/coze";
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AskCall, FileInput, JsonValue, SharedToken, SharedTokens } from "../../src/backends/backend.ts";
import { ServiceFailure } from "../../src/backends/http/failure.ts";
import { type CozeEmulator, startCozeEmulator } from "../../src/emulators/coze/index.ts";
import { AparteError } from "../../src/errors.ts";
import { SessionMapper } from "../../src/mapper.ts";
import type { ReplyEvent } from "../../src/turn/reply-event.ts";

let emulator: CozeEmulator;
const agent = "helper";
const quiet = { info() {}, warn() {}, error() {} };
const closers: (() => Promise<void>)[] = [];

// Made once: a key takes longer than most tests.
const privateKey = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
}).privateKey;

beforeEach(async () => {
  emulator = await startCozeEmulator({ privateKey });
});
afterEach(async () => {
  await emulator.close();
  for (const close of closers.splice(0)) await close();
});

function backend(options: { readonly [Name in keyof CozeOptions]?: CozeOptions[Name] | undefined } = {}) {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const own = { appId, keyId, privateKey, botId, baseURL, pollInterval: 10, retryDelay: 1 };
  return coze({ ...own, ...options } as CozeOptions);
}

function call(sessionName = "ada") {
  return { sessionName, agent, signal: new AbortController().signal };
}

async function opened(service = backend(), sessionName = "ada") {
  const session = call(sessionName);
  const conversationId = await service.open(session);
  const turn = (text: string, more: Partial<AskCall> = {}): AskCall => ({
    ...session,
    conversationId,
    turnId: "turn-1",
    text,
    files: [],
    ...more,
  });
  return { service, session, conversationId, turn, conversation: { ...session, conversationId } };
}

async function all(events: AsyncIterable<ReplyEvent>): Promise<ReplyEvent[]> {
  const list: ReplyEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const messagesOf = (events: readonly ReplyEvent[]) =>
  events.flatMap((event) => (event.type === "message" ? [event.text] : []));

const draftOf = (events: readonly ReplyEvent[]) =>
  events.map((event) => (event.type === "text" ? event.delta : "")).join("");

async function failure(promise: Promise<unknown>): Promise<AparteError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AparteError);
  // What a developer reads is a sentence; a failure of the service's names the service.
  if (error instanceof ServiceFailure) expect(error.message).toMatch(/^Coze: \w.*[\w)]\.$/);
  expect((error as AparteError).message).toMatch(/^\w.*\.$/);
  return error as AparteError;
}

const codeOf = async (promise: Promise<unknown>) => (await failure(promise)).code;

const requestsTo = (path: string) => emulator.requests().filter((request) => request.path === path).length;

/** A server of a few lines, for what the emulator does not do. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = (response: ServerResponse, body: object, status = 200) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

/** Answers the token request, and each chat with what `chat` writes. */
function chatServer(chat: (response: ServerResponse, request: IncomingMessage) => void): Promise<string> {
  return serve((request, response) => {
    request.resume();
    const path = request.url?.split("?")[0];
    if (path?.endsWith("/token")) {
      return json(response, { access_token: "czs_x", expires_in: Math.floor(Date.now() / 1000) + 900 });
    }
    if (path === "/v3/chat") return chat(response, request);
    return json(response, { code: 0, data: {} });
  });
}

const streamOf = (...frames: string[]) => frames.map((frame) => `${frame}\n\n`).join("");

const frame = (event: string, data: object) => `event:${event}\ndata:${JSON.stringify(data)}`;

const answer = (content: string, more: object = {}) => ({
  id: "m1",
  chat_id: "c1",
  role: "assistant",
  type: "answer",
  content,
  content_type: "text",
  ...more,
});

const chatObject = (more: object = {}) => ({
  id: "c1",
  status: "completed",
  last_error: { code: 0, msg: "" },
  required_action: { type: "", submit_tool_outputs: { tool_calls: [] } },
  ...more,
});

function sse(response: ServerResponse, text: string, end = true): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(text);
  if (end) response.end();
}

describe("coze after a refusal", () => {
  const ada = { platform: "web", tenant: "t", user: "ada" };

  function mapped(): SessionMapper {
    const mapper = new SessionMapper({
      agents: { helper: backend() },
      secret: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
      logger: quiet,
    });
    closers.push(() => mapper.close());
    return mapper;
  }

  const statusWith = async (token: string | undefined, conversationId: string) => {
    const url = `${emulator.baseURL}/v1/conversation/retrieve?conversation_id=${conversationId}`;
    return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;
  };

  it("hands out a token that works, where the one before was revoked", async () => {
    const mapper = mapped();
    const before = await mapper.resolve(ada);
    expect(await statusWith(before.accessToken, before.conversationId)).toBe(200);
    emulator.expireTokens();
    expect(await statusWith(before.accessToken, before.conversationId)).toBe(401);
    const after = await Promise.all(
      Array.from({ length: 5 }, () => mapper.resolve(ada, "helper", { fresh: true })),
    );
    for (const { accessToken, conversationId } of after) {
      expect(await statusWith(accessToken, conversationId)).toBe(200);
      expect(conversationId).toBe(before.conversationId);
    }
    const { expiresAt } = await mapper.resolve(ada);
    expect(Number.isInteger(expiresAt)).toBe(true);
    const minutes = ((expiresAt ?? 0) - Date.now()) / 60_000;
    // An hour, of which the last seconds are not used.
    expect(minutes).toBeGreaterThan(50);
    expect(minutes).toBeLessThan(60);
  });

  it("opens another conversation, where the one before was deleted", async () => {
    const mapper = mapped();
    const before = await mapper.resolve(ada);
    const kept = await mapper.resolve(ada, "helper", { fresh: true });
    expect(kept.conversationId).toBe(before.conversationId);
    emulator.deleteConversation(before.conversationId);
    const after = await mapper.resolve(ada, "helper", { fresh: true });
    expect(after.conversationId).not.toBe(before.conversationId);
    expect(await statusWith(after.accessToken, after.conversationId)).toBe(200);
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("runs the application's own calls between turns: none is refused with 4016", async () => {
    const mapper = mapped();
    const own = () =>
      mapper.inLane(ada, async ({ conversationId, accessToken, signal }) => {
        const response = await fetch(`${emulator.baseURL}/v3/chat?conversation_id=${conversationId}`, {
          method: "POST",
          headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
          body: JSON.stringify({
            ...{ bot_id: emulator.botId, user_id: "ada", stream: true },
            additional_messages: [{ role: "user", content: "hello", content_type: "text" }],
          }),
          signal,
        });
        return await response.text();
      });
    const said = (id: string) => mapper.handle({ ...ada, id, text: id }).text();
    const answers = await Promise.all([said("one"), own(), said("two"), own(), said("three")]);
    for (const answer of answers) expect(answer).not.toContain("4016");
    expect(emulator.chats().map(({ status }) => status)).toEqual(
      Array.from({ length: 5 }, () => "completed"),
    );
  });
});

describe("coze tokens", () => {
  it("signs once a session for fifty calls and for two agents of one app", async () => {
    const [first, second] = [backend(), backend()];
    const host = {};
    for (const one of [first, second]) one.attach(host);
    const tokens = await Promise.all(
      Array.from({ length: 50 }, (_, at) => (at % 2 ? first : second).accessToken(call())),
    );
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(1);
    expect(emulator.signatures).toBe(1);
    expect(emulator.jwts()[0]).toMatchObject({
      sessionName: "ada",
      audience: new URL(emulator.baseURL).host,
      durationSeconds: 3600,
    });
    await first.accessToken(call("bob"));
    expect(emulator.signatures).toBe(2);
    // Another mapper's are its own.
    const third = backend();
    third.attach({});
    await third.accessToken(call("bob"));
    expect(emulator.signatures).toBe(3);
  });

  it("takes a session's token from the shelf that its processes share", async () => {
    const shelf = new Map<string, SharedToken>();
    const sharedTokens: SharedTokens = {
      get: async (key) => shelf.get(key),
      set: async (key, token) => void shelf.set(key, token),
      delete: async (key) => void shelf.delete(key),
      once: async (key, mint) => {
        const token = shelf.get(key) ?? (await mint());
        shelf.set(key, token);
        return token;
      },
    };
    const tokens: string[] = [];
    for (let process = 0; process < 2; process++) {
      const service = backend();
      service.attach({ sharedTokens });
      tokens.push((await service.accessToken(call())).token);
    }
    expect([new Set(tokens).size, emulator.signatures]).toEqual([1, 1]);
  });

  it("asks at the account's or enterprise's path, with scope and session context", async () => {
    const scope = { account_permission: { permission_list: ["Connector.botChat"] } };
    await backend({ accountId: "42", scope }).accessToken(call());
    await backend({ enterpriseId: "volcano_1", tokenTtlSeconds: 60 }).accessToken(call());
    const sessionContext = (sessionName: string) => ({ device_info: { custom_consumer: sessionName } });
    await backend({ sessionContext }).accessToken(call());
    expect(emulator.jwts()).toMatchObject([
      { path: "/api/permission/oauth2/account/42/token", scope },
      { path: "/api/permission/oauth2/enterprise_id/volcano_1/token", durationSeconds: 60 },
      { sessionContext: { device_info: { custom_consumer: "ada" } } },
    ]);
  });

  it("mints anew once when the token is refused, and gives up at the second refusal", async () => {
    const { service, turn } = await opened();
    emulator.expireTokens();
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    expect(emulator.signatures).toBe(2);

    emulator.fail({ path: "/v3/chat", code: 700012006 });
    expect(messagesOf(await all(service.ask(turn("again"))))).toHaveLength(1);
    expect(emulator.signatures).toBe(3);

    emulator.fail({ path: "/v3/chat", status: 401, code: 4100, times: 2 });
    expect(await codeOf(all(service.ask(turn("once more"))))).toBe("backend-auth");
    expect(emulator.signatures).toBe(4);
    expect(emulator.chats()).toHaveLength(2);
  });

  it("signs again with a new JWT when the token request fails for now", async () => {
    emulator.fail({ path: "/api/permission/oauth2/token", status: 503, times: 2 });
    emulator.fail({ path: "/api/permission/oauth2/token", dropResponse: true });
    await backend().accessToken(call());
    expect(emulator.signatures).toBe(2);
  });

  it("tells that no token could be fetched, and sends nothing without one", async () => {
    const { service, turn } = await opened();
    emulator.expireTokens();
    emulator.fail({ path: "/api/permission/oauth2/token", dropResponse: true, times: 99 });
    expect(await codeOf(all(service.ask({ ...turn("hello"), sessionName: "bob" })))).toBe(
      "backend-unavailable",
    );
    expect(emulator.signatures).toBe(5);
    expect(emulator.requests().map((request) => request.path)).not.toContain("/v3/chat");
  });

  it("asks for leave when its token is there, and sends no chat and opens nothing without it", async () => {
    const told: string[] = [];
    const refuse = async () => {
      told.push(emulator.requests().at(-1)?.path ?? "");
      throw new AparteError("lease-lost", "Another process goes on with the turn.");
    };
    expect(await codeOf(backend().open({ ...call("new"), permit: refuse }))).toBe("lease-lost");
    const { service, turn } = await opened();
    emulator.expireTokens();
    expect(await codeOf(all(service.ask({ ...turn("hello"), sessionName: "bob", permit: refuse })))).toBe(
      "lease-lost",
    );
    expect(told).toEqual(["/api/permission/oauth2/token", "/api/permission/oauth2/token"]);
    expect(requestsTo("/v3/chat")).toBe(0);
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("asks for leave once more when its connection stands, and writes nothing without it", async () => {
    const { service, turn } = await opened();
    for (const stream of [true, false]) {
      let left = 1;
      const permit = async () => {
        left -= 1;
        if (left < 0) throw new AparteError("lease-lost", "Another process goes on with the turn.");
      };
      const asking = all(backend({ stream }).ask({ ...turn("hello"), permit }));
      expect(await codeOf(asking)).toBe("lease-lost");
    }
    expect(requestsTo("/v3/chat")).toBe(0);
    await all(service.ask({ ...turn("hello"), permit: async () => {} }));
    expect(requestsTo("/v3/chat")).toBe(1);
  });

  it("goes by the service's clock when the local one is wrong", async () => {
    const ahead = 5 * 3_600_000;
    const far = await startCozeEmulator({ now: () => Date.now() + ahead });
    closers.push(() => far.close());
    const { appId, keyId, privateKey, botId, baseURL } = far;
    const service = coze({ appId, keyId, privateKey, botId, baseURL });
    const { turn } = await opened(service);
    await all(service.ask(turn("hello")));
    await service.accessToken(call("bob"));
    expect(far.signatures).toBe(2);
    expect(far.requests().filter((request) => request.path.endsWith("/token"))).toHaveLength(3);
  });

  it("signs each JWT anew, for ten minutes, and says so little of the clock that a minute does not matter", async () => {
    const before = Math.floor(Date.now() / 1000);
    for (const name of ["ada", "bob"]) await backend().accessToken(call(name));
    const [one, two] = emulator.jwts();
    expect(one?.jti).not.toBe(two?.jti);
    for (const jwt of emulator.jwts()) {
      expect(jwt.issuedAt).toBeGreaterThanOrEqual(before);
      expect((jwt.expiresAt ?? 0) - (jwt.issuedAt ?? 0)).toBe(600);
    }
  });

  it.each([
    [401, { error_code: "invalid_client", error_message: "kid not been registred" }, 'region: "cn" or "com"'],
    [400, { code: 7, msg: "channel Connector" }, 'must be of type "normal" with client type "service"'],
    [
      401,
      { error_message: "invalid jwt" },
      "check appId, keyId and privateKey, and that this machine's clock is right",
    ],
    [403, {}, "check appId, keyId and privateKey"],
  ])("says what to mend where the app gets no token: HTTP %d %j", async (status, body, advice) => {
    let requests = 0;
    const baseURL = await serve((request, response) => {
      request.resume();
      requests += 1;
      json(response.setHeader("x-tt-logid", "L1"), body, status);
    });
    const error = await failure(backend({ baseURL }).accessToken(call()));
    expect([error.code, error.traceId, requests]).toEqual(["backend-auth", "L1", 1]);
    expect(error.message).toMatch(/^Coze: no access token for this app; .*\(HTTP \d+\)\.$/);
    expect(error.message).toContain(advice);
  });

  it.each([
    [400, {}, "backend-protocol", 1],
    [200, { access_token: "" }, "backend-protocol", 1],
    [200, { access_token: "czs_x" }, "backend-protocol", 1],
    [200, { access_token: "czs_x", expires_in: Math.floor(Date.now() / 1000) - 1 }, "backend-protocol", 1],
    [307, {}, "backend-protocol", 1],
    [408, {}, "backend-unavailable", 4],
    [429, { error_code: "slow_down" }, "backend-rate-limited", 4],
    [500, { error_code: "internal" }, "backend-unavailable", 4],
  ])("takes HTTP %d %j for no token", async (status, body, code, sent) => {
    let requests = 0;
    const baseURL = await serve((request, response) => {
      request.resume();
      requests += 1;
      json(response.setHeader("location", emulator.baseURL + (request.url ?? "")), body, status);
    });
    const error = await failure(
      backend({ baseURL, audience: new URL(emulator.baseURL).host }).accessToken(call()),
    );
    expect([error.code, requests]).toEqual([code, sent]);
    // A redirect would lead the JWT elsewhere.
    expect(emulator.requests()).toEqual([]);
  });

  it("tells when a token may be asked for again, and which request it was", async () => {
    const baseURL = await serve((request, response) => {
      request.resume();
      json(response.setHeader("retry-after", "60").setHeader("x-tt-logid", "L1"), {}, 429);
    });
    const error = await failure(backend({ baseURL }).accessToken(call()));
    expect([error.code, error.retryAfterMs, error.traceId]).toEqual(["backend-rate-limited", 60_000, "L1"]);
    expect(error.message).toContain("no access token could be fetched; check the network and baseURL");
    expect(error.cause).toBeInstanceOf(AparteError);
  });

  it("tells that no token came in time as a service that is away: no turn has run", async () => {
    emulator.fail({ path: "/api/permission/oauth2/token", hang: true });
    const error = await failure(backend({ requestTimeout: 50 }).accessToken(call()));
    expect([error.code, error.retryable]).toEqual(["backend-unavailable", true]);
  });

  it("forgets a session's token, and no other one's", async () => {
    const service = backend({ sessionContext: (name) => ({ device_info: { custom_consumer: name } }) });
    for (const name of ["ada", "bob"]) await service.accessToken(call(name));
    await service.forget({ sessionName: "ada" });
    for (const name of ["ada", "bob"]) await service.accessToken(call(name));
    expect(emulator.jwts().map(({ sessionName }) => sessionName)).toEqual(["ada", "bob", "ada"]);
  });

  it.each([
    [401, 59, 1],
    [401, 62, 2],
    [401, -59, 1],
    [400, -62, 2],
    // Not refused, but broken: what the clock says has nothing to do with it.
    [500, 3600, 4],
  ])(
    "where HTTP %d refuses its JWT and Coze's clock is %d s off, signs %d times",
    async (status, offset, times) => {
      const issued: number[] = [];
      const baseURL = await serve((request, response) => {
        request.resume();
        issued.push(Number(decodeJwt(String(request.headers.authorization).replace("Bearer ", "")).iat));
        response.setHeader("date", new Date(Date.now() + offset * 1000).toUTCString());
        json(response, { error_code: "invalid_client" }, status);
      });
      await failure(backend({ baseURL }).accessToken(call()));
      expect(issued).toHaveLength(times);
      if (times === 2) expect(Math.abs((issued[1] ?? 0) - (issued[0] ?? 0) - offset)).toBeLessThan(5);
    },
  );

  it("takes a token's life by the service's clock, and asks anew when it is over", async () => {
    let tokens = 0;
    const hour = 3_600_000;
    const baseURL = await serve((request, response) => {
      request.resume();
      tokens += 1;
      const now = Date.now() - 2 * hour;
      response.setHeader("date", new Date(now).toUTCString());
      json(response, { access_token: `czs_${tokens}`, expires_in: Math.floor((now + hour) / 1000) });
    });
    const { expiresAt } = await backend({ baseURL }).accessToken(call());
    expect(Math.abs(expiresAt - Date.now() - hour)).toBeLessThan(120_000);
    expect(tokens).toBe(1);
  });

  it("probes the key, and hints at the region when Coze does not know it", async () => {
    await backend().probe(call().signal);
    const error = await failure(backend({ keyId: "other" }).probe(call().signal));
    expect(error.code).toBe("backend-auth");
    expect(error.message).toContain("coze.com is unknown at coze.cn");
  });

  it.each([
    ["does not exist", { botId: "7399999999999999999" }, 0, /botId.*does not exist.*code 4006/],
    ["is not published", {}, 4015, /botId.*not published.*code 4015/],
    ["is not to be found", {}, 4200, /botId.*does not exist.*code 4200/],
  ])("finds out at once, by a probe, that the agent %s", async (_, options, code, message) => {
    if (code !== 0) emulator.fail({ path: "/v1/conversations", code });
    const error = await failure(backend(options).probe(call().signal));
    expect(error).toMatchObject({ code: "option-invalid", field: "botId" });
    expect(error.message).toMatch(message);
    expect(emulator.conversations()).toEqual([]);
    expect(emulator.chats()).toEqual([]);
  });

  it.each([
    [4101, "backend-auth"],
    [5000, "backend-unavailable"],
    [4009, "backend-rate-limited"],
  ])("tells by a probe of what is no wrong agent: %d", async (code, told) => {
    emulator.fail({ path: "/v1/conversations", code, times: 99 });
    expect(await codeOf(backend().probe(call().signal))).toBe(told);
  });

  it("mints a token anew once where it lacks a right, and not for each request", async () => {
    const { service, turn } = await opened();
    expect(emulator.signatures).toBe(1);
    emulator.fail({ path: "/v3/chat", code: 4101 });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    expect(emulator.signatures).toBe(2);
    emulator.fail({ path: "/v3/chat", code: 4101, times: 99 });
    for (const turnId of ["turn-2", "turn-3", "turn-4"]) {
      expect(await codeOf(all(service.ask(turn("hello", { turnId }))))).toBe("backend-auth");
    }
    expect(emulator.signatures).toBe(3);
  });

  it("asks for tokens of another host where a gateway stands before Coze", async () => {
    const { service, turn } = await opened(backend({ audience: "api.coze.cn" }));
    await all(service.ask(turn("hello")));
    expect(emulator.jwts().map(({ audience }) => audience)).toEqual(["api.coze.cn"]);
  });

  it("works with one token for all, and never tells it as a session's own", async () => {
    const { botId, baseURL, personalToken: accessToken } = emulator;
    const service = coze({ botId, baseURL, accessToken: ` "${accessToken}"\n` });
    const mapper = new SessionMapper({
      agents: { helper: service },
      secret: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
      logger: quiet,
    });
    closers.push(() => mapper.close());
    const said = async (user: string, text: string) =>
      await mapper.handle({ platform: "web", tenant: "t", user, id: `${user} ${text}`, text }).text();
    await Promise.all([said("ada", "my name is Ada"), said("ben", "my name is Ben")]);
    expect(await said("ada", "what is my name?")).toContain("Ada");
    expect(await said("ben", "what is my name?")).not.toContain("Ada");
    expect(emulator.signatures).toBe(0);
    expect(new Set(emulator.chats().map(({ userId }) => userId)).size).toBe(2);
    expect((await mapper.resolve({ platform: "web", tenant: "t", user: "ada" })).accessToken).toBeUndefined();
    await service.probe(call().signal);
    const wrong = coze({ botId, baseURL, accessToken: "pat_wrong" });
    expect(await codeOf(wrong.probe(call().signal))).toBe("backend-auth");
    expect(() => coze({ botId, baseURL, accessToken, keyId: "k" })).toThrow("keyId");
  });

  it.each([
    ["a time in seconds", () => Math.floor(Date.now() / 1000) + 900],
    ["a time in milliseconds", () => Date.now() + 900_000],
    ["a text", () => String(Math.floor(Date.now() / 1000) + 900)],
    ["a span", () => 900],
  ])("keeps a token whose end is told as %s", async (_, expiresIn) => {
    let tokens = 0;
    const baseURL = await serve((request, response) => {
      request.resume();
      tokens += 1;
      json(response, { access_token: "czs_x", expires_in: expiresIn() });
    });
    const service = backend({ baseURL });
    for (let count = 0; count < 3; count++) expect((await service.accessToken(call())).token).toBe("czs_x");
    expect(tokens).toBe(1);
  });

  it("lets none of the service's words into what prints an error", async () => {
    const { service, turn } = await opened();
    const canary = "canary 4711";
    const seen: AparteError[] = [];
    const refusals = [{ code: 4000 }, { code: 4011 }, { code: 4101, times: 2 }, { code: 999, status: 400 }];
    for (const fault of refusals) {
      emulator.fail({ path: "/v3/chat", msg: `you said: ${canary}`, ...fault });
      seen.push(await failure(all(service.ask(turn("hello")))));
    }
    emulator.fail({ path: "/v3/chat", chatFailed: { code: 4105, msg: canary } });
    seen.push(await failure(all(service.ask(turn("hello", { turnId: "turn-9" })))));
    for (const error of seen) {
      const printed = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + String(error);
      expect(printed + error.stack).not.toContain(canary);
      expect(serviceWords(error)).toContain(canary);
    }
  });
});

describe("coze conversations", () => {
  it("opens one with its name cut and a mark, and finds the newest of the session and agent", async () => {
    const service = backend({ metaData: { team: "blue" } });
    expect(await service.find(call())).toBeUndefined();
    await service.open({ ...call(), title: "first" });
    const second = await service.open({ ...call(), title: `👩‍👩‍👧‍👦 ${"long ".repeat(40)}` });
    await service.open({ ...call(), agent: "sales" });
    await service.open(call("bob"));
    const [, made] = emulator.conversations();
    expect(made?.name.length).toBeGreaterThan(90);
    expect(made?.name.length).toBeLessThanOrEqual(100);
    expect(made?.metaData).toMatchObject({ aparte: "ada/helper", team: "blue" });
    expect(await service.find(call())).toBe(second);
  });

  it("is opened in its channel, and marked for its agent whatever that is called", async () => {
    const service = backend({ connectorId: "999" });
    const session = { ...call(), agent: "a/b ü" };
    const id = await service.open({ ...session, title: " \n " });
    expect(emulator.conversations()).toMatchObject([
      { id, connectorId: "999", botId: emulator.botId, name: "", metaData: { aparte: "ada/a%2Fb%20%C3%BC" } },
    ]);
    expect(await service.find(session)).toBe(id);
    expect(await service.find({ ...session, agent: "a" })).toBeUndefined();
    expect(await backend().find(session)).toBeUndefined();
    // Coze takes 512 characters of meta data.
    const long = { ...call(), agent: "a".repeat(600) };
    const longId = await service.open(long);
    expect(emulator.conversations()[1]?.metaData.aparte).toHaveLength(512);
    expect(await service.find(long)).toBe(longId);
  });

  it.each<[string, string, (service: ReturnType<typeof coze>) => Promise<unknown>]>([
    ["/v1/conversation/create", "a conversation", (service) => service.open(call())],
    [
      "/v1/files/upload",
      "an uploaded file",
      (service) => service.upload({ ...call(), file: { name: "a.txt", data: new Uint8Array(1) } }),
    ],
  ])("takes no answer of %s without an id", async (path, what, request) => {
    for (const body of ["{}", '{"id":""}', '{"id":7}']) {
      emulator.fail({ path, page: 200, body: `{"code":0,"data":${body}}` });
      const error = await failure(request(backend()));
      expect([error.code, error.message]).toEqual([
        "backend-protocol",
        `Coze sent no id for ${what}. Check baseURL.`,
      ]);
    }
  });

  it("cuts a title between characters, and refuses an empty one", async () => {
    const family = "👩‍👩‍👧‍👦";
    const names: [string, string][] = [
      [` a\n\tb `, "a b"],
      ["n".repeat(101), "n".repeat(100)],
      [`${"n".repeat(95)}${family}`, "n".repeat(95)],
      [`${"n".repeat(100 - family.length)}${family}x`, `${"n".repeat(100 - family.length)}${family}`],
      [`${"n".repeat(99)} x`, "n".repeat(99)],
    ];
    const service = backend();
    for (const [title] of names) await service.open({ ...call(), title });
    expect(emulator.conversations().map(({ name }) => name)).toEqual(names.map(([, name]) => name));
    const conversation = { ...call(), conversationId: emulator.conversations()[0]?.id ?? "" };
    const error = await failure(service.rename({ ...conversation, title: " \n" }));
    expect([error.code, error.field, error.message]).toEqual([
      "input-invalid",
      "title",
      "The title is empty.",
    ]);
  });

  it("lists a session's own with the agent, the newest first, and tells what Coze keeps of one", async () => {
    const service = backend({ metaData: { team: "blue" } });
    const first = await service.open({ ...call(), title: "first" });
    const second = await service.open({ ...call(), agent: "sales" });
    await service.open(call("bob"));
    expect((await service.list(call())).map(({ id }) => id)).toEqual([second, first]);
    const kept = await service.retrieve({ ...call(), conversationId: first });
    expect(kept).toEqual({
      ...{ id: first, name: "first", connectorId: "1024", sectionId: expect.stringMatching(/^\d+$/) },
      metaData: expect.objectContaining({ aparte: "ada/helper", team: "blue" }),
      ...{ createdAt: expect.any(Number), updatedAt: expect.any(Number) },
    });
    // Coze's seconds are milliseconds here: some day of this century.
    expect(new Date(kept.createdAt ?? 0).getUTCFullYear()).toBeGreaterThan(2020);
    expect((await service.list(call())).at(-1)).toEqual(kept);
    const others = { ...call("bob"), conversationId: first };
    expect(await codeOf(service.retrieve(others))).toBe("conversation-lost");
  });

  it("does not follow a list without an end", async () => {
    let pages = 0;
    const baseURL = await serve((request, response) => {
      request.resume();
      if (request.url?.endsWith("/token")) return json(response, { access_token: "czs_x", expires_in: 900 });
      pages += 1;
      const data = request.url?.startsWith("/v1/conversations")
        ? { conversations: [{ id: "1" }], has_more: true }
        : [{ id: String(pages) }];
      return json(response, { code: 0, data, has_more: true, last_id: String(pages) });
    });
    const service = backend({ baseURL });
    for (const request of [service.find(call()), service.history({ ...call(), conversationId: "7" })]) {
      const error = await failure(request);
      expect([error.code, error.message]).toEqual([
        "backend-protocol",
        "Coze: a list has no end. Check baseURL.",
      ]);
    }
    expect(pages).toBe(800);
  });

  it("finds the mark behind many pages", async () => {
    const service = backend();
    const id = await service.open(call());
    for (let count = 0; count < 60; count++) await service.open({ ...call(), agent: "sales" });
    expect(await service.find(call())).toBe(id);
  });

  it("finds the conversation whose answer was lost, and takes no older one for it", async () => {
    const service = backend();
    const older = await service.open(call());
    emulator.fail({ path: "/v1/conversation/create", dropResponse: true });
    const id = await service.open(call());
    expect(emulator.conversations().map((each) => each.id)).toEqual([older, id]);

    emulator.fail({ path: "/v1/conversation/create", page: 502, body: "<html>" });
    const third = await service.open(call());
    expect(emulator.conversations().map((each) => each.id)).toEqual([older, id, third]);
  });

  it("does not take a failing list for an empty one", async () => {
    emulator.fail({ path: "/v1/conversations", status: 500, times: 10 });
    expect(await codeOf(backend().find(call()))).toBe("backend-unavailable");
    expect(await codeOf(backend({ botId: "1" }).open(call()))).toBe("backend-rejected");
  });

  it("renames, clears, and deletes, also what is already gone", async () => {
    const { service, turn, conversation } = await opened();
    await all(service.ask(turn("my name is Ada")));
    const name = await service.rename({ ...conversation, title: ` ${"n".repeat(100)}\n` });
    expect(name).toBe("n".repeat(100));
    expect(emulator.conversations()[0]?.name).toBe("n".repeat(100));
    const error = await failure(service.rename({ ...conversation, title: "n".repeat(101) }));
    expect([error.code, error.field, error.message]).toEqual([
      "input-invalid",
      "title",
      "The title has 101 characters, and Coze takes 100 at most.",
    ]);
    expect(emulator.conversations()[0]?.name).toBe("n".repeat(100));
    await service.clear(conversation);
    expect(messagesOf(await all(service.ask(turn("what is my name?"))))[0]).toContain("not told");
    await service.remove(conversation);
    await service.remove(conversation);
    expect(emulator.conversations()).toEqual([]);
    expect(await codeOf(service.clear(conversation))).toBe("conversation-lost");
    expect(await codeOf(service.rename({ ...conversation, title: "x" }))).toBe("conversation-lost");
  });

  it("tells the history, oldest first, over many pages", async () => {
    const { service, turn, conversation } = await opened();
    for (let count = 0; count < 30; count++) await all(service.ask(turn(`number ${count}`)));
    const history = await service.history(conversation);
    expect(history).toHaveLength(60);
    expect(history[0]).toMatchObject({ role: "user", text: "number 0" });
    expect(history[59]?.role).toBe("agent");
    expect(history[0]?.at).toBeGreaterThan(1_600_000_000_000);
  });
});

describe.each([{ stream: true }, { stream: false }])("coze chat, stream: $stream", ({ stream }) => {
  it("yields the answers, suggestions and usage, and tells the chat's id", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const notes: unknown[] = [];
    const asked = turn("twice and suggest", { note: (facts) => notes.push(facts) });
    const events = await all(service.ask(asked));
    const [chat] = emulator.chats();
    expect(messagesOf(events)).toHaveLength(2);
    if (stream) expect(draftOf(events)).toBe(messagesOf(events).join(""));
    expect(events.slice(-2)).toMatchObject([
      { type: "suggestions", items: ["What is my name?", "What did I tell you?", "Use a tool."] },
      { type: "usage", input: 3, output: expect.any(Number), total: expect.any(Number) },
    ]);
    const usage = events.at(-1);
    if (usage?.type !== "usage") throw new Error("the usage is not told");
    // The service counts both answers' words.
    expect(usage.output).toBeGreaterThan(3);
    expect(usage.total).toBe(3 + (usage.output ?? 0));
    expect(notes).toEqual([{ chatId: chat?.id }]);
    expect(chat).toMatchObject({ userId: "ada", status: "completed" });
  });

  it("sends files, with their names where there is no text", async () => {
    let [atOnce, mostAtOnce] = [0, 0];
    const counting: typeof fetch = async (url, init) => {
      if (!String(url).endsWith("/v1/files/upload")) return await fetch(url, init);
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      return await fetch(url, init).finally(() => {
        atOnce -= 1;
      });
    };
    const { service, turn } = await opened(backend({ stream, fetch: counting }));
    const photo: FileInput = { name: "photo.png", data: new Uint8Array([1, 2]) };
    const paper: FileInput = { name: "paper.pdf", load: async () => new Uint8Array([3]) };
    const [answer] = messagesOf(await all(service.ask(turn("look", { files: [photo, paper] }))));
    expect(answer).toContain('"photo.png" (image, 2 bytes), "paper.pdf" (file, 1 bytes)');
    // A platform's voice note, by its type or by its name; a type that is told goes before the name.
    const notes: FileInput[] = [
      { name: "note.wav", type: "audio/wav", data: new Uint8Array([1]) },
      { name: "note.M4A", data: new Uint8Array([1, 2]) },
      { name: "list.mp3", type: "text/plain", data: new Uint8Array([1]) },
    ];
    // Coze speaks the answer to those as well; its words are shown.
    expect(messagesOf(await all(service.ask(turn("listen", { files: notes }))))).toEqual([
      expect.stringContaining(
        '"note.wav" (audio, 1 bytes), "note.M4A" (audio, 2 bytes), "list.mp3" (file, 1 bytes)',
      ),
    ]);
    const many = Array.from({ length: 11 }, (_, at) => ({ ...photo, name: `${at}.png` }));
    const [eleven] = messagesOf(await all(service.ask(turn("count", { files: many }))));
    expect(eleven?.match(/\d+\.png/g)).toEqual(many.map((file) => file.name));
    expect(mostAtOnce).toBe(4);
    const [silent] = messagesOf(await all(service.ask(turn("", { files: [photo] }))));
    expect(silent).toContain('You said: "photo.png"');
    const broken: FileInput = { name: "x.txt", load: () => Promise.reject(new Error("gone")) };
    const error = await failure(all(service.ask(turn("see", { files: [broken] }))));
    expect([error.code, (error.cause as Error).message]).toEqual(["input-invalid", "gone"]);
    expect(error.message).toBe("A file of the message could not be loaded from its platform.");
    const empty = await failure(all(service.ask(turn("see", { files: [{ name: "x.txt" }] }))));
    expect([empty.code, empty.field]).toEqual(["input-invalid", "files"]);
    expect(empty.message).toBe("A file has neither data nor load.");
    const own = new AparteError("input-invalid", "The platform refused it.");
    const refused: FileInput = { name: "x.txt", load: () => Promise.reject(own) };
    expect(await failure(all(service.ask(turn("see", { files: [refused] }))))).toBe(own);
    const stop = new AbortController();
    const load = (signal: AbortSignal) => {
      expect(signal).toBe(stop.signal);
      stop.abort();
      return Promise.reject(new Error("gone"));
    };
    const leaving = turn("see", { files: [{ name: "x.txt", load }], signal: stop.signal });
    expect(await codeOf(all(service.ask(leaving)))).toBe("stopped");
  });

  it.each(["customVariables", "parameters", "metaData"] as const)(
    "tells that the function %s failed, or made something else",
    async (name) => {
      const cause = new Error("my mistake");
      const throwing = () => {
        throw cause;
      };
      const { turn } = await opened();
      const failed = await failure(all(backend({ stream, [name]: throwing }).ask(turn("hello"))));
      expect(failed).toMatchObject({ code: "input-invalid", field: name, cause });
      expect(failed.message).toBe(`The function "${name}" failed. Its error is kept as the cause.`);
      const wanted = name === "parameters" ? "an object" : "an object of strings";
      for (const value of [[], "x", null]) {
        const wrong = await failure(
          all(backend({ stream, [name]: () => value as never }).ask(turn("hello"))),
        );
        expect(wrong).toMatchObject({ code: "input-invalid", field: name });
        expect(wrong.message).toBe(`The function "${name}" must return ${wanted}, or undefined.`);
      }
      await all(backend({ stream, [name]: () => undefined }).ask(turn("hello")));
      expect(emulator.chats()).toHaveLength(1);
    },
  );

  it("brings an answer's picture and sound as files, also where it is fetched later", async () => {
    const { service, turn, conversation } = await opened(backend({ stream }));
    let facts: JsonValue = null;
    const note = (noted: JsonValue): void => {
      facts = noted;
    };
    const asked = turn("show and tell", { note });
    const answer = [
      { type: "message", text: 'Turn 1. You said: "show and tell".', id: expect.any(String) },
      { type: "file", kind: "image", url: "https://files.example/answer.png" },
      { type: "file", kind: "audio", url: "https://files.example/answer.mp3" },
    ];
    const parts = async (events: AsyncIterable<ReplyEvent>) =>
      (await all(events)).filter(({ type }) => type === "message" || type === "file");
    expect(await parts(service.ask(asked))).toEqual(answer);
    const recovered = await service.recover({ ...asked, facts });
    if (typeof recovered === "string") throw new Error(recovered);
    expect(await parts(recovered)).toEqual(answer);
    const said = (await service.history(conversation)).map(({ text }) => text);
    expect(said[1]).toBe(
      'Turn 1. You said: "show and tell".\nhttps://files.example/answer.png\nhttps://files.example/answer.mp3',
    );
  });

  it("maps what the service refuses, with its log id, and without its words", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const codes = {
      4000: "backend-rejected",
      4011: "backend-quota",
      4101: "backend-auth",
      4105: "backend-refused-content",
    };
    for (const [code, ours] of Object.entries(codes)) {
      // A token that was refused is tried anew once.
      const times = code === "4101" ? 2 : 1;
      emulator.fail({ path: "/v3/chat", code: Number(code), msg: "you said: secret words", times });
      const error = await failure(all(service.ask(turn("hello"))));
      expect([code, error.code]).toEqual([code, ours]);
      expect(error.message).not.toContain("secret");
      expect(error.traceId).toMatch(/^\d+$/);
    }
    expect(emulator.chats()).toEqual([]);
  });

  it("tells that the conversation is lost, before anything is said", async () => {
    const { service, turn, conversationId } = await opened(backend({ stream }));
    emulator.deleteConversation(conversationId);
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("conversation-lost");
    const mine = await opened(service);
    const foreign = { ...mine.turn("hello"), sessionName: "bob" };
    expect(await codeOf(all(service.ask(foreign)))).toBe("conversation-lost");
  });

  it("tries again what was refused before it ran, and tells when to come back", async () => {
    const { service, turn } = await opened(backend({ stream }));
    for (const code of [4009, 4013, 4020]) emulator.fail({ path: "/v3/chat", code });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    emulator.fail({ path: "/v3/chat", page: 429, body: "slow down", headers: { "retry-after": "60" } });
    const error = await failure(all(service.ask(turn("hello"))));
    expect(error).toMatchObject({ code: "backend-rate-limited", retryAfterMs: 60_000 });
    expect(emulator.chats()).toHaveLength(1);
  });

  it("sends again what came above the account's rate, and says so where it stays above", async () => {
    await emulator.close();
    let time = Date.now();
    emulator = await startCozeEmulator({ privateKey, qps: 1, now: () => time });
    let refused = 0;
    const watching: typeof fetch = async (url, init) => {
      const response = await fetch(url, init);
      if (response.status !== 429) return response;
      refused += 1;
      expect(await response.clone().json()).toMatchObject({ code: 4013 });
      if (refused === 6) time += 1000;
      return response;
    };
    const { service, turn } = await opened(backend({ stream, fetch: watching }));
    await all(service.ask(turn("one")));
    const error = await failure(all(service.ask(turn("two"))));
    expect([error.code, refused]).toEqual(["backend-rate-limited", 4]);
    expect(messagesOf(await all(service.ask(turn("three"))))[0]).toContain("three");
    expect(emulator.chats()).toHaveLength(2);
    time += 999;
    expect(await codeOf(all(service.ask(turn("four"))))).toBe("backend-rate-limited");
  });

  it("comes back when Coze says so, and no sooner", async () => {
    const { service, turn } = await opened(backend({ stream }));
    emulator.fail({ path: "/v3/chat", page: 429, headers: { "retry-after": "1" } });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    expect(emulator.requests().filter(({ isEarly }) => isEarly)).toEqual([]);
    expect(requestsTo("/v3/chat")).toBe(2);
  });

  it("fails with a chat that fails, and never sends it again", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const error = await failure(all(service.ask(turn("fail: 4013"))));
    expect(error).toMatchObject({ code: "backend-failed", retryable: false });
    expect(await codeOf(all(service.ask(turn("fail: 4011"))))).toBe("backend-quota");
    expect(await codeOf(all(service.ask(turn("fail: 4020"))))).toBe("backend-rate-limited");
    expect(emulator.chats()).toHaveLength(3);
  });

  it("runs the tool that the agent asks for, and tells the agent of one that fails or is missing", async () => {
    const log: unknown[] = [];
    const note = (...line: unknown[]) => void log.push(line);
    const logger = { info() {}, warn: note, error: note };
    const ask = async (tools: NonNullable<CozeOptions["tools"]>) => {
      const { service, turn } = await opened(backend({ stream, logger, tools, toolTimeout: 200 }));
      return await all(service.ask(turn("act")));
    };
    const asked: unknown[] = [];
    const good = (args: unknown, turn: object) => {
      asked.push([args, Object.keys(turn)]);
      return { ok: true };
    };
    const events = await ask({ ask_person: good });
    expect(events.slice(0, 1)).toEqual([{ type: "status", text: "ask_person" }]);
    expect(messagesOf(events)).toEqual(['Done. The outputs were: "{"ok":true}".']);
    expect(asked).toEqual([
      [{ question: "Shall I?" }, ["sessionName", "agent", "text", "context", "signal"]],
    ]);
    const failing = async () => {
      throw new Error("secret words");
    };
    expect(messagesOf(await ask({ ask_person: failing }))[0]).toContain("The tool failed.");
    const silent = () => new Promise<string>(() => {});
    expect(messagesOf(await ask({ ask_person: silent }))[0]).toContain("The tool took too long.");
    expect(messagesOf(await ask({}))[0]).toContain("There is no such tool.");
    const odd = () => Promise.reject("secret words");
    expect(messagesOf(await ask({ ask_person: odd }))[0]).toContain("The tool failed.");
    const tool = "ask_person";
    expect(log).toEqual([
      ["Coze: a tool failed.", { tool, error: "Error" }],
      ["Coze: a tool took too long.", { tool, error: "TimeoutError" }],
      ["Coze: the agent asks for a tool that is not among the tools.", { tool }],
      ["Coze: a tool failed.", { tool, error: "unknown" }],
    ]);
    expect(JSON.stringify(log)).not.toContain("secret words");
  });

  it.each([{ page: 503, body: "" }, { afterWork: 503 }])(
    "runs a tool once, whatever becomes of its output on the way: %j",
    async (fault) => {
      let runs = 0;
      const ask_person = () => {
        runs += 1;
        return "yes";
      };
      const { service, turn } = await opened(backend({ stream, tools: { ask_person } }));
      emulator.fail({ path: "/v3/chat/submit_tool_outputs", ...fault });
      expect(messagesOf(await all(service.ask(turn("act"))))).toEqual(['Done. The outputs were: "yes".']);
      expect([runs, emulator.chats().length]).toEqual([1, 1]);
    },
  );

  it("ends with its caller while a tool runs, and says so to the tool", async () => {
    const stop = new AbortController();
    const told = new Promise<unknown>((resolve) => {
      const ask_person: NonNullable<CozeOptions["tools"]>[string] = (_, { signal }) => {
        signal.addEventListener("abort", () => resolve(signal.reason));
        stop.abort(new AparteError("stopped", "Stopped by the test."));
        return new Promise(() => {});
      };
      void opened(backend({ stream, tools: { ask_person } })).then(({ service, turn }) =>
        all(service.ask(turn("act", { signal: stop.signal }))).catch(resolve),
      );
    });
    expect(await told).toBe(stop.signal.reason);
  });

  it("takes the next message for the answer to the agent's question: two people at once, through a restart", async () => {
    const person = async (sessionName: string) => {
      let state: JsonValue | undefined;
      const tools = { price: (args: JsonValue | undefined) => `${JSON.stringify(args)} 9 coins` };
      const { turn } = await opened(backend({ stream }), sessionName);
      let count = 0;
      return async (text: string, more: Partial<AskCall> = {}) => {
        // Each turn by a process of its own: only what was kept goes from one to the next.
        const service = backend({ stream, tools });
        const call = turn(text, {
          turnId: `${sessionName}-${++count}`,
          keep: (kept) => {
            state = JSON.parse(JSON.stringify(kept));
          },
          ...(state === undefined ? {} : { state }),
          ...more,
        });
        return messagesOf(await all(service.ask(call)));
      };
    };
    const [ada, ben] = await Promise.all([person("ada"), person("ben")]);
    expect(await Promise.all([ada("survey"), ben("survey")])).toEqual([
      ["What is your name?"],
      ["What is your name?"],
    ]);
    // The answer gets there, and what comes back is lost: nothing is said twice.
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", afterWork: 503, times: 2 });
    expect(await Promise.all([ada("Ada"), ben("Ben")])).toEqual([["Which size, Ada?"], ["Which size, Ben?"]]);
    // It does not get there: it is sent again.
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", page: 503, body: "", times: 2 });
    expect(await Promise.all([ada("L"), ben("S")])).toEqual([
      ['Thank you, Ada. Size L is {"size":"L"} 9 coins.'],
      ['Thank you, Ben. Size S is {"size":"S"} 9 coins.'],
    ]);
    expect(emulator.chats().map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect((await ada("hello"))[0]).toContain('You said: "hello"');
  });

  it("asks anew where the agent waits for no answer any more", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const kept: JsonValue[] = [];
    const keep = (state: JsonValue) => void kept.push(state);
    await all(service.ask(turn("survey", { keep })));
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", code: 4000 });
    const state = kept[0] ?? null;
    const answers = messagesOf(await all(service.ask(turn("hello", { keep, state, turnId: "turn-2" }))));
    expect(answers[0]).toContain('You said: "hello"');
    expect(kept.slice(1)).toEqual([null]);
  });

  it("keeps the question where the answer to it was refused for another reason, and begins no other chat", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const kept: JsonValue[] = [];
    const keep = (state: JsonValue) => void kept.push(state);
    await all(service.ask(turn("survey", { keep })));
    const answering = turn("Ada", { keep, state: kept[0] ?? null, turnId: "turn-2" });
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", code: 4011 });
    expect(await codeOf(all(service.ask(answering)))).toBe("backend-quota");
    expect([kept.length, emulator.chats().length, requestsTo("/v3/chat")]).toEqual([1, 1, 1]);
    expect(messagesOf(await all(service.ask(answering)))).toEqual(["Which size, Ada?"]);
  });

  it("asks anew where the chat with the question is lost, and at once where what was kept is none", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const kept: JsonValue[] = [];
    const keep = (state: JsonValue) => void kept.push(state);
    await all(service.ask(turn("survey", { keep })));
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", code: 4200 });
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", code: 4002 });
    for (const state of [kept[0] ?? null, { asked: { chatId: 7 } }, { asked: null }, null, "x"]) {
      const events = await all(service.ask(turn("hello", { keep, state, turnId: "turn-2" })));
      expect(messagesOf(events)[0]).toContain('You said: "hello"');
    }
    expect(kept.slice(1)).toEqual([null]);
    expect(requestsTo("/v3/chat/submit_tool_outputs")).toBe(1);
  });

  it("recovers the chat that was begun because the question was over, and not the question", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const kept: JsonValue[] = [];
    await all(service.ask(turn("survey", { keep: (state) => void kept.push(state) })));
    const answering = turn("hello", { state: kept[0] ?? null, turnId: "turn-2" });
    emulator.fail({ path: "/v3/chat/submit_tool_outputs", code: 4000 });
    await all(service.ask(answering));
    const facts = { chatId: emulator.chats()[1]?.id ?? "" };
    const recovered = await service.recover({ ...answering, facts });
    expect(typeof recovered === "string" ? recovered : messagesOf(await all(recovered))).toEqual([
      expect.stringContaining('You said: "hello"'),
    ]);
    for (const [path, code, becomes] of [
      ["/v3/chat/retrieve", 4200, "conversation-lost"],
      ["/v3/chat/message/list", 4200, "conversation-lost"],
      ["/v3/chat/retrieve", 4101, "backend-auth"],
    ] as const) {
      const fault = emulator.fail({ path, code, times: 2 });
      const lost = service
        .recover({ ...answering, facts })
        .then((found) => all(found as AsyncIterable<ReplyEvent>));
      expect(await codeOf(lost)).toBe(becomes);
      fault.lift();
    }
  });

  it("recovers the answer to a question: not sent, or its reply", async () => {
    const { service, turn } = await opened(backend({ stream }));
    let state: JsonValue = null;
    const keep = (next: JsonValue) => {
      state = next;
    };
    await all(service.ask(turn("survey", { keep })));
    const answering = turn("Ada", { state, turnId: "turn-2" });
    expect(await service.recover(answering)).toBe("not-sent");
    // Coze has forgotten the chat with the question, or cannot tell.
    const forgotten = emulator.fail({ path: "/v3/chat/retrieve", code: 4001 });
    expect(await service.recover(answering)).toBe("not-sent");
    expect([forgotten.hits, requestsTo("/v1/conversation/message/list")]).toEqual([1, 1]);
    emulator.fail({ path: "/v3/chat/retrieve", code: 4011 });
    expect(await codeOf(service.recover(answering))).toBe("backend-quota");
    await all(service.ask(answering));
    const recovered = await service.recover({ ...answering, keep });
    expect(typeof recovered === "string" ? recovered : messagesOf(await all(recovered))).toEqual([
      "Which size, Ada?",
    ]);
    expect(state).toMatchObject({ asked: { chatId: emulator.chats()[0]?.id } });
  });

  it("tells the agent who is speaking, and passes further fields on", async () => {
    const bodies: Record<string, unknown>[] = [];
    const watching: typeof fetch = async (url, init) => {
      if (String(url).includes("/v3/chat?")) bodies.push(JSON.parse(String(init?.body)));
      return await fetch(url, init);
    };
    const options = {
      customVariables: ({ sessionName }: { sessionName: string }) => ({ who: sessionName }),
      parameters: ({ text }: { text: string }) => ({ length: text.length }),
      extra: { enable_card: true, bot_id: "1" },
    };
    const { service, turn } = await opened(backend({ stream, fetch: watching, ...options }));
    const answers = messagesOf(await all(service.ask(turn("what do you know?"))));
    expect(answers).toEqual(["Turn 1. You have not told me anything yet. I was given: who=ada."]);
    expect(bodies[0]).toMatchObject({
      custom_variables: { who: "ada" },
      parameters: { length: 17 },
      enable_card: true,
      bot_id: emulator.botId,
    });
    const wrong = backend({ stream, customVariables: () => ({ who: 7 }) as never });
    const error = await failure(all(wrong.ask(turn("hello"))));
    expect([error.code, error.field]).toEqual(["input-invalid", "customVariables"]);
  });

  it("tells the agent the turn's context, and stands by what the options say", async () => {
    const context = { name: "Ada", age: 36, plan: { level: 2 }, "utm-source": "mail", who: "nobody" };
    const options = { customVariables: { who: "me" }, parameters: { age: 37 } };
    const { service, turn } = await opened(backend({ stream, ...options }));
    await all(service.ask({ ...turn("hello"), context }));
    expect(emulator.chats()[0]).toMatchObject({
      customVariables: { name: "Ada", age: "36", plan: '{"level":2}', who: "me" },
      parameters: { ...context, age: 37 },
    });
    await all(service.ask(turn("hello")));
    expect(emulator.chats()[1]).toMatchObject({ customVariables: { who: "me" }, parameters: { age: 37 } });
  });

  it("sends the meta data that it makes for a turn with its chat alone, checked", async () => {
    const made: unknown[] = [];
    const metaData = ({ context, text }: { context: object; text: string }) => {
      made.push(context);
      return { plan: text } as { [key: string]: string };
    };
    const { service, turn } = await opened(backend({ stream, metaData }));
    await all(service.ask(turn("gold", { context: { name: "Ada" } })));
    expect(made).toEqual([{ name: "Ada" }]);
    expect(emulator.conversations()[0]?.metaData).not.toHaveProperty("plan");
    expect(emulator.chats()[0]?.metaData).toEqual({ plan: "gold", aparte_turn: "turn-1" });
    const mark = { aparte_turn: "mine" };
    const many = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`k${index}`, "v"]));
    for (const wrong of [
      mark,
      many,
      { k: "" },
      { k: "v".repeat(513) },
      { ["k".repeat(65)]: "v" },
      { k: 7 },
    ]) {
      const bad = backend({ stream, metaData: () => wrong as { [key: string]: string } });
      const error = await failure(all(bad.ask(turn("hello"))));
      expect([error.code, error.field]).toEqual(["input-invalid", "metaData"]);
    }
    const most = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`k${index}`, "v".repeat(512)]));
    await all(backend({ stream, metaData: () => ({ ...most, k0: "v" }) }).ask(turn("hello")));
    expect(emulator.chats()).toHaveLength(2);
  });

  it("gives its functions the turn's context", async () => {
    const { service, turn } = await opened(
      backend({ stream, parameters: ({ context }) => ({ greeting: `Dear ${context.name}` }) }),
    );
    await all(service.ask({ ...turn("hello"), context: { name: "Ada" } }));
    expect(emulator.chats()[0]?.parameters).toEqual({ name: "Ada", greeting: "Dear Ada" });
    expect(emulator.chats()[0]?.customVariables).toEqual({ name: "Ada" });
  });

  it("waits for a chat that still runs, within its bound", async () => {
    const { service, turn, session, conversationId } = await opened(backend({ stream, waitTimeout: 100 }));
    const { token } = await service.accessToken(session);
    const begun = emulator.once("chat");
    const other = new AbortController();
    const running = fetch(`${emulator.baseURL}/v3/chat?conversation_id=${conversationId}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        bot_id: emulator.botId,
        user_id: "ada",
        stream: true,
        additional_messages: [{ role: "user", content: "fail: hang", content_type: "text" }],
      }),
      signal: other.signal,
    });
    const { id } = await begun;
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("conversation-busy");
    const patient = backend({ stream });
    const asking = all(patient.ask(turn("hello")));
    await emulator.once("request", (request) => request.path === "/v3/chat");
    await service.cancel({ ...turn(""), facts: { chatId: id } });
    expect(messagesOf(await asking)).toHaveLength(1);
    other.abort();
    await running.catch(() => {});
  });

  it("finds the answer when the answer to the start was lost, without asking again", async () => {
    const { service, turn } = await opened(backend({ stream }));
    const first = await all(service.ask(turn("yes")));
    emulator.fail({ path: "/v3/chat", dropResponse: true });
    const events = await all(service.ask(turn("yes", { state: { chatId: emulator.chats()[0]?.id ?? "" } })));
    expect(messagesOf(events)[0]).not.toBe(messagesOf(first)[0]);
    expect(messagesOf(events)[0]).toContain("Turn 2.");
    expect(requestsTo("/v3/chat")).toBe(2);
  });

  it("cancels at the service when it is aborted", async () => {
    const { service, turn, conversation } = await opened(backend({ stream }));
    const stop = new AbortController();
    const begun = emulator.once("chat");
    const asking = all(service.ask(turn("fail: hang", { signal: stop.signal })));
    await begun;
    stop.abort();
    expect(await codeOf(asking)).toBe("stopped");
    expect(emulator.chats()[0]?.status).toBe("canceled");
    await service.cancel(conversation);
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
  });
});

describe("coze stream", () => {
  it("names the tool that runs", async () => {
    const { service, turn } = await opened();
    const events = await all(service.ask(turn("use a tool")));
    expect(events[0]).toEqual({ type: "status", text: "count_turns" });
  });

  it("fetches the rest of a stream that was cut, with a word as without one", async () => {
    const { service, turn } = await opened();
    for (const cut of [0, 1, 4]) {
      emulator.fail({ path: "/v3/chat", cut });
      const events = await all(service.ask(turn(`cut after ${cut}`)));
      expect(messagesOf(events)).toHaveLength(1);
      expect(messagesOf(events)[0]).toContain(`cut after ${cut}`);
      expect(events.at(-1)?.type).toBe("usage");
    }
    expect(emulator.chats()).toHaveLength(3);
  });

  it("gives no answer twice after a cut", async () => {
    const { service, turn } = await opened();
    // created, in_progress, the words of the first answer, its end, one word of the second.
    const words = 'Turn 1. You said: "twice".'.split(" ").length;
    emulator.fail({ path: "/v3/chat", cut: 2 + words + 2 });
    const events = await all(service.ask(turn("twice")));
    expect(messagesOf(events)).toEqual([
      'Turn 1. You said: "twice".',
      'Once more. Turn 1. You said: "twice".',
    ]);
  });

  it("fetches the rest of a stream that falls silent", async () => {
    const { service, turn } = await opened(backend({ idleTimeout: 50 }));
    emulator.fail({ path: "/v3/chat", hangAfter: 3 });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
  });

  it("says that the stream was cut when the chat does not end, and frees the conversation", async () => {
    const { service, turn } = await opened(backend({ idleTimeout: 50, waitTimeout: 50 }));
    const error = await failure(all(service.ask(turn("fail: hang"))));
    expect(error).toMatchObject({ code: "backend-stream-cut", retryable: false });
    expect(emulator.chats()[0]?.status).toBe("canceled");
  });

  it("bounds the whole chat", async () => {
    const { service, turn } = await opened(backend({ chatTimeout: 50 }));
    expect(await codeOf(all(service.ask(turn("fail: hang"))))).toBe("backend-timeout");
    expect(emulator.chats()[0]?.status).toBe("canceled");
  });

  it("bounds the whole chat, the wait for its token included", async () => {
    emulator.fail({ path: "/api/permission/oauth2/token", hang: true });
    const service = backend({ chatTimeout: 50, requestTimeout: 1_000_000 });
    const turn = { ...call(), conversationId: "7", turnId: "turn-1", text: "hello", files: [] };
    const error = await failure(all(service.ask(turn)));
    expect([error.code, error.message]).toEqual(["backend-timeout", "Coze: the chat took too long."]);
  });

  it("cancels no chat that Coze says has ended", async () => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", errorEvent: { after: 4, data: '{"code":4011}' } });
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("backend-quota");
    expect(await codeOf(all(service.ask(turn("fail: 4011"))))).toBe("backend-quota");
    await all(service.ask(turn("hello")));
    expect(requestsTo("/v3/chat/cancel")).toBe(0);
  });

  it("takes a page in place of a stream for what it is", async () => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", page: 200 });
    const error = await failure(all(service.ask(turn("hello"))));
    expect([error.code, error.retryable, requestsTo("/v3/chat")]).toEqual(["backend-protocol", false, 1]);
    // A success that is no stream may have run: Coze is asked for it, before it is sent again.
    emulator.fail({ path: "/v3/chat", page: 200, body: '{"code":0,"data":{}}' });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    expect(requestsTo("/v1/conversation/message/list")).toBe(1);
  });

  it.each(["lease-lost", "closed"] as const)(
    "leaves the chat running when another process goes on with the turn: %s",
    async (reason) => {
      const { service, turn } = await opened();
      const stop = new AbortController();
      const begun = emulator.once("chat");
      const asking = all(service.ask(turn("slow: 20 hello", { signal: stop.signal })));
      const { id } = await begun;
      stop.abort(new AparteError(reason, "Another process goes on."));
      expect(await codeOf(asking)).toBe(reason);
      expect(requestsTo("/v3/chat/cancel")).toBe(0);
      const recovered = await service.recover({ ...turn("slow: 20 hello"), facts: { chatId: id } });
      expect(typeof recovered === "string" ? recovered : messagesOf(await all(recovered))).toHaveLength(1);
    },
  );

  it("cancels a chat of which it has heard nothing", async () => {
    const { service, turn } = await opened();
    const stop = new AbortController();
    const begun = emulator.once("chat");
    emulator.fail({ path: "/v3/chat", hangAfter: 0 });
    const asking = all(service.ask(turn("fail: hang", { signal: stop.signal })));
    await begun;
    stop.abort();
    expect(await codeOf(asking)).toBe("stopped");
    expect(emulator.chats()[0]?.status).toBe("canceled");
  });

  it("cancels when the reader leaves", async () => {
    const { service, turn } = await opened();
    for await (const event of service.ask(turn("slow: 20 one two three"))) {
      if (event.type === "text") break;
    }
    expect(emulator.chats()[0]?.status).toBe("canceled");
  });

  it("reads every spelling that Coze has", async () => {
    const { turn } = await opened();
    const done = ['data:"[DONE]"', "data: [DONE]", "data:{}"];
    const bodies = done.map((data) =>
      streamOf(
        frame("conversation.chat.created", chatObject({ status: "created" })),
        ": still there",
        frame("conversation.message.delta", answer("", { reasoning_content: "hmm" })),
        frame("conversation.message.delta", answer("你好")),
        frame("conversation.audio.delta", answer("AAAA", { content_type: "audio" })),
        frame("conversation.message.completed", answer("你好")),
        frame("conversation.message.completed", answer('{"msg_type":"x"}', { id: "m2", type: "verbose" })),
        frame("conversation.chat.completed", chatObject()),
        `event:done\n${data}`,
      ),
    );
    for (const body of bodies) {
      const baseURL = await chatServer((response) => {
        // Byte by byte, so that characters and lines are torn.
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
        for (const byte of Buffer.from(body)) response.write(Uint8Array.of(byte));
        response.end();
      });
      const events = await all(backend({ baseURL }).ask(turn("hi")));
      expect(events).toEqual([
        { type: "status", text: "thinking" },
        { type: "text", delta: "你好" },
        { type: "message", text: "你好", id: "m1" },
      ]);
    }
  });

  it("takes both shapes of a failed chat, an error event, and an error event in place of a chat", async () => {
    const { turn } = await opened();
    const created = frame("conversation.chat.created", chatObject({ status: "created" }));
    const bare = frame("conversation.chat.failed", { code: 4011, msg: "no tokens" });
    const whole = frame(
      "conversation.chat.failed",
      chatObject({ status: "failed", last_error: { code: 4011, msg: "" } }),
    );
    const error = frame("error", { code: 4011, msg: "no tokens" });
    for (const body of [
      streamOf(created, bare),
      streamOf(created, whole),
      streamOf(created, error),
      streamOf(error),
    ]) {
      const baseURL = await chatServer((response) => sse(response, body));
      expect(await codeOf(all(backend({ baseURL }).ask(turn("hi"))))).toBe("backend-quota");
    }
  });

  it("closes the connection of a stream that stays open after its end, or that its reader leaves", async () => {
    const { turn } = await opened();
    const end = frame("conversation.chat.completed", chatObject());
    for (const body of [end, frame("conversation.message.delta", answer("one"))]) {
      let close = () => {};
      const closed = new Promise<void>((resolve) => {
        close = resolve;
      });
      const baseURL = await chatServer((response) => {
        response.once("close", close);
        sse(response, streamOf(body), false);
      });
      const events = backend({ baseURL }).ask(turn("hi"));
      if (body === end) await all(events);
      else for await (const _ of events) break;
      await closed;
    }
  });

  it.each([
    [
      "is cancelled there",
      [frame("conversation.chat.completed", chatObject({ status: "canceled" }))],
      "stopped",
    ],
    [
      "is cancelled there",
      [frame("conversation.chat.cancelled", chatObject({ status: "cancelled" }))],
      "stopped",
    ],
    [
      "has an error",
      [frame("conversation.chat.completed", chatObject({ last_error: { code: "4105" } }))],
      "backend-refused-content",
    ],
    ["fails for no reason", [frame("conversation.chat.failed", {})], "backend-failed"],
    [
      "fails while its conversation is lost",
      [frame("conversation.chat.failed", { code: 4002 })],
      "backend-failed",
    ],
  ])("tells of a chat that %s: %j", async (_, frames, code) => {
    const { turn } = await opened();
    const baseURL = await chatServer((response) => sse(response, streamOf(...frames)));
    expect(await codeOf(all(backend({ baseURL }).ask(turn("hi"))))).toBe(code);
  });

  it.each([
    ["an event of the stream is not readable", "event:conversation.chat.created\ndata:x", "backend-protocol"],
    [
      "an event of the stream is not readable",
      "event:conversation.message.delta\ndata:null",
      "backend-protocol",
    ],
    [
      "the stream broke off with an error",
      "event:conversation.chat.created\ndata:{}\n\nevent:error\ndata:x",
      "backend-unavailable",
    ],
    ["it is not known whether the turn ran", ":", "backend-stream-cut"],
  ])("tells that %s where the rest cannot be fetched", async (what, body, code) => {
    const { turn } = await opened();
    const baseURL = await chatServer((response) => sse(response, streamOf(body)));
    const error = await failure(all(backend({ baseURL }).ask(turn("hi"))));
    expect([error.code, error.retryable]).toEqual(["backend-stream-cut", false]);
    expect(error.cause).toMatchObject({ code, message: `Coze: ${what}.` });
  });

  it("passes over events that it does not know", async () => {
    const { turn } = await opened();
    const frames = [
      "conversation.audio.delta",
      "ping",
      "xconversation.chat.failed",
      "conversation.message.other",
    ];
    const body = streamOf(
      ...frames.map((name) => frame(name, { code: 4000 })),
      "event:ping\ndata:pong",
      frame("conversation.message.delta", answer("no", { type: "verbose" })),
      frame("conversation.message.delta", answer("no", { content_type: "card" })),
      frame("conversation.message.delta", answer("")),
      frame("conversation.message.delta", answer("yes")),
      // Coze may leave the whole text out: the pieces are the answer.
      frame("conversation.message.completed", answer(" ")),
      frame("conversation.message.completed", answer("", { id: "m2", type: "follow_up" })),
      frame("conversation.message.completed", answer("More?", { id: "m3", type: "follow_up" })),
      frame(
        "conversation.message.completed",
        answer('{"name":"clock"}', { id: "m4", type: "function_call" }),
      ),
      frame("conversation.message.completed", answer("{}", { id: "m5", type: "function_call" })),
      frame(
        "conversation.chat.completed",
        // What a chat wants is of no account once it has ended.
        chatObject({
          usage: { token_count: "3", output_count: null, input_count: 1 },
          required_action: {
            submit_tool_outputs: { tool_calls: [{ id: "t1", function: { name: "count" } }] },
          },
        }),
      ),
    );
    const baseURL = await chatServer((response) => sse(response, body));
    expect(await all(backend({ baseURL }).ask(turn("hi")))).toEqual([
      { type: "text", delta: "yes" },
      { type: "message", text: "yes", id: "m1" },
      { type: "status", text: "clock" },
      { type: "status", text: "tool" },
      { type: "suggestions", items: ["More?"] },
      { type: "usage", input: 1, total: 3 },
    ]);
  });

  it("stops an agent that asks for tools without end", async () => {
    let runs = 0;
    const outputs: unknown[] = [];
    const tools = {
      count: () => {
        runs += 1;
        return runs;
      },
      nothing: () => undefined,
      words: (args: unknown) => `got ${args}`,
    };
    const tool_calls = ["count", "nothing", "words", "toString"].map((name) => ({
      id: name,
      type: "function",
      function: { name, arguments: "no json" },
    }));
    const stop = streamOf(
      frame(
        "conversation.chat.requires_action",
        chatObject({ status: "requires_action", required_action: { submit_tool_outputs: { tool_calls } } }),
      ),
    );
    const baseURL = await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += piece;
      if (request.url?.endsWith("/token")) return json(response, { access_token: "czs_x", expires_in: 900 });
      if (request.url === "/v3/chat/submit_tool_outputs?conversation_id=7&chat_id=c1")
        outputs.push(JSON.parse(body));
      return sse(response, stop);
    });
    const turn = { ...call(), conversationId: "7", turnId: "t", text: "hi", files: [] };
    const error = await failure(all(backend({ baseURL, tools, logger: quiet }).ask(turn)));
    expect([error.code, runs, outputs.length]).toEqual(["action-required", 21, 20]);
    expect(error.message).toContain("the agent has asked for tools 20 times in one turn");
    expect(outputs[0]).toEqual({
      stream: true,
      tool_outputs: [
        { tool_call_id: "count", output: "1" },
        { tool_call_id: "nothing", output: "null" },
        { tool_call_id: "words", output: "got undefined" },
        { tool_call_id: "toString", output: '{"error":"There is no such tool."}' },
      ],
    });
  });

  it.each([
    [4016, "answered"],
    [4009, "answered"],
    [4002, "conversation-lost"],
    [4011, "backend-quota"],
  ])("takes an error that is a stream's first event for a refusal: %d", async (code, becomes) => {
    const { turn } = await opened();
    let chats = 0;
    const baseURL = await chatServer((response) => {
      chats += 1;
      if (chats === 1) return sse(response, streamOf(frame("error", { code })));
      return sse(
        response,
        streamOf(
          frame("conversation.message.completed", answer("answered")),
          frame("conversation.chat.completed", chatObject()),
        ),
      );
    });
    const asking = all(backend({ baseURL }).ask(turn("hi")));
    if (becomes === "answered") expect(messagesOf(await asking)).toEqual([becomes]);
    else expect(await codeOf(asking)).toBe(becomes);
    expect(chats).toBe(becomes === "answered" ? 2 : 1);
  });

  it("asks the person what the agent asks in its call alone, also where it has answered before", async () => {
    const kept: JsonValue[] = [];
    const stop = (call: object) =>
      frame(
        "conversation.chat.requires_action",
        chatObject({ required_action: { submit_tool_outputs: { tool_calls: [call] } } }),
      );
    const tool = stop({ id: "t1", type: "function", function: { name: "count", arguments: "" } });
    const question = stop({ id: "t2", type: "reply_message", function: { arguments: "Which?" } });
    const baseURL = await serve((request, response) => {
      request.resume();
      if (request.url?.endsWith("/token")) return json(response, { access_token: "czs_x", expires_in: 900 });
      const isFirst = request.url?.startsWith("/v3/chat?");
      const said = frame("conversation.message.completed", answer("One moment."));
      return sse(response, isFirst ? streamOf(said, tool) : streamOf(question));
    });
    const turn = { ...call(), conversationId: "7", turnId: "t", text: "hi", files: [] };
    const service = backend({ baseURL, tools: { count: () => "1" } });
    const events = await all(service.ask({ ...turn, keep: (state) => void kept.push(state) }));
    expect(messagesOf(events)).toEqual(["One moment.", "Which?"]);
    expect(kept).toEqual([{ asked: { chatId: "c1", callIds: ["t2"], outputs: [], shown: ["m1"] } }]);
  });

  it("reuses the connection of a stream that ended well", async () => {
    const ports = new Set<number | undefined>();
    const { turn } = await opened();
    const baseURL = await chatServer((response, request) => {
      ports.add(request.socket.remotePort);
      sse(
        response,
        streamOf(frame("conversation.chat.completed", chatObject()), 'event:done\ndata:"[DONE]"'),
      );
    });
    for (let count = 0; count < 6; count++) await all(backend({ baseURL }).ask(turn("hi")));
    // The next chat may begin while the last one's connection still comes to its end.
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it("does not send a chat again that may have run", async () => {
    let chats = 0;
    const { turn } = await opened();
    const baseURL = await chatServer((response) => {
      chats += 1;
      response.writeHead(502, { "content-type": "text/html" }).end("<html>");
    });
    const error = await failure(all(backend({ baseURL }).ask(turn("hi"))));
    expect([error.code, error.retryable, chats]).toEqual(["backend-stream-cut", false, 1]);
  });

  it.each([
    ["the gateway says 503 after the chat ran", { afterWork: 503 }],
    ["the answer never comes", { dropResponse: true }],
    ["the connection is reset at the first byte", { resetAt: 0 }],
    ["the connection is reset in the midst of an event", { resetAt: 333 }],
    ["the first event is a model's error", { errorEvent: { after: 0, data: '{"code":4013,"msg":"model"}' } }],
    ["the first event is an error without a code", { errorEvent: { after: 0, data: "{}" } }],
    [
      "an error that is no JSON comes in the midst",
      { errorEvent: { after: 4, data: "event interval error" } },
    ],
    ["an error without a code comes in the midst", { errorEvent: { after: 4, data: "{}" } }],
    ["the service's own error comes in the midst", { errorEvent: { after: 4, data: '{"code":5000}' } }],
  ])("runs a turn once and brings its answer where %s", async (_, fault) => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", ...fault });
    const events = await all(service.ask(turn("hello")));
    expect(messagesOf(events)).toEqual(['Turn 1. You said: "hello".']);
    expect(emulator.chats()).toHaveLength(1);
    expect(requestsTo("/v3/chat")).toBe(1);
  });

  it("sends a turn again that Coze, when asked, does not have", async () => {
    const { service, turn } = await opened();
    for (const page of [503, 502]) emulator.fail({ path: "/v3/chat", page });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toEqual(['Turn 1. You said: "hello".']);
    expect(emulator.chats()).toHaveLength(1);
    const down = emulator.fail({ path: "/v3/chat", page: 503, body: "", times: 99 });
    const error = await failure(all(service.ask(turn("again", { turnId: "turn-2" }))));
    expect([error.code, error.retryable, down.hits]).toEqual(["backend-unavailable", true, 3]);
    // Once for each that may have run, and not again to cancel what is not there.
    expect(requestsTo("/v1/conversation/message/list")).toBe(2 + 3);
    expect(emulator.chats()).toHaveLength(1);
  });

  it("never sends a turn again where Coze cannot be asked for it", async () => {
    const { service, turn } = await opened(backend({ waitTimeout: 60 }));
    const always = { body: "", times: Number.POSITIVE_INFINITY };
    const chat = emulator.fail({ path: "/v3/chat", page: 503, ...always });
    emulator.fail({ path: "/v1/conversation/message/list", page: 500, ...always });
    const error = await failure(all(service.ask(turn("hello"))));
    expect([error.code, error.retryable, chat.hits]).toEqual(["backend-stream-cut", false, 1]);
  });

  it("gives the turn's id to the chat and to its question", async () => {
    const bodies: { meta_data?: object; additional_messages?: { meta_data?: object }[] }[] = [];
    const watching: typeof fetch = async (url, init) => {
      if (String(url).includes("/v3/chat")) bodies.push(JSON.parse(String(init?.body)));
      return await fetch(url, init);
    };
    const { service, turn } = await opened(backend({ fetch: watching, metaData: { plan: "gold" } }));
    await all(service.ask(turn("hello", { turnId: "abcdefghijklmnopqrstuv" })));
    expect(bodies[0]?.meta_data).toEqual({ plan: "gold", aparte_turn: "abcdefghijklmnopqrstuv" });
    expect(bodies[0]?.additional_messages?.[0]?.meta_data).toEqual({ aparte_turn: "abcdefghijklmnopqrstuv" });
  });

  it.each([
    ["without its last blank line", { unterminated: true }],
    ["of the type text/plain", { contentType: "text/plain" }],
    ["of the type Text/Event-Stream", { contentType: "Text/Event-Stream; charset=UTF-8" }],
    ["in pieces of one byte", { pieces: 1 }],
    ["in pieces of 997 bytes, without its last blank line", { pieces: 997, unterminated: true }],
  ])("reads a stream %s like any other", async (_, fault) => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", ...fault });
    const events = await all(service.ask(turn("你好, suggest")));
    expect(messagesOf(events)).toEqual(['Turn 1. You said: "你好, suggest".']);
    expect(events.at(-1)?.type).toBe("usage");
    // Nothing had to be fetched.
    expect(requestsTo("/v3/chat/message/list")).toBe(0);
  });

  it("takes the last event of a stream that ends without a blank line", async () => {
    const { turn } = await opened();
    const last = frame("conversation.chat.completed", chatObject());
    const said = frame("conversation.message.completed", answer("whole"));
    const baseURL = await chatServer((response) => sse(response, `${said}\n\n${last}`));
    expect(messagesOf(await all(backend({ baseURL }).ask(turn("hi"))))).toEqual(["whole"]);
  });

  it("takes JSON under a stream's type for the refusal that it is", async () => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", contentType: "text/event-stream", code: 4011 });
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("backend-quota");
    emulator.fail({ path: "/v3/chat", contentType: "text/plain", code: "4028" });
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("backend-quota");
  });

  it("keeps answers apart whose pieces come mixed", async () => {
    const { turn } = await opened();
    const piece = (id: string, content: string) =>
      frame("conversation.message.delta", answer(content, { id }));
    const whole = (id: string, content: string) =>
      frame("conversation.message.completed", answer(content, { id }));
    const body = streamOf(
      piece("a", "one "),
      piece("b", "drei "),
      piece("a", "two"),
      whole("b", "drei vier"),
      piece("c", "un "),
      whole("a", "one two"),
      piece("c", "deux"),
      frame("conversation.chat.completed", chatObject()),
    );
    const baseURL = await chatServer((response) => sse(response, body));
    expect(await all(backend({ baseURL }).ask(turn("hi")))).toEqual([
      { type: "text", delta: "one " },
      { type: "text", delta: "two" },
      { type: "message", text: "one two", id: "a" },
      { type: "message", text: "drei vier", id: "b" },
      { type: "text", delta: "un " },
      { type: "text", delta: "deux" },
      { type: "message", text: "un deux" },
    ]);
  });

  it("shows a card's words and a file's kind, and says when there is nothing", async () => {
    const { turn } = await opened();
    const ask = async (...frames: string[]) => {
      const body = streamOf(...frames, frame("conversation.chat.completed", chatObject()));
      const baseURL = await chatServer((response) => sse(response, body));
      return await all(backend({ baseURL }).ask(turn("hi")));
    };
    const said = async (content: unknown, type: string) => {
      const message = answer(JSON.stringify(content), { content_type: type });
      return messagesOf(await ask(frame("conversation.message.completed", message)));
    };
    const properties = { data: JSON.stringify({ a: { content: "Rain" }, title: "Weather", style: "dark" }) };
    expect(await said({ card_type: 3, template_id: "x9", x_properties: properties }, "card")).toEqual([
      "Rain\nWeather",
    ]);
    expect(await said({ response_for_model: "It rains." }, "card")).toEqual(["It rains."]);
    expect(await said({ id: 7 }, "card")).toEqual(["[card]"]);
    const items = [
      { type: "text", text: "Here:" },
      { type: "image", file_id: "1" },
    ];
    expect(await said(items, "object_string")).toEqual(["Here:\n[image]"]);
    const files = [
      { type: "text", text: "Here:" },
      { type: "image", file_url: "https://files.example/a.png", name: "a.png" },
      { type: "audio", file_url: "http://files.example/b.wav" },
      { type: "other", file_url: "https://files.example/c", file_name: "c" },
      { type: "file", file_url: "javascript:alert(1)" },
      { type: "file", name: "d" },
    ];
    const object = (content: object[]) => answer(JSON.stringify(content), { content_type: "object_string" });
    const shown = [
      { type: "file", kind: "image", url: "https://files.example/a.png", name: "a.png" },
      { type: "file", kind: "audio", url: "http://files.example/b.wav" },
      { type: "file", kind: "file", url: "https://files.example/c", name: "c" },
    ];
    expect(await ask(frame("conversation.message.completed", object(files)))).toEqual([
      { type: "message", text: "Here:\njavascript:alert(1)\n[file: d]", id: "m1" },
      ...shown,
    ]);
    // A picture alone is an answer.
    expect(await ask(frame("conversation.message.completed", object(files.slice(1, 2))))).toEqual(
      shown.slice(0, 1),
    );
    // A spoken answer is its address, or at least said to be one.
    const sound = (content: string) => answer(content, { content_type: "audio" });
    const address = "https://files.example/a.mp3";
    expect(await ask(frame("conversation.message.completed", sound(address)))).toEqual([
      { type: "file", kind: "audio", url: address },
    ]);
    const unheard = { type: "message", text: "[audio]" };
    expect(await ask(frame("conversation.message.completed", sound("UklGRg==")))).toEqual([
      { ...unheard, id: "m1" },
    ]);
    const pieces = frame("conversation.audio.delta", sound("AAAA"));
    expect(await ask(pieces, pieces)).toEqual([unheard]);
    const words = frame("conversation.message.completed", answer("Hello.", { id: "m2" }));
    expect(await ask(pieces, words, pieces)).toEqual([{ type: "message", text: "Hello.", id: "m2" }]);
    const silent = await ask(
      frame("conversation.message.delta", answer("", { reasoning_content: "hmm" })),
      frame("conversation.message.completed", answer("")),
    );
    expect(silent).toMatchObject([
      { type: "status", text: "thinking" },
      { type: "notice", code: "no-answer" },
    ]);
  });

  it("sends a chat again whose request never left this machine", async () => {
    let failures = 2;
    const flaky: typeof fetch = async (url, init) => {
      if (!String(url).includes("/v3/chat") || failures === 0) return await fetch(url, init);
      failures -= 1;
      const cause = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
      throw new TypeError("fetch failed", { cause });
    };
    const { service, turn } = await opened(backend({ fetch: flaky }));
    expect(messagesOf(await all(service.ask(turn("hi"))))).toHaveLength(1);
    failures = Number.POSITIVE_INFINITY;
    expect(await codeOf(all(service.ask(turn("hi"))))).toBe("backend-unavailable");
    expect(emulator.chats()).toHaveLength(1);
  });
});

describe("coze recovery", () => {
  const messages = async (recovered: Awaited<ReturnType<ReturnType<typeof coze>["recover"]>>) =>
    typeof recovered === "string" ? recovered : messagesOf(await all(recovered));

  it("waits for the chat and fetches its answer", async () => {
    const { service, turn } = await opened();
    const asked = turn("slow: 5 hello");
    const begun = emulator.once("chat");
    const dead = service.ask(asked)[Symbol.asyncIterator]();
    void dead.next();
    const { id } = await begun;
    const other = backend();
    const notes: unknown[] = [];
    const note = (facts: JsonValue) => void notes.push(facts);
    expect(await messages(await other.recover({ ...asked, note, facts: { chatId: id } }))).toHaveLength(1);
    // It is known already.
    expect(notes).toEqual([]);
    expect(emulator.chats()).toHaveLength(1);
  });

  it("finds the turn by its own id, whatever words stand there already", async () => {
    const { service, turn } = await opened();
    const [first, second] = [turn("yes", { turnId: "turn-1" }), turn("yes", { turnId: "turn-2" })];
    expect(await service.recover(first)).toBe("not-sent");
    await all(service.ask(first));
    expect(await service.recover(second)).toBe("not-sent");
    await all(service.ask(second));
    expect(await messages(await service.recover(first))).toEqual(['Turn 1. You said: "yes".']);
    expect(await messages(await service.recover(second))).toEqual([
      'Turn 2. You said: "yes". Before that you told me: "yes".',
    ]);
    expect(emulator.chats()).toHaveLength(2);
  });

  it("cancels the chat that runs, also where its id is not known, and does not know what became of it", async () => {
    const { service, turn, conversation } = await opened();
    await service.cancel(conversation);
    expect(requestsTo("/v3/chat/cancel")).toBe(0);
    const begun = emulator.once("chat");
    const asked = turn("fail: hang");
    const dead = service.ask(asked)[Symbol.asyncIterator]();
    void dead.next().catch(() => {});
    const { id } = await begun;
    const hasty = backend({ chatTimeout: 30 });
    const late = await failure(hasty.recover(asked));
    expect([late.code, late.message]).toEqual([
      "backend-timeout",
      "Coze: the chat does not come to its end.",
    ]);
    await hasty.cancel({ ...conversation, sessionName: "bob" });
    expect(emulator.chats()[0]?.status).toBe("in_progress");
    await hasty.cancel(conversation);
    expect(emulator.chats()[0]?.status).toBe("canceled");
    for (const facts of [{ chatId: id }, undefined, { chatId: 7 }]) {
      expect(await service.recover({ ...asked, ...(facts === undefined ? {} : { facts }) })).toBe("unknown");
    }
    await hasty.cancel({ ...conversation, facts: { chatId: "404" } });
  });

  it("does not know what became of a cancelled chat, and tells of a failed one", async () => {
    const { service, turn } = await opened();
    await failure(all(service.ask(turn("fail: 4011"))));
    const facts = { chatId: emulator.chats()[0]?.id ?? "" };
    const recovered = await service.recover({ ...turn("fail: 4011"), facts });
    expect(typeof recovered === "string" ? recovered : await codeOf(all(recovered))).toBe("backend-quota");
    expect(await service.recover({ ...turn("x"), facts: { chatId: "404" } })).toBe("unknown");
  });
});

describe("coze, looking for an answer", () => {
  const passing = [
    ["a redirect", { page: 302, headers: { location: "/elsewhere" } }, 1],
    ["a page", { page: 200 }, 1],
    ["a page of what is not there", { page: 404 }, 1],
    ["more pages of a gateway than a request is repeated", { page: 502 }, 6],
    ["more resets than a request is repeated", { dropResponse: true }, 6],
    ["more refusals for now than a request is repeated", { code: 4020 }, 6],
  ] as const;

  it.each(passing)("goes on after %s while a chat is polled", async (_, fault, times) => {
    const { service, turn } = await opened(backend({ stream: false }));
    const faults = ["/v3/chat/retrieve", "/v3/chat/message/list"].map((path) =>
      emulator.fail({ path, ...fault, times }),
    );
    expect(messagesOf(await all(service.ask(turn("hello"))))).toEqual(['Turn 1. You said: "hello".']);
    expect(faults.map(({ hits }) => hits)).toEqual([times, times]);
    expect(emulator.chats()).toHaveLength(1);
  });

  it.each(passing)("goes on after %s where a stream was cut", async (_, fault, times) => {
    const { service, turn } = await opened();
    emulator.fail({ path: "/v3/chat", dropResponse: true });
    const paths = ["/v1/conversation/message/list", "/v3/chat/retrieve", "/v3/chat/message/list"];
    const faults = paths.map((path) => emulator.fail({ path, ...fault, times }));
    expect(messagesOf(await all(service.ask(turn("hello"))))).toEqual(['Turn 1. You said: "hello".']);
    expect(faults.map(({ hits }) => hits)).toEqual([times, times, times]);
    expect(emulator.chats()).toHaveLength(1);
  });

  it.each(passing)("goes on after %s for a turn whose process died", async (_, fault, times) => {
    const { service, turn } = await opened();
    await all(service.ask(turn("hello")));
    const paths = ["/v1/conversation/message/list", "/v3/chat/retrieve", "/v3/chat/message/list"];
    const faults = paths.map((path) => emulator.fail({ path, ...fault, times }));
    const recovered = await service.recover(turn("hello"));
    if (typeof recovered === "string") throw new Error(recovered);
    expect(messagesOf(await all(recovered))).toEqual(['Turn 1. You said: "hello".']);
    expect(faults.map(({ hits }) => hits)).toEqual([times, times, times]);
    expect(emulator.chats()).toHaveLength(1);
  });

  it.each(passing)("goes on after %s for the answer to a question", async (_, fault, times) => {
    const { service, turn } = await opened();
    const kept: JsonValue[] = [];
    await all(service.ask(turn("survey", { keep: (state) => void kept.push(state) })));
    const faults = emulator.fail({ path: "/v3/chat/retrieve", ...fault, times });
    const answering = turn("Ada", { turnId: "turn-2", state: kept.at(-1) ?? null });
    expect(await service.recover(answering)).toBe("not-sent");
    expect(faults.hits).toBe(times);
  });

  it("goes on after a look that nobody answered", async () => {
    const { service, turn } = await opened(backend({ stream: false, requestTimeout: 300 }));
    const fault = emulator.fail({ path: "/v3/chat/retrieve", hang: true });
    expect(messagesOf(await all(service.ask(turn("hello"))))).toHaveLength(1);
    expect(fault.hits).toBe(1);
  });

  it("ends when its time is over, with what it met", async () => {
    const { turn } = await opened();
    const pages = emulator.fail({ path: "/v3/chat/retrieve", page: 302, times: Number.POSITIVE_INFINITY });
    const polled = backend({ stream: false, chatTimeout: 60 });
    expect(await codeOf(all(polled.ask(turn("hello"))))).toBe("backend-protocol");
    pages.lift();
    emulator.fail({ path: "/v3/chat/retrieve", code: 4020, times: Number.POSITIVE_INFINITY });
    const late = backend({ stream: false, chatTimeout: 60 });
    // It has run: nothing invites to send it again.
    const error = await failure(all(late.ask(turn("hello", { turnId: "turn-2" }))));
    expect([error.code, error.retryable]).toEqual(["backend-timeout", false]);
  });

  it("ends at once for what does not pass, or may pass too late", async () => {
    const { service, turn } = await opened(backend({ stream: false }));
    const refused = emulator.fail({ path: "/v3/chat/retrieve", code: 4011, times: 1000 });
    expect(await codeOf(all(service.ask(turn("hello"))))).toBe("backend-quota");
    refused.lift();
    const [path, headers] = ["/v3/chat/retrieve", { "retry-after": "1000" }];
    const limited = emulator.fail({ path, page: 429, headers, times: 1000 });
    await failure(all(service.ask(turn("hello", { turnId: "turn-2" }))));
    expect([refused.hits, limited.hits]).toEqual([1, 1]);
  });
});

describe("coze lookups", () => {
  const conversation = () => ({ ...call(), conversationId: "7" });
  const turn = (more: Partial<AskCall> = {}): AskCall => ({
    ...conversation(),
    turnId: "turn-1",
    text: "hello",
    files: [],
    ...more,
  });
  const question = { role: "user", type: "question", content: "hello", meta_data: { aparte_turn: "turn-1" } };
  const other = { role: "user", type: "question", content: "more", meta_data: { aparte_turn: "turn-2" } };
  const said = (content: string, more: object = {}) => ({
    ...{ id: content, role: "assistant", type: "answer", content, content_type: "text" },
    ...more,
  });

  /** A service whose conversations hold these messages, page by page, and which runs no chat. */
  async function listing(...pages: object[]): Promise<{ baseURL: string; asked: unknown[] }> {
    const asked: unknown[] = [];
    const baseURL = await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += piece;
      if (request.url?.endsWith("/token")) return json(response, { access_token: "czs_x", expires_in: 900 });
      if (request.url?.startsWith("/v1/conversation/message/list?conversation_id=7")) {
        asked.push(JSON.parse(body));
        return json(response, { code: 0, ...pages[Math.min(asked.length, pages.length) - 1] });
      }
      return json(response, {}, 502);
    });
    return { baseURL, asked };
  }

  const recovered = async (...pages: object[]) => {
    const { baseURL, asked } = await listing(...pages);
    const found = await backend({ baseURL }).recover(turn());
    return [typeof found === "string" ? found : messagesOf(await all(found)), asked.length];
  };

  it("find the answers of a turn whose question names no chat: its own, in order, over many pages", async () => {
    const [first, second] = [said("one"), said("two")];
    const verbose = said("x", { type: "verbose" });
    const data = [said("later"), other, second, verbose, first, question, said("earlier")];
    expect(await recovered({ data })).toEqual([["one", "two"], 1]);
    const paged = [
      { data: data.slice(0, 4), has_more: true, last_id: "m4" },
      { data: data.slice(4), has_more: true, last_id: "m7" },
    ];
    expect(await recovered(...paged)).toEqual([["one", "two"], 2]);
    expect(await recovered({ data: [said("later"), other, question] })).toEqual(["unknown", 1]);
  });

  it("page on from where they were, and say where it cannot be known whether the turn is there", async () => {
    const page = { data: [said("x"), other], has_more: true, last_id: "m2" };
    const { baseURL, asked } = await listing(page);
    expect(await backend({ baseURL }).recover(turn())).toBe("unknown");
    const next = { order: "desc", limit: 50, after_id: "m2" };
    expect(asked).toEqual([{ order: "desc", limit: 50 }, next, next, next]);
    expect(await recovered({ data: {} })).toEqual(["unknown", 1]);
    expect(await recovered({ data: [other], has_more: "true", last_id: "m2" })).toEqual(["not-sent", 1]);
    expect(await recovered({ data: [other], has_more: true })).toEqual(["not-sent", 1]);
    expect(await recovered({ data: [other], has_more: true, last_id: "" })).toEqual(["not-sent", 1]);
  });

  it("bring the answers of a turn whose chat has no name, and send nothing again", async () => {
    for (const stream of [true, false]) {
      const { baseURL, asked } = await listing({ data: [said("two"), said("one"), question] });
      expect(messagesOf(await all(backend({ baseURL, stream }).ask(turn())))).toEqual(["one", "two"]);
      expect(asked).toHaveLength(2);
      const none = await listing({ data: [question] });
      const error = await failure(all(backend({ baseURL: none.baseURL, stream }).ask(turn())));
      expect([error.code, error.retryable]).toEqual([
        stream ? "backend-stream-cut" : "backend-timeout",
        false,
      ]);
    }
  });

  it("end with an endless list, and tell of a conversation that is gone", async () => {
    const { baseURL, asked } = await listing({ data: [said("x")], has_more: true, last_id: "m1" });
    // A list that brings nothing new is at its end.
    expect(await backend({ baseURL }).history(conversation())).toHaveLength(1);
    expect(asked).toEqual([
      { order: "asc", limit: 50 },
      { order: "asc", limit: 50, after_id: "m1" },
    ]);
    const { service, conversation: own, turn: ask } = await opened();
    emulator.deleteConversation(own.conversationId);
    for (const request of [service.recover(ask("x")), service.history(own)]) {
      expect(await codeOf(request)).toBe("conversation-lost");
    }
    await service.cancel(own);
  });

  it("are repeated where they fail for now", async () => {
    const { service, conversation: own, turn: ask } = await opened();
    await all(service.ask(ask("hello")));
    const list = "/v1/conversation/message/list";
    emulator.fail({ path: list, page: 503, times: 2 });
    expect(await service.history(own)).toHaveLength(2);
    emulator.fail({ path: list, page: 503, times: 2 });
    emulator.fail({ path: "/v3/chat/retrieve", page: 503, times: 2 });
    emulator.fail({ path: "/v3/chat/message/list", page: 503, times: 2 });
    const found = await service.recover(ask("hello"));
    expect(typeof found === "string" ? found : messagesOf(await all(found))).toHaveLength(1);
    for (const path of [
      "/v1/conversation/retrieve",
      "/v1/conversations",
      "/v1/conversations/*",
      "/v1/files/upload",
    ])
      emulator.fail({ path, page: 503, times: 1 });
    expect(await service.exists(own)).toBe(true);
    expect(await service.find(own)).toBe(own.conversationId);
    expect(await service.rename({ ...own, title: "x" })).toBe("x");
    expect(await service.upload({ ...own, file: { name: "a.txt", data: new Uint8Array(1) } })).toMatch(
      /^\d+$/,
    );
  });

  it("read all that a message may be", async () => {
    const parts = (...items: unknown[]) => ({
      content: JSON.stringify(items),
      content_type: "object_string",
    });
    const card = (content: unknown) => ({ content: JSON.stringify(content), content_type: "card" });
    const nested = (times: number) =>
      JSON.parse(`${"[".repeat(times)}{"text":"deep"}${"]".repeat(times)}`) as unknown;
    const rows: [object, string][] = [
      [{ content: "plain", content_type: "text" }, "plain"],
      [{ content: '[{"type":"text"}]' }, '[{"type":"text"}]'],
      [{}, ""],
      [{ content: 7, content_type: 7 }, ""],
      [parts({ type: "text", text: "a" }, { type: "text" }, { type: "text", text: "b" }, 7), "a\nb\n[file]"],
      [parts({ type: "image", file_url: "HTTPS://x.example/a" }), "HTTPS://x.example/a"],
      [
        parts({ type: "file", file_url: "xhttps://x" }, { type: "audio", file_name: "n.wav" }),
        "xhttps://x\n[audio: n.wav]",
      ],
      [{ content: "no json", content_type: "object_string" }, ""],
      [{ content: "https://x.example/a.mp3", content_type: "audio" }, "https://x.example/a.mp3"],
      [{ content: "UklGRg==", content_type: "audio" }, "[audio]"],
      [{ content: "", content_type: "audio" }, ""],
      [card({ response_for_model: " It rains. " }), "It rains."],
      [card({ response_for_model: '{"title":"Rain"}', text: "Sun" }), "Rain\nSun"],
      [
        card({
          value: "v",
          label: "l",
          description: "d",
          content: "c",
          text: "t",
          header: "h",
          title: "T",
          url: "u",
        }),
        "T\nh\nt\nc\nd\nl\nv\nu",
      ],
      [card({ TITLE: " same ", text: "same", style: "dark", title2: "no" }), "same"],
      [card([{ rows: [{ deep: { text: '["inner"]' } }, { text: "{no json" }] }]), "inner\n{no json"],
      [card({ text: " ", count: 7 }), "[card]"],
      [card(nested(19)), "deep"],
      [card(nested(20)), "[card]"],
      [{ content: "no json", content_type: "card" }, "[card]"],
    ];
    const data = rows.map(([more], at) => ({ id: `m${at}`, role: at % 2 ? "user" : "assistant", ...more }));
    const stamped = [...data, { id: "at", role: "user", content: "at", created_at: "1700000000" }];
    const { baseURL } = await listing({ data: stamped });
    const history = await backend({ baseURL }).history(conversation());
    expect(history).toEqual([
      ...rows.map(([, text], at) => ({ role: at % 2 ? "user" : "agent", text })),
      { role: "user", text: "at", at: 1_700_000_000_000 },
    ]);
  });
});

describe("coze and the account's rate", () => {
  it("sends a chat when its turn has come, and nothing else waits for one", async () => {
    const asked: unknown[] = [];
    const pace = async (...rate: unknown[]) => {
      asked.push([...rate, requestsTo("/v3/chat")]);
    };
    const { service, turn } = await opened(backend({ qps: 20 }));
    emulator.fail({ path: "/v3/chat", code: 4009 });
    await all(service.ask(turn("hello", { pace })));
    // The account is the same for all its agents and sessions.
    const [[key]] = asked as [[string]];
    expect(key).toMatch(/^coze:[\w-]{22}$/);
    expect(asked).toEqual([
      [key, 20, 0],
      [key, 20, 1],
    ]);
    const other = await opened(backend({ qps: 5, metaData: { a: "b" } }), "bob");
    await all(other.service.ask(other.turn("hello", { pace })));
    expect(asked[2]).toEqual([key, 5, 2]);
    await all(backend().ask(turn("hello", { pace })));
    expect(asked).toHaveLength(3);
  });

  it("tells a chat that was held back for too long as one that was not sent", async () => {
    const { service, turn } = await opened(backend({ qps: 1 }));
    const cause = new AparteError("backend-rate-limited", "Too many wait.", { retryAfterMs: 700 });
    const error = await failure(all(service.ask(turn("hello", { pace: () => Promise.reject(cause) }))));
    expect(error).toMatchObject({
      ...{ code: "backend-rate-limited", retryAfterMs: 700, cause },
      message: "Coze: not sent, to keep the account's rate.",
    });
    const away = new AparteError("store-failed", "The store is away.");
    expect(await failure(all(service.ask(turn("hello", { pace: () => Promise.reject(away) }))))).toBe(away);
    expect([requestsTo("/v3/chat"), requestsTo("/v3/chat/cancel")]).toEqual([0, 0]);
  });
});

describe("coze deadlines", () => {
  it("leaves nothing on the signals of its callers", async () => {
    const { signal } = new AbortController();
    const { service, turn, conversation } = await opened(
      backend({ tools: { ask_person: () => "yes" }, sessionContext: () => undefined }),
    );
    const own = { ...conversation, signal };
    await all(service.ask(turn("act", { signal })));
    await service.history(own);
    await service.upload({ ...own, file: { name: "a.txt", data: new Uint8Array(1) } });
    emulator.fail({ path: "/v1/conversations", page: 503 });
    await service.find(own);
    await failure(all(service.ask(turn("fail: 4011", { signal }))));
    await all(backend({ stream: false }).ask(turn("hello", { signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("ends a request that hangs, and a request whose caller has left", async () => {
    emulator.fail({ path: "/v1/conversation/create", hang: true, times: 9 });
    emulator.fail({ path: "/v1/conversations", hang: true, times: 9 });
    const { personalToken: accessToken, botId, baseURL } = emulator;
    const hasty = coze({ accessToken, botId, baseURL, retryDelay: 1, requestTimeout: 50 });
    expect(await codeOf(hasty.open(call()))).toBe("backend-timeout");
    const leave = new AbortController();
    const hangs = emulator.fail({ path: "/v1/files/upload", hang: true });
    const file = { name: "a.txt", data: new Uint8Array([1]) };
    const uploading = backend().upload({ ...call(), signal: leave.signal, file });
    await hangs.hit;
    leave.abort();
    expect(await codeOf(uploading)).toBe("stopped");
    const other = new AbortController();
    const token = emulator.fail({ path: "/api/permission/oauth2/token", hang: true });
    const minting = backend().find({ ...call(), signal: other.signal });
    await token.hit;
    other.abort();
    expect(await codeOf(minting)).toBe("stopped");
  });
});

afterAll(() => {
  expect(closers).toEqual([]);
});

describe("coze chatflow", () => {
  const workflow = { id: "73505836754923" };
  beforeEach(async () => {
    await emulator.close();
    emulator = await startCozeEmulator({ privateKey, workflows: [workflow.id] });
  });

  it("answers in place of the agent, and learns who is speaking", async () => {
    const bodies: Record<string, unknown>[] = [];
    const watching: typeof fetch = async (url, init) => {
      if (String(url).endsWith("/v1/workflows/chat")) bodies.push(JSON.parse(String(init?.body)));
      return await fetch(url, init);
    };
    const options = { workflow: { ...workflow, version: "v1" }, connectorId: "1024", extra: { bot_id: "1" } };
    const { service, turn, conversationId } = await opened(backend({ ...options, fetch: watching }));
    const events = await all(service.ask(turn("my name is Ada", { context: { plan: "pro" } })));
    expect(messagesOf(events)[0]).toContain("I will remember that your name is Ada");
    expect(messagesOf(await all(service.ask(turn("what is my name?"))))[0]).toContain("Your name is Ada");
    expect(bodies[0]).toEqual({
      workflow_id: workflow.id,
      workflow_version: "v1",
      bot_id: emulator.botId,
      conversation_id: conversationId,
      connector_id: "1024",
      additional_messages: [
        {
          role: "user",
          type: "question",
          content: "my name is Ada",
          content_type: "text",
          meta_data: { aparte_turn: "turn-1" },
        },
      ],
      parameters: { plan: "pro" },
      ext: { user_id: "ada" },
    });
  });

  it("runs in an app, whose conversations are in no list", async () => {
    const service = backend({ workflow: { ...workflow, appId: "744208683" }, botId: undefined });
    const { turn, session } = await opened(service);
    expect(messagesOf(await all(service.ask(turn("hello"))))[0]).toContain("hello");
    expect(await service.find(session)).toBeUndefined();
    expect(emulator.chats()).toMatchObject([{ botId: "", userId: "ada", parameters: {} }]);
    await service.probe(session.signal);
  });

  it("takes the next message for the answer to its question", async () => {
    const kept: unknown[] = [];
    const { turn } = await opened(backend({ workflow }));
    const say = async (text: string) => {
      const keep = (state: JsonValue) => void kept.push(state);
      return messagesOf(await all(backend({ workflow }).ask(turn(text, { keep }))));
    };
    expect(await say("survey")).toEqual(["What is your name?"]);
    expect(await say("Ada")).toEqual(["Which size, Ada?"]);
    expect(await say("L")).toEqual(["Thank you, Ada. Size L is unknown."]);
    expect((await say("hello"))[0]).toContain('You said: "hello"');
    expect(kept).toEqual([]);
  });

  it.each([
    {
      name: "with its words as an answer",
      events: [frame("conversation.message.completed", answer("Which size?"))],
    },
    {
      name: "with its words in the call",
      events: [
        frame(
          "conversation.chat.requires_action",
          chatObject({
            status: "requires_action",
            required_action: {
              type: "submit_tool_outputs",
              submit_tool_outputs: {
                tool_calls: [
                  {
                    id: "t1",
                    type: "reply_message",
                    function: { name: "question", arguments: '{"question":"Which size?"}' },
                  },
                ],
              },
            },
          }),
        ),
      ],
    },
  ])("stops for a question $name, and the stream ends with done alone", async ({ events }) => {
    const baseURL = await serve((request, response) => {
      request.resume();
      if (request.url === "/v1/workflows/chat") {
        const interrupt = JSON.stringify({ msg_type: "interrupt", data: "", from_module: null });
        const verbose = frame(
          "conversation.message.completed",
          answer(interrupt, { id: "m2", type: "verbose" }),
        );
        return sse(response, streamOf(...events, verbose, frame("done", { debug_url: "https://x.example" })));
      }
      json(response, { access_token: "czs_x", expires_in: Math.floor(Date.now() / 1000) + 900 });
    });
    const service = backend({ baseURL, workflow });
    const turn = { ...call(), conversationId: "7", turnId: "t", text: "hi", files: [] };
    expect(messagesOf(await all(service.ask(turn)))).toEqual(["Which size?"]);
  });

  it.each([
    ["{}", "The agent asks you something."],
    ['{"content":"Which?"}', "Which?"],
    ['{"question":"","text":"Which?"}', "Which?"],
    ['{"msg":"Which?","message":"What?"}', "Which?"],
    ['{"message":"What?"}', "What?"],
    [" Which? ", "Which?"],
    [" {no json", "The agent asks you something."],
    ["", "The agent asks you something."],
  ])("asks with the words of the call: %j", async (words, said) => {
    const tool_calls = [{ id: "t1", type: "reply_message", function: { arguments: words } }];
    const required_action = { submit_tool_outputs: { tool_calls } };
    const stop = frame("conversation.chat.requires_action", chatObject({ required_action }));
    const baseURL = await serve((request, response) => {
      request.resume();
      if (request.url?.endsWith("/token")) return json(response, { access_token: "czs_x", expires_in: 900 });
      return sse(response, streamOf(stop));
    });
    const turn = { ...call(), conversationId: "7", turnId: "t", text: "hi", files: [] };
    expect(await all(backend({ baseURL, workflow }).ask(turn))).toEqual([{ type: "message", text: said }]);
  });

  it("runs once where the answer to its start is lost, and is found again after a crash", async () => {
    const { service, turn } = await opened(backend({ workflow }));
    emulator.fail({ path: "/v1/workflows/chat", afterWork: 503 });
    expect(messagesOf(await all(service.ask(turn("hello"))))[0]).toContain("hello");
    expect(emulator.chats()).toHaveLength(1);
    const recovered = await service.recover(turn("hello"));
    expect(typeof recovered === "string" ? recovered : messagesOf(await all(recovered))[0]).toContain(
      "hello",
    );
    expect(await service.recover(turn("hello", { turnId: "turn-2" }))).toBe("not-sent");
  });

  it("tells of one that is not published, and sends no files", async () => {
    const { service, turn } = await opened(backend({ workflow: { id: "1" } }));
    const unknown = await failure(all(service.ask(turn("hello"))));
    expect([unknown.code, unknown.message]).toEqual([
      "backend-rejected",
      "Coze: the resource does not exist; check botId, and that the workflow is published (code 4200).",
    ]);
    const file: FileInput = { name: "a.txt", data: new Uint8Array(1) };
    expect(await codeOf(all(service.ask(turn("see", { files: [file] }))))).toBe("backend-rejected");
    expect(requestsTo("/v1/files/upload")).toBe(0);
  });
});

describe("coze feedback", () => {
  it("tells Coze what a person thinks of an answer", async () => {
    const { service, turn, conversation } = await opened();
    const events = await all(service.ask(turn("hello")));
    const [id] = events.flatMap((event) => (event.type === "message" ? [event.id] : []));
    if (id === undefined) throw new Error("the answer has no id");
    const feedback = () =>
      emulator.conversations()[0]?.messages.find((message) => message.id === id)?.feedback;
    await service.feedback({ ...conversation, answer: id, rating: "up" });
    expect(feedback()).toEqual({ type: "like" });
    await service.feedback({ ...conversation, answer: id, rating: "down", words: "太短 / too short" });
    expect(feedback()).toEqual({ type: "unlike", comment: "太短 / too short" });
  });

  it("brings the same id where the answer is fetched or polled", async () => {
    const { service, turn } = await opened(backend({ stream: false }));
    const events = await all(service.ask(turn("hello")));
    const kept = emulator.conversations()[0]?.messages.find(({ type }) => type === "answer");
    expect(events).toContainEqual({ type: "message", text: 'Turn 1. You said: "hello".', id: kept?.id });
  });

  it("is refused for an answer of somebody else's, and for an id that would lead elsewhere", async () => {
    const ada = await opened();
    const ben = await opened(ada.service, "ben");
    const events = await all(ada.service.ask(ada.turn("hello")));
    const answer = events.flatMap((event) => (event.type === "message" ? [event.id] : []))[0] ?? "";
    const rate = (of: typeof ada, id: string) =>
      codeOf(ada.service.feedback({ ...of.conversation, answer: id, rating: "up" }));
    expect(await rate(ben, answer)).toBe("backend-rejected");
    expect(await rate(ada, "../../clear?")).toBe("backend-rejected");
    expect(emulator.requests().some(({ path }) => path.endsWith("/clear"))).toBe(false);
  });
});

describe("coze opening messages", () => {
  const opening = [
    { role: "user", text: "my name is Ada" },
    { role: "agent", text: "Hello, Ada 你好" },
  ] as const;

  it("stand in a conversation from the beginning, and the agent knows them", async () => {
    const asked: unknown[] = [];
    const service = backend({
      opening: async ({ sessionName, agent: name }) => {
        asked.push([sessionName, name]);
        return opening;
      },
    });
    const { turn, conversation } = await opened(service);
    expect(asked).toEqual([["ada", agent]]);
    expect((await service.history(conversation)).map(({ role, text }) => ({ role, text }))).toEqual(opening);
    expect(messagesOf(await all(service.ask(turn("what is my name?"))))).toEqual([
      "Turn 2. Your name is Ada.",
    ]);
  });

  it("are none where the function says so", async () => {
    for (const none of [undefined, []]) {
      const service = backend({ opening: () => none });
      const { conversation } = await opened(service);
      expect(await service.history(conversation)).toEqual([]);
    }
  });

  it("are asked for once where the answer to the opening was lost", async () => {
    let asked = 0;
    emulator.fail({ path: "/v1/conversation/create", dropResponse: true });
    const service = backend({
      opening() {
        asked += 1;
        return opening;
      },
    });
    const { conversation } = await opened(service);
    expect(asked).toBe(1);
    expect(emulator.conversations()).toHaveLength(1);
    expect(await service.history(conversation)).toHaveLength(2);
  });

  it("are refused where Coze would refuse them, or the function fails", async () => {
    const many = Array.from({ length: 17 }, () => opening[0]);
    const wrong: unknown[] = [
      many,
      "hello",
      [{ role: "system", text: "x" }],
      [{ role: "user", text: " " }],
      [7],
    ];
    for (const messages of wrong) {
      const error = await failure(opened(backend({ opening: () => messages as never })));
      expect([error.code, error.field]).toEqual(["input-invalid", "opening"]);
      expect(error.message).toContain('must return at most 16 messages of { role: "user" or "agent", text }');
    }
    const most = Array.from({ length: 16 }, () => opening[0]);
    await opened(backend({ opening: () => most }));
    expect(emulator.conversations()[0]?.messages).toHaveLength(16);
    const cause = new Error("the thread is away");
    const error = await failure(opened(backend({ opening: () => Promise.reject(cause) })));
    expect([error.code, error.field, error.cause]).toEqual(["input-invalid", "opening", cause]);
    expect(error.message).toBe('The function "opening" failed. Its error is kept as the cause.');
    expect(requestsTo("/v1/conversation/create")).toBe(1);
    const codes = (await failure((async () => backend({ opening: [] as never }))())).field;
    expect(codes).toBe("opening");
  });
});
