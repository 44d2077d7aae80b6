import { type DialogflowCxOptions, dialogflowCx } from "aparte/dialogflow-cx";
import { describe, expect, it } from "vitest";
import type { AskCall } from "../../../src/backends/backend.ts";
import { AparteError } from "../../../src/errors.ts";
import type { ReplyEvent } from "../../../src/turn/reply-event.ts";

const agent = "projects/p/locations/europe-west3/agents/a";

interface Sent {
  readonly url: string;
  readonly method: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly redirect: string | undefined;
  readonly body: unknown;
}

/** A backend whose service answers each turn with these parts, and what it was sent. */
function answered(parts: readonly unknown[], options: Partial<DialogflowCxOptions> = {}) {
  const sent: Sent[] = [];
  const answering: typeof fetch = async (url, { method, headers, redirect, body } = {}) => {
    sent.push({
      ...{ url: String(url), method, redirect, headers: Object.fromEntries(new Headers(headers)) },
      body: body === undefined ? undefined : JSON.parse(String(body)),
    });
    return Response.json(options.stream === false ? parts[0] : parts);
  };
  const service = dialogflowCx({ agent, accessToken: async () => "ya29.x", fetch: answering, ...options });
  const ask = async (text = "hello", more: Partial<AskCall> = {}): Promise<ReplyEvent[]> => {
    const session = { sessionName: "ada", agent: "helper", signal: new AbortController().signal };
    const conversationId = await service.open(session);
    const events: ReplyEvent[] = [];
    const turn = { ...session, conversationId, turnId: "t", text, files: [], ...more };
    for await (const event of service.ask(turn)) events.push(event);
    return events;
  };
  return { ask, sent };
}

const result = (messages: unknown, more: object = {}) => ({
  responseId: "r1",
  queryResult: { responseMessages: messages, ...more },
});

async function failure(promise: Promise<unknown>): Promise<AparteError> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AparteError);
  return error as AparteError;
}

describe("Dialogflow's request", () => {
  it("holds what is needed for a turn, and nothing else", async () => {
    const { ask, sent } = answered([result([{ text: { text: ["hi"] } }])]);
    await ask("hello");
    expect(sent).toMatchObject([
      {
        url: expect.stringMatching(
          /^https:\/\/europe-west3-dialogflow\.googleapis\.com\/v3\/projects\/p\/locations\/europe-west3\/agents\/a\/sessions\/[0-9a-f]{32}:serverStreamingDetectIntent$/,
        ),
        method: "POST",
        redirect: "manual",
      },
    ]);
    expect(sent[0]?.headers).toEqual({ authorization: "Bearer ya29.x", "content-type": "application/json" });
    expect(sent[0]?.body).toEqual({
      queryInput: { text: { text: "hello" }, languageCode: "en" },
      queryParams: { sessionTtl: "86400s" },
      responseView: "DETECT_INTENT_RESPONSE_VIEW_BASIC",
    });
  });

  it("holds all that the options make of the turn, each function told who speaks", async () => {
    const turns: unknown[] = [];
    const { ask, sent } = answered([result([{ text: { text: ["hi"] } }])], {
      ...{ channel: "slack", sessionTtl: 60, languageCode: () => undefined, timeZone: () => "UTC" },
      payload: (turn) => {
        turns.push(turn);
        return { tenant: "acme" };
      },
      parameters: () => ({ a: 1 }),
      input: () => ({ dtmf: { digits: "12", finishDigit: "#" } }),
    });
    await ask("hello", { context: { b: 2 } });
    expect(sent[0]?.body).toMatchObject({
      queryInput: { dtmf: { digits: "12", finishDigit: "#" }, languageCode: "en" },
      queryParams: {
        ...{ sessionTtl: "60s", timeZone: "UTC", channel: "slack", payload: { tenant: "acme" } },
        parameters: { a: 1, b: 2 },
      },
    });
    expect(turns).toEqual([
      { sessionName: "ada", agent: "helper", text: "hello", context: { b: 2 }, startsSession: true },
    ]);
  });

  it.each([
    [{ text: "a" }, { text: { text: "a" } }],
    [{ event: "E" }, { event: { event: "E" } }],
    [{ intent: "i" }, { intent: { intent: "i" } }],
    [{ dtmf: { digits: "1" } }, { dtmf: { digits: "1" } }],
  ])("takes the input %j", async (input, wire) => {
    const { ask, sent } = answered([result([])], { input: () => input as never });
    await ask();
    expect(sent[0]?.body).toMatchObject({ queryInput: wire });
  });

  it.each([
    [{}],
    [{ text: "a", event: "b" }],
    [{ text: "" }],
    [{ event: 7 }],
    [{ intent: "" }],
    [{ dtmf: "1" }],
    [{ dtmf: null }],
    [{ dtmf: { digits: 1 } }],
    [{ dtmf: { digits: "1", finishDigit: 2 } }],
    [{ speech: "a" }],
    ["a"],
    [null],
  ])("is not made with the input %j", async (input) => {
    // Null is as good as nothing.
    const { ask, sent } = answered([result([])], { input: () => input as never });
    if (input === null) return expect(await ask()).toHaveLength(1);
    const error = await failure(ask());
    expect([error.code, error.field, sent]).toEqual(["input-invalid", "input", []]);
    expect(error.message).toContain("{ text }, { event }, { intent }, { dtmf: { digits } }");
  });

  it.each(["parameters", "payload"] as const)("is not made with %s that are no object", async (name) => {
    for (const value of [[], "x", null]) {
      const error = await failure(answered([], { [name]: () => value as never }).ask());
      expect([error.code, error.field]).toEqual(["input-invalid", name]);
      expect(error.message).toBe(`The function "${name}" must return an object or undefined.`);
    }
  });

  it.each(["parameters", "payload", "languageCode", "timeZone", "input"] as const)(
    "is not made where the function %s fails",
    async (name) => {
      const cause = new Error("my mistake");
      const throwing = () => {
        throw cause;
      };
      const error = await failure(answered([], { [name]: throwing }).ask());
      expect([error.code, error.field, error.cause]).toEqual(["backend-failed", name, cause]);
      expect(error.message).toBe(`The function "${name}" failed. Its error is kept as the cause.`);
    },
  );
});

describe("Dialogflow's answer", () => {
  const message = (text: string) => [
    { type: "text", delta: text },
    { type: "message", text, id: expect.stringMatching(/^[0-9a-f]{32}:r1$/) },
  ];
  const status = (text: string) => ({ type: "status", text: `Dialogflow: ${text}` });

  it.each<[messages: unknown, events: unknown[]]>([
    [[{ text: { text: ["a", "", 7, "b"] } }], message("a\nb")],
    [[{ text: { text: "a" } }], []],
    [[{ text: { text: [""] }, channel: "x" }], []],
    [[{ outputAudioText: { text: "spoken" } }], message("spoken").slice(1)],
    [[{ outputAudioText: { ssml: "<speak> a <b>c</b> </speak>" } }], message("a c").slice(1)],
    [[{ outputAudioText: { ssml: "<p></p>" } }], []],
    [[{ outputAudioText: 7 }], []],
    [
      [{ outputAudioText: { text: "spoken" } }, { text: { text: ["written"] } }],
      [status("speech"), ...message("written")],
    ],
    [[{ playAudio: {} }], [status("audio clip")]],
    [[{ mixedAudio: {} }], [status("audio")]],
    [[{ telephonyTransferCall: {} }], [status("telephone transfer")]],
    [[{ knowledgeInfoCard: {} }], [status("info card")]],
    [[{ conversationSuccess: {} }], [status("conversation succeeded")]],
    [[{ channel: "x", responseType: "y", hologram: {} }], [status("hologram")]],
    [[{ channel: "x" }], [status("empty message")]],
    [[{ valueOf: {} }], [status("valueOf")]],
    [[{ payload: {} }], [status("custom payload")]],
    [[{ liveAgentHandoff: {} }], [{ type: "handoff" }]],
    [[{ liveAgentHandoff: { metadata: { a: 1 } } }], [{ type: "handoff", detail: { a: 1 } }]],
    [[{ endInteraction: {} }], [{ type: "end" }]],
    [[null, 7], [{ type: "notice", code: "no-answer", text: "The agent had nothing to say to that." }]],
    ["x", [{ type: "notice", code: "no-answer", text: "The agent had nothing to say to that." }]],
  ])("%j becomes %j", async (messages, events) => {
    for (const stream of [true, false]) {
      expect(await answered([result(messages)], { stream }).ask()).toEqual(events);
    }
  });

  it.each([
    { type: "message", text: "a" },
    { type: "status", text: "a" },
    { type: "suggestions", items: [] },
    { type: "handoff" },
    ...["image", "audio", "file"].map((kind) => ({ type: "file", kind, url: "HTTPS://x.example/a" })),
  ])("lets an application make of a payload: %j", async (event) => {
    const turns: unknown[] = [];
    const onPayload: NonNullable<DialogflowCxOptions["onPayload"]> = (payload, turn) => {
      turns.push([payload, turn.sessionName, turn.text]);
      return event as never;
    };
    expect(await answered([result([{ payload: { a: 1 } }])], { onPayload }).ask()).toEqual([event]);
    expect(turns).toEqual([[{ a: 1 }, "ada", "hello"]]);
  });

  it.each([
    { type: "message", text: 7 },
    { type: "status" },
    { type: "suggestions", items: "a" },
    { type: "file", kind: "image", url: "xhttps://a" },
    { type: "file", kind: "", url: "https://a" },
    { type: "end" },
    null,
    7,
  ])("refuses what an application makes of a payload: %j", async (event) => {
    const onPayload = () => [{ type: "status", text: "good" }, event] as never;
    const error = await failure(answered([result([{ payload: {} }])], { onPayload }).ask());
    expect([error.code, error.field]).toEqual(["backend-failed", "onPayload"]);
    expect(error.message).toContain("must return message, file, suggestions, status or handoff events");
  });

  it("shows nothing of a payload where the application makes nothing of it, and tells why it failed", async () => {
    const part = [result([{ payload: {} }])];
    expect(await answered(part, { onPayload: () => undefined }).ask()).toEqual([]);
    expect(await answered(part, { onPayload: () => [] }).ask()).toEqual([]);
    const cause = new Error("my mistake");
    const error = await failure(answered(part, { onPayload: () => Promise.reject(cause) }).ask());
    expect([error.code, error.field, error.cause]).toEqual(["backend-failed", "onPayload", cause]);
  });

  it.each<[part: unknown, code: string, message: string]>([
    [{}, "backend-protocol", "holds no queryResult. Check baseURL"],
    [{ queryResult: [] }, "backend-protocol", "holds no queryResult"],
    [result([{ payload: [] }]), "backend-protocol", "sent a payload that is no object"],
    [result([{ toolCall: {} }]), "action-required", "Let the agent use a webhook instead"],
    [
      result([], { webhookStatuses: [{}, { code: 0 }, { code: "4" }] }),
      "backend-failed",
      "(gRPC code 4), and the agent said nothing",
    ],
  ])("%j is %s: %s", async (part, code, message) => {
    for (const stream of [true, false]) {
      const error = await failure(answered([part], { stream }).ask());
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
    }
  });

  it("is whole with its last part alone, and repeats nothing that a part before it showed", async () => {
    const partial = { ...result([{ text: { text: ["one"] } }]), responseType: "PARTIAL" };
    const one = { text: { text: ["one"] } };
    const two = { text: { text: ["two"] } };
    const texts = async (...parts: unknown[]) =>
      (await answered(parts).ask()).flatMap((event) => (event.type === "message" ? [event.text] : []));
    expect(await texts({ responseType: "PARTIAL" }, partial, result([one, two]))).toEqual(["one", "two"]);
    expect(await texts(partial, result([two]))).toEqual(["one", "two"]);
    expect(await texts(partial, result([]))).toEqual(["one"]);
    expect(await texts(partial, result([], { webhookStatuses: [{ code: 4 }] }))).toEqual(["one"]);
    const error = await failure(texts(partial));
    expect([error.code, error.message]).toEqual([
      "backend-stream-cut",
      "Dialogflow's answer ended without a final part. Ask again.",
    ]);
  });

  it("is none without a body, or where it is no JSON", async () => {
    for (const [stream, message] of [
      [true, "Dialogflow streamed nothing at all."],
      [false, "Dialogflow's answer is no JSON. Check baseURL."],
    ] as const) {
      const { ask } = answered([], { stream, fetch: async () => new Response(null) });
      const error = await failure(ask());
      expect([error.code, error.message]).toEqual(["backend-protocol", message]);
    }
  });

  it("names no message without the service's own id for it", async () => {
    const part = { responseId: "", queryResult: { responseMessages: [{ text: { text: ["a"] } }] } };
    expect(await answered([part]).ask()).toEqual([
      { type: "text", delta: "a" },
      { type: "message", text: "a" },
    ]);
  });
});
