import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChatEventType, CozeAPI, getJWTToken, RoleType, type StreamChatData } from "@coze/api";
import { createParser } from "eventsource-parser";
import { importPKCS8, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type CozeEmulator,
  type CozeEmulatorOptions,
  startCozeEmulator,
} from "../../src/emulators/coze/index.ts";

const open: { close(): Promise<void> }[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aparte-coze-"));
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((emulator) => emulator.close()));
  await rm(folder, { recursive: true, force: true });
});

// One key for most: making one takes longer than any test here.
const privateKey = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
}).privateKey;

async function start(options: CozeEmulatorOptions = {}): Promise<CozeEmulator> {
  const emulator = await startCozeEmulator({ ...(options.persist ? {} : { privateKey }), ...options });
  open.push(emulator);
  return emulator;
}

type Json = Record<string, unknown>;

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json & { code?: number; data?: Json };
}

async function call(url: string, init: RequestInit): Promise<Reply> {
  const response = await fetch(url, init);
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Reply["body"],
  };
}

/** A plain client without the official one's habits: says exactly what a test wants said. */
async function session(emulator: CozeEmulator, sessionName?: string) {
  const token = await tokenFor(emulator, sessionName);
  const send = (method: string, path: string, body?: unknown) =>
    fetch(`${emulator.baseURL}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const json = async (method: string, path: string, body?: unknown): Promise<Reply["body"]> =>
    (await (await send(method, path, body)).json()) as Reply["body"];
  const create = async (body: Json = {}): Promise<string> => {
    const { data } = await json("POST", "/v1/conversation/create", { bot_id: emulator.botId, ...body });
    return String(data?.id);
  };
  const chatBody = (text: string, more: Json = {}) => ({
    bot_id: emulator.botId,
    user_id: sessionName ?? "someone",
    stream: true,
    additional_messages: [{ role: "user", content: text, content_type: "text" }],
    ...more,
  });
  const chat = (conversationId: string, text: string, more: Json = {}) =>
    send("POST", `/v3/chat?conversation_id=${conversationId}`, chatBody(text, more));
  /** One turn; its answers, joined. */
  const say = async (conversationId: string, text: string): Promise<string> =>
    answersIn(await eventsOf(await chat(conversationId, text))).join("\n");
  return { token, send, json, create, chatBody, chat, say };
}

interface StreamEvent {
  readonly event: string;
  readonly data: Json;
}

/** The events of a stream; `broken` is called when the connection breaks before the stream's end. */
async function eventsOf(response: Response, broken: () => void = () => {}): Promise<StreamEvent[]> {
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = "", data }) => events.push({ event, data: JSON.parse(data) as Json }),
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  } catch {
    broken();
  }
  return events;
}

function answersIn(events: readonly StreamEvent[]): string[] {
  return events
    .filter(({ event, data }) => event === "conversation.message.completed" && data.type === "answer")
    .map(({ data }) => String(data.content));
}

async function tokenFor(emulator: CozeEmulator, sessionName?: string): Promise<string> {
  const { access_token: token } = await getJWTToken(jwtConfig(emulator, sessionName));
  return token;
}

function jwtConfig(emulator: CozeEmulator, sessionName?: string) {
  const { baseURL, appId, keyId: keyid, privateKey } = emulator;
  return { baseURL, appId, keyid, privateKey, aud: "api.coze.cn", ...(sessionName ? { sessionName } : {}) };
}

interface JwtParts {
  readonly header?: Json;
  readonly claims?: Json;
  readonly key?: string;
}

async function signed(emulator: CozeEmulator, { header, claims, key }: JwtParts = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: emulator.appId,
    aud: "api.coze.cn",
    iat: now,
    exp: now + 600,
    jti: randomUUID(),
    ...claims,
  };
  return new SignJWT(all)
    .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: emulator.keyId, ...header })
    .sign(await importPKCS8(key ?? emulator.privateKey, "RS256"));
}

function exchange(emulator: CozeEmulator, jwt: string, body: Json = {}, path = "/token"): Promise<Reply> {
  return call(`${emulator.baseURL}/api/permission/oauth2${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${jwt}`, "content-type": "application/json" },
    body: JSON.stringify({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", ...body }),
  });
}

/** The code that comes back to whoever opens a conversation with a file in it. */
async function sendsFile(emulator: CozeEmulator, token: string, file: unknown): Promise<unknown> {
  const content = JSON.stringify([
    { type: "text", text: "look" },
    { type: "image", file_id: file },
  ]);
  const { body } = await call(`${emulator.baseURL}/v1/conversation/create`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content_type: "object_string", content }] }),
  });
  return body.code;
}

function official(emulator: CozeEmulator, sessionName = "ada"): CozeAPI {
  const token = async () => tokenFor(emulator, sessionName);
  return new CozeAPI({ baseURL: emulator.baseURL, token });
}

async function streamed(events: AsyncIterable<StreamChatData>) {
  const seen: StreamChatData[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

describe("The Coze emulator, judged by the official client", () => {
  const question = (content: string) => ({ role: RoleType.User, content, content_type: "text" as const });

  it("gives a token whose end is a point in time", async () => {
    const emulator = await start();
    const before = Math.floor(Date.now() / 1000);
    const token = await getJWTToken({ ...jwtConfig(emulator, "ada"), durationSeconds: 3600 });
    expect(token.access_token).toMatch(/^czs_/);
    expect(token.expires_in).toBeGreaterThanOrEqual(before + 3600);
    expect(token.expires_in).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) + 3600);
    expect(emulator.signatures).toBe(1);
    expect(emulator.jwts()).toMatchObject([
      { sessionName: "ada", audience: "api.coze.cn", durationSeconds: 3600 },
    ]);
  });

  it("gives a token for an account", async () => {
    const emulator = await start();
    await getJWTToken({ ...jwtConfig(emulator), accountId: "7001" });
    expect(emulator.jwts().at(-1)?.path).toBe("/api/permission/oauth2/account/7001/token");
  });

  it("opens, retrieves, lists and clears a conversation", async () => {
    const emulator = await start();
    const client = official(emulator);
    const created = await client.conversations.create({ bot_id: emulator.botId, meta_data: { room: "1" } });
    expect(created.id).toMatch(/^\d{19}$/);
    expect(Number(created.id)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    const retrieved = await client.conversations.retrieve(created.id);
    expect(retrieved).toEqual(created);
    expect(retrieved.meta_data).toEqual({ room: "1" });
    const listed = await client.conversations.list({ bot_id: emulator.botId });
    expect(listed).toEqual({ conversations: [created], has_more: false });
    const cleared = await client.conversations.clear(created.id);
    expect(cleared.conversation_id).toBe(created.id);
    expect(cleared.id).not.toBe(created.last_section_id);
  });

  it("streams an answer word by word", async () => {
    const emulator = await start();
    const client = official(emulator);
    const { id } = await client.conversations.create({ bot_id: emulator.botId });
    const params = { bot_id: emulator.botId, user_id: "ada", conversation_id: id };
    const events = await streamed(
      client.chat.stream({ ...params, additional_messages: [question("hello there")] }),
    );
    const names = events.map(({ event }) => event);
    expect(names.slice(0, 3)).toEqual([
      ChatEventType.CONVERSATION_CHAT_CREATED,
      ChatEventType.CONVERSATION_CHAT_IN_PROGRESS,
      ChatEventType.CONVERSATION_MESSAGE_DELTA,
    ]);
    expect(names.slice(-4)).toEqual([
      ChatEventType.CONVERSATION_MESSAGE_COMPLETED,
      ChatEventType.CONVERSATION_MESSAGE_COMPLETED,
      ChatEventType.CONVERSATION_CHAT_COMPLETED,
      ChatEventType.DONE,
    ]);
    const deltas = events.flatMap((event) =>
      event.event === ChatEventType.CONVERSATION_MESSAGE_DELTA ? [event.data.content] : [],
    );
    expect(deltas.length).toBeGreaterThan(3);
    expect(deltas.join("")).toBe('Turn 1. You said: "hello there".');
  });

  it("speaks its answer to who sends sound, in pieces of 16 bits", async () => {
    const emulator = await start();
    const content = [
      { type: "text" as const, text: "listen" },
      { type: "audio" as const, file_url: "https://files.example/note.wav" },
    ];
    const asked = { role: RoleType.User, content_type: "object_string" as const, content };
    const events = await streamed(
      official(emulator).chat.stream({
        bot_id: emulator.botId,
        user_id: "ada",
        additional_messages: [asked],
      }),
    );
    const pieces = events.flatMap((event) =>
      event.event === ChatEventType.CONVERSATION_AUDIO_DELTA ? [event.data] : [],
    );
    expect(pieces.length).toBeGreaterThan(3);
    expect(new Set(pieces.map(({ content_type, type }) => `${type} ${content_type}`))).toEqual(
      new Set(["answer audio"]),
    );
    expect(Buffer.from(pieces[0]?.content ?? "", "base64")).toHaveLength(480);
  });

  it("answers a chat that is polled", async () => {
    const emulator = await start();
    const client = official(emulator);
    const { chat, messages = [] } = await client.chat.createAndPoll({
      bot_id: emulator.botId,
      user_id: "ada",
      additional_messages: [question("hello")],
    });
    expect(chat.status).toBe("completed");
    expect(chat.usage?.output_count).toBeGreaterThan(0);
    expect(messages.map(({ type, content }) => [type, content])).toContainEqual([
      "answer",
      'Turn 1. You said: "hello".',
    ]);
    expect(messages.every(({ role }) => role === "assistant")).toBe(true);
  });

  it("cancels a chat and frees its conversation", async () => {
    const emulator = await start();
    const client = official(emulator);
    const { id } = await client.conversations.create({ bot_id: emulator.botId });
    const params = { bot_id: emulator.botId, user_id: "ada", conversation_id: id };
    const chat = await client.chat.create({ ...params, additional_messages: [question("fail: hang")] });
    expect(chat.status).toBe("in_progress");
    const canceled = await client.chat.cancel(id, chat.id);
    expect(canceled.status).toBe("canceled");
    const next = await client.chat.createAndPoll({ ...params, additional_messages: [question("again")] });
    expect(next.messages?.map(({ content }) => content)).toContain('Turn 1. You said: "again".');
  });

  it("takes an upload and tells its name and size to the agent", async () => {
    const emulator = await start();
    const client = official(emulator);
    const path = join(folder, "photo.png");
    await writeFile(path, "12345");
    const file = await client.files.upload({ file: createReadStream(path) });
    const created_at = expect.any(Number);
    expect(file).toEqual({ id: expect.any(String), file_name: "photo.png", bytes: 5, created_at });
    const { messages = [] } = await client.chat.createAndPoll({
      bot_id: emulator.botId,
      user_id: "ada",
      additional_messages: [
        {
          role: RoleType.User,
          content_type: "object_string",
          content: [
            { type: "text", text: "look" },
            { type: "image", file_id: file.id },
          ],
        },
      ],
    });
    expect(messages.map(({ content }) => content)).toContain(
      'Turn 1. You said: "look". You sent: "photo.png" (image, 5 bytes).',
    );
  });

  it("lists messages, those of the beginning among them", async () => {
    const emulator = await start();
    const client = official(emulator);
    const { id } = await client.conversations.create({
      bot_id: emulator.botId,
      messages: [
        question("first"),
        { role: RoleType.Assistant, content: "second", content_type: "text" },
        question("third"),
      ],
    });
    const { messages } = client.conversations;
    const page = await messages.list(id, { limit: 1 });
    expect(page.data.map(({ content }) => content)).toEqual(["third"]);
    expect(page.has_more).toBe(true);
    const rest = await messages.list(id, { after_id: page.last_id });
    expect(rest.data.map(({ content }) => content)).toEqual(["second", "first"]);
    expect(rest.has_more).toBe(false);
    const back = await messages.list(id, { before_id: rest.first_id });
    expect(back.data.map(({ content }) => content)).toEqual(["third"]);
    const near = await messages.list(id, { order: "asc", before_id: page.first_id, limit: 1 });
    expect(near.data.map(({ content }) => content)).toEqual(["second"]);
  });
});

describe("The token endpoint", () => {
  it("takes a JWT for its region and for its own host, and none for the other region", async () => {
    for (const [region, other] of [
      ["cn", "com"],
      ["com", "cn"],
    ] as const) {
      const emulator = await start(region === "cn" ? {} : { region });
      const { host, hostname } = new URL(emulator.baseURL);
      for (const aud of [`api.coze.${region}`, host, hostname]) {
        expect((await exchange(emulator, await signed(emulator, { claims: { aud } }))).status).toBe(200);
      }
      const foreign = await signed(emulator, { claims: { aud: `api.coze.${other}` } });
      expect((await exchange(emulator, foreign)).status).toBe(401);
    }
  });

  it("takes a JWT on the enterprise path", async () => {
    const emulator = await start();
    expect(
      (await exchange(emulator, await signed(emulator), {}, "/enterprise_id/volcano_1/token")).status,
    ).toBe(200);
  });

  it("refuses a JWT twice, even at once", async () => {
    const emulator = await start();
    const jwt = await signed(emulator);
    const replies = await Promise.all([
      exchange(emulator, jwt),
      exchange(emulator, jwt),
      exchange(emulator, jwt),
    ]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    expect(emulator.signatures).toBe(1);
  });

  it("refuses every JWT that is not right, in its own form of error", async () => {
    const emulator = await start();
    const stranger = await start({ persist: join(folder, "stranger.db") });
    const now = Math.floor(Date.now() / 1000);
    const wrong: [string, JwtParts][] = [
      ["another key", { key: stranger.privateKey }],
      ["an unknown kid", { header: { kid: "unknown" } }],
      ["another typ", { header: { typ: "at+jwt" } }],
      ["another app", { claims: { iss: "1" } }],
      ["another audience", { claims: { aud: "api.example.com" } }],
      ["a list of audiences", { claims: { aud: ["api.coze.cn"] } }],
      ["an end in the past", { claims: { iat: now - 700, exp: now - 100 } }],
      ["an end before its beginning", { claims: { iat: now + 30, exp: now + 20 } }],
      ["a beginning in the future", { claims: { iat: now + 300, exp: now + 600 } }],
      ["no jti", { claims: { jti: undefined } }],
      ["no iat", { claims: { iat: undefined } }],
      ["no exp", { claims: { exp: undefined } }],
      ["a session name that is no string", { claims: { session_name: 7 } }],
    ];
    for (const [what, parts] of wrong) {
      const { status, body } = await exchange(emulator, await signed(emulator, parts));
      expect([what, status, body.error_code]).toEqual([what, 401, "invalid_client"]);
      expect(body).not.toHaveProperty("code");
    }
    expect((await exchange(emulator, "")).body.error_message).toContain("verify jwt empty error");
    expect((await exchange(emulator, "no.jwt")).status).toBe(401);
    expect(emulator.signatures).toBe(0);
  });

  it("refuses another grant, and a life above 86399 seconds", async () => {
    const emulator = await start();
    const grant = await exchange(emulator, await signed(emulator), { grant_type: "password" });
    expect([grant.status, grant.body.error_code]).toEqual([400, "unsupported_grant_type"]);
    for (const duration of [86_400, 0, 1.5, "900"]) {
      const { status, body } = await exchange(emulator, await signed(emulator), {
        duration_seconds: duration,
      });
      expect([status, body.error_code]).toEqual([400, "invalid_request"]);
    }
    expect((await exchange(emulator, await signed(emulator), { duration_seconds: 86_399 })).status).toBe(200);
  });

  it("refuses a token once its life is over", async () => {
    let now = Date.now();
    const emulator = await start({ now: () => now });
    const { body } = await exchange(emulator, await signed(emulator), { duration_seconds: 60 });
    expect(body.expires_in).toBe(Math.floor(now / 1000) + 60);
    const ask = () =>
      call(`${emulator.baseURL}/v1/conversations?bot_id=${emulator.botId}`, {
        headers: { authorization: `Bearer ${String(body.access_token)}` },
      });
    now += 58_000;
    expect((await ask()).status).toBe(200);
    now += 3_000;
    const late = await ask();
    expect([late.status, late.body.code]).toEqual([401, 4100]);
    expect(late.headers.get("date")).toBe(new Date(now).toUTCString());
  });

  it("keeps a token to the bots of its scope", async () => {
    const emulator = await start({ bots: [{}, {}] });
    const [mine, other] = emulator.botIds;
    const scope = {
      account_permission: { permission_list: ["Connector.botChat"] },
      attribute_constraint: { connector_bot_chat_attribute: { bot_id_list: [mine] } },
    };
    const { body } = await exchange(emulator, await signed(emulator), { scope });
    const create = (botId: unknown) =>
      call(`${emulator.baseURL}/v1/conversation/create`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${String(body.access_token)}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ bot_id: botId }),
      });
    expect((await create(mine)).body.code).toBe(0);
    expect((await create(other)).body.code).toBe(4101);
  });
});

describe("A Coze conversation", () => {
  it("exists for the session that opened it, and for no other", async () => {
    const emulator = await start();
    const [ada, bob] = [await session(emulator, "ada"), await session(emulator, "bob")];
    const id = await ada.create();
    const foreign: [string, string, unknown?][] = [
      ["GET", `/v1/conversation/retrieve?conversation_id=${id}`],
      ["PUT", `/v1/conversations/${id}`, { name: "mine" }],
      ["POST", `/v1/conversations/${id}/clear`],
      ["DELETE", `/v1/conversations/${id}`],
      ["POST", `/v1/conversation/message/list?conversation_id=${id}`, {}],
      ["POST", `/v3/chat?conversation_id=${id}`, bob.chatBody("let me in")],
      ["POST", "/v3/chat/cancel", { conversation_id: id, chat_id: "1" }],
    ];
    for (const [method, path, body] of foreign) {
      expect([path, (await bob.json(method, path, body)).code]).toEqual([path, 4002]);
    }
    const { data } = await bob.json("GET", `/v1/conversations?bot_id=${emulator.botId}`);
    expect(data?.conversations).toEqual([]);
    expect((await ada.json("GET", `/v1/conversation/retrieve?conversation_id=${id}`)).code).toBe(0);
  });

  it("is shared by tokens without a session, which is what sessions are for", async () => {
    const emulator = await start();
    const [one, two] = [await session(emulator), await session(emulator)];
    const id = await one.create();
    expect((await two.json("GET", `/v1/conversation/retrieve?conversation_id=${id}`)).code).toBe(0);
    const pat = await call(`${emulator.baseURL}/v1/conversation/retrieve?conversation_id=${id}`, {
      headers: { authorization: `Bearer ${emulator.personalToken}` },
    });
    expect(pat.body.code).toBe(0);
  });

  it("is unknown once deleted, by its owner or behind its owner's back", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const [first, second] = [await ada.create(), await ada.create()];
    expect((await ada.json("DELETE", `/v1/conversations/${first}`)).code).toBe(0);
    expect(emulator.deleteConversation(second)).toBe(true);
    expect(emulator.deleteConversation(second)).toBe(false);
    for (const id of [first, second]) {
      expect((await ada.json("POST", `/v3/chat?conversation_id=${id}`, ada.chatBody("hi"))).code).toBe(4002);
    }
    expect(emulator.conversations()).toEqual([]);
  });

  it("holds to the limits of names, messages and meta data", async () => {
    const emulator = await start({ bots: [{}, { published: false }] });
    const ada = await session(emulator, "ada");
    const codeOf = async (body: Json) => (await ada.json("POST", "/v1/conversation/create", body)).code;
    const message = { role: "user", content: "x", content_type: "text" };
    const pairs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
    expect(
      await codeOf({ name: "😀".repeat(100), messages: Array(16).fill(message), meta_data: pairs(16) }),
    ).toBe(0);
    expect(await codeOf({ name: "n".repeat(101) })).toBe(4000);
    expect(await codeOf({ messages: Array(17).fill(message) })).toBe(4000);
    expect(await codeOf({ meta_data: pairs(17) })).toBe(4003);
    expect(await codeOf({ meta_data: { ["k".repeat(65)]: "v" } })).toBe(4003);
    expect(await codeOf({ meta_data: { k: "" } })).toBe(4003);
    expect(await codeOf({ meta_data: { k: "v".repeat(513) } })).toBe(4003);
    expect(await codeOf({ meta_data: { k: 1 } })).toBe(4003);
    expect(await codeOf({ bot_id: "1" })).toBe(4006);
    expect(await codeOf({ bot_id: Number(emulator.botId) })).toBe(4000);
    expect(await codeOf({ bot_id: emulator.botIds[1] })).toBe(4015);
    const id = await ada.create();
    expect((await ada.json("PUT", `/v1/conversations/${id}`, { name: "n".repeat(101) })).code).toBe(4000);
    const renamed = await ada.json("PUT", `/v1/conversations/${id}`, { name: "new" });
    expect(renamed.data?.name).toBe("new");
  });

  it("is listed in pages, newest first, by bot and connector", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const ids = [await ada.create(), await ada.create(), await ada.create()];
    await ada.create({ connector_id: "999" });
    const list = async (query: string) => {
      const { data } = await ada.json("GET", `/v1/conversations?bot_id=${emulator.botId}${query}`);
      const conversations = data?.conversations as { id: string }[];
      return { ids: conversations.map(({ id }) => id), more: data?.has_more };
    };
    expect(await list("")).toEqual({ ids: ids.toReversed(), more: false });
    expect(await list("&page_size=2")).toEqual({ ids: [ids[2], ids[1]], more: true });
    expect(await list("&page_size=2&page_num=2&sort_order=ASC")).toEqual({ ids: [ids[2]], more: false });
    expect((await list("&connector_id=999")).ids).toHaveLength(1);
    for (const [query, message] of [
      ["&page_size=51", "Invalid parameter page_size: an integer from 1 to 50"],
      ["&page_num=0", "Invalid parameter page_num: an integer from 1 to 1000000000"],
      ["&sort_order=UP", "sort_order must be ASC or DESC"],
    ]) {
      const { code, msg } = await ada.json("GET", `/v1/conversations?bot_id=${emulator.botId}${query}`);
      expect([code, msg]).toEqual([4000, message]);
    }
    expect((await ada.json("GET", "/v1/conversations")).msg).toBe("The parameter bot_id is required");
  });

  it("is called after its first message when it was given no name", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const [unnamed, named] = [await ada.create(), await ada.create({ name: "mine" })];
    await ada.say(unnamed, "plan my trip");
    await ada.say(named, "plan my trip");
    expect(emulator.conversations().map(({ name }) => name)).toEqual(["plan my trip", "mine"]);
  });
});

describe("A Coze chat", () => {
  it("is refused while another runs in its conversation, and taken right after the other's end", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const ended = emulator.once("chat-ended");
    const first = await ada.chat(id, "fail: hang");
    const second = await ada.chat(id, "and me?");
    expect(second.headers.get("content-type")).toMatch(/^application\/json/);
    expect([second.status, ((await second.json()) as Json).code]).toEqual([200, 4016]);
    const chatId = emulator.chats()[0]?.id;
    expect((await ada.json("POST", "/v3/chat/cancel", { conversation_id: id, chat_id: chatId })).code).toBe(
      0,
    );
    await eventsOf(first);
    expect((await ended).status).toBe("canceled");
    expect(await ada.say(id, "and now?")).toBe('Turn 1. You said: "and now?".');
  });

  it("goes on telling its words after it was cancelled, and keeps none of them", async () => {
    const emulator = await start({ wordDelayMs: 1 });
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const response = await ada.chat(id, "long 300");
    const chatId = emulator.chats()[0]?.id;
    await ada.json("POST", "/v3/chat/cancel", { conversation_id: id, chat_id: chatId });
    const events = await eventsOf(response);
    expect(events.at(-1)?.event).toBe("done");
    expect(answersIn(events)[0]?.length).toBeGreaterThan(300);
    expect(await ada.say(id, "hello")).toBe('Turn 1. You said: "hello".');
    const again = await ada.json("POST", "/v3/chat/cancel", { conversation_id: id, chat_id: chatId });
    expect(again.code).toBe(4104);
  });

  it("runs to its end when its listener is gone", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const ended = emulator.once("chat-ended");
    let broken = 0;
    const events = await eventsOf(await ada.chat(id, "fail: cut"), () => {
      broken += 1;
    });
    expect(broken).toBe(1);
    expect(events.at(-1)?.event).toBe("conversation.message.delta");
    const { id: chatId, status } = await ended;
    expect(status).toBe("completed");
    for (const method of ["GET", "POST"]) {
      const { data } = await ada.json(method, `/v3/chat/retrieve?conversation_id=${id}&chat_id=${chatId}`);
      expect(data?.status).toBe("completed");
    }
    const list = await ada.json("GET", `/v3/chat/message/list?conversation_id=${id}&chat_id=${chatId}`);
    expect(JSON.stringify(list.data)).toContain("Turn 1.");
  });

  it("writes its frames as the service does", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const text = await (await ada.chat(await ada.create(), "suggest")).text();
    const frames = text.split("\n\n").slice(0, -1);
    expect(frames[0]).toMatch(/^event:conversation\.chat\.created\ndata:\{"id":"\d{19}"/);
    expect(frames[0]).toContain('"last_error":{"code":0,"msg":""}');
    expect(frames[0]).toContain('"required_action":{"type":"","submit_tool_outputs":{"tool_calls":[]}}');
    expect(frames.at(-1)).toBe('event:done\ndata:"[DONE]"');
    const types = frames.flatMap((frame) =>
      frame.startsWith("event:conversation.message.completed") ? [/"type":"(\w+)"/.exec(frame)?.[1]] : [],
    );
    expect(types).toEqual(["answer", "verbose", "follow_up", "follow_up", "follow_up"]);
    expect(text).toContain("generate_answer_finish");
  });

  it("gives several answers, and shows its tools, when asked to", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const events = await eventsOf(await ada.chat(id, "use a tool, twice"));
    const types = events
      .filter(({ event }) => event === "conversation.message.completed")
      .map(({ data }) => data.type);
    expect(types).toEqual(["function_call", "tool_response", "answer", "answer", "verbose"]);
    const { data } = await ada.json("POST", `/v1/conversation/message/list?conversation_id=${id}`, {
      order: "asc",
    });
    expect((data as unknown as Json[]).map(({ type }) => type)).toEqual(["question", "answer", "answer"]);
  });

  it("stops for an action and goes on with its outputs", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const events = await eventsOf(await ada.chat(id, "act"));
    expect(events.map(({ event }) => event).slice(-2)).toEqual(["conversation.chat.requires_action", "done"]);
    const chat = events.at(-2)?.data as {
      id: string;
      required_action: { submit_tool_outputs: { tool_calls: { id: string }[] } };
    };
    const callId = chat.required_action.submit_tool_outputs.tool_calls[0]?.id;
    const path = `/v3/chat/submit_tool_outputs?conversation_id=${id}&chat_id=${chat.id}`;
    const cancel = await ada.json("POST", "/v3/chat/cancel", { conversation_id: id, chat_id: chat.id });
    expect(cancel.code).toBe(4104);
    expect((await ada.json("POST", path, { tool_outputs: [{ tool_call_id: "x", output: "no" }] })).code).toBe(
      4000,
    );
    const outputs = { tool_outputs: [{ tool_call_id: callId, output: "yes" }], stream: true };
    const rest = await eventsOf(await ada.send("POST", path, outputs));
    expect(answersIn(rest)).toEqual(['Done. The outputs were: "yes".']);
    expect(rest.at(-2)?.event).toBe("conversation.chat.completed");
    expect((await ada.json("POST", path, outputs)).code).toBe(4000);
  });

  it("fails in the way that is asked for", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const failed = await eventsOf(await ada.chat(id, "fail: 4013"));
    expect(failed.at(-2)).toMatchObject({
      event: "conversation.chat.failed",
      data: { status: "failed", last_error: { code: 4013 } },
    });
    expect(
      (await ada.json("POST", `/v3/chat?conversation_id=${id}`, ada.chatBody("fail: early 4011"))).code,
    ).toBe(4011);
    expect(await ada.say(id, "hello")).toBe('Turn 1. You said: "hello".');
  });

  it("writes a long answer with code fences", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    const events = await eventsOf(await ada.chat(id, "long 5000"));
    const [answer = ""] = answersIn(events);
    expect(answer.length).toBeGreaterThan(4900);
    expect(answer.length).toBeLessThan(5600);
    expect(answer).toContain("```ts\n");
    const deltas = events.filter(({ event }) => event === "conversation.message.delta");
    expect(deltas.map(({ data }) => data.content).join("")).toBe(answer);
  });

  it("opens a conversation of its own when it is given none", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const opened = emulator.once("conversation");
    const { data } = await ada.json("POST", "/v3/chat", { ...ada.chatBody("hi"), stream: false });
    expect(data?.conversation_id).toBe((await opened).id);
    expect(emulator.conversations()[0]).toMatchObject({ sessionName: "ada", botId: emulator.botId });
  });

  it("shows a conversation whole to the test that looks at it", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const upload = await uploaded(emulator, ada.token, [["file", "a.txt", "abc"]]);
    const id = await ada.create({ name: "plans", meta_data: { plan: "gold" }, connector_id: "999" });
    const items = [
      { type: "text", text: "look" },
      { type: "file", file_id: upload.body.data?.id },
    ];
    const question = { role: "user", content: JSON.stringify(items), content_type: "object_string" };
    const events = await eventsOf(await ada.chat(id, "", { additional_messages: [question] }));
    const [said] = events.filter(({ data }) => data.type === "answer").slice(-1);
    const [chat] = emulator.chats();
    const [conversation] = emulator.conversations();
    const asked = conversation?.messages[0];
    const own = { chatId: chat?.id, sectionId: conversation?.sectionId };
    expect(conversation).toEqual({
      id,
      botId: emulator.botId,
      sessionName: "ada",
      accountId: expect.stringMatching(/^\d+$/),
      name: "plans",
      metaData: { plan: "gold" },
      connectorId: "999",
      sectionId: said?.data.section_id,
      messages: expect.any(Array),
    });
    const answer = { id: said?.data.id, role: "assistant", type: "answer", text: said?.data.content };
    expect(conversation?.messages.filter(({ type }) => type !== "verbose")).toEqual([
      { ...own, id: asked?.id, role: "user", type: "question", text: "look", files: ["a.txt"] },
      { ...own, ...answer, files: [] },
    ]);
    expect([asked?.id, answer.text]).toEqual([
      expect.stringMatching(/^\d+$/),
      'Turn 1. You said: "look". You sent: "a.txt" (file, 3 bytes).',
    ]);
  });

  it("refuses what is not allowed, each with its code", async () => {
    const emulator = await start({ bots: [{}, { published: false }] });
    const [ada, other] = [await session(emulator, "ada"), await session(emulator, "ada")];
    const id = await ada.create();
    const codeOf = async (more: Json) =>
      (await ada.json("POST", `/v3/chat?conversation_id=${id}`, ada.chatBody("x", more))).code;
    const text = { role: "user", content: "x", content_type: "text" };
    const objects = (...items: Json[]) => ({
      role: "user",
      content_type: "object_string",
      content: JSON.stringify(items),
    });
    const upload = await uploaded(emulator, ada.token, [["file", "a.txt", "abc"]]);
    const file = { type: "file", file_id: upload.body.data?.id };
    const words = { type: "text", text: "x" };
    const cases: [Json, number][] = [
      [{ bot_id: undefined }, 4000],
      [{ user_id: undefined }, 4000],
      [{ bot_id: "1" }, 4006],
      [{ bot_id: emulator.botIds[1] }, 4015],
      [{ stream: false, auto_save_history: false }, 4007],
      [{ additional_messages: Array(101).fill(text) }, 4004],
      [{ additional_messages: [] }, 4000],
      [{ additional_messages: [{ ...text, role: "assistant" }] }, 4000],
      [{ additional_messages: [{ ...text, content: "" }] }, 4005],
      [{ additional_messages: [{ ...text, content_type: undefined }] }, 4000],
      [{ additional_messages: [{ ...text, type: "follow_up" }] }, 4000],
      [{ additional_messages: [{ ...text, content_type: "object_string" }] }, 4005],
      [{ additional_messages: [objects(words)] }, 4000],
      [{ additional_messages: [objects(words, words, file)] }, 4000],
      [{ additional_messages: [objects(file)] }, 4000],
      [{ additional_messages: [objects(words, { type: "file", file_id: "1" })] }, 4000],
      [{ meta_data: { k: "" } }, 4003],
    ];
    for (const [more, code] of cases) expect([more, await codeOf(more)]).toEqual([more, code]);
    expect(emulator.chats()).toEqual([]);
    const unknown = await other.json("POST", "/v3/chat?conversation_id=1", ada.chatBody("x"));
    expect(unknown.code).toBe(4002);
    const lonely = await ada.chat(id, "", { additional_messages: [objects(file), text] });
    expect(answersIn(await eventsOf(lonely))[0]).toContain("Turn 2.");
  });

  it("keeps nothing when it is told not to save", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    await eventsOf(await ada.chat(id, "my name is Ada", { auto_save_history: false }));
    expect(emulator.conversations()[0]?.messages).toEqual([]);
    expect(await ada.say(id, "what is my name?")).toBe("Turn 1. You have not told me your name.");
  });
});

describe("The emulator's agent", () => {
  it("knows what its own conversation told it, and nothing of any other", async () => {
    const emulator = await start();
    const [ada, bob] = [await session(emulator, "ada"), await session(emulator, "bob")];
    const [a, b] = [await ada.create(), await bob.create()];
    await Promise.all([ada.say(a, "My name is Ada."), bob.say(b, "I am called Bob")]);
    await Promise.all([
      ada.say(a, "remember that the code is 42"),
      bob.say(b, "remember that the code is 7"),
    ]);
    expect(await ada.say(a, "What is my name?")).toBe("Turn 3. Your name is Ada.");
    expect(await bob.say(b, "what's my name?")).toBe("Turn 3. Your name is Bob.");
    expect(await ada.say(a, "what did I tell you?")).toContain('"remember that the code is 42"');
    expect(await bob.say(b, "what did I tell you?")).not.toContain("42");
    expect(await bob.say(b, "bye")).toMatch(
      /^Turn 5\. You said: "bye"\. Before that you told me: "I am called Bob", /,
    );
  });

  it("understands German and Chinese names", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const [german, chinese] = [await ada.create(), await ada.create()];
    await ada.say(german, "Ich heiße Jürgen.");
    await ada.say(chinese, "你好，我叫小明。");
    expect(await ada.say(german, "Wie heiße ich?")).toBe("Turn 2. Your name is Jürgen.");
    expect(await ada.say(chinese, "我叫什么？")).toBe("Turn 2. Your name is 小明.");
  });

  it("forgets when the conversation is cleared, though the messages stay listed", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    await ada.say(id, "my name is Ada");
    const form = await fetch(`${emulator.baseURL}/v1/conversations/${id}/clear`, {
      method: "POST",
      headers: { authorization: `Bearer ${ada.token}`, "content-type": "application/x-www-form-urlencoded" },
    });
    expect(((await form.json()) as Json).code).toBe(0);
    expect(await ada.say(id, "what is my name?")).toBe("Turn 1. You have not told me your name.");
    expect(emulator.conversations()[0]?.messages.map(({ text }) => text)).toContain("my name is Ada");
  });
});

async function uploaded(
  emulator: CozeEmulator,
  token: string,
  parts: readonly (readonly [field: string, name: string, content: string])[],
): Promise<Reply> {
  const form = new FormData();
  for (const [field, name, content] of parts) form.append(field, new Blob([content]), name);
  return call(`${emulator.baseURL}/v1/files/upload`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: form,
  });
}

describe("Coze files", () => {
  it("are refused each for its reason", async () => {
    const emulator = await start();
    const { token, json } = await session(emulator, "ada");
    const codeOf = async (...parts: [string, string, string][]) =>
      (await uploaded(emulator, token, parts)).body.code;
    expect(await codeOf(["file", "a.png", "x"])).toBe(0);
    expect(await codeOf()).toBe(4300);
    expect(await codeOf(["file", "a.png", ""])).toBe(4300);
    expect(await codeOf(["file", "a.png", "x"], ["file", "b.png", "x"])).toBe(4301);
    expect(await codeOf(["file", "a.exe", "x"])).toBe(4303);
    expect((await json("POST", "/v1/files/upload", { file: "x" })).code).toBe(4304);
  });

  it("belong to the account that brought them", async () => {
    const emulator = await start();
    const mine = await session(emulator, "ada");
    const file = (await uploaded(emulator, mine.token, [["file", "a.png", "x"]])).body.data?.id;
    const { body } = await exchange(emulator, await signed(emulator), {}, "/account/7001/token");
    expect(await sendsFile(emulator, mine.token, file)).toBe(0);
    expect(await sendsFile(emulator, String(body.access_token), file)).toBe(4000);
  });
});

describe("A fault", () => {
  it("answers in place of the service, as often as it is told to", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const path = "/v1/conversation/create";
    const fault = emulator.fail({ path, status: 429, code: 4020, headers: { "x-wait": "3" }, times: 2 });
    const first = await ada.send("POST", path, {});
    expect([first.status, first.headers.get("x-wait")]).toEqual([429, "3"]);
    expect(((await first.json()) as Json).code).toBe(4020);
    expect((await ada.json("GET", `/v1/conversations?bot_id=${emulator.botId}`)).code).toBe(0);
    expect((await ada.json("POST", path, {})).code).toBe(4020);
    expect((await ada.json("POST", path, {})).code).toBe(0);
    expect(fault.hits).toBe(2);
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("refuses who comes back before its Retry-After is over, and nobody else", async () => {
    const emulator = await start();
    const [ada, ben] = [await session(emulator, "ada"), await session(emulator, "ben")];
    const path = "/v1/conversation/create";
    emulator.fail({ path, page: 429, headers: { "retry-after": "1" } });
    const status = async (of = ada) => (await of.send("POST", path, {})).status;
    expect([await status(), await status(), await status(ben)]).toEqual([429, 429, 200]);
    expect(emulator.conversations()).toHaveLength(1);
    expect(emulator.requests().map(({ isEarly }) => isEarly)).toContain(true);
    await expect.poll(status, { timeout: 10_000 }).toBe(200);
    expect(await status()).toBe(200);
  });

  it("speaks as the token endpoint there, and as a gateway when it is told to", async () => {
    const emulator = await start();
    emulator.fail({ path: "/api/permission/oauth2*", status: 503 });
    const unnamed = await exchange(emulator, await signed(emulator));
    expect([unnamed.status, unnamed.body.error_code]).toEqual([503, "internal_error"]);
    emulator.fail({ path: "/api/permission/oauth2*", status: 500, code: "no_such_app" });
    emulator.fail({ method: "post", page: 502, body: "<h1>Bad Gateway</h1>" });
    const { status, body } = await exchange(emulator, await signed(emulator));
    expect([status, body.error_code]).toEqual([500, "no_such_app"]);
    const gateway = await fetch(`${emulator.baseURL}/v3/chat`, { method: "POST" });
    expect([gateway.status, gateway.headers.get("content-type"), await gateway.text()]).toEqual([
      502,
      "text/html",
      "<h1>Bad Gateway</h1>",
    ]);
  });

  it("does the work and loses the answer", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    emulator.fail({ path: "/v1/conversation/create", dropResponse: true });
    await expect(ada.send("POST", "/v1/conversation/create", { bot_id: emulator.botId })).rejects.toThrow();
    expect(emulator.conversations()).toMatchObject([{ sessionName: "ada" }]);
    const id = emulator.conversations()[0]?.id ?? "";
    emulator.fail({ path: "/v3/chat", dropResponse: true });
    const ended = emulator.once("chat-ended");
    await expect(ada.chat(id, "are you there?")).rejects.toThrow();
    expect((await ended).status).toBe("completed");
  });

  it("cuts a stream after as many events as it is told to", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    emulator.fail({ path: "/v3/chat", cut: 4 });
    const ended = emulator.once("chat-ended");
    let broken = 0;
    const events = await eventsOf(await ada.chat(id, "hello"), () => {
      broken += 1;
    });
    expect([events.length, broken]).toEqual([4, 1]);
    expect((await ended).status).toBe("completed");
  });

  it("lets a stream fall silent", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    emulator.fail({ path: "/v3/chat", hangAfter: 2 });
    const ended = emulator.once("chat-ended");
    const response = await ada.chat(id, "hello");
    await ended;
    const reader = response.body?.getReader();
    let text = "";
    while (text.split("\n\n").length < 3) text += new TextDecoder().decode((await reader?.read())?.value);
    const next = reader?.read();
    await emulator.close();
    await expect(next).rejects.toThrow();
    expect(text.match(/^event:/gm)).toHaveLength(2);
  });

  it("makes a chat fail after it began", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    emulator.fail({ path: "/v3/chat", chatFailed: { code: 5000, msg: "event interval error" } });
    const events = await eventsOf(await ada.chat(await ada.create(), "hello"));
    expect(events.at(-2)).toMatchObject({
      event: "conversation.chat.failed",
      data: { last_error: { code: 5000, msg: "event interval error" } },
    });
  });

  it("holds a request until it is lifted", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const fault = emulator.fail({ path: "/v1/conversation/create", hang: true });
    const created = ada.create();
    await fault.hit;
    expect(emulator.conversations()).toEqual([]);
    fault.lift();
    expect(await created).toBe(emulator.conversations()[0]?.id);
  });

  it("does no work for a request it held and whose sender is gone", async () => {
    const emulator = await start();
    const { token, create } = await session(emulator, "ada");
    const id = await create();
    const fault = emulator.fail({ method: "DELETE", path: "/v1/conversations/", hang: true });
    const leaving = new AbortController();
    const request = fetch(`${emulator.baseURL}/v1/conversations/${id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${token}` },
      signal: leaving.signal,
    });
    await fault.hit;
    leaving.abort();
    await expect(request).rejects.toThrow();
    // Two more round trips, so that the emulator has seen the connection end.
    await create();
    fault.lift();
    await create();
    expect(emulator.conversations().map((conversation) => conversation.id)).toContain(id);
    expect(emulator.requests().find(({ method }) => method === "DELETE")?.status).toBe(499);
  });

  it("makes tokens worthless, of one session or of all", async () => {
    const emulator = await start();
    const [ada, bob] = [await session(emulator, "ada"), await session(emulator, "bob")];
    const statusOf = async ({ send }: typeof ada) =>
      (await send("GET", `/v1/conversations?bot_id=${emulator.botId}`)).status;
    emulator.expireTokens("ada");
    expect([await statusOf(ada), await statusOf(bob)]).toEqual([401, 200]);
    emulator.expireTokens();
    expect(await statusOf(bob)).toBe(401);
    expect(await statusOf(await session(emulator, "bob"))).toBe(200);
  });

  it("is refused when it has a member that does not exist", async () => {
    const emulator = await start();
    const fault = { path: "/v3/chat", delay: 5 };
    expect(() => emulator.fail(fault)).toThrow(
      expect.objectContaining({ code: "option-invalid", field: "fault.delay" }),
    );
  });
});

describe("A Coze emulator", () => {
  it("gives every answer a log id, and JSON its content type", async () => {
    const emulator = await start();
    const replies = [
      await call(`${emulator.baseURL}/v1/conversations`, {}),
      await exchange(emulator, await signed(emulator)),
      await call(`${emulator.baseURL}/v1/nothing`, {}),
    ];
    expect(replies.map(({ status }) => status)).toEqual([401, 200, 404]);
    for (const { headers } of replies) {
      expect(headers.get("x-tt-logid")).toMatch(/^\d+$/);
      expect(headers.get("content-type")).toMatch(/^application\/json/);
    }
    expect(replies[0]?.body).toMatchObject({
      code: 4100,
      detail: { logid: replies[0]?.headers.get("x-tt-logid") },
    });
    expect(emulator.requests()).toEqual([
      { method: "GET", path: "/v1/conversations", status: 401 },
      { method: "POST", path: "/api/permission/oauth2/token", status: 200 },
      { method: "GET", path: "/v1/nothing", status: 404 },
    ]);
  });

  it("keeps everything over a restart, in a file that only its owner reads", async () => {
    const persist = join(folder, "deep", "coze.db");
    const first = await startCozeEmulator({ persist, bots: [{}, { id: "7412" }] });
    const before = await session(first, "ada");
    const id = await before.create({ name: "mine", meta_data: { room: "1" } });
    await before.say(id, "my name is Ada");
    const file = (await uploaded(first, before.token, [["file", "a.png", "x"]])).body.data?.id;
    const jwt = await signed(first);
    await exchange(first, jwt);
    const kept = first.conversations();
    await first.close();
    expect((await stat(persist)).mode & 0o777).toBe(0o600);

    const second = await start({ persist, bots: [{}, { id: "7412" }] });
    for (const name of ["appId", "keyId", "privateKey", "botId", "botIds", "personalToken"] as const) {
      expect(second[name]).toEqual(first[name]);
    }
    expect(second.conversations()).toEqual(kept);
    expect((await exchange(second, jwt)).status).toBe(401);
    const after = await session(second, "ada");
    expect(await after.say(id, "what is my name?")).toBe("Turn 2. Your name is Ada.");
    expect(await sendsFile(second, before.token, file)).toBe(0);
    expect(await after.create()).not.toBe(id);
    await after.json("DELETE", `/v1/conversations/${id}`);
    await second.close();

    const third = await start({ persist });
    expect(third.conversations().map(({ id: left }) => left)).not.toContain(id);
  });

  it("has on disk what it acknowledged, so that a kill loses nothing", async () => {
    const emulator = await start({ persist: join(folder, "coze.db") });
    const ada = await session(emulator, "ada");
    const id = await ada.create();
    await ada.say(id, "my name is Ada");
    // The files as they are at this moment are what a killed process leaves behind.
    const left = join(folder, "left");
    await mkdir(left);
    for (const name of await readdir(folder)) {
      if (name.startsWith("coze.db")) await copyFile(join(folder, name), join(left, name));
    }
    const heir = await start({ persist: join(left, "coze.db") });
    expect(heir.conversations()).toEqual(emulator.conversations());
    expect(heir.chats()).toMatchObject([{ conversationId: id, status: "completed" }]);
  });

  it("calls a chat failed that ran when it died", async () => {
    const persist = join(folder, "coze.db");
    const first = await startCozeEmulator({ persist });
    const before = await session(first, "ada");
    const id = await before.create();
    await before.json(
      "POST",
      `/v3/chat?conversation_id=${id}`,
      before.chatBody("fail: hang", { stream: false }),
    );
    await first.close();
    const second = await start({ persist });
    expect(second.chats()).toMatchObject([{ conversationId: id, status: "failed", lastErrorCode: 5000 }]);
    const after = await session(second, "ada");
    expect(await after.say(id, "hello")).toBe('Turn 1. You said: "hello".');
  });

  it("names the option that is wrong", async () => {
    const wrong: [string, object][] = [
      ["port", { port: 70_000 }],
      ["persist", { persist: "" }],
      ["bots", { bots: [] }],
      ["bots", { bots: [{ id: "1" }, { id: "1" }] }],
      ["region", { region: "eu" }],
      ["privateKey", { privateKey: "-----BEGIN PRIVATE KEY-----" }],
      ["wordDelay", { wordDelay: 5 }],
      ["persist", { persist: folder }],
    ];
    for (const [field, options] of wrong) {
      await expect(startCozeEmulator(options)).rejects.toMatchObject({ code: "option-invalid", field });
    }
    const taken = await start();
    const port = Number(new URL(taken.baseURL).port);
    await expect(startCozeEmulator({ port })).rejects.toMatchObject({
      code: "option-invalid",
      field: "port",
    });
  });

  it("cuts open streams when it closes, and closes twice without harm", async () => {
    const emulator = await start();
    const ada = await session(emulator, "ada");
    const response = await ada.chat(await ada.create(), "fail: hang");
    let broken = 0;
    const events = eventsOf(response, () => {
      broken += 1;
    });
    await emulator.close();
    await emulator.close();
    await events;
    expect(broken).toBe(1);
  });
});
