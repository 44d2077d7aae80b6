import { createParser } from "eventsource-parser";
import { afterEach, describe, expect, it } from "vitest";
import { signA, signB } from "../../src/backends/sonaops/signing.ts";
import {
  type SonaopsEmulator,
  type SonaopsEmulatorOptions,
  startSonaopsEmulator,
} from "../../src/emulators/sonaops/index.ts";

const open: SonaopsEmulator[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((emulator) => emulator.close()));
});

async function start(options: SonaopsEmulatorOptions = {}): Promise<SonaopsEmulator> {
  const emulator = await startSonaopsEmulator(options);
  open.push(emulator);
  return emulator;
}

type Json = Record<string, unknown>;

interface Asked {
  readonly method?: "GET" | "POST";
  readonly user?: string;
  /** In place of the right headers; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** What is signed in place of what is sent. */
  readonly signed?: Json;
  readonly key?: string;
  readonly secret?: string;
  /** Unix time in seconds. */
  readonly time?: number;
  readonly signal?: AbortSignal;
}

let count = 0;

/** A plain client that says exactly what a test wants said. */
async function send(
  emulator: SonaopsEmulator,
  path: string,
  body: Json,
  asked: Asked = {},
): Promise<Response> {
  const { method = "POST", user = "ada", key = emulator.apiKey, secret = emulator.apiSecret } = asked;
  const timestamp = String(asked.time ?? Math.floor(Date.now() / 1000));
  count += 1;
  const requestId = `request-${count}`;
  const sign = emulator.profile === "A" ? signA : signB;
  const right = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "x-timestamp": timestamp,
    "x-request-id": requestId,
    "x-user-id": user,
    ...(await sign({
      ...{ method, path, query: {}, body: asked.signed ?? body, timestamp, requestId, userId: user },
      ...{ apiKey: key, apiSecret: secret },
    })),
  };
  const headers = Object.entries({ ...right, ...asked.headers }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return await fetch(emulator.baseURL + path, {
    method,
    headers,
    ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    ...(method === "GET" ? {} : { body: JSON.stringify(body) }),
  });
}

interface Answer {
  readonly status: number;
  readonly body: Json & { readonly data?: Json };
}

async function answerOf(response: Promise<Response>): Promise<Answer> {
  const { status, ...rest } = await response.then(async (each) => ({
    status: each.status,
    body: (await each.json()) as Answer["body"],
  }));
  return { status, ...rest };
}

const create = (emulator: SonaopsEmulator, asked: Asked = {}) =>
  answerOf(send(emulator, "/v1/chat/conversation", { agentId: emulator.agentId }, asked));

async function created(emulator: SonaopsEmulator, user = "ada"): Promise<string> {
  return String((await create(emulator, { user })).body.data?.conversationId);
}

const ask = (emulator: SonaopsEmulator, conversationId: string, text: string, asked: Asked = {}) =>
  send(emulator, "/v1/chat/stream", { agentId: emulator.agentId, conversationId, text }, asked);

interface StreamEvent {
  readonly event: string;
  readonly data: Json;
}

/** A stream's events, and whether its connection broke. */
async function eventsOf(response: Response): Promise<{ events: StreamEvent[]; broke: boolean }> {
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = "", data }) => events.push({ event, data: JSON.parse(data) as Json }),
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  } catch {
    return { events, broke: true };
  }
  return { events, broke: false };
}

const wordsIn = (events: readonly StreamEvent[]) =>
  events.flatMap(({ event, data }) => (event === "message" ? [String(data.text)] : []));

async function say(
  emulator: SonaopsEmulator,
  conversationId: string,
  text: string,
  user = "ada",
): Promise<string> {
  return wordsIn((await eventsOf(await ask(emulator, conversationId, text, { user }))).events).join("");
}

describe.each(["A", "B"] as const)("SonaopsEmulator, profile %s", (profile) => {
  it("answers in the service's envelope", async () => {
    const emulator = await start({ profile, now: () => 1_773_298_769_366 });
    const { status, body } = await create(emulator, { time: 1_773_298_769 });
    expect(status).toBe(200);
    expect(body).toEqual({
      code: 10200,
      success: true,
      message: "OK",
      data: { conversationId: expect.stringMatching(profile === "A" ? /^[0-9a-f]{32}$/ : /^[0-9a-f-]{36}$/) },
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      timestamp: "1773298769366",
    });
  });

  it("streams word by word, and tells that the turn is kept", async () => {
    const emulator = await start({ profile });
    const id = await created(emulator);
    const { events, broke } = await eventsOf(await ask(emulator, id, "hello there"));
    expect(broke).toBe(false);
    expect(wordsIn(events)).toEqual(["Turn", " 1.", " You", " said:", ' "hello', ' there".']);
    const [conversation] = emulator.conversations();
    expect(events.at(-1)).toEqual({
      event: "message_saved",
      data: { messageId: conversation?.messages[1]?.id },
    });
    expect(conversation).toMatchObject({ id, agentId: emulator.agentId, userId: "ada" });
    expect(conversation?.messages.map(({ role, text }) => [role, text])).toEqual([
      ["user", "hello there"],
      ["agent", 'Turn 1. You said: "hello there".'],
    ]);
  });

  it("remembers what its conversation told it, and nothing of another", async () => {
    const emulator = await start({ profile });
    const [ada, ben] = [await created(emulator), await created(emulator, "ben")];
    await say(emulator, ada, "my name is Ada");
    await say(emulator, ben, "my name is Ben", "ben");
    expect(await say(emulator, ada, "what is my name?")).toBe("Turn 2. Your name is Ada.");
    expect(await say(emulator, ben, "what is my name?", "ben")).toBe("Turn 2. Your name is Ben.");
    expect(await say(emulator, await created(emulator), "what is my name?")).toContain("not told me");
    expect([emulator.conversationsOpened, emulator.turnsTaken]).toEqual([3, 5]);
  });

  it.each([
    ["no Authorization", { headers: { authorization: null } }],
    ["another scheme", { headers: { authorization: "Basic x" } }],
    ["no user", { headers: { "x-user-id": null } }],
    ["an empty user", { headers: { "x-user-id": "" } }],
    ["no signature", { headers: { "x-signature": null } }],
    ["a signature in capitals", { headers: { "x-signature": "A".repeat(64) } }],
    ["another secret", { secret: "another" }],
    ["another signed body", { signed: { agentId: "another" } }],
  ] satisfies [string, Asked][])("refuses %s", async (_, asked) => {
    const emulator = await start({ profile });
    const { status, body } = await create(emulator, asked);
    expect([status, body.success, body.data]).toEqual([401, false, undefined]);
    expect(emulator.conversationsOpened).toBe(0);
  });

  it("refuses a key that is not its own, in the words of the service", async () => {
    const { status, body } = await create(await start({ profile }), { key: "another" });
    expect([status, body.success, body.message]).toEqual([
      profile === "A" ? 200 : 401,
      false,
      "Invalid API key",
    ]);
  });

  it("refuses another user's or agent's conversation, and one that is gone", async () => {
    const emulator = await start({ profile, agents: ["one", "two"] });
    const id = await created(emulator);
    const lost = [profile === "A" ? 404 : 200, 10404];
    const turn = { conversationId: id, text: "hello" };
    const byBen = await answerOf(ask(emulator, id, "hello", { user: "ben" }));
    expect([byBen.status, byBen.body.code]).toEqual(lost);
    const toTwo = await answerOf(send(emulator, "/v1/chat/stream", { ...turn, agentId: "two" }));
    expect([toTwo.status, toTwo.body.code]).toEqual(lost);
    expect(await say(emulator, id, "hello")).toContain("Turn 1.");
    expect(emulator.deleteConversation(id)).toBe(true);
    expect(emulator.deleteConversation(id)).toBe(false);
    const gone = await answerOf(ask(emulator, id, "hello"));
    expect([gone.status, gone.body.code]).toEqual(lost);
    expect(emulator.turnsTaken).toBe(1);
  });

  it("refuses requests that lack something, in its profile's way", async () => {
    const emulator = await start({ profile });
    const bad = profile === "A" ? 400 : 200;
    const refused = async (path: string, body: Json) => {
      const answer = await answerOf(send(emulator, path, body));
      expect(answer.body.success).toBe(false);
      return [answer.status, answer.body.message];
    };
    const { agentId } = emulator;
    expect(await refused("/v1/chat/conversation", {})).toEqual([200, "agentId is required"]);
    expect(await refused("/v1/chat/conversation", { agentId: "x" })).toEqual([
      profile === "A" ? 404 : 200,
      "Agent not found",
    ]);
    expect(await refused("/v1/chat/stream", { agentId, conversationId: "c", text: "  " })).toEqual([
      bad,
      "Bad request: text is required",
    ]);
    expect(await refused("/v1/chat/stream", { agentId, text: "hello" })).toEqual([
      bad,
      "Bad request: conversationId is required",
    ]);
    const asText = await answerOf(
      send(emulator, "/v1/chat/conversation", { agentId }, { headers: { "content-type": "text/plain" } }),
    );
    expect(asText.status).toBe(bad);
    expect((await answerOf(send(emulator, "/v1/chat/nothing", {}))).status).toBe(404);
  });

  it.each(["GET", "POST"] as const)("lists its agents by %s", async (method) => {
    const emulator = await start({ profile, agents: ["one", "two"] });
    const { body } = await answerOf(send(emulator, "/v1/agent/list", {}, { method }));
    expect(body.data?.list).toMatchObject([{ agentId: "one" }, { agentId: "two" }]);
    expect([emulator.agentId, emulator.agentIds]).toEqual(["one", ["one", "two"]]);
  });
});

describe("SonaopsEmulator", () => {
  it("takes a time that is at most five minutes off", async () => {
    const now = 1_742_000_000;
    const emulator = await start({ now: () => now * 1000 });
    const statuses = async (times: number[]) =>
      Promise.all(times.map(async (time) => (await create(emulator, { time })).status));
    expect(await statuses([now, now - 300, now + 300])).toEqual([200, 200, 200]);
    expect(await statuses([now - 301, now + 301, now * 1000, Number.NaN])).toEqual([401, 401, 401, 401]);
  });

  it("takes a request id once", async () => {
    const emulator = await start();
    const headers = { "x-request-id": "the-same" };
    expect((await create(emulator, { headers })).status).toBe(200);
    expect((await create(emulator, { headers })).status).toBe(401);
    expect((await create(emulator, { headers: { "x-request-id": null } })).status).toBe(401);
  });

  it("keeps a log of requests without words and secrets", async () => {
    const emulator = await start();
    const id = await created(emulator);
    await say(emulator, id, "a private word");
    await create(emulator, { secret: "another" });
    expect(emulator.requests()).toEqual([
      { method: "POST", path: "/v1/chat/conversation", userId: "ada", status: 200, code: 10200 },
      { method: "POST", path: "/v1/chat/stream", userId: "ada", status: 200 },
      { method: "POST", path: "/v1/chat/conversation", status: 401, code: 10401 },
    ]);
  });

  it("tells of the next turn", async () => {
    const emulator = await start();
    const conversationId = await created(emulator);
    const next = emulator.nextTurn();
    await say(emulator, conversationId, "hello");
    expect(await next).toEqual({
      conversationId,
      agentId: emulator.agentId,
      userId: "ada",
      text: "hello",
    });
  });

  it("fails on request: refusals, HTML, by path, and a number of times", async () => {
    const emulator = await start();
    const fault = emulator.fail({ path: "/v1/chat/conversation", refuse: "rate-limit", times: 2 });
    expect((await answerOf(send(emulator, "/v1/agent/list", {}))).body.success).toBe(true);
    for (const _ of [1, 2]) {
      const { status, body } = await create(emulator);
      expect([status, body.message]).toEqual([200, "Too many requests, please try again later"]);
    }
    expect((await create(emulator)).body.success).toBe(true);
    await fault.hit;
    expect(fault.hits).toBe(2);

    emulator.fail({ refuse: "usage-cap" });
    expect((await create(emulator)).body.message).toBe("API key usage limit reached");
    emulator.fail({ page: 502 });
    const page = await send(emulator, "/v1/agent/list", {});
    expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html"]);
    expect(await page.text()).toContain("<html>");
  });

  it("breaks streams on request, and keeps the turn only with message_saved", async () => {
    const emulator = await start();
    const id = await created(emulator);
    const kept = () => emulator.conversations()[0]?.messages.length;
    const whole = ["Turn", " 1.", " You", " said:", ' "hello".'];
    for (const [cut, words, saved] of [
      ["in-answer", whole.slice(0, 1), 0],
      ["before-saved", whole, 0],
      ["after-saved", whole, 1],
    ] as const) {
      emulator.fail({ cut });
      const { events, broke } = await eventsOf(await ask(emulator, id, "hello"));
      expect(broke).toBe(true);
      expect(wordsIn(events)).toEqual(words);
      expect(events.filter(({ event }) => event === "message_saved")).toHaveLength(saved);
      expect(kept()).toBe(2 * saved);
    }
    emulator.fail({ dropResponse: true });
    await expect(create(emulator)).rejects.toThrow();
    expect(emulator.conversationsOpened).toBe(2);
  });

  it("holds a request until it is let go", async () => {
    const emulator = await start();
    const fault = emulator.fail({ hang: true });
    const held = create(emulator);
    await fault.hit;
    expect(emulator.conversationsOpened).toBe(0);
    fault.lift();
    expect((await held).body.success).toBe(true);
  });

  it("does not do the work of a request that it held until the client left", async () => {
    const emulator = await start();
    const fault = emulator.fail({ hang: true });
    const leaving = new AbortController();
    const held = create(emulator, { signal: leaving.signal });
    await fault.hit;
    leaving.abort();
    await expect(held).rejects.toThrow();
    await expect.poll(() => emulator.requests()[0]).toMatchObject({ status: 499 });
    expect(emulator.conversationsOpened).toBe(0);
  });

  it("does not keep the turn of a client that leaves", async () => {
    const emulator = await start();
    const id = await created(emulator);
    const response = await ask(emulator, id, "slow: 20 and then some more words to say");
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(await say(emulator, id, "hello")).toBe('Turn 1. You said: "hello".');
    expect(emulator.conversations()[0]?.messages).toHaveLength(2);
  });

  it("fails at the words that ask for it", async () => {
    const emulator = await start();
    const id = await created(emulator);
    const early = await answerOf(ask(emulator, id, "fail: early 10500"));
    expect([early.status, early.body.code, early.body.success]).toEqual([200, 10500, false]);
    const late = await eventsOf(await ask(emulator, id, "fail: 10500"));
    expect(wordsIn(late.events)).not.toEqual([]);
    expect(late.events.at(-1)).toMatchObject({ event: "error", data: { code: 10500, success: false } });
    expect((await eventsOf(await ask(emulator, id, "fail: cut, after some words"))).broke).toBe(true);
    expect(emulator.conversations()[0]?.messages).toEqual([]);
  });

  it("says two answers in the one message there is, and something where the agent has no words", async () => {
    const emulator = await start();
    const id = await created(emulator);
    expect(await say(emulator, id, "twice")).toMatch(/^Turn 1\..*\n\nOnce more\. Turn 1\./s);
    expect(await say(emulator, id, "act")).not.toBe("");
  });

  it("cuts what is open when it closes", async () => {
    const emulator = await start();
    const id = await created(emulator);
    const response = await ask(emulator, id, "fail: hang, after some words");
    const rest = eventsOf(response);
    await emulator.close();
    expect((await rest).events.some(({ event }) => event === "message_saved")).toBe(false);
    await emulator.close();
    await expect(create(emulator)).rejects.toThrow();
  });

  it.each([
    ["port", { port: 70_000 }],
    ["profile", { profile: "C" }],
    ["agents", { agents: [] }],
    ["agents", { agents: [" a"] }],
    ["wordDelayMs", { wordDelayMs: -1 }],
    ["now", { now: 5 }],
    ["apiKey", { apiKey: "x" }],
  ])("refuses a wrong %s: %o", async (field, options) => {
    await expect(startSonaopsEmulator(options as SonaopsEmulatorOptions)).rejects.toMatchObject({
      code: "option-invalid",
      field,
    });
  });

  it("tells a port that is taken, and faults that do not exist", async () => {
    const emulator = await start();
    const port = Number(new URL(emulator.baseURL).port);
    await expect(startSonaopsEmulator({ port })).rejects.toMatchObject({
      code: "option-invalid",
      field: "port",
    });
    for (const [field, fault] of [
      ["fault.status", { status: 401 }],
      ["fault.refuse", { refuse: "no" }],
      ["fault.cut", { cut: 3 }],
    ] as const) {
      expect(() => emulator.fail(fault as object)).toThrow(
        expect.objectContaining({ code: "option-invalid", field }),
      );
    }
  });
});
