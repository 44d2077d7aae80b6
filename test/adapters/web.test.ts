import { AparteError, type AparteErrorCode, type Reply, type ReplyEvent, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { failureResponse, type WebOptions, type WebSpeaker, web } from "aparte/web";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readSaid } from "../../adapters/web/body.ts";
import { KeptReply, type ReplyName } from "../../adapters/web/kept-reply.ts";
import { readOptions } from "../../adapters/web/options.ts";
import { Replies } from "../../adapters/web/replies.ts";
import { eventStream } from "../../adapters/web/stream.ts";
import { WaitingBytes } from "../../adapters/web/waiting-bytes.ts";
import { type CozeEmulator, startCozeEmulator } from "../../src/emulators/coze/index.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { type Loopback, listen } from "../fakes/loopback.ts";

let emulator: CozeEmulator;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  emulator = await startCozeEmulator();
});
afterAll(() => emulator.close());
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function newMapper(options: Partial<ConstructorParameters<typeof SessionMapper>[0]> = {}): SessionMapper {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const mapper = new SessionMapper({
    agents: { helper: coze({ appId, keyId, privateKey, botId, baseURL }) },
    secret: crypto.randomUUID(),
    logger: { info: () => {}, warn: () => {}, error: () => {} },
    ...options,
  });
  closers.push(() => mapper.close({ drainTimeout: 2_000 }));
  return mapper;
}

/** The tests' host application: it trusts a header, as others trust a cookie. */
const byHeader = (request: Request): WebSpeaker | undefined => {
  const user = request.headers.get("x-user");
  return user === null ? undefined : { tenant: "acme", user };
};

async function start(options: Partial<WebOptions> = {}, mapper = newMapper()): Promise<Loopback> {
  const server = await listen(web(mapper, { authenticate: byHeader, ...options }));
  closers.push(() => server.close());
  return server;
}

let lastId = 0;
const newId = () => `m${++lastId}`;

interface Call {
  readonly user?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

function post(
  server: Loopback,
  body: object,
  { user = "ada", headers = {}, signal }: Call = {},
): Promise<Response> {
  return fetch(server.url, {
    method: "POST",
    headers: { "content-type": "application/json", "x-user": user, ...headers },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

function again(server: Loopback, id: string, { user = "ada", headers = {} }: Call = {}, method = "GET") {
  return fetch(`${server.url}?id=${id}`, { method, headers: { "x-user": user, ...headers } });
}

/** The object, with some of its members replaced. */
function except<T extends object>(object: T, replaced: (name: PropertyKey) => unknown): T {
  return new Proxy(object, {
    get(target, name) {
      const member: unknown = replaced(name) ?? Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const whole = { headers: { accept: "application/json" } };

interface Sent {
  readonly id: string;
  readonly name: string;
  readonly data: { type?: string; delta?: string; text?: string; code?: string; error?: { code: string } };
}

/** Reads a stream's events until `enough`, or its end. Leaving then closes the connection. */
async function read(response: Response, enough: (event: Sent) => boolean = () => false): Promise<Sent[]> {
  const events: Sent[] = [];
  let buffer = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data === undefined) continue;
      const event = { id: field("id") ?? "", name: field("event") ?? "message", data: JSON.parse(data) };
      events.push(event);
      if (enough(event)) return events;
    }
  }
  return events;
}

const draftOf = (events: readonly Sent[]) => events.map(({ data }) => data.delta ?? "").join("");
const answerOf = (events: readonly Sent[]) =>
  events.flatMap(({ data }) => (data.type === "message" ? [data.text ?? ""] : [])).join("\n\n");

interface Answer {
  readonly text: string;
  readonly events: readonly object[];
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly field?: string;
    readonly reference: string;
  };
}

const json = async (response: Response) => (await response.json()) as Answer;
const errorOf = async (response: Response) => (await json(response)).error;

describe("web", () => {
  it("streams the reply as server-sent events, and ends it", async () => {
    const server = await start();
    const response = await post(server, { id: newId(), text: "my name is Ada" });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      ...{ "content-type": "text/event-stream", "x-accel-buffering": "no" },
      ...{ "cache-control": "no-store, no-transform", "x-content-type-options": "nosniff" },
    });
    expect(response.headers.has("vary")).toBe(false);
    const events = await read(response);
    expect(answerOf(events)).toContain("I will remember that your name is Ada.");
    expect(draftOf(events)).toBe(answerOf(events));
    expect(events.at(-1)).toMatchObject({ name: "done" });
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    // It has never been silent for long.
    expect(await (await post(server, { id: newId(), text: "hello" })).text()).not.toContain("alive");
  });

  it("answers whole where JSON is wanted", async () => {
    const server = await start();
    const id = newId();
    const both = await post(
      server,
      { id, text: "suggest something" },
      { headers: { accept: "application/json, text/event-stream" } },
    );
    expect(both.headers.get("content-type")).toBe("text/event-stream");
    const response = await post(server, { id, text: "suggest something" }, whole);
    expect(response.status).toBe(200);
    const body = await json(response);
    expect(body).toMatchObject({ id, text: expect.stringContaining('You said: "suggest something"') });
    expect(body.events).toContainEqual({
      type: "suggestions",
      items: expect.arrayContaining(["What is my name?"]),
    });
    const types = body.events.map((event) => ("type" in event ? event.type : undefined));
    expect(types).toContain("message");
    // Neither its pieces nor its end: the answer is whole.
    expect(types).not.toContain("text");
    expect(types).not.toContain(undefined);
  });

  it("keeps two people apart, whatever the body claims", async () => {
    const server = await start();
    await json(await post(server, { id: "same", text: "my name is Ada" }, { user: "ada", ...whole }));
    const id = newId();
    for (const claim of [{ user: "ada" }, { tenant: "acme" }, { platform: "web" }, { sessionName: "x" }]) {
      const response = await post(
        server,
        { id, text: "what is my name?", ...claim },
        { user: "ben", ...whole },
      );
      expect(response.status).toBe(400);
      expect(await errorOf(response)).toMatchObject({ code: "input-invalid", field: Object.keys(claim)[0] });
    }
    const ask = async (user: string) =>
      json(await post(server, { id, text: "what is my name?" }, { user, ...whole }));
    expect((await ask("ben")).text).toContain("You have not told me your name.");
    expect((await ask("ada")).text).toContain("Your name is Ada.");
  });

  it("takes nothing but the speaker's own fields from authenticate", async () => {
    const claims = {
      tenant: "acme",
      user: "ada",
      text: "I am forged",
      id: "forged",
      files: "x",
      agent: "none",
    };
    const server = await start({ authenticate: () => claims as WebSpeaker });
    const body = await json(await post(server, { id: newId(), text: "hello" }, whole));
    expect(body.text).toContain('You said: "hello".');
  });

  it("refuses what authenticate says where it names nobody, as the host application's mistake", async () => {
    for (const wrong of [{ user: "ada" }, { tenant: "acme" }, { tenant: "acme", user: "" }]) {
      const server = await start({ authenticate: () => wrong as WebSpeaker });
      const response = await post(server, { id: newId(), text: "hello" });
      expect(response.status).toBe(500);
      expect(await errorOf(response)).toMatchObject({ code: "option-invalid", field: "authenticate" });
    }
  });

  it("hands in files", async () => {
    const server = await start();
    const form = new FormData();
    form.set("id", newId());
    form.set("text", "look");
    form.append("files", new File(["hello"], "note.txt", { type: "text/plain" }));
    const headers = { "x-user": "ada", "x-aparte": "1", accept: "application/json" };
    const response = await fetch(server.url, { method: "POST", headers, body: form });
    expect(response.status).toBe(200);
    expect((await json(response)).text).toContain('You sent: "note.txt"');
  });

  it("hands in files as they are, with the type and the name that they have", async () => {
    const mapper = newMapper();
    let files: unknown;
    mapper.use((turn) => {
      files = turn.message.files;
      return turn.say("taken");
    });
    const server = await start({}, mapper);
    const form = new FormData();
    for (const [name, value] of [
      ["id", newId()],
      ["agent", "helper"],
    ] as const)
      form.set(name, value);
    form.append("files", new File([new Uint8Array([0, 255])], "a.bin", { type: "image/png" }));
    form.append("files", new File(["x"], "plain"));
    const headers = { "x-user": "ada", "x-aparte": "1", accept: "application/json" };
    expect((await fetch(server.url, { method: "POST", headers, body: form })).status).toBe(200);
    expect(files).toEqual([
      { name: "a.bin", type: "image/png", data: new Uint8Array([0, 255]) },
      { name: "plain", type: "application/octet-stream", data: new Uint8Array([120]) },
    ]);
  });

  it("names the field that is wrong", async () => {
    const server = await start();
    const cases: [object, string][] = [
      [null as never, "body"],
      [{ text: "no id" }, "id"],
      [{ id: 7, text: "x" }, "id"],
      [{ id: "x".repeat(257), text: "x" }, "id"],
      [{ id: newId() }, "text"],
      [{ id: newId(), text: "  " }, "text"],
      [{ id: newId(), text: "x", agent: "nobody" }, "agent"],
      ...["id", "agent", "channel", "thread"].flatMap((name): [object, string][] =>
        ["", 7, null, "x".repeat(257)].map((value) => [{ id: newId(), text: "x", [name]: value }, name]),
      ),
      [{ id: newId(), text: 7 }, "text"],
      [{ id: newId(), text: "x", ["y".repeat(65)]: "" }, "y".repeat(64)],
      ["text" as never, "body"],
      [[], "body"],
    ];
    for (const [body, field] of cases) {
      const response = await post(server, body);
      expect(response.status, field).toBe(400);
      expect(await errorOf(response)).toMatchObject({ field, reference: expect.stringMatching(/^\w{8}$/) });
    }
    const broken = await fetch(server.url, {
      method: "POST",
      headers: { "content-type": "application/json", "x-user": "ada" },
      body: "{",
    });
    expect(broken.status).toBe(400);
    expect(await errorOf(broken)).toMatchObject({ field: "body" });
    expect((await again(server, "")).status).toBe(400);
    expect(await errorOf(await again(server, "x".repeat(257)))).toMatchObject({ field: "id" });
    expect((await post(server, { id: "x".repeat(256), text: "hello" }, whole)).status).toBe(200);
    expect((await again(server, "unheard-of")).status).toBe(404);
    const put = await again(server, "x", {}, "PUT");
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, POST, DELETE, OPTIONS"]);
    const nobody = await fetch(server.url, { method: "POST" });
    expect([nobody.status, nobody.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  });

  it("names the part of a form that is wrong", async () => {
    const server = await start({ maxFiles: 1 });
    const file = (name: string): [string, File] => [name, new File(["x"], "x")];
    const wrong: [[string, string | File][], string][] = [
      [
        [
          ["text", "a"],
          ["text", "b"],
        ],
        "text",
      ],
      [[file("picture")], "picture"],
      [[file("files"), file("files")], "files"],
      [[["user", "ben"]], "user"],
    ];
    for (const [parts, field] of wrong) {
      const body = new FormData();
      for (const [name, value] of [["id", "m"] as const, ...parts]) body.append(name, value);
      const headers = { "x-user": "ada", "x-aparte": "1" };
      const response = await fetch(server.url, { method: "POST", headers, body });
      expect([response.status, (await errorOf(response)).field]).toEqual([400, field]);
    }
  });

  it("takes a mebibyte of words and twenty of files, unless it is told otherwise", async () => {
    const handler = web(newMapper(), { authenticate: byHeader });
    const say = async (length: number, headers: Record<string, string>, body: FormData | string) => {
      const init = { method: "POST", headers: { "x-user": "ada", "x-aparte": "1", ...headers }, body };
      const request = new Request("http://localhost/", init);
      request.headers.set("content-length", `${length}`);
      return (await handler(request)).status;
    };
    const json = { "content-type": "application/json" };
    const form = new FormData();
    form.set("id", "");
    expect(await say(1024 ** 2, json, "{}")).toBe(400);
    expect(await say(1024 ** 2 + 1, json, "{}")).toBe(413);
    expect(await say(20 * 1024 ** 2, {}, form)).toBe(400);
    expect(await say(20 * 1024 ** 2 + 1, {}, form)).toBe(413);
  });

  it("tells who decides exactly what a request names", async () => {
    const asked: unknown[] = [];
    const authorize: WebOptions["authorize"] = (named) => asked.push(named) > 0;
    const speaker = { tenant: "", user: "u", channel: "c" };
    const server = await start({ authorize, authenticate: () => speaker });
    for (const named of [{}, { channel: "c" }, { thread: "1" }, { agent: "helper" }]) {
      expect((await post(server, { id: newId(), text: "x", ...named }, whole)).status).toBe(200);
    }
    expect(asked).toStrictEqual([{ speaker }, { speaker, thread: "1" }, { speaker, agent: "helper" }]);
  });

  it("answers what the host application fails with in words, and says nothing of it", async () => {
    const authenticate = () => {
      throw new Error("the password is hunter2");
    };
    const told = vi.spyOn(console, "error").mockReturnValue();
    const response = await post(await start({ authenticate }), { id: newId(), text: "x" });
    expect(response.status).toBe(503);
    const error = await errorOf(response);
    const { reference } = error;
    expect(told.mock.calls).toEqual([["aparte: authenticate failed", { error: "Error", reference }]]);
    told.mockRestore();
    expect(error).toMatchObject({
      code: "authentication-unavailable",
      message: expect.stringMatching(/^\p{Lu}.+\.$/u),
    });
    expect(JSON.stringify(error)).not.toContain("hunter2");
  });

  it("refuses bodies that are too large, also where their length is not told", async () => {
    const server = await start({ maxBodySize: 1_000, maxUploadSize: 2_000, maxFiles: 1 });
    const large = await post(server, { id: newId(), text: "x".repeat(1_000) });
    expect(large.status).toBe(413);
    expect(await errorOf(large)).toMatchObject({
      ...{ code: "too-large", message: "The message is larger than 1000 bytes." },
    });
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100).fill(32)),
    });
    const headers = { "content-type": "application/json", "x-user": "ada" };
    const init: RequestInit & { duplex: "half" } = { method: "POST", headers, body: endless, duplex: "half" };
    const handler = web(newMapper(), { authenticate: byHeader, maxBodySize: 1_000 });
    expect((await handler(new Request("http://localhost/", init))).status).toBe(413);
    const form = new FormData();
    form.set("id", newId());
    for (const name of ["a", "b"]) form.append("files", new File(["x"], name));
    const own = { "x-user": "ada", "x-aparte": "1" };
    const many = await fetch(server.url, { method: "POST", headers: own, body: form });
    expect((await errorOf(many)).field).toBe("files");
    form.append("files", new File(["x".repeat(2_000)], "large"));
    expect((await fetch(server.url, { method: "POST", headers: own, body: form })).status).toBe(413);
  });

  it("lets a request name a channel or thread only where that is authorized", async () => {
    const scope = "thread";
    const refused = await post(await start({}, newMapper({ scope })), {
      id: newId(),
      text: "x",
      channel: "c",
    });
    expect(refused.status).toBe(403);
    const authorize: WebOptions["authorize"] = ({ speaker, channel }) => channel === `of-${speaker.user}`;
    const server = await start({ authorize }, newMapper({ scope }));
    const say = (channel: string, text = "hello") =>
      post(server, { id: newId(), text, channel, thread: "1" }, whole);
    expect((await say("of-ada")).status).toBe(200);
    const other = await say("of-ben");
    expect(other.status).toBe(403);
    expect(await errorOf(other)).toMatchObject({
      ...{ code: "forbidden", message: expect.stringMatching(/^\p{Lu}.+\.$/u) },
    });
    const slow = await start({ authorize: async (named) => authorize(named) }, newMapper({ scope }));
    for (const [channel, status] of [
      ["of-ada", 200],
      ["of-ben", 403],
    ] as const)
      expect((await post(slow, { id: newId(), text: "x", channel }, whole)).status).toBe(status);
    const fixed = await start({
      authenticate: () => ({ tenant: "", user: "u", channel: "c" }),
      authorize: () => true,
    });
    expect((await post(fixed, { id: newId(), text: "x", channel: "other" })).status).toBe(403);
    expect((await post(fixed, { id: newId(), text: "x", channel: "c" }, whole)).status).toBe(200);
  });

  it("carries 200 streams at once, each with its person's own words", async () => {
    const server = await start();
    const people = Array.from({ length: 200 }, (_, index) => `person-${index}`);
    const answers = await Promise.all(
      people.map(async (user) =>
        answerOf(await read(await post(server, { id: "1", text: `I am ${user}.` }, { user }))),
      ),
    );
    for (const [index, user] of people.entries())
      expect(answers[index]).toBe(`Turn 1. You said: "I am ${user}.".`);
  });

  it("frees the lane although the client reads nothing", async () => {
    const server = await start();
    const unread = await post(server, { id: newId(), text: "long 90000" });
    const next = await json(await post(server, { id: newId(), text: "hello" }, whole));
    expect(next.text).toContain("Turn 2.");
    expect(answerOf(await read(unread)).length).toBeGreaterThan(89_000);
  });

  it("says that it lives while the agent is silent", async () => {
    const server = await start({ heartbeat: 20, graceTime: 0 });
    const response = await post(server, { id: newId(), text: "fail: hang" });
    let seen = "";
    for await (const chunk of response.body ?? []) {
      seen += new TextDecoder().decode(chunk);
      if (seen.split(": alive\n\n").length > 3 && seen.includes("data: ")) break;
    }
    expect(seen).toContain("data: ");
  });

  it("tells a failure in mid-answer with its reference, and nothing of its cause", async () => {
    const server = await start();
    const events = await read(await post(server, { id: newId(), text: "fail: 5000" }));
    const { name, data } = events.at(-1) as Sent;
    expect(name).toBe("failed");
    expect(Object.keys(data.error ?? {}).sort()).toEqual(["code", "message", "reference"]);
    const response = await post(server, { id: newId(), text: "fail: 5000" }, whole);
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect((await errorOf(response)).code).toBe(data.error?.code);
  });

  it("answers 503 while the store fails, and takes the same message again later", async () => {
    const store = memoryStore();
    let isDown = true;
    const commit = () => Promise.reject(new AparteError("store-failed", "The store is down."));
    const failing = except(store, (name) => (name === "commit" && isDown ? commit : undefined));
    const server = await start({}, newMapper({ store: failing, storeTimeout: 1_000 }));
    const message = { id: newId(), text: "hello" };
    const refused = await post(server, message);
    expect(refused.status).toBe(503);
    expect((await errorOf(refused)).code).toMatch(/^store-/);
    isDown = false;
    expect((await post(server, message, whole)).status).toBe(200);
  });

  it("speaks the language that the browser asks for first, or that the host application names", async () => {
    const server = await start({ graceTime: 0 }, newMapper({ overlap: "reject" }));
    const chinese = { user: "ada", headers: { "accept-language": "zh-CN,zh;q=0.9,en;q=0.8" } };
    const running = await post(server, { id: newId(), text: "fail: hang" }, chinese);
    const busy = await post(server, { id: newId(), text: "hello" }, chinese);
    expect((await errorOf(busy)).message).toBe("请稍候：我还在回答您的上一条消息。");
    const unread = await again(server, "none", chinese);
    expect((await errorOf(unread)).message).toBe("这里没有对那条消息的回答，或者已不再保存。");
    await running.body?.cancel();
    const failed = (
      await read(await post(server, { id: newId(), text: "fail: 4028" }, { ...chinese, user: "bob" }))
    ).at(-1);
    expect(failed?.data.error).toMatchObject({ message: expect.stringMatching(/（编号 \w{8}）$/) });
    const named = await start({ authenticate: () => ({ tenant: "acme", user: "eve", locale: "en" }) });
    const answer = await read(await post(named, { id: newId(), text: "fail: 4028" }, chinese));
    expect(answer.at(-1)?.data.error).toMatchObject({ message: expect.stringMatching(/\(ref \w{8}\)$/) });
  });

  it("tells politely that a message was not taken", async () => {
    const server = await start({ graceTime: 0 }, newMapper({ overlap: "reject" }));
    const running = await post(server, { id: newId(), text: "fail: hang" });
    const busy = await post(server, { id: newId(), text: "hello" });
    expect(busy.status).toBe(409);
    expect((await errorOf(busy)).code).toBe("busy");
    expect(busy.headers.get("retry-after")).toBe("2");
    await running.body?.cancel();
    const full = await start({ graceTime: 0 }, newMapper({ queueLimit: 1 }));
    const streams = [
      await post(full, { id: newId(), text: "fail: hang" }),
      await post(full, { id: newId(), text: "x" }),
    ];
    const refused = await post(full, { id: newId(), text: "hello" });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("10");
    for (const stream of streams) await stream.body?.cancel();
  });

  it("says to who is nobody how to say who they are", async () => {
    const response = await again(await start({ authenticate: () => undefined }), "1");
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("keeps no more bytes of one person, and of all, than may wait at one time", async () => {
    const options = { maxPersonBytes: 5_000, maxBytes: 8_000, graceTime: 0 };
    const server = await start(options);
    const hang = () => ({ id: newId(), text: `fail: hang ${"x".repeat(2_000)}` });
    const first = hang();
    const streams = [await post(server, first), await post(server, hang())];
    // The same message again takes no room of its own.
    for (let time = 0; time < 2; time += 1) streams.push(await post(server, first));
    for (const [user, status] of [
      ["ada", 429],
      ["ben", 200],
      ["cleo", 503],
    ] as const) {
      const response = await post(server, hang(), { user });
      expect(response.status, user).toBe(status);
      if (status === 200) streams.push(response);
      else {
        expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
        expect((await errorOf(response)).message).toMatch(/^\p{Lu}.+\.$/u);
      }
    }
    for (const stream of streams) await stream.body?.cancel();
    // Their bytes are free when the turns have ended.
    const later = { id: newId(), text: "x".repeat(4_900) };
    await vi.waitFor(async () => expect((await post(server, later, whole)).status).toBe(200), 5_000);
    // So are at once those of what is refused.
    for (let time = 0; time < 4; time++) {
      const refused = { id: "", text: "x".repeat(2_000) };
      expect((await post(server, refused, { user: "dora" })).status).toBe(400);
    }
    const long = { id: newId(), text: "x".repeat(6_000) };
    expect((await post(server, long, { user: "dora" })).status).toBe(429);
    // What one message frees is its own room.
    const [runs, waits] = [hang(), hang()];
    const running = [await post(server, runs), await post(server, waits)];
    await again(server, waits.id, {}, "DELETE");
    await running[1]?.text();
    running.push(await post(server, hang()));
    expect((await post(server, hang())).status).toBe(429);
    for (const stream of [running[0], running[2]]) await stream?.body?.cancel();
  });

  it("keeps so many replies of one person, and others are not locked out by them", async () => {
    const server = await start({ maxReplies: 4, maxPersonReplies: 2, graceTime: 0 });
    const ended = { id: newId(), text: "hello" };
    await post(server, ended, whole);
    const streams: Response[] = [];
    for (let time = 0; time < 2; time++)
      streams.push(await post(server, { id: newId(), text: "fail: hang" }));
    expect((await again(server, ended.id)).status).toBe(404);
    const over = await post(server, { id: newId(), text: "hello" });
    expect(over.status).toBe(429);
    expect((await errorOf(over)).code).toBe("full");
    expect(over.headers.get("retry-after")).toBe("10");
    expect((await post(server, { id: newId(), text: "hello" }, { user: "ben", ...whole })).status).toBe(200);
    for (const stream of streams) await stream.body?.cancel();
  });

  it("takes no more than it may keep", async () => {
    const server = await start({ maxReplies: 1, graceTime: 0 });
    const first = { id: newId(), text: "hello" };
    await json(await post(server, first, whole));
    const running = await post(server, { id: newId(), text: "fail: hang" });
    expect((await again(server, first.id)).status).toBe(404);
    const refused = await post(server, { id: newId(), text: "hello" }, { user: "ben" });
    expect(refused.status).toBe(503);
    expect((await errorOf(refused)).code).toBe("overloaded");
    expect(refused.headers.get("retry-after")).toBe("5");
    await running.body?.cancel();
  });

  it.each([
    ["authenticate", "must be a function that tells who makes a request; see jwtSpeaker", undefined],
    ["authorize", "must be a function", true],
    ["platform", "must be a text that is not empty", ""],
    ["logger", "must have a function `error`", {}],
    ["origins", 'must be a list of origins such as "https://app.example", without "*" and path', ["*"]],
    ["graceTime", "must be a whole number from 0", -1],
    ["heartbeat", "must be a whole number from 1", 0],
  ])("says of a wrong option %s that it %s", (field, problem, value) => {
    const message = `Option "${field}" ${problem}.`;
    expect(() => readOptions({ authenticate: byHeader, [field]: value } as WebOptions)).toThrow(
      expect.objectContaining({ field, message }),
    );
  });

  it("refuses options that are wrong, by their name", () => {
    const mapper = newMapper();
    const fieldOf = (options: object): unknown => {
      try {
        web(mapper, options as WebOptions);
      } catch (error) {
        // What is to be done is told in words.
        expect((error as AparteError).message).toMatch(/ must (be|have) | does not exist/);
        return (error as AparteError).field;
      }
      return undefined;
    };
    const authenticate = byHeader;
    expect(fieldOf(null as never)).toBe("options");
    expect(fieldOf({})).toBe("authenticate");
    expect(fieldOf({ authenticate, logger: {} })).toBe("logger");
    expect(fieldOf({ authenticate, platform: 7 })).toBe("platform");
    expect(fieldOf({ authenticate, origins: "https://app.example" })).toBe("origins");
    for (const name of [
      "keepTime",
      "maxReplies",
      "maxPersonReplies",
      "maxPersonBytes",
      "maxBytes",
      "heartbeat",
    ])
      for (const wrong of [-1, 1.5, "7"]) expect(fieldOf({ authenticate, [name]: wrong })).toBe(name);
    for (const name of ["maxBodySize", "maxUploadSize"])
      expect(fieldOf({ authenticate, [name]: 0 })).toBe(name);
    expect(fieldOf({ authenticate, maxFiles: -1 })).toBe("maxFiles");
    expect(fieldOf({ authenticate, maxFiles: 0, maxReplies: 1 })).toBeUndefined();
    expect(fieldOf({ authenticate, graceTimes: 1 })).toBe("graceTimes");
    expect(fieldOf({ authenticate, graceTime: -1 })).toBe("graceTime");
    expect(fieldOf({ authenticate, graceTime: "5s" })).toBe("graceTime");
    expect(fieldOf({ authenticate, maxReplies: 0 })).toBe("maxReplies");
    expect(fieldOf({ authenticate, origins: ["*"] })).toBe("origins");
    for (const origin of [
      "https://app.example/",
      "null",
      "file:///",
      "app.example",
      7,
      "https://App.example",
    ])
      expect(fieldOf({ authenticate, origins: [origin] }), `${origin}`).toBe("origins");
    expect(fieldOf({ authenticate, platform: "" })).toBe("platform");
    expect(fieldOf({ authenticate, authorize: true })).toBe("authorize");
    expect(fieldOf({ authenticate, keepTime: 2 ** 31 })).toBe("keepTime");
    expect(fieldOf({ authenticate, keepTime: 2 ** 31 - 1, graceTime: 0 })).toBeUndefined();
  });
});

describe("web, leaving and coming back", () => {
  const isDraft = ({ data }: Sent) => data.type === "text";

  it("gives the rest to a client that comes back, by GET or by the same POST", async () => {
    for (const comeBack of ["GET", "POST"]) {
      const server = await start();
      const message = { id: newId(), text: "slow: 20 one two three four" };
      const seen = await read(await post(server, message), isDraft);
      const headers = { "last-event-id": seen.at(-1)?.id ?? "" };
      const response = await (comeBack === "GET"
        ? again(server, message.id, { headers })
        : post(server, message, { headers }));
      const rest = await read(response);
      expect(rest.at(-1)?.name).toBe("done");
      expect(draftOf(seen) + draftOf(rest)).toBe(answerOf(rest));
      expect(answerOf(rest)).toMatch(/^Turn 1\./);
      const last = rest.at(-1)?.id ?? "";
      expect((await again(server, message.id, { headers: { "last-event-id": last } })).status).toBe(204);
      expect(answerOf(await read(await again(server, message.id)))).toBe(answerOf(rest));
    }
  });

  it("starts over for a client that read another reading of the message", async () => {
    const server = await start();
    const message = { id: newId(), text: "hello" };
    const all = await read(await post(server, message));
    const other = await read(await again(server, message.id, { headers: { "last-event-id": "00000000.3" } }));
    expect(other).toEqual(all);
    // What it has is all that there is, or nothing.
    const epoch = all[0]?.id.split(".")[0];
    const beyond = await again(server, message.id, { headers: { "last-event-id": `${epoch}.99999` } });
    expect(beyond.status).toBe(204);
    expect(await read(await again(server, message.id, { headers: { "last-event-id": "" } }))).toEqual(all);
    for (const wrong of ["x", "x00000000.3", "00000000.3x", "00000000", "0000000g.3"]) {
      const response = await again(server, message.id, { headers: { "last-event-id": wrong } });
      expect([wrong, response.status]).toEqual([wrong, 400]);
    }
  });

  it("gives nobody the reply to somebody else's message", async () => {
    const server = await start();
    const message = { id: newId(), text: "my secret is 42" };
    await read(await post(server, message));
    expect((await again(server, message.id, { user: "ben" })).status).toBe(404);
    expect((await again(server, message.id, { user: "ben" }, "DELETE")).status).toBe(404);
    expect((await fetch(`${server.url}?id=${message.id}`)).status).toBe(401);
    const own = await read(await post(server, { ...message, text: "hello" }, { user: "ben" }));
    expect(answerOf(own)).toBe('Turn 1. You said: "hello".');
  });

  it("stops the turn, at the service too, when a client stays away", async () => {
    const server = await start({ graceTime: 10 });
    const ended = emulator.once("chat-ended", ({ status }) => status === "canceled");
    const message = { id: newId(), text: "fail: hang" };
    await read(await post(server, message), isDraft);
    await ended;
    const next = await json(await post(server, { id: newId(), text: "hello" }, whole));
    expect(next.text).toContain('You said: "hello"');
    const rest = await read(await again(server, message.id));
    expect(rest.map(({ data }) => data.code)).toContain("stopped");
  });

  it("has no timer that keeps the process alive, and none once the turn has ended that a client left", async () => {
    const graceTime = 123_457;
    const set = vi.spyOn(globalThis, "setTimeout");
    const clear = vi.spyOn(globalThis, "clearTimeout");
    try {
      const server = await start({ graceTime });
      const ended = emulator.once("chat-ended");
      await read(await post(server, { id: newId(), text: "slow: 20 one two three four" }), isDraft);
      const timers = () =>
        set.mock.results
          .filter((_, index) => set.mock.calls[index]?.[1] === graceTime)
          .map(({ value }) => value);
      await expect.poll(timers).toHaveLength(1);
      const [timer] = timers();
      expect(timer.hasRef()).toBe(false);
      await ended;
      await expect.poll(() => clear.mock.calls.flat()).toContain(timer);
    } finally {
      set.mockRestore();
      clear.mockRestore();
    }
  });

  it("stops the turn of a client that leaves while it waits for JSON", async () => {
    const server = await start({ graceTime: 10 });
    const ended = emulator.once("chat-ended", ({ status }) => status === "canceled");
    const begun = emulator.once("chat");
    const leaving = new AbortController();
    const asked = post(server, { id: newId(), text: "fail: hang" }, { ...whole, signal: leaving.signal });
    await begun;
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await ended;
  });

  it("ends its answer to a client that has left while it waits for JSON", async () => {
    const leaving = new AbortController();
    const begun = emulator.once("chat");
    const mapper = newMapper();
    const answered = web(mapper, { authenticate: byHeader, graceTime: 60_000 })(
      new Request("http://app.test/", {
        ...{ method: "POST", signal: leaving.signal },
        headers: { "content-type": "application/json", accept: "application/json", "x-user": "ada" },
        body: JSON.stringify({ id: newId(), text: "fail: hang" }),
      }),
    );
    await begun;
    leaving.abort();
    // Nobody reads it: a code that servers' logs know for a client that has gone.
    expect((await answered).status).toBe(499);
  });

  it("goes on while one of two readers is left", async () => {
    const server = await start({ graceTime: 0 });
    const message = { id: newId(), text: "slow: 20 one two three" };
    const first = await post(server, message);
    const second = await again(server, message.id);
    await read(first, isDraft);
    const events = await read(second);
    expect(events.at(-1)?.name).toBe("done");
    expect(events.map(({ data }) => data.code)).not.toContain("stopped");
  });

  it("stops at once on DELETE, also what still waits", async () => {
    const server = await start();
    const running = { id: newId(), text: "fail: hang" };
    const waiting = { id: newId(), text: "hello" };
    const begun = emulator.once("chat");
    const first = await post(server, running);
    await begun;
    const second = await post(server, waiting);
    expect((await again(server, waiting.id, {}, "DELETE")).status).toBe(204);
    expect((await read(second)).map(({ data }) => data.code)).toEqual(["stopped", undefined]);
    const ended = emulator.once("chat-ended", ({ status }) => status === "canceled");
    expect((await again(server, running.id, {}, "DELETE")).status).toBe(204);
    await ended;
    expect((await read(first)).map(({ data }) => data.code)).toContain("stopped");
  });

  it("runs a message once that is sent twice at the same time", async () => {
    const server = await start();
    const message = { id: newId(), text: "hello" };
    const [one, two] = await Promise.all([post(server, message), post(server, message)]);
    expect(await read(one)).toEqual(await read(two));
    const { text } = await json(await post(server, { id: newId(), text: "and now?" }, whole));
    expect(text).toContain("Turn 2.");
  });

  it("forgets a reply some time after its end, and does not run its message again", async () => {
    const mapper = newMapper();
    const server = await start({ keepTime: 0 }, mapper);
    const before = emulator.chats().length;
    const message = { id: newId(), text: "hello" };
    const { text } = await json(await post(server, message, whole));
    const isForgotten = () => expect.poll(async () => (await again(server, message.id)).status).toBe(404);
    await isForgotten();
    // The mapper remembers what was answered a moment ago.
    expect((await json(await post(server, message, whole))).text).toBe(text);
    await isForgotten();
    expect(emulator.chats()).toHaveLength(before + 1);
    await mapper.forget({ platform: "web", tenant: "acme", user: "ada" });
    const repeated = await post(server, message);
    expect(repeated.status).toBe(409);
    expect((await errorOf(repeated)).code).toBe("duplicate");
  });
});

describe("A failure as the web handler tells it", () => {
  const statuses: Record<AparteErrorCode, number> = {
    ...{ "input-invalid": 400, "agent-unknown": 400, "file-too-large": 413, "backend-refused-content": 422 },
    ...{ busy: 409, duplicate: 409, paused: 409, stopped: 409, "turn-over": 409, "lease-lost": 409 },
    ...{ "conversation-lost": 409, "conversation-busy": 409 },
    ...{ full: 429, limited: 429, "backend-rate-limited": 429, "backend-quota": 429 },
    ...{ "option-invalid": 500, "hook-failed": 500, "store-unreadable": 500, "backend-unsupported": 501 },
    ...{ "no-answer": 502, "backend-auth": 502, "backend-rejected": 502, "backend-stream-cut": 502 },
    ...{ "backend-failed": 502, "backend-protocol": 502, "action-required": 502 },
    ...{ "store-failed": 503, "store-timeout": 503, "wait-timeout": 503, "backend-unavailable": 503 },
    ...{ "answer-lost": 503, closed: 503, "turn-timeout": 504, "backend-timeout": 504 },
  };

  it.each(Object.entries(statuses))(
    "has for %s the status %i, and its code and reference",
    async (code, status) => {
      const error = new AparteError(code as AparteErrorCode, "The cause is told to nobody.");
      const logger = { error: () => expect.unreachable() };
      const response = failureResponse(error, logger, newMapper().texts({}));
      expect(response.status).toBe(status);
      const told = await errorOf(response);
      expect(told).toMatchObject({ code, reference: error.reference });
      expect(told.message).not.toContain("cause");
    },
  );
});

describe("A failure that nobody expected", () => {
  it("is told by its class in the log, and by its reference alone to the person", async () => {
    for (const [thrown, error] of [
      [new TypeError("the password is hunter2"), "TypeError"],
      ["hunter2", "string"],
    ]) {
      const log: unknown[] = [];
      const logger = { error: (...line: unknown[]) => log.push(line) };
      const response = failureResponse(thrown, logger, newMapper().texts({}));
      expect(response.status).toBe(500);
      const told = await errorOf(response);
      const { reference } = told;
      expect(told).toEqual({ code: "internal", reference, message: expect.stringMatching(/^\p{Lu}.+\.$/u) });
      expect(reference).toMatch(/^\w{8}$/);
      expect(log).toEqual([["a web request failed", { error, reference }]]);
      expect(JSON.stringify(told)).not.toContain("hunter2");
    }
  });

  it("says in seconds when it may be tried again, where that is known", () => {
    const logger = { error: () => expect.unreachable() };
    const secondsOf = (retryAfterMs?: number) => {
      const error = new AparteError(
        "backend-rate-limited",
        "",
        retryAfterMs === undefined ? {} : { retryAfterMs },
      );
      return failureResponse(error, logger, newMapper().texts({})).headers.get("retry-after");
    };
    expect([secondsOf(1_001), secondsOf(2_000), secondsOf()]).toEqual(["2", "2", null]);
  });
});

describe("What the web handler keeps", () => {
  const graceTime = 5_000;
  const name: ReplyName = { tenant: "acme", user: "ada", id: "1" };
  const texts = (key: string) => key;

  /** A reply that the test speaks. */
  function speech() {
    const events: ReplyEvent[] = [];
    let wake = () => {};
    let isOver = false;
    const counts = { cancelled: 0 };
    const reply = {
      taken: Promise.resolve(true),
      cancel: () => {
        counts.cancelled += 1;
      },
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const event = events.shift();
          if (event !== undefined) {
            yield event;
            continue;
          }
          if (isOver) return;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    } as unknown as Reply;
    const say = (...more: ReplyEvent[]) => {
      events.push(...more);
      wake();
    };
    const end = () => {
      isOver = true;
      wake();
    };
    return { reply, counts, say, end };
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    return () => vi.useRealTimers();
  });

  it("is stopped when its last reader stays away for the grace time, and not when one comes back in time", () => {
    const { reply, counts } = speech();
    const kept = new KeptReply(name, reply, texts as never, graceTime);
    const first = kept.attach();
    const second = kept.attach();
    first();
    // A reader leaves once, however often that is told.
    first();
    expect(vi.getTimerCount()).toBe(0);
    second();
    vi.advanceTimersByTime(graceTime - 1);
    const back = kept.attach();
    vi.advanceTimersByTime(graceTime);
    expect(counts.cancelled).toBe(0);
    back();
    vi.advanceTimersByTime(graceTime - 1);
    expect(counts.cancelled).toBe(0);
    vi.advanceTimersByTime(1);
    expect(counts.cancelled).toBe(1);
  });

  it("is left alone once it has ended", async () => {
    const { reply, end } = speech();
    const kept = new KeptReply(name, reply, texts as never, graceTime);
    kept.attach()();
    expect(vi.getTimerCount()).toBe(1);
    end();
    await kept.ended;
    expect(vi.getTimerCount()).toBe(0);
    kept.attach()();
    expect(vi.getTimerCount()).toBe(0);
    expect([kept.hasEnded, kept.events]).toEqual([true, [{ name: "done", data: {} }]]);
  });

  const word: ReplyEvent = { type: "text", delta: "x" };

  it("is waited for until there is more or the time is over, and no timer is left of it", async () => {
    const { reply, say } = speech();
    const kept = new KeptReply(name, reply, texts as never, graceTime);
    const silent = kept.moreThan(0, 1_000);
    vi.advanceTimersByTime(999);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1);
    expect([await silent, vi.getTimerCount()]).toEqual([false, 0]);
    const both = [kept.moreThan(0, 1_000), kept.moreThan(0, 2_000)];
    say(word);
    expect([await Promise.all(both), vi.getTimerCount()]).toEqual([[true, true], 0]);
    const there = kept.moreThan(0, 1_000);
    expect([vi.getTimerCount(), await there]).toEqual([0, true]);
  });

  it("is sent a hundred events at a time, to its end", async () => {
    const { reply, say, end } = speech();
    const kept = new KeptReply(name, reply, texts as never, graceTime);
    say(...Array<ReplyEvent>(250).fill(word));
    end();
    await kept.ended;
    let left = 0;
    const stream = eventStream(kept, 0, 1_000, () => {
      left += 1;
    });
    const numbers: string[][] = [];
    for await (const piece of stream)
      numbers.push(
        [...new TextDecoder().decode(piece).matchAll(/^id: \w+\.(\d+)$/gm)].map(([, n = ""]) => n),
      );
    expect(numbers.map(({ length }) => length)).toEqual([0, 100, 100, 51]);
    expect(numbers.flat()).toEqual(Array.from({ length: 251 }, (_, index) => `${index + 1}`));
    expect(left).toBe(1);
  });

  const limits = { graceTime, keepTime: 60_000, maxReplies: 3, maxPersonReplies: 2 };
  const texted = texts as never;

  it("is found by nobody else, also of the same name elsewhere, and for so long after its end", async () => {
    const replies = new Replies(limits);
    const { reply, end } = speech();
    const kept = replies.add(name, () => reply, texted);
    expect(replies.find({ ...name })).toBe(kept);
    for (const other of [{ tenant: "globex" }, { user: "ben" }, { id: "2" }])
      expect(replies.find({ ...name, ...other })).toBeUndefined();
    expect(replies.find({ user: "ada", id: "1" })).toBeUndefined();
    end();
    await kept.ended;
    vi.advanceTimersByTime(59_999);
    expect(replies.find(name)).toBe(kept);
    vi.advanceTimersByTime(1);
    expect(replies.find(name)).toBeUndefined();
  });

  it("makes room by what has ended, the oldest first, and by nobody else's for one person", async () => {
    const replies = new Replies(limits);
    const add = (more: Partial<ReplyName>) => {
      const { reply, end } = speech();
      const kept = replies.add({ ...name, ...more }, () => reply, texted);
      return { kept, end };
    };
    const full = expect.objectContaining({ code: "full", status: 429 });
    const runs = add({ id: "1" });
    const ended = add({ id: "2" });
    ended.end();
    await ended.kept.ended;
    const other = add({ tenant: "globex", id: "2" });
    other.end();
    await other.kept.ended;
    const next = add({ id: "3" });
    expect(["1", "2", "3"].map((id) => replies.find({ ...name, id }))).toEqual([
      runs.kept,
      undefined,
      next.kept,
    ]);
    // Another customer's is not this person's room.
    expect(() => add({ id: "4" })).toThrow(full);
    expect(replies.find({ ...name, tenant: "globex", id: "2" })).toBe(other.kept);
    // It is that of everybody.
    const third = add({ user: "ben" });
    expect(replies.find({ ...name, tenant: "globex", id: "2" })).toBeUndefined();
    expect(() => add({ user: "cleo" })).toThrow(expect.objectContaining({ code: "overloaded", status: 503 }));
    replies.remove({ ...name, user: "ben" }, third.kept);
    add({ user: "cleo" });
  });

  it("does not lose a message that was sent again for the end of its first reply", async () => {
    const replies = new Replies(limits);
    const first = speech();
    const old = replies.add(name, () => first.reply, texted);
    first.end();
    await old.ended;
    vi.advanceTimersByTime(30_000);
    replies.remove(name, old);
    const second = speech();
    const kept = replies.add(name, () => second.reply, texted);
    vi.advanceTimersByTime(60_000);
    expect(replies.find(name)).toBe(kept);
    replies.remove(name, old);
    expect(replies.find(name)).toBe(kept);
  });

  it("counts bytes that wait by person and in all, up to their bounds", () => {
    const waiting = new WaitingBytes({ maxPersonBytes: 5, maxBytes: 8 });
    const room = (person: string, bytes: number) => {
      const own = waiting.room(person);
      own.add(bytes);
      return own;
    };
    const full = expect.objectContaining({ code: "full", headers: { "retry-after": "10" } });
    const overloaded = expect.objectContaining({ code: "overloaded", headers: { "retry-after": "5" } });
    const [two, three] = [room("ada", 2), room("ada", 3)];
    expect(() => room("ada", 1)).toThrow(full);
    room("ben", 3);
    expect(() => room("cleo", 1)).toThrow(overloaded);
    two.free();
    // What is freed twice, or was refused, counts once.
    two.free();
    expect(() => room("ada", 3)).toThrow(full);
    expect(() => room("cleo", 3)).toThrow(overloaded);
    room("ada", 2);
    expect(() => room("cleo", 1)).toThrow(overloaded);
    three.free();
    room("ada", 3);
  });
});

describe("What the web handler takes", () => {
  it("has these bounds and times, unless it is told otherwise", () => {
    const authenticate = byHeader;
    const { authorize, logger, ...others } = readOptions({ authenticate });
    expect(others).toEqual({
      ...{ authenticate, origins: [], platform: "web", graceTime: 5_000, keepTime: 60_000 },
      ...{ maxReplies: 2_000, maxPersonReplies: 50, maxPersonBytes: 41_943_040, maxBytes: 104_857_600 },
      ...{ heartbeat: 15_000, maxBodySize: 1_048_576, maxUploadSize: 20_971_520, maxFiles: 10 },
    });
    const speaker = { tenant: "acme", user: "ada" };
    const isAllowed = [{}, { agent: "helper" }, { channel: "c" }, { thread: "1" }].map((named) =>
      authorize({ speaker, ...named }),
    );
    expect(isAllowed).toEqual([true, true, false, false]);
  });

  const settings = { maxBodySize: 100, maxUploadSize: 1_000, maxFiles: 1 };
  const room = { add() {}, free() {} };
  const said = (body: string | FormData | Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
    readSaid(new Request("http://app.test/", { method: "POST", body, headers }), settings, room);
  const json = { "content-type": " Application/JSON ; charset=utf-8" };

  it("is read in whatever letters its type is written, and up to its bound", async () => {
    const body = (length: number) => JSON.stringify({ id: "1", text: "é".padEnd(length - 20, "x") });
    expect(body(99).length).toBe(99);
    expect(await said(body(99), json)).toEqual({ id: "1", text: "é".padEnd(79, "x"), files: [] });
    await expect(said(body(100), json)).rejects.toMatchObject({ code: "too-large", status: 413 });
    const named = { agent: "a", channel: "c", thread: "t" };
    expect(await said(JSON.stringify({ id: "1", text: "", ...named }), json)).toEqual({
      ...{ id: "1", text: "", files: [], ...named },
    });
  });

  it.each([
    ["body", "must be JSON", '{"id":"1","text":"\xff"}', json],
    [
      "body",
      "must be multipart/form-data",
      "--x",
      { "content-type": "multipart/form-data", "x-aparte": "1" },
    ],
    ["body", "must be an object { id, text, agent?, channel?, thread? }", "[]", json],
    ["user", "does not exist here", '{"id":"1","text":"","user":"ben"}', json],
    ["text", "must be a text", '{"id":"1","text":7}', json],
    ["id", "must be a text of 1 to 256 characters", '{"text":""}', json],
  ])(
    'is refused with the field and what is wrong with it: "%s" %s',
    async (field, problem, body, headers) => {
      const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
      await expect(said(bytes, headers as Record<string, string>)).rejects.toMatchObject({
        ...{ code: "input-invalid", field, message: `Field "${field}" ${problem}.` },
      });
    },
  );

  it("has a name for a file that came without one", async () => {
    const headers = { "content-type": "multipart/form-data; boundary=b", "x-aparte": "1" };
    const file = 'content-disposition: form-data; name="files"; filename=""\r\ncontent-type: text/plain';
    const id = 'content-disposition: form-data; name="id"\r\n\r\n1';
    const { files } = await said(`--b\r\n${id}\r\n--b\r\n${file}\r\n\r\nx\r\n--b--\r\n`, headers);
    expect(files).toMatchObject([{ name: "file", type: "text/plain" }]);
  });

  it("is refused with the part of a form that is wrong, and what is wrong with it", async () => {
    const file = new File(["x"], "x");
    const parts: [string, string, [string, string | File][]][] = [
      [
        "text",
        "is there twice",
        [
          ["text", "a"],
          ["text", "b"],
        ],
      ],
      ["picture", 'must be a text; files are called "files"', [["picture", file]]],
      [
        "files",
        "must be at most 1",
        [
          ["files", file],
          ["files", file],
        ],
      ],
    ];
    for (const [field, problem, entries] of parts) {
      const form = new FormData();
      for (const [name, value] of entries) form.append(name, value);
      const message = `Field "${field}" ${problem}.`;
      await expect(said(form, { "x-aparte": "1" })).rejects.toMatchObject({ field, message });
    }
    await expect(said(new FormData(), {})).rejects.toMatchObject({ code: "forbidden" });
    await expect(said(new Uint8Array([1]), {})).rejects.toMatchObject({ code: "type-unsupported" });
  });
});

describe("web, other sites", () => {
  const ours = "https://app.example";
  const say = (server: Loopback, headers: Record<string, string>) =>
    post(server, { id: newId(), text: "hello" }, { headers });

  it("refuses pages of other sites before it asks who speaks", async () => {
    let asked = 0;
    const server = await start({
      origins: [ours],
      authenticate: () => {
        asked += 1;
        return { tenant: "", user: "ada" };
      },
    });
    const foreign: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "https://app.example.evil.example" },
      { origin: "https://evil.example", "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const headers of foreign) {
      const response = await say(server, headers);
      expect(response.status, JSON.stringify(headers)).toBe(403);
      expect((await errorOf(response)).code).toBe("foreign-origin");
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
    }
    for (const method of ["GET", "DELETE", "OPTIONS"]) {
      const response = await again(server, "x", { headers: { origin: "https://evil.example" } }, method);
      expect(response.status).toBe(403);
    }
    expect(asked).toBe(0);
  });

  it("takes pages of its own and of the allowed origins, and lets only them read", async () => {
    const server = await start({ origins: [ours] });
    const own = await say(server, { origin: new URL(server.url).origin, "sec-fetch-site": "same-origin" });
    expect(own.status).toBe(200);
    await own.body?.cancel();
    // Opened by the person, who typed its address.
    const typed = await say(server, { "sec-fetch-site": "none" });
    expect([typed.status, typed.headers.get("access-control-allow-origin")]).toEqual([200, null]);
    await typed.body?.cancel();
    const allowed = await say(server, { origin: ours, "sec-fetch-site": "cross-site" });
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(ours);
    expect(allowed.headers.get("access-control-expose-headers")).toBe("retry-after");
    expect(allowed.headers.get("access-control-allow-credentials")).toBe("true");
    expect(allowed.headers.get("vary")).toContain("origin");
    await allowed.body?.cancel();
    const failed = await fetch(server.url, { method: "POST", headers: { origin: ours } });
    expect(failed.status).toBe(401);
    expect(failed.headers.get("access-control-allow-origin")).toBe(ours);
    const preflight = await again(server, "x", { headers: { origin: ours } }, "OPTIONS");
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods")).toBe("GET, POST, DELETE");
    expect(preflight.headers.get("access-control-allow-headers")).toBe(
      "authorization, content-type, last-event-id, x-aparte",
    );
    expect(preflight.headers.get("access-control-max-age")).toBe("600");
    expect(preflight.headers.get("access-control-allow-origin")).toBe(ours);
  });

  it("refuses what a plain form can send", async () => {
    const server = await start();
    const body = JSON.stringify({ id: newId(), text: "hello" });
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const headers = { "content-type": type, "x-user": "ada" };
      expect((await fetch(server.url, { method: "POST", headers, body })).status).toBe(415);
    }
    const form = new FormData();
    form.set("id", newId());
    form.set("text", "hello");
    expect(
      (await fetch(server.url, { method: "POST", headers: { "x-user": "ada" }, body: form })).status,
    ).toBe(403);
  });
});
