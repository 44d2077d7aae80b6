import { getEventListeners } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import {
  type SonaopsOptions,
  type SonaopsQuotaNotice,
  type SonaopsRequestToSign,
  serviceWords,
  sonaops,
  sonaopsReader,
} from "aparte/sonaops";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AskCall, FileInput } from "../../src/backends/backend.ts";
import { ServiceFailure } from "../../src/backends/http/failure.ts";
import { readOptions } from "../../src/backends/sonaops/options.ts";
import { canonicalBody, canonicalQuery, signA, signable, signB } from "../../src/backends/sonaops/signing.ts";
import {
  type SonaopsEmulator,
  type SonaopsEmulatorOptions,
  type SonaopsRefusalKind,
  startSonaopsEmulator,
} from "../../src/emulators/sonaops/index.ts";
import { AparteError, type AparteErrorCode } from "../../src/errors.ts";
import { consoleLogger } from "../../src/logger.ts";
import type { ReplyEvent } from "../../src/turn/reply-event.ts";

let emulator: SonaopsEmulator;
const closers: (() => Promise<void>)[] = [];
const quiet = { info() {}, warn() {}, error() {} };

beforeEach(async () => {
  emulator = await start();
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(options: SonaopsEmulatorOptions = {}): Promise<SonaopsEmulator> {
  const started = await startSonaopsEmulator(options);
  closers.push(() => started.close());
  return started;
}

function backend(options: Partial<SonaopsOptions> = {}, service = emulator) {
  const { baseURL, apiKey, apiSecret, agentId, profile } = service;
  const signing = options.sign === undefined ? { profile } : {};
  return sonaops({
    ...{ baseURL, apiKey, apiSecret, agentId, retryDelay: 1, logger: quiet },
    ...signing,
    ...options,
  });
}

function call(sessionName = "a1_ada", signal = new AbortController().signal) {
  return { sessionName, agent: "helper", signal };
}

async function opened(options: Partial<SonaopsOptions> = {}, service = emulator) {
  const made = backend(options, service);
  const conversationId = await made.open(call());
  const ask = (text: string, more: Partial<AskCall> = {}) =>
    made.ask({ ...call(), conversationId, turnId: "turn-1", text, files: [], ...more });
  return { conversationId, ask, backend: made };
}

async function all(events: AsyncIterable<ReplyEvent>): Promise<ReplyEvent[]> {
  const list: ReplyEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

async function answer(events: AsyncIterable<ReplyEvent>): Promise<string> {
  return (await all(events)).flatMap((event) => (event.type === "message" ? [event.text] : [])).join("|");
}

async function failure(promise: Promise<unknown>): Promise<AparteError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AparteError);
  // What a developer reads is a sentence; a failure of the service's names the service.
  if (error instanceof ServiceFailure) expect(error.message).toMatch(/^Sonaops: \w.*[\w)]\.$/);
  expect((error as AparteError).message).toMatch(/^\w.*\.$/);
  return error as AparteError;
}

const streamPath = "/v1/chat/stream";
const openPath = "/v1/chat/conversation";

const requestsTo = (path: string) => emulator.requests().filter((request) => request.path === path).length;

/** A server of a few lines, for what the emulator does not do. It opens conversations by itself. */
async function serve(stream: (response: ServerResponse, request: IncomingMessage) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === streamPath) return stream(response, request);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ code: 10200, success: true, data: { conversationId: "c1" } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A service whose every answer is this stream. */
async function streaming(frames: string, isOpen = false): Promise<string> {
  return await serve((response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    if (isOpen) response.write(frames);
    else response.end(frames);
  });
}

const saved = 'event: message_saved\ndata: {"messageId":"m1"}\n\n';
const text = (words: string) => `data: ${JSON.stringify({ text: words })}\n\n`;

describe("Sonaops signing", () => {
  const request = (path: string, body: Record<string, unknown>): SonaopsRequestToSign => ({
    method: "POST",
    path,
    query: {},
    body,
    timestamp: "1742000000",
    requestId: "r",
    userId: "user-123",
    apiKey: "key",
    apiSecret: "test-secret",
  });

  it("agrees with the known signatures of profile B", () => {
    const turn = { agentId: "agent-uuid", conversationId: "conv-uuid", text: "你好" };
    expect(signB(request(streamPath, turn))).toEqual({
      "x-signature": "f3c9058d58c5a9425388f37607d1ecd40eb99532eeef9e5ea909b9ced4e3e595",
    });
    expect(signB(request(openPath, { agentId: "agent-uuid" }))).toEqual({
      "x-signature": "9890e886528412f2a1922d02067a13ac2c0019b0644047fa8cd979bba509b4af",
    });
  });

  it("agrees with the known signatures of profile A", () => {
    expect(signA(request(openPath, { agentId: "agent-uuid" }))).toEqual({
      "x-signature": "7d0efd6e324cb803ee5ef85c3260adc3efa80fcf483920ac2a502707a602d9bb",
    });
    const speech = {
      voiceTimbreId: "English_radiant_girl",
      processedText: "Hello, welcome.",
      messageId: "msg-uuid",
    };
    expect(signA(request("/v1/chat/tts", speech))).toEqual({
      "x-signature": "d0c110151dcbe20f28834c7513b8430462963336c11756695266403315bcbc72",
    });
  });

  it("signs the query in profile B", () => {
    const { "x-signature": with1 } = signB({ ...request(openPath, {}), query: { b: 1 } }) as Record<
      string,
      string
    >;
    const { "x-signature": with2 } = signB({ ...request(openPath, {}), query: { b: 2 } }) as Record<
      string,
      string
    >;
    expect(with1).not.toBe(with2);
  });

  it("sorts by code unit, trims, and leaves out what is empty, but not empty objects and lists", () => {
    const fields = { b: " two ", a: "x y", Z: 1, n: null, e: "", s: " \t", o: {}, l: [], f: false, ä: "ü" };
    expect(canonicalBody(fields)).toBe("Z=1&a=x y&b=two&f=false&l=[]&o={}&ä=ü");
    expect(canonicalQuery({ b: "2", a: null, c: "" })).toBe("b=2");
  });

  it("does not depend on the fields' order, on blanks around them, or on empty ones", () => {
    const fields = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()));
    fc.assert(
      fc.property(fields, fc.stringMatching(/^[ \t\n]*$/), (body, blanks) => {
        const entries = Object.entries(body).map(([name, value]) => [
          name,
          typeof value === "string" ? `${blanks}${value}${blanks}` : value,
        ]);
        const free = `${Object.keys(body).join("")}_`;
        const other = Object.fromEntries([...entries.reverse(), [free, blanks], [`${free}_`, null]]);
        expect(canonicalBody(other)).toBe(canonicalBody(body));
      }),
    );
  });

  it("makes of any text one that is sent and signed alike", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (raw) => {
        const made = signable(`\ud800 \u0000\u3000${raw}\u0001\ufeff`);
        expect(made).toBe(made.trim());
        expect(Buffer.from(made, "utf8").toString("utf8")).toBe(made);
        expect(signable(made)).toBe(made);
      }),
    );
    expect(signable(" \u0000 hi\n there \u3000")).toBe("hi\n there");
  });
});

describe.each(["A", "B"] as const)("sonaops, profile %s", (profile) => {
  it("streams the answer, and the agent remembers the conversation", async () => {
    const service = await start({ profile });
    const { ask, conversationId } = await opened({}, service);
    const events = await all(ask("  my name is Ada \n"));
    const message = 'Turn 1. You said: "my name is Ada". I will remember that your name is Ada.';
    expect(events.at(-1)).toEqual({ type: "message", text: message });
    const deltas = events.flatMap((event) => (event.type === "text" ? [event.delta] : []));
    expect(deltas.length).toBeGreaterThan(5);
    expect(events).toHaveLength(deltas.length + 1);
    expect(deltas.join("")).toBe(message);
    expect(await answer(ask("what is my name?"))).toBe("Turn 2. Your name is Ada.");
    expect(conversationId.includes("-")).toBe(profile === "B");
    expect(service.conversations()).toMatchObject([
      { id: conversationId, agentId: service.agentId, userId: "a1_ada" },
    ]);
    expect(new Set(service.requests().map(({ userId }) => userId))).toEqual(new Set(["a1_ada"]));
  });

  it("is refused with the other profile or another secret, and tells it", async () => {
    const service = await start({ profile });
    const other = profile === "A" ? "B" : "A";
    for (const options of [{ profile: other }, { apiSecret: "another" }, { apiKey: "another" }] as const) {
      const error = await failure(backend(options, service).open(call()));
      expect(error.code).toBe("backend-auth");
    }
    expect(service.conversationsOpened).toBe(0);
  });

  it("takes what texts people send", async () => {
    const service = await start({ profile });
    const { ask } = await opened({}, service);
    for (const said of [
      "a&b=c",
      "x".repeat(100_000),
      "\ud800 half",
      "你好 👩‍👩‍👧",
      "\u0001ctrl\u0000",
      "a\r\n\r\nb",
      '"\\"',
    ]) {
      expect(await answer(ask(said))).toMatch(/^Turn \d+\. You said: "/);
    }
  });

  it.each([
    ["unauthorized", "backend-auth", 1],
    ["invalid-key", "backend-auth", 1],
    ["rate-limit", "backend-rate-limited", 4],
    ["usage-cap", "backend-quota", 1],
    ["no-agent-id", "backend-rejected", 1],
    ["unknown-agent", "backend-rejected", 1],
    ["bad-request", "backend-rejected", 1],
    ["unknown-conversation", "conversation-lost", 1],
    ["server-error", "backend-failed", 1],
  ] satisfies [SonaopsRefusalKind, AparteErrorCode, number][])(
    "tells %s of a turn as %s, sent %i times",
    async (refuse, code, times) => {
      const service = await start({ profile });
      const { ask } = await opened({}, service);
      const fault = service.fail({ path: streamPath, refuse, times: 100 });
      const error = await failure(all(ask("my words")));
      expect(error.code).toBe(code);
      expect(fault.hits).toBe(times);
      expect(error.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(error.message).not.toContain(service.apiKey);
    },
  );
});

describe("sonaops", () => {
  it("lacks what the service cannot do", () => {
    expect(Object.keys(backend()).sort()).toEqual(["ask", "name", "open"]);
  });

  it("signs every attempt anew", async () => {
    const sent: Headers[] = [];
    const recording: typeof fetch = (url, init) => {
      sent.push(new Headers(init?.headers));
      return fetch(url, init);
    };
    emulator.fail({ refuse: "rate-limit", times: 2 });
    await backend({ fetch: recording }).open(call());
    expect(sent).toHaveLength(3);
    expect(new Set(sent.map((headers) => headers.get("x-request-id"))).size).toBe(3);
    for (const headers of sent) expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each(["open", "ask"] as const)("signs anew what waited longer than five minutes: %s", async (what) => {
    const clock = { now: 1_742_000_000_000 };
    const service = await start({ now: () => clock.now });
    const sent: (string | null)[] = [];
    // The first attempt is refused for its rate; then six minutes pass.
    const slow: typeof fetch = async (url, init) => {
      const response = await fetch(url, init);
      sent.push(new Headers(init?.headers).get("x-timestamp"));
      clock.now += 6 * 60_000;
      return response;
    };
    const { ask, backend: made } = await opened({ now: () => clock.now, fetch: slow }, service);
    sent.length = 0;
    const before = clock.now / 1000;
    service.fail({ refuse: "rate-limit" });
    if (what === "open") await made.open(call());
    else expect(await answer(ask("hello"))).toContain("hello");
    expect(sent).toEqual([String(before), String(before + 360)]);
  });

  it("is refused when a signature is older than five minutes", async () => {
    const service = await start({ now: () => Date.now() + 301_000 });
    expect((await failure(backend({}, service).open(call()))).code).toBe("backend-auth");
  });

  it("lets a function sign", async () => {
    const service = await start({ profile: "A" });
    const seen: SonaopsRequestToSign[] = [];
    const { ask } = await opened(
      {
        sign: async (request) => {
          seen.push(request);
          return { ...(await signA(request)), "x-nonce": request.requestId };
        },
      },
      service,
    );
    expect(await answer(ask("hello"))).toContain("hello");
    expect(seen).toMatchObject([
      { method: "POST", path: openPath, userId: "a1_ada", body: { agentId: service.agentId } },
      { method: "POST", path: streamPath, body: { text: "hello" } },
    ]);
  });

  it("tells that the function that signs has failed", async () => {
    const sign = () => {
      throw new Error("no key");
    };
    const error = await failure(backend({ sign }).open(call()));
    expect(error.code).toBe("backend-auth");
    expect(error.message).toContain("sign");
    expect(emulator.requests()).toEqual([]);
  });

  it("sends and signs what is needed, and nothing else", async () => {
    const sent: [url: string, init: RequestInit | undefined][] = [];
    const signed: SonaopsRequestToSign[] = [];
    const { ask, conversationId } = await opened({
      now: () => 1_742_000_000_999,
      sign: (request) => {
        signed.push(request);
        return { "x-signature": "s", "X-User-ID": "mine" };
      },
      fetch: async (url, init) => {
        sent.push([String(url), init]);
        return String(url).endsWith(openPath)
          ? Response.json({ code: 10200, success: true, data: { conversationId: "c1" } })
          : new Response(text("hi") + saved, { headers: { "content-type": "text/event-stream" } });
      },
    });
    await all(ask(" hello "));
    const { agentId, apiKey, apiSecret, baseURL } = emulator;
    const bodies = [{ agentId }, { agentId, conversationId, text: "hello" }];
    const paths = [openPath, streamPath];
    expect(sent.map(([url, init]) => [url, init?.method, init?.redirect, init?.body])).toEqual(
      bodies.map((body, at) => [baseURL + paths[at], "POST", "manual", JSON.stringify(body)]),
    );
    const ids = sent.map(([, init]) => new Headers(init?.headers).get("x-request-id") ?? "");
    for (const [at, [, init]] of sent.entries()) {
      expect(Object.fromEntries(new Headers(init?.headers))).toEqual({
        ...{ "content-type": "application/json", authorization: `Bearer ${apiKey}`, "x-user-id": "mine" },
        ...{ "x-timestamp": "1742000000", "x-request-id": ids[at], "x-signature": "s" },
      });
    }
    expect(signed).toEqual(
      bodies.map((body, at) => ({
        ...{ method: "POST", path: paths[at], query: {}, body, timestamp: "1742000000" },
        ...{ requestId: ids[at], userId: "a1_ada", apiKey, apiSecret },
      })),
    );
  });

  it("keeps the id as it is, with hyphens or without", async () => {
    for (const profile of ["A", "B"] as const) {
      const service = await start({ profile });
      const { ask, conversationId } = await opened({ profile }, service);
      expect(conversationId.includes("-")).toBe(profile === "B");
      expect(await answer(ask("hello"))).toContain("hello");
    }
  });

  it("tells a conversation that is gone, or is another person's, as lost", async () => {
    const { ask, conversationId } = await opened();
    expect((await failure(all(ask("hello", { sessionName: "a1_ben" })))).code).toBe("conversation-lost");
    emulator.deleteConversation(conversationId);
    expect((await failure(all(ask("hello")))).code).toBe("conversation-lost");
  });

  it("lets a function say what a lost conversation looks like", async () => {
    const { ask } = await opened({ isConversationLost: ({ code }) => code === 10500 });
    emulator.fail({ refuse: "server-error" });
    expect((await failure(all(ask("hello")))).code).toBe("conversation-lost");
    emulator.fail({ refuse: "unknown-conversation" });
    expect((await failure(all(ask("hello")))).code).toBe("backend-rejected");
  });

  it("refuses files and messages without words before anything is sent", async () => {
    const { ask } = await opened();
    const file: FileInput = { name: "photo.png", data: new Uint8Array([1]) };
    for (const events of [ask("look", { files: [file] }), ask(" \n\u0000")]) {
      expect((await failure(all(events))).code).toBe("backend-rejected");
    }
    expect(requestsTo(streamPath)).toBe(0);
  });

  it.each([{ dropResponse: true }, { cut: "in-answer" }, { cut: "before-saved" }] as const)(
    "never sends a turn again that was cut off: %o",
    async (fault) => {
      const { ask } = await opened();
      emulator.fail({ path: streamPath, ...fault });
      expect((await failure(all(ask("hello")))).code).toBe("backend-stream-cut");
      expect(requestsTo(streamPath)).toBe(1);
    },
  );

  it("comes back when the service says so, and no sooner", async () => {
    const { ask } = await opened();
    emulator.fail({ path: streamPath, page: 429, headers: { "retry-after": "1" } });
    expect(await answer(ask("hello"))).toBe('Turn 1. You said: "hello".');
    expect(emulator.requests().filter(({ isEarly }) => isEarly)).toEqual([]);
    expect(requestsTo(streamPath)).toBe(2);
  });

  it("takes an answer as whole whose stream is cut after message_saved", async () => {
    const { ask } = await opened();
    emulator.fail({ path: streamPath, cut: "after-saved" });
    expect(await answer(ask("hello"))).toBe('Turn 1. You said: "hello".');
  });

  it("reads a gateway's HTML page as a failure: repeated when opening, never for a turn", async () => {
    const { ask, backend: made } = await opened();
    const fault = emulator.fail({ path: openPath, page: 502 });
    await made.open(call());
    expect(fault.hits).toBe(1);
    expect(requestsTo(openPath)).toBe(3);
    emulator.fail({ path: openPath, page: 502, times: 4 });
    expect((await failure(made.open(call()))).code).toBe("backend-unavailable");
    emulator.fail({ path: streamPath, page: 502 });
    expect((await failure(all(ask("hello")))).code).toBe("backend-failed");
    expect(requestsTo(streamPath)).toBe(1);
  });

  it("does not lose a conversation when opening one is refused", async () => {
    emulator.fail({ refuse: "unknown-conversation" });
    expect((await failure(backend().open(call()))).code).toBe("backend-rejected");
  });

  it("tells a service whose connections break as one to try again later", async () => {
    emulator.fail({ path: openPath, dropResponse: true, times: 4 });
    expect((await failure(backend().open(call()))).code).toBe("backend-unavailable");
    expect(requestsTo(openPath)).toBe(4);
  });

  it("opens again when the connection breaks before the answer", async () => {
    emulator.fail({ path: openPath, dropResponse: true });
    const id = await backend().open(call());
    expect(emulator.conversations().map((conversation) => conversation.id)).toContain(id);
    expect(requestsTo(openPath)).toBe(2);
  });

  it("repeats a turn that never reached the service", async () => {
    let attempts = 0;
    const counting: typeof fetch = (url, init) => {
      attempts += 1;
      return fetch(url, init);
    };
    const { ask } = await opened({ fetch: counting });
    await emulator.close();
    const error = await failure(all(ask("hello")));
    expect([error.code, attempts]).toEqual(["backend-unavailable", 1 + 4]);
  });

  it.each([
    ["an answer that is no success", { code: 10200, success: false, message: "no" }, "backend-failed"],
    ["another code", { code: 0, success: true, data: { conversationId: "c" } }, "backend-failed"],
    ["success without the code", { success: true, data: { conversationId: "c" } }, "backend-failed"],
    ["no envelope", { conversationId: "c" }, "backend-protocol"],
    ["no id", { code: 10200, success: true, data: {} }, "backend-protocol"],
    ["a blank id", { code: 10200, success: true, data: { conversationId: " " } }, "backend-protocol"],
  ])("does not take %s for a conversation", async (_, body, code) => {
    const answering: typeof fetch = async () => Response.json(body);
    expect((await failure(backend({ fetch: answering }).open(call()))).code).toBe(code);
  });

  it("does not follow redirects with the key", async () => {
    const seen: string[] = [];
    const baseURL = await serve((response, request) => {
      seen.push(request.url ?? "");
      response.writeHead(307, { location: `${emulator.baseURL}/v1/chat/stream` }).end();
    });
    const { ask } = await opened({ baseURL });
    expect((await failure(all(ask("hello")))).code).toBe("backend-protocol");
    expect(emulator.requests()).toEqual([]);
  });
});

describe("A refusal of Sonaops'", () => {
  const envelope = (message: string, code = 10400, status = 200) => ({
    status,
    body: { success: false, code, message },
  });
  const page = (status: number) => ({ status, body: "<html>" });

  it.each<
    [
      answer: { status: number; body: unknown },
      opening: [AparteErrorCode, number],
      turn: [AparteErrorCode, number],
      advice: string,
    ]
  >([
    [
      envelope(" Too many requests, slow down"),
      ["backend-rate-limited", 4],
      ["backend-rate-limited", 4],
      "too many requests; try again later",
    ],
    [
      page(429),
      ["backend-rate-limited", 4],
      ["backend-rate-limited", 4],
      "too many requests; try again later (HTTP 429)",
    ],
    [
      envelope("API key usage limit reached."),
      ["backend-quota", 1],
      ["backend-quota", 1],
      "used up its calls; have it topped up",
    ],
    [
      envelope("Invalid API key"),
      ["backend-auth", 1],
      ["backend-auth", 1],
      "not valid or switched off; check apiKey",
    ],
    [
      envelope("no", 10401, 401),
      ["backend-auth", 1],
      ["backend-auth", 1],
      "check apiKey, apiSecret, profile, and that this machine's clock",
    ],
    [page(403), ["backend-auth", 1], ["backend-auth", 1], "not authentic"],
    [
      envelope("agentId is required"),
      ["backend-rejected", 1],
      ["backend-rejected", 1],
      "the request named no agent; check agentId",
    ],
    [
      envelope("Agent not found", 10404),
      ["backend-rejected", 1],
      ["backend-rejected", 1],
      "the agent does not exist; check agentId",
    ],
    [envelope("Not found", 10404), ["backend-rejected", 1], ["conversation-lost", 1], "(code 10404)"],
    [envelope("Not found", 1, 404), ["backend-rejected", 1], ["conversation-lost", 1], "(code 1)"],
    [
      envelope("No such agent", 10404),
      ["backend-rejected", 1],
      ["backend-rejected", 1],
      "the request was refused; check agentId and baseURL (code 10404)",
    ],
    [
      envelope("conversationId is invalid"),
      ["backend-rejected", 1],
      ["conversation-lost", 1],
      "(code 10400)",
    ],
    [envelope("Conversation has expired", 7), ["backend-failed", 1], ["conversation-lost", 1], "(code 7)"],
    [envelope("Unknown  conversation", 7), ["backend-failed", 1], ["conversation-lost", 1], "(code 7)"],
    [
      envelope("the conversation is fine", 7),
      ["backend-failed", 1],
      ["backend-failed", 1],
      "the request was refused (code 7)",
    ],
    [
      envelope("no", 7, 400),
      ["backend-rejected", 1],
      ["backend-rejected", 1],
      "the request was refused; check agentId and baseURL (code 7)",
    ],
    [
      envelope("no", 10500),
      ["backend-unavailable", 4],
      ["backend-failed", 1],
      "try again later (code 10500)",
    ],
    [
      page(408),
      ["backend-unavailable", 4],
      ["backend-failed", 1],
      "a gateway before it failed; try again later (HTTP 408)",
    ],
    [page(500), ["backend-unavailable", 4], ["backend-failed", 1], "try again later (HTTP 500)"],
    [
      page(404),
      ["backend-protocol", 1],
      ["backend-protocol", 1],
      "the answer is not the service's; check baseURL (HTTP 404)",
    ],
    [page(200), ["backend-protocol", 1], ["backend-protocol", 1], "check baseURL (HTTP 200)"],
    [
      { status: 400, body: { success: false } },
      ["backend-rejected", 1],
      ["backend-rejected", 1],
      "(HTTP 400)",
    ],
    [
      { status: 200, body: { code: 3 } },
      ["backend-failed", 1],
      ["backend-failed", 1],
      "the request was refused (code 3)",
    ],
  ])("%j is, opening, %j, and for a turn %j: %s", async ({ status, body }, opening, turn, advice) => {
    let sent = 0;
    const headers = { "retry-after": "0" };
    const fetching = async () => {
      sent += 1;
      return typeof body === "string"
        ? new Response(body, { status, headers: { ...headers, "content-type": "text/html" } })
        : Response.json({ traceId: "t1", ...(body as object) }, { status, headers });
    };
    const ask = (made: ReturnType<typeof backend>) =>
      all(made.ask({ ...call(), conversationId: "c1", turnId: "t", text: "hello", files: [] }));
    for (const [request, told] of [
      [() => backend({ fetch: fetching }).open(call()), opening],
      [() => ask(backend({ fetch: fetching })), turn],
    ] as const) {
      sent = 0;
      const error = await failure(request());
      expect([error.code, sent]).toEqual(told);
      expect(error.traceId).toBe(typeof body === "string" ? undefined : "t1");
      expect(error.retryAfterMs).toBe(0);
      if (told[0] !== "conversation-lost") expect(error.message).toContain(advice);
      else
        expect(error.message).toMatch(/^Sonaops: the conversation does not exist any more \(code \d+\)\.$/);
    }
  });

  it("is told with the service's id for it, and when to come back", async () => {
    emulator.fail({ path: openPath, page: 429, headers: { "retry-after": "60" } });
    const error = await failure(backend().open(call()));
    expect([error.code, error.retryAfterMs]).toEqual(["backend-rate-limited", 60_000]);
    expect(requestsTo(openPath)).toBe(1);
  });
});

describe("sonaops' usage cap", () => {
  it("is told of an agent by its name, where that is all there is", async () => {
    const notices: SonaopsQuotaNotice[] = [];
    const { baseURL, apiKey, apiSecret } = emulator;
    const onQuota = (notice: SonaopsQuotaNotice) => void notices.push(notice);
    const made = sonaops({ baseURL, apiKey, apiSecret, agentName: "Ada", logger: quiet, onQuota });
    emulator.fail({ refuse: "usage-cap" });
    expect((await failure(made.open(call()))).code).toBe("backend-quota");
    expect(notices).toMatchObject([{ agentId: "Ada", pauseMs: 900_000 }]);
  });

  it("stops all calls for a while, and tells the operator once", async () => {
    const clock = { now: Date.now() };
    const notices: SonaopsQuotaNotice[] = [];
    const logged: unknown[] = [];
    const { ask, backend: made } = await opened({
      now: () => clock.now,
      quotaPause: 60_000,
      onQuota: (notice) => notices.push(notice),
      logger: { ...quiet, error: (...line) => logged.push(line) },
    });
    const fault = emulator.fail({ refuse: "usage-cap", times: 100 });
    const errors = await Promise.all([failure(all(ask("one"))), failure(all(ask("two")))]);
    expect(errors.map((error) => error.code)).toEqual(["backend-quota", "backend-quota"]);
    const hits = fault.hits;
    clock.now += 1000;
    const refused = await failure(made.open(call()));
    expect([refused.code, refused.retryAfterMs]).toEqual(["backend-quota", 59_000]);
    expect((await failure(all(ask("three")))).code).toBe("backend-quota");
    expect(fault.hits).toBe(hits);
    expect(notices).toEqual([
      { agentId: emulator.agentId, pauseMs: 60_000, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ]);
    expect(logged).toEqual([
      ["Sonaops: the API key has used up its calls. Nothing is sent for a while.", notices[0]],
    ]);
    expect(refused.message).toContain("nothing is sent for now; have it topped up or take another key");
    expect(JSON.stringify(logged)).not.toContain(emulator.apiKey);

    clock.now += 59_000;
    expect((await failure(all(ask("four")))).code).toBe("backend-quota");
    expect(notices).toHaveLength(2);
    fault.lift();
    clock.now += 60_000;
    expect(await answer(ask("five"))).toContain("five");
  });

  it("survives a function onQuota that fails", async () => {
    const logged: string[] = [];
    const { ask } = await opened({
      onQuota: () => {
        throw new Error("pager down");
      },
      logger: { ...quiet, error: (line) => logged.push(line) },
    });
    emulator.fail({ refuse: "usage-cap" });
    expect((await failure(all(ask("hello")))).code).toBe("backend-quota");
    expect(logged).toEqual([
      "Sonaops: the API key has used up its calls. Nothing is sent for a while.",
      "Sonaops: the function onQuota failed.",
    ]);
  });

  it("is seen within a stream, too", async () => {
    const envelope = { code: 10400, success: false, message: "API key usage limit reached", traceId: "t1" };
    const { ask } = await opened({ baseURL: await streaming(`data: ${JSON.stringify(envelope)}\n\n`) });
    const first = await failure(all(ask("hello")));
    expect([first.code, first.retryAfterMs, first.traceId]).toEqual(["backend-quota", undefined, "t1"]);
    expect((await failure(all(ask("hello")))).retryAfterMs).toBeGreaterThan(0);
  });
});

describe("sonaops' stream", () => {
  it("finds the text where textPath says", async () => {
    const frame = `event: x\ndata: ${JSON.stringify({ data: { answer: { piece: "hi" } } })}\n\n`;
    const { ask } = await opened({
      baseURL: await streaming(frame + saved),
      textPath: "data.answer.piece",
    });
    expect(await all(ask("hello"))).toEqual([
      { type: "text", delta: "hi" },
      { type: "message", text: "hi" },
    ]);
  });

  it("passes over comments, unknown events and broken JSON, and takes text after message_saved", async () => {
    const frames = `: ping\n\nevent: ping\ndata: {}\n\ndata: {"te\n\n${text("a")}${saved}${text("b")}data: [DONE]\n\n${text("c")}`;
    const { ask } = await opened({ baseURL: await streaming(frames, true) });
    expect(await answer(ask("hello"))).toBe("ab");
  });

  it("knows message_saved when it is named in the data", async () => {
    const frames = `${text("a")}data: {"event":"message_saved","data":{"messageId":"m1"}}\n\n`;
    const { ask } = await opened({ baseURL: await streaming(frames) });
    expect(await answer(ask("hello"))).toBe("a");
  });

  it("lets a reader of one's own read it", async () => {
    const { ask } = await opened({
      baseURL: await streaming("data: +\n\ndata: +one\n\ndata: +two\n\ndata: =one two.\n\ndata: ok\n\n"),
      reader: ({ data }) => {
        if (data === "ok") return { type: "saved" };
        if (data === "+") return { type: "text", delta: "" };
        if (data.startsWith("=")) return { type: "message", text: data.slice(1) };
        return { type: "text", delta: data.slice(1) };
      },
    });
    expect(await all(ask("hello"))).toEqual([
      { type: "text", delta: "one" },
      { type: "text", delta: "two" },
      { type: "message", text: "one two." },
    ]);
  });

  it("tells that the reader has failed, and why", async () => {
    const cause = new Error("my mistake");
    const reader = () => {
      throw cause;
    };
    const { ask } = await opened({ reader });
    const error = await failure(all(ask("hello")));
    expect([error.code, error.cause, error.retryable]).toEqual(["backend-protocol", cause, false]);
    expect(requestsTo(streamPath)).toBe(1);
  });

  it.each([
    [{ event: "", data: "[DONE]" }, { type: "end" }],
    [{ event: "x", data: " [DONE]\n" }, { type: "end" }],
    [{ event: "message_saved", data: "no json" }, { type: "saved" }],
    [
      { event: "message_saved", data: '{"messageId":"m1","text":"a"}' },
      { type: "saved", messageId: "m1" },
    ],
    [{ event: "", data: '{"event":"message_saved"}' }, { type: "saved" }],
    [
      { event: "", data: '{"type":"message_saved","data":{"messageId":"m2"}}' },
      { type: "saved", messageId: "m2" },
    ],
    [{ event: "", data: '{"event":"","type":"message_saved"}' }, { type: "saved" }],
    [
      { event: "error", data: "no json" },
      { type: "failed", message: "" },
    ],
    [
      { event: "", data: '{"type":"error","text":"a"}' },
      { type: "failed", message: "" },
    ],
    [
      { event: "", data: '{"success":false,"code":"10400","message":"no","traceId":"t"}' },
      { type: "failed", message: "no", code: 10400, traceId: "t" },
    ],
    [
      { event: "", data: '{"success":true,"text":"a"}' },
      { type: "text", delta: "a" },
    ],
    [
      { event: "chunk", data: '{"text":" a\\n"}' },
      { type: "text", delta: " a\n" },
    ],
    [{ event: "", data: '{"text":""}' }, { type: "ignore" }],
    [{ event: "", data: '{"text":7}' }, { type: "ignore" }],
    [{ event: "", data: "null" }, { type: "ignore" }],
  ])("reads %j as %j", (frame, reading) => {
    expect(sonaopsReader("text")(frame)).toEqual(reading);
  });

  it("does not take [DONE] or the stream's end for message_saved", async () => {
    for (const end of ["", "data: [DONE]\n\n"]) {
      const { ask } = await opened({ baseURL: await streaming(text("half an ans") + end) });
      expect((await failure(all(ask("hello")))).code).toBe("backend-stream-cut");
    }
  });

  it("tells a stream without any text: the person by a notice, the operator how to mend it", async () => {
    const lines: string[] = [];
    const logger = { info() {}, error() {}, warn: (line: string) => void lines.push(line) };
    const { ask } = await opened({ baseURL: await streaming(`data: {"delta":"a"}\n\n${saved}`), logger });
    expect(await all(ask("hello"))).toEqual([
      { type: "notice", code: "no-answer", text: "The agent had nothing to say to that." },
    ]);
    expect(lines.join()).toContain("textPath");
  });

  it("does not wait for long after message_saved", async () => {
    const { ask } = await opened({ baseURL: await streaming(text("all") + saved, true), savedTimeout: 20 });
    expect(await answer(ask("hello"))).toBe("all");
  });

  it.each([
    ["before any word", "", "Too many requests, please try again later", "backend-failed"],
    ["after words", text("a"), "Conversation not found", "backend-failed"],
    ["before any word", "", "Conversation not found", "conversation-lost"],
    ["after words", text("a"), "Invalid API key", "backend-auth"],
    ["after words", text("a"), "something else", "backend-failed"],
  ])("reads a failure in the stream, %s", async (_, before, message, code) => {
    let requests = 0;
    const baseURL = await serve((response) => {
      requests += 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`${before}event: error\ndata: ${JSON.stringify({ message })}\n\n`);
    });
    const { ask } = await opened({ baseURL });
    expect((await failure(all(ask("hello")))).code).toBe(code);
    expect(requests).toBe(1);
  });

  it("reads a success in place of a stream as an answer it does not understand", async () => {
    const baseURL = await serve((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: 10200, success: true, data: { text: "hi" } }));
    });
    const { ask } = await opened({ baseURL });
    expect((await failure(all(ask("hello")))).code).toBe("backend-protocol");
  });

  it("refuses an event without an end", async () => {
    const baseURL = await serve((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const piece = `data: ${"x".repeat(1024 * 1024)}`;
      const more = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    });
    const { ask } = await opened({ baseURL });
    expect((await failure(all(ask("hello")))).code).toBe("backend-protocol");
  });
});

describe("sonaops' leave to send", () => {
  const leaving = (times: number) => {
    let left = times;
    const permit = async () => {
      left -= 1;
      if (left < 0) throw new AparteError("lease-lost", "Another process goes on with the turn.");
    };
    return { permit };
  };

  it("is asked for before a conversation is opened and before a turn, which are not sent without it", async () => {
    const { ask, backend: made } = await opened();
    // The first is asked for before anything is signed, the second when the connection stands.
    for (const times of [0, 1]) {
      expect((await failure(made.open({ ...call(), ...leaving(times) }))).code).toBe("lease-lost");
      expect((await failure(all(ask("hello", leaving(times))))).code).toBe("lease-lost");
    }
    expect(requestsTo(openPath)).toBe(1);
    expect(requestsTo(streamPath)).toBe(0);
  });

  it("is asked for anew before a turn is repeated", async () => {
    const { ask } = await opened();
    emulator.fail({ path: streamPath, refuse: "rate-limit", times: 9 });
    expect((await failure(all(ask("hello", leaving(4))))).code).toBe("lease-lost");
    expect(requestsTo(streamPath)).toBe(2);
  });

  it("is asked for anew before the other profile is tried", async () => {
    const service = await start({ profile: "B" });
    const { baseURL, apiKey, apiSecret, agentId } = service;
    const made = sonaops({ baseURL, apiKey, apiSecret, agentId, logger: quiet });
    expect((await failure(made.open({ ...call(), ...leaving(2) }))).code).toBe("lease-lost");
    expect(service.requests()).toHaveLength(1);
  });

  it("is asked for when the agent's id is there, and not for the list that tells it", async () => {
    const service = await start({ profile: "A", agents: ["one", "two"] });
    const { baseURL, apiKey, apiSecret } = service;
    const made = sonaops({ baseURL, apiKey, apiSecret, agentName: "Agent two", profile: "A", logger: quiet });
    const sent: string[][] = [];
    const permit = async () => void sent.push(service.requests().map(({ path }) => path));
    await made.open({ ...call(), permit });
    expect(sent).toEqual([["/v1/agent/list"], ["/v1/agent/list"]]);
  });
});

describe("sonaops' profiles", () => {
  const unnamed = (service: SonaopsEmulator, log: unknown[], apiSecret = service.apiSecret) => {
    const { baseURL, apiKey, agentId } = service;
    const warn = (line: string, facts?: object) => {
      expect(line).toContain("Set the option profile to it.");
      log.push(facts);
    };
    const logger = { info() {}, error() {}, warn };
    return sonaops({ baseURL, apiKey, apiSecret, agentId, logger, retryDelay: 1 });
  };

  it("signs by profile A unless told otherwise", async () => {
    const service = await start({ profile: "A" });
    const log: unknown[] = [];
    await unnamed(service, log).open(call());
    expect(service.requests().map(({ status }) => status)).toEqual([200]);
    expect(log).toEqual([]);
  });

  it("tries the other one once where the service refuses it, remembers it, and says so", async () => {
    const service = await start({ profile: "B" });
    const log: unknown[] = [];
    const made = unnamed(service, log);
    for (let count = 0; count < 3; count++) await made.open(call());
    expect(service.requests().map(({ status }) => status)).toEqual([401, 200, 200, 200]);
    expect(log).toEqual([{ profile: "B", refused: "A" }]);
    expect(service.conversationsOpened).toBe(3);
  });

  it("keeps to the one that was taken, whatever is refused afterwards", async () => {
    const service = await start({ profile: "A" });
    const log: unknown[] = [];
    const made = unnamed(service, log);
    await made.open(call());
    service.fail({ refuse: "unauthorized" });
    expect((await failure(made.open(call()))).code).toBe("backend-auth");
    expect([service.requests().length, log]).toEqual([2, []]);
  });

  it("tells refused credentials where neither is taken, and keeps to the one that is named", async () => {
    const service = await start({ profile: "B" });
    expect((await failure(unnamed(service, [], "wrong").open(call()))).code).toBe("backend-auth");
    expect(service.requests()).toHaveLength(2);
    const { baseURL, apiKey, apiSecret, agentId } = service;
    const named = sonaops({ baseURL, apiKey, apiSecret, agentId, profile: "A" });
    expect((await failure(named.open(call()))).code).toBe("backend-auth");
    expect(service.requests()).toHaveLength(3);
  });

  it("takes the key and the secret as people paste them", async () => {
    const { baseURL, apiKey, apiSecret, agentId } = emulator;
    const made = sonaops({ baseURL, apiKey: `\uFEFF"${apiKey}"\n`, apiSecret: ` '${apiSecret}' `, agentId });
    expect(await made.open(call())).not.toBe("");
  });
});

describe("sonaops' streams", () => {
  it.each([
    ["without its last blank line", { unterminated: true }],
    ["of the type Text/Event-Stream", { contentType: "Text/Event-Stream" }],
    ["of the type text/plain", { contentType: "text/plain" }],
    ["in pieces of one byte", { pieces: 1, unterminated: true }],
  ])("are read %s like any other", async (_, fault) => {
    const { ask } = await opened();
    emulator.fail({ path: streamPath, ...fault });
    expect(await answer(ask("你好"))).toContain("你好");
  });

  it("run a turn once, whatever becomes of the answer, and never look like one to send again", async () => {
    const { ask } = await opened();
    for (const fault of [{ afterWork: 503 }, { afterWork: 502 }, { resetAt: 0 }, { resetAt: 40 }]) {
      const begun = emulator.nextTurn();
      emulator.fail({ path: streamPath, ...fault });
      const before = emulator.requests().length;
      expect((await failure(all(ask("hello")))).retryable).toBe(false);
      await begun;
      expect(emulator.requests()).toHaveLength(before + 1);
    }
  });

  it("let none of the service's words into what prints an error", async () => {
    const canary = "canary 4711";
    const { ask } = await opened({
      baseURL: await streaming(
        `event: error\ndata: {"success":false,"code":10400,"message":"${canary}"}\n\n`,
      ),
    });
    const error = await failure(all(ask("hello")));
    const printed = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + error.stack;
    expect(printed).not.toContain(canary);
    expect(serviceWords(error)).toBe(canary);
  });
});

describe("sonaops' deadlines", () => {
  it("leave nothing on the signals of their callers", async () => {
    const { signal } = new AbortController();
    const { ask, backend: made } = await opened();
    await made.open(call("a1_ada", signal));
    await all(ask("hello", { signal }));
    emulator.fail({ path: streamPath, refuse: "bad-request" });
    await failure(all(ask("hello", { signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("gives up opening when no answer comes", async () => {
    const fault = emulator.fail({ path: openPath, hang: true, times: 100 });
    expect((await failure(backend({ requestTimeout: 300 }).open(call()))).code).toBe("backend-timeout");
    expect(fault.hits).toBe(1);
  });

  it("waits for slow headers, and gives up when they take too long", async () => {
    const { ask } = await opened({ idleTimeout: 10_000 });
    emulator.fail({ path: streamPath, delayMs: 50 });
    expect(await answer(ask("hello"))).toContain("hello");
    // Long enough for a busy machine to have sent it.
    const impatient = await opened({ idleTimeout: 500 });
    emulator.fail({ path: streamPath, hang: true });
    expect((await failure(all(impatient.ask("hello")))).code).toBe("backend-timeout");
    expect(requestsTo(streamPath)).toBe(2);
  });

  it("waits for a stream that goes on, however slowly", async () => {
    const { ask } = await opened({ idleTimeout: 400 });
    expect(
      await answer(ask("slow: 40, and with so many words that all of them take much longer than it")),
    ).toContain("Turn 1.");
  });

  it("gives up a stream that falls silent", async () => {
    const { ask } = await opened({ idleTimeout: 100 });
    expect((await failure(all(ask("say many words, then fail: hang")))).code).toBe("backend-timeout");
  });

  it("gives up an answer that takes too long in all", async () => {
    const { ask } = await opened({ chatTimeout: 100 });
    const error = await failure(all(ask("slow: 20 long 100000")));
    expect(error).toMatchObject({
      ...{ code: "backend-timeout", message: "Sonaops: the answer took too long." },
    });
    expect([error.cause instanceof AparteError, error.retryable]).toEqual([true, false]);
  });

  it("ends at once when the caller gives up, with the caller's reason", async () => {
    const { ask, backend: made } = await opened();
    const reason = new AparteError("stopped", "Stopped.");

    const opening = new AbortController();
    const held = emulator.fail({ path: openPath, hang: true });
    const first = failure(made.open(call("a1_ada", opening.signal)));
    await held.hit;
    opening.abort(reason);
    expect(await first).toBe(reason);

    const asking = new AbortController();
    const begun = emulator.nextTurn();
    const second = failure(all(ask("slow: 60000", { signal: asking.signal })));
    await begun;
    asking.abort(reason);
    expect(await second).toBe(reason);

    const before = emulator.requests().length;
    expect(await failure(all(ask("hello", { signal: asking.signal })))).toBe(reason);
    expect(await failure(made.open(call("a1_ada", asking.signal)))).toBe(reason);
    expect(emulator.requests()).toHaveLength(before);
  });

  it("ends when the caller gives up after message_saved, too", async () => {
    const caller = new AbortController();
    const standard = sonaopsReader("text");
    const { ask } = await opened({
      baseURL: await streaming(text("all") + saved, true),
      savedTimeout: 20_000,
      reader: (frame) => {
        if (frame.event === "message_saved") setImmediate(() => caller.abort());
        return standard(frame);
      },
    });
    expect((await failure(all(ask("hello", { signal: caller.signal })))).code).toBe("stopped");
  });

  it("ends the pause before a repeat when the caller gives up", async () => {
    const made = backend({ retryDelay: 60_000 });
    const fault = emulator.fail({ refuse: "rate-limit" });
    const caller = new AbortController();
    const opening = failure(made.open(call("a1_ada", caller.signal)));
    await fault.hit;
    caller.abort();
    expect((await opening).code).toBe("stopped");
  });

  it("closes the connection when the reply is left early", async () => {
    let closed = () => {};
    const end = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const baseURL = await serve((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(text("one"));
      response.once("close", closed);
    });
    const { ask } = await opened({ baseURL });
    for await (const event of ask("hello")) {
      expect(event).toEqual({ type: "text", delta: "one" });
      break;
    }
    await end;
  });
});

describe("sonaops by the agent's name", () => {
  const named = (options: Partial<SonaopsOptions>, service = emulator) => {
    const { baseURL, apiKey, apiSecret } = service;
    return sonaops({ baseURL, apiKey, apiSecret, retryDelay: 1, logger: quiet, ...options });
  };

  it.each(["A", "B"] as const)("finds its id in the service's list, once, profile %s", async (profile) => {
    const service = await start({ profile, agents: ["one", "two"] });
    const made = named({ agentName: "Agent two", profile }, service);
    const conversationId = await made.open(call());
    await made.open(call("ben"));
    const turn = { ...call(), conversationId, turnId: "turn-1", text: "hello", files: [] };
    expect(await answer(made.ask(turn))).toContain("hello");
    expect(service.conversations().map(({ agentId }) => agentId)).toEqual(["two", "two"]);
    expect(service.requests().map(({ path }) => path)).toEqual([
      "/v1/agent/list",
      openPath,
      openPath,
      streamPath,
    ]);
  });

  it("asks for it in a process that has only the conversation", async () => {
    const { conversationId } = await opened();
    const made = named({ agentName: `Agent ${emulator.agentId}` });
    const turn = { ...call(), conversationId, turnId: "turn-1", text: "hello", files: [] };
    expect(await answer(made.ask(turn))).toContain("hello");
  });

  it.each([
    ["a list in data", [{ agentId: "two", name: "Two" }]],
    ["a list within data, in other words", { total: 1, agents: [{ id: "two", agentName: "Two" }] }],
  ])("reads %s", async (_, data) => {
    const asked: unknown[] = [];
    const fetching: typeof fetch = async (url, init) => {
      if (!String(url).endsWith("/v1/agent/list")) asked.push(JSON.parse(String(init?.body)));
      const answered = String(url).endsWith("/v1/agent/list") ? data : { conversationId: "c1" };
      return Response.json({ code: 10200, success: true, data: answered });
    };
    expect(await named({ agentName: "Two", fetch: fetching }).open(call())).toBe("c1");
    expect(asked).toEqual([{ agentId: "two" }]);
  });

  it.each([
    ["no agent", { agentName: "Agent three" }],
    ["no agent", { agentName: "Agent" }],
    ["an agent that is not in allowedAgents", { agentName: "Agent two", allowedAgents: ["one"] }],
    ["several agents", { agentName: "Agent twin" }],
  ])("tells of %s, and opens nothing: %o", async (problem, options) => {
    const service = await start({ agents: ["one", "two", "twin", "twin"] });
    const error = await failure(named(options, service).open(call()));
    expect(error.code).toBe("backend-rejected");
    expect(error.message).toBe(`Sonaops: agentName is the name of ${problem}.`);
    expect(service.conversationsOpened).toBe(0);
  });
});

describe("sonaops' options", () => {
  const good: SonaopsOptions = {
    baseURL: "https://api.example.com/",
    apiKey: "key",
    apiSecret: "secret-of-the-key",
    agentId: "agent-1",
  };

  it.each([
    ["baseURL", { baseURL: "" }, "must be a string and not empty"],
    ["baseURL", { baseURL: "api.example.com" }, 'such as "https://api.example.com"'],
    ["baseURL", { baseURL: "ftp://api.example.com" }, "must be an http or https address"],
    ["baseURL", { baseURL: "https://me:pw@api.example.com" }, "must be an address alone"],
    ["baseURL", { baseURL: "https://api.example.com?x=1" }, "must be an address alone"],
    ["apiKey", { apiKey: "" }, "must be a string and not empty"],
    ["apiKey", { apiKey: "a key\n" }, "must be of visible ASCII characters"],
    ["apiSecret", { apiSecret: 7 }, "must be a string and not empty"],
    ["agentId", { agentId: undefined }, "must be a string and not empty"],
    ["agentId", { agentId: " a " }, "must not begin or end with a blank"],
    ["agentName", { agentName: "Ada" }, "and agentId exclude each other"],
    ["agentName", { agentName: "", agentId: undefined }, "must be a string and not empty"],
    ["allowedAgents", { allowedAgents: ["agent-1", ""] }, "must be a list of agent ids"],
    ["allowedAgents", { allowedAgents: "agent-1" }, "must be a list of agent ids"],
    ["allowedAgents", { allowedAgents: ["agent-1", 7] }, "must be a list of agent ids"],
    ["agentId", { allowedAgents: ["agent-2"] }, "is not in allowedAgents"],
    ["agentId", { allowedAgents: [] }, "is not in allowedAgents"],
    ["profile", { profile: "C" }, 'must be "A" or "B"'],
    ["sign", { profile: "A", sign: () => ({}) }, "and profile exclude each other"],
    ["sign", { sign: "A" }, "must be a function"],
    ["textPath", { textPath: "a..b" }, "must be names joined by dots"],
    ["textPath", { textPath: ".a" }, "must be names joined by dots"],
    ["textPath", { textPath: "a." }, "must be names joined by dots"],
    ["textPath", { textPath: 7 }, "must be names joined by dots"],
    ["reader", { reader: () => ({ type: "ignore" }), textPath: "a" }, "and textPath exclude each other"],
    ["reader", { reader: {} }, "must be a function"],
    ["isConversationLost", { isConversationLost: true }, "must be a function"],
    ["requestTimeout", { requestTimeout: 0 }, "must be a number of milliseconds"],
    ["idleTimeout", { idleTimeout: Number.NaN }, "must be a number of milliseconds"],
    ["chatTimeout", { chatTimeout: 2 ** 31 }, "must be a number of milliseconds"],
    ["savedTimeout", { savedTimeout: -1 }, "must be a number of milliseconds"],
    ["retryDelay", { retryDelay: "1" }, "must be a number of milliseconds"],
    ["quotaPause", { quotaPause: 0 }, "must be a number of milliseconds"],
    ["onQuota", { onQuota: {} }, "must be a function"],
    ["logger", { logger: { info() {}, warn() {} } }, "must have the functions info, warn and error"],
    ["logger", { logger: null }, "must have the functions info, warn and error"],
    ["now", { now: 5 }, "must be a function"],
    ["fetch", { fetch: {} }, "must be a function"],
    ["apikey", { apikey: "x" }, "does not exist"],
  ])("refuses a wrong %s: %o %s", (field, wrong, problem) => {
    const make = () => sonaops({ ...good, ...wrong } as SonaopsOptions);
    const message = expect.stringMatching(new RegExp(`^Option "${field}" .*${problem}`));
    expect(make).toThrow(expect.objectContaining({ code: "option-invalid", field, message }));
    expect(make).not.toThrow(good.apiSecret);
  });

  it("takes all of them, and has the defaults that their documentation names", () => {
    const given = {
      ...{ isConversationLost: () => true, onQuota: () => {}, now: () => 7, fetch: globalThis.fetch },
      ...{ requestTimeout: 1, idleTimeout: 2, chatTimeout: 3, savedTimeout: 4, retryDelay: 5, quotaPause: 6 },
      ...{ logger: quiet, allowedAgents: ["agent-1"], reader: sonaopsReader("x") },
    };
    expect(readOptions({ ...good, profile: "B", ...given })).toMatchObject({
      ...given,
      baseURL: "https://api.example.com",
      apiKey: "key",
      apiSecret: "secret-of-the-key",
      agent: { id: "agent-1" },
      signer: { profile: "B" },
      otherSigner: undefined,
    });
    const { agentId: _, ...unnamed } = good;
    const sign = () => ({});
    expect(readOptions({ ...unnamed, agentName: "Ada", textPath: "a.b", sign })).toMatchObject({
      agent: { name: "Ada" },
      signer: { profile: "own", sign },
      otherSigner: undefined,
    });
    expect(readOptions(good)).toMatchObject({
      allowedAgents: undefined,
      signer: { profile: "A" },
      otherSigner: { profile: "B" },
      requestTimeout: 30_000,
      idleTimeout: 120_000,
      chatTimeout: 600_000,
      savedTimeout: 5000,
      retryDelay: 500,
      quotaPause: 900_000,
      logger: consoleLogger,
      now: Date.now,
    });
  });

  it("takes an agent of the list", () => {
    expect(sonaops({ ...good, allowedAgents: ["agent-2", "agent-1"] }).name).toBe("sonaops");
  });
});
