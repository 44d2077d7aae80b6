import { describe, expect, it } from "vitest";
import { type AgentTurn, answer } from "../../../src/emulators/dialogflow-cx/agent.ts";
import { readQuery } from "../../../src/emulators/dialogflow-cx/query.ts";
import { Refusal } from "../../../src/emulators/dialogflow-cx/refusal.ts";
import { DialogflowCxService } from "../../../src/emulators/dialogflow-cx/service.ts";

const asked = (input: object, more: Partial<AgentTurn> = {}, queryParams: object = {}) =>
  answer({
    query: readQuery({ queryInput: { ...input, languageCode: "en" }, queryParams }, 500),
    ...{ page: "start", parameters: {}, told: [], number: 1, ...more },
  });
const told = (text: string, more: Partial<AgentTurn> = {}, queryParams: object = {}) =>
  asked({ text: { text } }, more, queryParams);
const text = (...lines: string[]) => ({ text: { text: lines } });

describe("Dialogflow's emulated agent", () => {
  it("takes an order, page by page", () => {
    const ordered = { page: "size", messages: [text("Which size: small, medium or large?")] };
    expect(told("I want a Pizza")).toEqual({ matchType: "INTENT", ...ordered });
    expect(asked({ event: { event: "ORDER" } })).toEqual({ matchType: "EVENT", ...ordered });
    const intent = "projects/p/locations/l/agents/a/intents/order.pizza";
    expect(asked({ intent: { intent } })).toEqual({ matchType: "DIRECT_INTENT", ...ordered });

    const filled = {
      matchType: "PARAMETER_FILLING",
      page: "topping",
      messages: [text("Which topping would you like?")],
    };
    expect(told("the LARGE one", { page: "size" })).toEqual({ ...filled, set: { size: "large" } });
    expect(["1", "2", "3"].map((digits) => asked({ dtmf: { digits } }, { page: "size" }))).toEqual(
      ["small", "medium", "large"].map((size) => ({ ...filled, set: { size } })),
    );

    const summary = (words: string) => ({
      matchType: "PARAMETER_FILLING",
      page: "confirm",
      messages: [text(words)],
      set: { topping: "red onions" },
    });
    expect(told("Red Onions", { page: "topping", parameters: { size: "large", name: "Ada" } })).toEqual(
      summary("One large pizza with red onions for Ada. Shall I order it?"),
    );
    expect(told("Red Onions", { page: "topping" })).toEqual(
      summary("One unknown pizza with red onions. Shall I order it?"),
    );

    const over = { matchType: "INTENT", page: "start", set: { size: null, topping: null } };
    expect(told("Yes!", { page: "confirm" })).toEqual({
      ...over,
      messages: [text("Your pizza is on its way.")],
    });
    expect(told("no", { page: "confirm" })).toEqual({ ...over, messages: [text("Then not.")] });
  });

  it("asks again on the page where it is, for what it does not understand there", () => {
    const again = (said: string, page: AgentTurn["page"]) => {
      const { matchType, page: then, messages } = told(said, { page });
      return [matchType, then, messages.length];
    };
    expect(again("huge", "size")).toEqual(["NO_MATCH", "size", 2]);
    expect(again("no", "topping")).toEqual(["NO_MATCH", "topping", 2]);
    expect(again("x".repeat(31), "topping")).toEqual(["NO_MATCH", "topping", 2]);
    expect(again("perhaps", "confirm")).toEqual(["NO_MATCH", "confirm", 1]);
    expect(again("large", "start")).toEqual(["NO_MATCH", "start", 1]);
    const pressed = { matchType: "NO_MATCH", messages: [text("You pressed 1.")] };
    expect(asked({ dtmf: { digits: "1" } })).toEqual({ ...pressed, page: "start" });
    const wrong = asked({ dtmf: { digits: "4" } }, { page: "size" });
    expect(wrong).toEqual({ matchType: "NO_MATCH", page: "size", messages: [text("You pressed 4.")] });
    expect(asked({ event: { event: "HELLO" } }, { page: "size" })).toEqual({
      ...{ matchType: "EVENT", page: "size", messages: [text("The event HELLO happened.")] },
    });
    expect(asked({ intent: { intent: "a/intents/other" } }, { page: "size" })).toEqual({
      ...{ matchType: "DIRECT_INTENT", page: "size", messages: [text("The intent was triggered.")] },
    });
  });

  it("knows what its session told it", () => {
    const intent = (words: string) => ({ matchType: "INTENT", page: "start", messages: [text(words)] });
    const parameters = { name: "Ada" };
    expect(told("my name is Ada")).toEqual({
      ...intent("Turn 1. I will remember that your name is Ada."),
      set: parameters,
    });
    expect(told("who am I?", { parameters, number: 2 })).toEqual(intent("Turn 2. Your name is Ada."));
    expect(told("who am I?")).toEqual(intent("Turn 1. You have not told me your name."));
    const before = { told: ["a", "b"], number: 3 };
    expect(told("what did I tell you?", before)).toEqual(intent('Turn 3. You told me: "a", "b".'));
    expect(told("what did I tell you?")).toEqual(intent("Turn 1. You have not told me anything yet."));
    expect(told("hello", before)).toEqual({
      ...intent('Turn 3. You said: "hello". Before that you told me: "a", "b".'),
      matchType: "NO_MATCH",
    });
    const where = told("where am I?", { page: "size", parameters: { a: 1, b: "x" } });
    expect(where.messages).toEqual([text("You are on the page Size. I know: a=1, b=x.")]);
    expect(told("where am I?").messages).toEqual([text("You are on the page Start Page. I know: nothing.")]);
  });

  it.each([
    [
      "human, please",
      [text("I will fetch a human."), { liveAgentHandoff: { metadata: { queue: "support" } } }],
    ],
    ["payload", [{ payload: { card: { title: "Menu", options: ["Margherita", "Funghi"] } } }]],
    ["twice", [text("First answer."), text("Second answer.")]],
    ["lines", [text("First line, and more.", "Second line.")]],
    [
      "audio",
      [text("Listen."), { playAudio: { audioUri: "https://example.com/a.wav" } }, { mixedAudio: {} }],
    ],
    ["speech", [{ outputAudioText: { ssml: "<speak>Hello <b>there</b></speak>" } }]],
    ["call me", [text("Hold the line."), { telephonyTransferCall: { phoneNumber: "+15550100" } }]],
    ["card", [{ knowledgeInfoCard: {} }, { conversationSuccess: {} }]],
    ["novelty", [{ hologram: { shape: "cube" } }, text("Look at that.")]],
    ["tool call", [{ toolCall: { tool: "tools/1", action: "look_up", inputParameters: {} } }]],
    ["webhook", [text('The webhook got {"a":1}.')]],
    ["locale", [text("Language en, time zone Asia/Tokyo, channel slack.")]],
    ["channel", [text("Hello, everybody."), { ...text("Hello, Slack."), channel: "slack" }]],
  ])("does on request what real agents do: %s", (said, messages) => {
    const queryParams = { payload: { a: 1 }, timeZone: "Asia/Tokyo", channel: "slack" };
    expect(told(said, { page: "size" }, queryParams)).toEqual({
      matchType: "INTENT",
      page: "size",
      messages,
    });
  });

  it("ends, waits, and goes wrong on request", () => {
    const bye = { matchType: "INTENT", page: "end", messages: [text("Goodbye."), { endInteraction: {} }] };
    expect([told("Bye"), told("goodbye")]).toEqual([bye, bye]);
    expect(told("webhook fails")).toEqual({
      ...{ matchType: "INTENT", page: "start", messages: [] },
      webhookStatuses: [{ code: 4, message: "the webhook timed out" }],
    });
    expect(told("webhook").messages).toEqual([text("The webhook got {}.")]);
    expect(told("locale").messages).toEqual([text("Language en, time zone none, channel none.")]);
    const partial = [text("One moment, please.")];
    expect(told("wait")).toMatchObject({ partial, pauseMs: 0 });
    expect(told("wait: 200")).toMatchObject({ partial, pauseMs: 200 });
    expect(told("awaiting").partial).toBeUndefined();
    expect(told("fail: CUT")).toMatchObject({ partial, fault: "cut" });
    expect(told("fail: hang")).toMatchObject({ partial, fault: "hang" });
    expect(told("fail: unavailable", { page: "size" })).toEqual({
      ...{ matchType: "NO_MATCH", page: "size", messages: [], fault: { status: "UNAVAILABLE" } },
    });
    expect(told("fail: no_status").fault).toBeUndefined();
  });
});

const refusal = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [error.status, error.message];
  }
};

describe("Dialogflow's requests", () => {
  const body = (queryInput: object, queryParams?: object) => ({ queryInput, queryParams });
  const hello = { text: { text: "hi" }, languageCode: "en" };

  it("are read in both spellings, with what they leave out", () => {
    expect(readQuery(body(hello), 2)).toEqual({
      ...{ input: { kind: "text", text: "hi" }, languageCode: "en", timeZone: undefined, channel: "" },
      ...{
        payload: undefined,
        parameters: {},
        currentPage: undefined,
        sessionTtl: undefined,
        queryParams: {},
      },
    });
    const snake = {
      query_input: { text: null, dtmf: { digits: "1" }, language_code: "de" },
      query_params: null,
    };
    expect(readQuery(snake, 2)).toMatchObject({
      input: { kind: "dtmf", digits: "1", finishDigit: "" },
      languageCode: "de",
    });
    const params = { session_ttl: "1.5s", currentPage: "", timeZone: "", parameters: { a: null } };
    expect(readQuery(body(hello, params), 2)).toMatchObject({
      ...{ sessionTtl: 1.5, currentPage: undefined, timeZone: undefined, parameters: { a: null } },
      queryParams: { sessionTtl: "1.5s", currentPage: "", timeZone: "", parameters: { a: null } },
    });
    const ttl = (sessionTtl: string) => readQuery(body(hello, { sessionTtl }), 2).sessionTtl;
    expect(["0s", "1s", "86400s"].map(ttl)).toEqual([undefined, 1, 86_400]);
    expect(readQuery(body({ text: { text: "😀😀" }, languageCode: "en" }), 2).input).toMatchObject({
      text: "😀😀",
    });
  });

  it.each([
    [[], "Invalid value at '': an object is expected"],
    [{ queryInput: 7 }, "Invalid value at 'query_input': an object is expected"],
    [{}, "Invalid value at 'query_input': an object is expected"],
    [{ ...body(hello), query: 1 }, 'Invalid JSON payload received. Unknown name "query": Cannot find field.'],
    [
      body(hello, { ttl: 1 }),
      `Invalid JSON payload received. Unknown name "ttl" at 'query_params': Cannot find field.`,
    ],
    [
      body({ text: { text: "hi", languageCode: "en" }, languageCode: "en" }),
      `Invalid JSON payload received. Unknown name "languageCode" at 'query_input.text': Cannot find field.`,
    ],
    [
      body({ text: { text: "hi" } }),
      "com.google.apps.framework.request.BadRequestException: query_input.language_code is required",
    ],
    [body({ languageCode: "en" }), "query_input: one of text, intent, audio, event, dtmf is required"],
    [
      body({ ...hello, event: { event: "e" } }),
      "query_input: oneof field 'input' is already set (text, event)",
    ],
    [body({ text: { text: 7 }, languageCode: "en" }), "Invalid value at 'text' (TYPE_STRING)"],
    [body({ text: { text: "abc" }, languageCode: "en" }), "Input text exceeds 2 characters."],
    [body({ intent: {}, languageCode: "en" }), "query_input.intent.intent is required"],
    [body({ intent: { intent: "" }, languageCode: "en" }), "query_input.intent.intent is required"],
    [body(hello, { payload: [] }), "Invalid value at 'payload' (google.protobuf.Struct)"],
    [
      body(hello, { sessionTtl: "1" }),
      "Invalid value at 'query_params.session_ttl' (google.protobuf.Duration)",
    ],
    [
      body(hello, { sessionTtl: "x1s" }),
      "Invalid value at 'query_params.session_ttl' (google.protobuf.Duration)",
    ],
    [body(hello, { sessionTtl: "86400.1s" }), "query_params.session_ttl must not be longer than 1 day"],
    [body(hello, { timeZone: "Mars/Olympus" }), "query_params.time_zone is not in the time zone database"],
  ])("are refused that are wrong: %j", (wrong, message) => {
    expect(refusal(() => readQuery(wrong, 2))).toEqual(["INVALID_ARGUMENT", message]);
  });

  it("are refused that the agent cannot hear", () => {
    expect(refusal(() => readQuery(body({ audio: {}, languageCode: "en" }), 2))).toEqual([
      "UNIMPLEMENTED",
      "The emulator's agent understands no audio.",
    ]);
  });
});

describe("Dialogflow's sessions", () => {
  const settings = {
    project: "P",
    location: "global",
    agentId: "A",
    maxTextLength: 10,
    port: 0,
    now: Date.now,
  };
  const service = new DialogflowCxService(settings, () => 0);
  const agent = "projects/P/locations/global/agents/A";

  it("are named by project, location, agent, environment and a part of their own", () => {
    const name = `${agent}/sessions/s 1`;
    const found = { name, sessionId: "s 1", environment: undefined };
    expect(service.findSession(`${agent}/sessions/s%201`)).toEqual(found);
    const production = `${agent}/environments/production/sessions/s`;
    expect(service.findSession(production)).toEqual({
      name: production,
      sessionId: "s",
      environment: "production",
    });
    expect(service.findSession(`${agent}/sessions/${"x".repeat(36)}`).sessionId).toHaveLength(36);
  });

  it.each([
    [`${agent}/sessions/`, "INVALID_ARGUMENT", "Resource name does not match a session of an agent."],
    [`x/${agent}/sessions/s`, "INVALID_ARGUMENT", "Resource name does not match a session of an agent."],
    [`${agent}/sessions/s/x`, "INVALID_ARGUMENT", "Resource name does not match a session of an agent."],
    [`${agent}/sessions/%E0%A4`, "INVALID_ARGUMENT", "The path is not encoded as an address must be."],
    [
      `${agent}/sessions/${"x".repeat(37)}`,
      "INVALID_ARGUMENT",
      "The length of the Session ID must not exceed 36 characters.",
    ],
    [
      `${agent}/sessions/${"x".repeat(35)}%C3%A9`,
      "INVALID_ARGUMENT",
      "The length of the Session ID must not exceed 36 characters.",
    ],
    [`${agent}/environments/e/sessions/s`, "NOT_FOUND", "Environment 'e' does not exist."],
    ["projects/P/locations/global/agents/B/sessions/s", "NOT_FOUND", "Agent 'B' does not exist."],
    [
      "projects/P/locations/eu/agents/A/sessions/s",
      "INVALID_ARGUMENT",
      "This endpoint serves 'global'. Please find the correct endpoint to access resources located in 'eu'.",
    ],
    [
      "projects/Q/locations/global/agents/A/sessions/s",
      "PERMISSION_DENIED",
      "IAM permission 'dialogflow.sessions.detectIntent' on 'projects/Q' denied.",
    ],
  ])("are refused under another name: %s", (path, status, message) => {
    expect(refusal(() => service.findSession(path))).toEqual([status, message]);
  });

  it("take what a person thinks of an answer, and of no other one's", () => {
    const say = { queryInput: { text: { text: "hi" }, languageCode: "en" } };
    service.detectIntent(`${agent}/sessions/s`, "detectIntent", say);
    const responseId = service.turns.last[0]?.responseId;
    const rate = (session: string, more: object) =>
      refusal(() =>
        service.giveFeedback(`${agent}${session}`, {
          responseId,
          answerFeedback: { rating: "THUMBS_UP" },
          ...more,
        }),
      );
    const wrong = ["INVALID_ARGUMENT", "There is no such response."];
    expect([rate("/sessions/other", {}), rate("/sessions/s", { responseId: "x" })]).toEqual([wrong, wrong]);
    for (const answerFeedback of [undefined, {}, { rating: "GOOD" }])
      expect(rate("/sessions/s", { answerFeedback })).toEqual([
        "INVALID_ARGUMENT",
        "answer_feedback.rating is required.",
      ]);
    const elsewhere = rate("/environments/production/sessions/s", {});
    expect(elsewhere).toEqual(["NOT_FOUND", "Requested entity was not found."]);
    expect(service.turns.last[0]?.feedback).toBeUndefined();
    expect(rate("/sessions/s", { answerFeedback: { rating: "THUMBS_DOWN" } })).toBeUndefined();
    expect(service.turns.last[0]?.feedback).toEqual({ rating: "THUMBS_DOWN" });
  });
});
