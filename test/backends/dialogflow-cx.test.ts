import { generateKeyPairSync } from "node:crypto";
import { getEventListeners } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SessionMapper } from "aparte";
import { type DialogflowCxOptions, dialogflowCx, serviceWords } from "aparte/dialogflow-cx";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AskCall, Backend, JsonValue } from "../../src/backends/backend.ts";
import { jsonArray } from "../../src/backends/dialogflow-cx/json-array.ts";
import { readOptions } from "../../src/backends/dialogflow-cx/options.ts";
import {
  type DialogflowCxEmulator,
  type DialogflowCxEmulatorOptions,
  startDialogflowCxEmulator,
} from "../../src/emulators/dialogflow-cx/index.ts";
import { AparteError } from "../../src/errors.ts";
import type { ReplyEvent } from "../../src/turn/reply-event.ts";
import { listen } from "../fakes/loopback.ts";

const minutes = 60_000;
const hours = 60 * minutes;
const streaming = "serverStreamingDetectIntent";
const privateKey = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

let emulator: DialogflowCxEmulator;
const quiet = { info() {}, warn() {}, error() {} };
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  emulator = await start();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0)) await close();
});

async function start(options: DialogflowCxEmulatorOptions = {}): Promise<DialogflowCxEmulator> {
  const started = await startDialogflowCxEmulator({ privateKey, ...options });
  closers.push(() => started.close());
  return started;
}

function backend(options: Partial<DialogflowCxOptions> = {}): Backend {
  const { agent, credentials, baseURL, now } = emulator;
  const account = options.accessToken === undefined ? { credentials } : {};
  return dialogflowCx({ agent, baseURL, now, retryDelay: 1, ...account, ...options });
}

/** A conversation whose state is carried from turn to turn, as a mapper does. */
async function conversation(service = backend(), sessionName = "ada") {
  const session = { sessionName, agent: "helper", signal: new AbortController().signal };
  const conversationId = await service.open(session);
  let state: JsonValue | undefined;
  const ask = (text: string, more: Partial<AskCall> = {}): AsyncIterable<ReplyEvent> =>
    service.ask({
      ...session,
      conversationId,
      turnId: "turn-1",
      text,
      files: [],
      ...(state === undefined ? {} : { state }),
      keep: (kept) => {
        state = JSON.parse(JSON.stringify(kept)) as JsonValue;
      },
      ...more,
    });
  return {
    conversationId,
    ask,
    say: (text: string, more: Partial<AskCall> = {}) => all(ask(text, more)),
    state: () => state as { readonly [name: string]: JsonValue } | undefined,
    setState: (next: JsonValue) => {
      state = next;
    },
  };
}

async function all(events: AsyncIterable<ReplyEvent>): Promise<ReplyEvent[]> {
  const list: ReplyEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

/** Answers' ids are new each time. */
function withoutId(event: ReplyEvent): ReplyEvent {
  return event.type === "message" ? { type: "message", text: event.text } : event;
}

function messagesOf(events: readonly ReplyEvent[]): string[] {
  return events.flatMap((event) => (event.type === "message" ? [event.text] : []));
}

async function failure(promise: Promise<unknown>): Promise<AparteError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: "AparteError" });
  // What a developer reads is a sentence, or some.
  expect((error as AparteError).message).toMatch(/^\w.*\w.*\.$/);
  return error as AparteError;
}

/** Sends what is meant for Google to the emulator, and keeps what was asked for. */
function rerouted(): { fetch: typeof fetch; urls: string[]; tokens: Set<string> } {
  const urls: string[] = [];
  const tokens = new Set<string>();
  return {
    urls,
    tokens,
    fetch: (input, init) => {
      const url = new URL(String(input));
      urls.push(url.href);
      const token = new Headers(init?.headers).get("authorization");
      if (token !== null) tokens.add(token.replace("Bearer ", ""));
      return fetch(`${emulator.baseURL}${url.pathname}${url.search}`, init);
    },
  };
}

const lastTurn = () => emulator.turns().at(-1);

describe("dialogflowCx", () => {
  describe("options", () => {
    const base = { agent: "projects/p/locations/global/agents/a", accessToken: async () => "t" };

    const three = { accessToken: base.accessToken, project: "p", location: "global", agentId: "a" };

    it.each<[object, string, string]>([
      [{ ...base, languagecode: "de" }, "languagecode", "does not exist"],
      [{ ...base, agent: 7 }, "agent", "must be a resource name"],
      [{ ...base, agent: "projects/p/agents/a" }, "agent", "must be a resource name"],
      [{ ...base, agent: `x${base.agent}` }, "agent", "must be a resource name"],
      [{ ...base, agent: `${base.agent}/environments/e` }, "agent", "must be a resource name"],
      [{ ...base, agent: "projects/p q/locations/global/agents/a" }, "agent", "must be a resource name"],
      [{ ...base, agent: "projects/p/locations/evil.com/agents/a" }, "agent", 'such as "global"'],
      [{ ...base, project: "p" }, "project", "is part of agent"],
      [{ ...base, location: "global" }, "location", "is part of agent"],
      [{ ...base, agentId: "a" }, "agentId", "is part of agent"],
      [
        { ...three, agentId: undefined },
        "agentId",
        "is missing: give agent, or project, location and agentId",
      ],
      [{ ...three, location: "" }, "location", "is missing"],
      [{ ...three, project: "-p" }, "project", "is missing"],
      [{ ...three, location: "Global" }, "location", 'such as "global"'],
      [{ ...base, environment: "a/b" }, "environment", "must be the environment's id"],
      [{ ...base, baseURL: "ftp://x" }, "baseURL", 'such as "https://dialogflow.googleapis.com"'],
      [{ ...base, credentials: "{}" }, "accessToken", "and credentials exclude each other"],
      [{ agent: base.agent, credentials: "{" }, "credentials", "holds no JSON object"],
      [{ agent: base.agent, credentials: "\\" }, "credentials", "holds no JSON object"],
      [{ agent: base.agent, credentials: 7 }, "credentials", "must be a service account's key"],
      [{ agent: base.agent, credentials: null }, "credentials", "must be a service account's key"],
      [
        { agent: base.agent, credentials: "/no/such/file.json" },
        "credentials",
        "names a file that cannot be read",
      ],
      [
        { agent: base.agent, credentials: "package-lock.json/.." },
        "credentials",
        "names a file that cannot be read",
      ],
      [
        { agent: base.agent, credentials: "README.md" },
        "credentials",
        "names a file that holds no JSON object",
      ],
      [{ agent: base.agent, credentials: {} }, "credentials.client_email", "is missing"],
      [{ agent: base.agent, credentials: { client_email: " " } }, "credentials.client_email", "is missing"],
      [{ agent: base.agent, credentials: { client_email: "a" } }, "credentials.private_key", "is missing"],
      [
        { agent: base.agent, credentials: { client_email: "a", private_key: "b" } },
        "credentials.private_key",
        "is no private key",
      ],
      [
        { agent: base.agent, credentials: { type: "authorized_user" } },
        "credentials.client_id",
        "is missing",
      ],
      [
        { agent: base.agent, credentials: { type: "external_account" } },
        "credentials.type",
        'must be "service_account" or "authorized_user"',
      ],
      [{ ...base, accessToken: "ya29.x" }, "accessToken", "must be a function"],
      [{ ...base, sessionTtl: 0 }, "sessionTtl", "must be a whole number from 1 to 86400"],
      [{ ...base, sessionTtl: 86_401 }, "sessionTtl", "must be a whole number from 1 to 86400"],
      [{ ...base, sessionTtl: 1.5 }, "sessionTtl", "must be a whole number from 1 to 86400"],
      [{ ...base, maxStateBytes: -1 }, "maxStateBytes", "must be a whole number from 0 to 2147483647"],
      [{ ...base, maxTextLength: 0 }, "maxTextLength", "must be a whole number from 1 to"],
      [{ ...base, requestTimeout: 0 }, "requestTimeout", "must be a whole number from 1 to"],
      [{ ...base, maxRetries: -1 }, "maxRetries", "must be a whole number from 0 to"],
      [{ ...base, retryDelay: 0 }, "retryDelay", "must be a whole number from 1 to"],
      [{ ...base, stateSecret: "short" }, "stateSecret", "must be a text of at least 16 characters"],
      [{ ...base, stateSecret: ["x".repeat(16), "x".repeat(15)] }, "stateSecret", "or a list of such"],
      [{ ...base, stateSecret: [] }, "stateSecret", "must be a text of at least 16 characters"],
      [{ ...base, stateSecret: 7 }, "stateSecret", "must be a text of at least 16 characters"],
      [{ ...base, languageCode: "" }, "languageCode", "must be a string and not empty"],
      [{ ...base, timeZone: 1 }, "timeZone", "must be a string and not empty"],
      [{ ...base, channel: "" }, "channel", "must be a string and not empty"],
      [{ ...base, parameters: [] }, "parameters", "must be an object, or a function"],
      [{ ...base, payload: "x" }, "payload", "must be an object, or a function"],
      [{ ...base, input: {} }, "input", "must be a function"],
      [{ ...base, onPayload: {} }, "onPayload", "must be a function"],
      [{ ...base, fetch: {} }, "fetch", "must be a function"],
      [{ ...base, now: 5 }, "now", "must be a function"],
      [{ ...base, stream: "yes" }, "stream", "must be true or false"],
      [{ ...base, revive: 1 }, "revive", "must be true or false"],
    ])("refuses %j by the name of what is wrong: %s %s", (options, field, problem) => {
      const message = expect.stringMatching(new RegExp(`^Option "${field}" .*${problem}`));
      expect(() => dialogflowCx(options as DialogflowCxOptions)).toThrow(
        expect.objectContaining({ code: "option-invalid", field, message }),
      );
    });

    it("takes all of them, and has the defaults that their documentation names", () => {
      const given = {
        ...{ accessToken: base.accessToken, input: () => undefined, onPayload: () => undefined },
        ...{ now: () => 7, fetch: globalThis.fetch, baseURL: "https://gateway.example" },
        ...{ languageCode: "de", timeZone: "Europe/Berlin", channel: "slack", parameters: {}, payload: {} },
        ...{
          sessionTtl: 1,
          maxStateBytes: 0,
          maxTextLength: 1,
          requestTimeout: 1,
          maxRetries: 0,
          retryDelay: 1,
        },
        ...{ stream: false, revive: false },
      };
      const stateSecret = ["x".repeat(16)];
      expect(readOptions({ ...three, ...given, environment: "draft-1", stateSecret })).toEqual({
        ...given,
        agent: base.agent,
        sessionParent: `${base.agent}/environments/draft-1`,
        credentials: undefined,
        stateSecrets: stateSecret,
      });
      expect(readOptions({ ...base, stateSecret: "x".repeat(16) })).toMatchObject({
        ...{ baseURL: "https://dialogflow.googleapis.com", sessionParent: base.agent, languageCode: "en" },
        ...{ sessionTtl: 86_400, maxStateBytes: 16_384, maxTextLength: 500, requestTimeout: 220_000 },
        ...{ maxRetries: 3, retryDelay: 1000, stream: true, revive: true, now: Date.now },
        stateSecrets: stateSecret,
      });
      expect(readOptions(base).stateSecrets).toEqual([]);
    });

    it("tells no part of a key", () => {
      const secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";
      try {
        dialogflowCx({ agent: base.agent, credentials: { client_email: "a", private_key: secret } });
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toContain("c2VjcmV0");
        expect((error as Error).cause).toBeUndefined();
      }
    });

    it("takes the agent in one name or in three parts", async () => {
      const [, project = "", , location = "", , agentId = ""] = emulator.agent.split("/");
      const { baseURL, credentials, now } = emulator;
      const ada = await conversation(dialogflowCx({ project, location, agentId, baseURL, credentials, now }));
      await ada.say("hello");
      expect(lastTurn()?.session).toBe(`${emulator.agent}/sessions/${ada.conversationId}`);
    });

    it("speaks to an environment", async () => {
      const ada = await conversation(backend({ environment: "production" }));
      await ada.say("hello");
      expect(lastTurn()?.environment).toBe("production");
    });

    it("puts the turn's context into the session, and stands by what the options say", async () => {
      const ada = await conversation(
        backend({ parameters: ({ context }) => ({ plan: "pro", greeting: `Dear ${context.name}` }) }),
      );
      await ada.say("hello", { context: { name: "Ada", plan: "free", since: { year: 2024 } } });
      const given = { name: "Ada", plan: "pro", since: { year: 2024 }, greeting: "Dear Ada" };
      expect(lastTurn()?.queryParams.parameters).toEqual(given);
      expect(lastTurn()?.parameters).toEqual(given);
    });

    it("sends language, time zone, channel, parameters and the webhook's payload, fixed or made for the turn", async () => {
      const ada = await conversation(
        backend({
          languageCode: ({ text }) => (text.includes("ich") ? "de" : undefined),
          timeZone: "Europe/Berlin",
          channel: "slack",
          parameters: ({ startsSession }) =>
            startsSession ? { plan: "pro", nested: { list: [1, null] } } : undefined,
          payload: { tenant: "acme" },
        }),
      );
      expect(messagesOf(await ada.say("locale"))).toEqual([
        "Language en, time zone Europe/Berlin, channel slack.",
      ]);
      expect(lastTurn()?.parameters).toEqual({ plan: "pro", nested: { list: [1, null] } });
      expect(messagesOf(await ada.say("ich: locale"))).toEqual([
        "Language de, time zone Europe/Berlin, channel slack.",
      ]);
      expect(lastTurn()?.queryParams).not.toHaveProperty("parameters");
      expect(messagesOf(await ada.say("channel"))).toEqual(["Hello, Slack."]);
      expect(messagesOf(await ada.say("webhook"))).toEqual(['The webhook got {"tenant":"acme"}.']);
    });
  });

  describe("session", () => {
    it("has ids of 32 plain characters, and no two the same", async () => {
      const service = backend();
      const session = { sessionName: "ada", agent: "helper", signal: new AbortController().signal };
      const ids = await Promise.all(Array.from({ length: 10_000 }, () => service.open(session)));
      expect(new Set(ids).size).toBe(10_000);
      expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
    });

    it("is sent its lifetime with each turn", async () => {
      const ada = await conversation(backend({ sessionTtl: 7200 }));
      await ada.say("hello");
      await ada.say("hello");
      expect(emulator.turns().map((turn) => turn.queryParams.sessionTtl)).toEqual(["7200s", "7200s"]);
    });

    it("goes on after 31 minutes, since it is asked to live for a day", async () => {
      const ada = await conversation();
      await ada.say("I want a pizza");
      emulator.advance(31 * minutes);
      expect(messagesOf(await ada.say("large"))).toEqual(["Which topping would you like?"]);
      expect(emulator.turns().map((turn) => turn.startedSession)).toEqual([true, false]);
      expect(lastTurn()?.queryParams).not.toHaveProperty("currentPage");
    });

    it.each([
      ["31 minutes, where it lives for 30", { sessionTtl: 1800 }, 31 * minutes],
      ["25 hours", {}, 25 * hours],
      ["25 hours, answered at once", { stream: false }, 25 * hours],
    ])("brings the person back to the page with all parameters after %s", async (_, options, pause) => {
      const ada = await conversation(backend(options));
      await ada.say("my name is Ada");
      await ada.say("I want a pizza");
      await ada.say("large");
      emulator.advance(pause);
      const events = await ada.say("mushrooms");
      expect(lastTurn()?.startedSession).toBe(true);
      expect(messagesOf(events)).toEqual(["One large pizza with mushrooms for Ada. Shall I order it?"]);
      expect(events.filter((event) => event.type === "notice")).toEqual([]);
      expect(lastTurn()).toMatchObject({ page: "Confirm", parameters: { name: "Ada", size: "large" } });
    });

    it("tells an application where the next turn would go: the same session, the next one, and what goes along", async () => {
      const service = backend();
      const mapper = new SessionMapper({
        agents: { helper: service },
        secret: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
        logger: quiet,
      });
      closers.push(() => mapper.close());
      const ada = { platform: "web", tenant: "t", user: "ada" };
      let count = 0;
      const say = (text: string) => mapper.handle({ ...ada, id: `m${++count}`, text }).text();
      await say("I want a pizza");
      const first = await mapper.resolve(ada);
      expect([first.conversationId, first.start]).toEqual([lastTurn()?.sessionId, undefined]);
      emulator.advance(49 * hours);
      const next = await mapper.resolve(ada);
      expect(next.conversationId).not.toBe(first.conversationId);
      await say("large");
      expect(next.conversationId).toBe(lastTurn()?.sessionId);
      const { currentPage, parameters } = lastTurn()?.queryParams ?? {};
      expect(next.start).toEqual({ currentPage, parameters });
      await say("bye");
      // The turn's end is written when its answer was read.
      await expect.poll(async () => (await mapper.resolve(ada)).start).toBeUndefined();
      const afterEnd = await mapper.resolve(ada);
      await say("hello");
      expect(afterEnd.conversationId).toBe(lastTurn()?.sessionId);
      expect(afterEnd.conversationId).not.toBe(next.conversationId);
    });

    it("sends page and parameters with the first turn after the lapse only, to a session of a new id", async () => {
      const ada = await conversation();
      await ada.say("I want a pizza");
      emulator.advance(25 * hours);
      await ada.say("large");
      await ada.say("ham");
      const turns = emulator.turns();
      expect(turns.map((turn) => "currentPage" in turn.queryParams)).toEqual([false, true, false]);
      expect(turns.map((turn) => "parameters" in turn.queryParams)).toEqual([false, true, false]);
      expect(turns[1]?.sessionId).not.toBe(turns[0]?.sessionId);
      expect(turns[2]?.sessionId).toBe(turns[1]?.sessionId);
      expect(turns.every((turn) => turn.sessionId.length === 32)).toBe(true);
    });

    it("does the same again when the reviving turn's fate is not known", async () => {
      const ada = await conversation();
      await ada.say("I want a pizza");
      await ada.say("large");
      emulator.advance(25 * hours);
      emulator.fail({ call: streaming, dropResponse: true });
      expect((await failure(ada.say("ham"))).code).toBe("backend-stream-cut");
      expect(messagesOf(await ada.say("ham"))).toEqual(["One large pizza with ham. Shall I order it?"]);
    });

    it("is not brought back after a reset, which opens another conversation without a state", async () => {
      const service = backend();
      const before = await conversation(service);
      await before.say("my name is Ada");
      await before.say("I want a pizza");
      emulator.advance(25 * hours);
      const after = await conversation(service);
      expect(messagesOf(await after.say("where am I?"))).toEqual([
        "You are on the page Start Page. I know: nothing.",
      ]);
      expect(after.conversationId).not.toBe(before.conversationId);
    });

    it("moves on when the agent ended it, and takes nothing along", async () => {
      const ada = await conversation();
      await ada.say("my name is Ada");
      expect((await ada.say("bye")).map(withoutId)).toEqual([
        { type: "text", delta: "Goodbye." },
        { type: "message", text: "Goodbye." },
        { type: "end" },
      ]);
      expect(messagesOf(await ada.say("what is my name?"))).toEqual([
        "Turn 1. You have not told me your name.",
      ]);
      const [first, second, third] = emulator.turns().map((turn) => turn.sessionId);
      expect(second).toBe(first);
      expect(third).not.toBe(second);
      emulator.advance(25 * hours);
      await ada.say("bye");
      emulator.advance(25 * hours);
      await ada.say("hello");
      expect(lastTurn()?.queryParams).not.toHaveProperty("currentPage");
    });

    it("moves on after 48 hours, since later turns would miss in its history, and takes everything along", async () => {
      const ada = await conversation();
      await ada.say("my name is Ada");
      for (let day = 0; day < 2; day += 1) {
        emulator.advance(23.9 * hours);
        await ada.say("hello");
      }
      expect(new Set(emulator.turns().map((turn) => turn.sessionId)).size).toBe(1);
      emulator.advance(hours);
      expect(messagesOf(await ada.say("what is my name?"))).toEqual(["Turn 1. Your name is Ada."]);
      expect(new Set(emulator.turns().map((turn) => turn.sessionId)).size).toBe(2);
      await ada.say("remember the milk");
      expect(messagesOf(await ada.say("what did I tell you?"))[0]).toContain("remember the milk");
    });

    it("starts at the beginning, and says so, when the page is gone from the agent since", async () => {
      const other = await start({ agentId: "other" });
      const { agent, credentials, baseURL, now } = other;
      const stateSecret = "a secret for the state";
      const ada = await conversation(backend({ stateSecret }));
      await ada.say("I want a pizza");
      emulator.advance(25 * hours);
      other.advance(75 * hours);
      emulator.fail({ call: streaming, status: "INVALID_ARGUMENT", message: "Page does not exist." });
      const events = await ada.say("hello");
      expect(events[0]).toEqual({
        type: "notice",
        code: "new-conversation",
        text: "We have not spoken for a while, and I could not go on where we were. We begin anew.",
      });
      expect(messagesOf(events)).toEqual(['Turn 1. You said: "hello".']);
      expect(emulator.requests()).toHaveLength(3);
      // Another agent under the same name: the place is not for it.
      const moved = dialogflowCx({ agent, credentials, baseURL, now, stateSecret });
      const state = ada.state();
      await all(
        moved.ask({
          ...{
            sessionName: "ada",
            agent: "helper",
            turnId: "turn-1",
            conversationId: ada.conversationId,
            text: "hello",
            files: [],
          },
          signal: new AbortController().signal,
          ...(state === undefined ? {} : { state }),
        }),
      );
      expect(other.turns().at(-1)?.queryParams).not.toHaveProperty("currentPage");
      expect(other.requests()).toHaveLength(1);
    });

    it("refuses an id that another service made, so that a new conversation is opened", async () => {
      const ada = await conversation();
      const error = await failure(ada.say("hello", { conversationId: "7345678901234567890" }));
      expect(error.code).toBe("conversation-lost");
      expect(emulator.requests()).toEqual([]);
    });

    it("goes on where a state is not readable, and does not fail", async () => {
      const ada = await conversation();
      await ada.say("my name is Ada");
      ada.setState({ v: 99, anything: true });
      expect(messagesOf(await ada.say("what is my name?"))).toEqual(["Turn 2. Your name is Ada."]);
    });
  });

  describe("what is kept", () => {
    it("tells nothing of page or parameters to who reads the store", async () => {
      const ada = await conversation();
      await ada.say("my name is Hieronymus");
      await ada.say("I want a pizza");
      const kept = JSON.stringify(ada.state());
      expect(kept).not.toMatch(/Hieronymus|pages|agents|parameters/);
      const [header = ""] = String(ada.state()?.place).split(".");
      expect(JSON.parse(Buffer.from(header, "base64url").toString())).toEqual({ alg: "dir", enc: "A256GCM" });
    });

    it("opens in another process with the same service account or the same secret, and in none without", async () => {
      const token = async (): Promise<string> => emulator.accessToken();
      const stateSecret = "the first secret of all";
      const returns = async (before: Backend, after: Backend): Promise<ReplyEvent[]> => {
        const ada = await conversation(before);
        await ada.say("my name is Ada");
        emulator.advance(25 * hours);
        const state = ada.state();
        const { conversationId } = ada;
        const call = {
          ...{ sessionName: "ada", agent: "helper", turnId: "turn-1" },
          ...{ text: "what is my name?", files: [] },
        };
        const signal = new AbortController().signal;
        return await all(
          after.ask({ ...call, conversationId, signal, ...(state === undefined ? {} : { state }) }),
        );
      };
      const known = ["Turn 1. Your name is Ada."];
      expect(messagesOf(await returns(backend(), backend()))).toEqual(known);
      const mine = backend({ accessToken: token, stateSecret });
      const rotated = backend({ accessToken: token, stateSecret: ["the second secret of all", stateSecret] });
      expect(messagesOf(await returns(mine, rotated))).toEqual(known);
      const stranger = await returns(mine, backend({ accessToken: token, stateSecret: "no secret of ours" }));
      expect(stranger[0]).toEqual({
        type: "notice",
        code: "new-conversation",
        text: "We have not spoken for a while, and I could not go on where we were. We begin anew.",
      });
      expect(messagesOf(stranger)).toEqual(["Turn 1. You have not told me your name."]);
    });

    it("does not open for another conversation", async () => {
      const service = backend();
      const ada = await conversation(service, "ada");
      const eve = await conversation(service, "eve");
      await ada.say("my name is Ada");
      eve.setState(ada.state() ?? null);
      emulator.advance(25 * hours);
      expect(messagesOf(await eve.say("what is my name?"))).toEqual([
        "Turn 1. You have not told me your name.",
      ]);
    });

    it("drops parameters over the cap, keeps the page, and says so on the return", async () => {
      const parameters = { notes: "x".repeat(2000) };
      const service = backend({
        maxStateBytes: 1000,
        parameters: ({ startsSession }) => (startsSession ? parameters : undefined),
      });
      const ada = await conversation(service);
      await ada.say("my name is Ada");
      await ada.say("I want a pizza");
      expect(JSON.stringify(ada.state()).length).toBeLessThan(1500);
      emulator.advance(25 * hours);
      const events = await ada.say("where am I?");
      expect(events[0]).toEqual({
        type: "notice",
        code: "new-conversation",
        text: "We have not spoken for a while. I know where we were, but not all of what you told me.",
      });
      expect(lastTurn()).toMatchObject({ page: "Size", parameters: { notes: parameters.notes } });
      expect(lastTurn()?.parameters).not.toHaveProperty("name");
    });

    it("is neither page nor parameters where that is not wanted", async () => {
      const ada = await conversation(backend({ revive: false }));
      await ada.say("my name is Ada");
      expect(ada.state()).not.toHaveProperty("place");
      emulator.advance(25 * hours);
      expect((await ada.say("hello"))[0]).toEqual({
        type: "notice",
        code: "new-conversation",
        text: "We have not spoken for a while, and I could not go on where we were. We begin anew.",
      });
    });
  });

  describe("under a mapper", () => {
    const secret = "a secret for the sessions";
    const quiet = { info() {}, warn() {}, error() {} };
    let count = 0;
    const person = (user: string, more: object = {}) => ({
      platform: "slack",
      tenant: "T1",
      user,
      channel: "C1",
      ...more,
    });
    const mapperOf = (
      options: Partial<ConstructorParameters<typeof SessionMapper>[0]> = {},
    ): SessionMapper => {
      const mapper = new SessionMapper({ agents: { helper: backend() }, secret, logger: quiet, ...options });
      closers.unshift(() => mapper.close());
      return mapper;
    };
    const say = async (
      mapper: SessionMapper,
      speaker: ReturnType<typeof person>,
      text: string,
    ): Promise<string> => {
      count += 1;
      return await mapper.handle({ ...speaker, id: `m${count}`, text }).text();
    };
    const sessionIds = () => emulator.turns().map((turn) => turn.sessionId);

    it("brings a person back after 25 hours, and not after a reset", async () => {
      const mapper = mapperOf();
      const ada = person("ada");
      await say(mapper, ada, "my name is Ada");
      await say(mapper, ada, "I want a pizza");
      await say(mapper, ada, "small");
      emulator.advance(25 * hours);
      expect(await say(mapper, ada, "ham")).toBe("One small pizza with ham for Ada. Shall I order it?");
      await mapper.reset(ada);
      expect(await say(mapper, ada, "where am I?")).toBe("You are on the page Start Page. I know: nothing.");
      emulator.advance(25 * hours);
      expect(await say(mapper, ada, "what is my name?")).toBe("Turn 1. You have not told me your name.");
    });

    it("gives two people whose ids differ only after the 36th byte two sessions", async () => {
      const mapper = mapperOf();
      const prefix = "x".repeat(36);
      await say(mapper, person(`${prefix}a`), "my name is Ada");
      expect(await say(mapper, person(`${prefix}b`), "what is my name?")).toBe(
        "Turn 1. You have not told me your name.",
      );
      expect(new Set(sessionIds()).size).toBe(2);
    });

    it("gives everybody in a channel, in a thread and in a group a session of their own", async () => {
      const mapper = mapperOf();
      for (const user of ["ada", "bob", "eve"]) await say(mapper, person(user, { thread: "17.4" }), "hello");
      expect(new Set(sessionIds()).size).toBe(3);
    });

    it("keeps one session from message to message, also when channel and thread are absent", async () => {
      const mapper = mapperOf();
      await say(mapper, person("ada"), "my name is Ada");
      await say(
        mapper,
        { platform: "slack", tenant: "T1", user: "ada" } as ReturnType<typeof person>,
        "hello",
      );
      expect(await say(mapper, person("ada", { thread: "9" }), "what is my name?")).toBe(
        "Turn 3. Your name is Ada.",
      );
    });

    it("does not mix workspaces, guilds or fields that join to the same text", async () => {
      const mapper = mapperOf({ scope: "user-in-channel" });
      const speakers = [
        person("ab", { channel: "c" }),
        person("a", { channel: "bc" }),
        person("ab", { channel: "c", tenant: "T2" }),
        person("ab", { channel: "c", platform: "discord" }),
      ];
      for (const speaker of speakers) await say(mapper, speaker, "hello");
      expect(new Set(sessionIds()).size).toBe(4);
    });

    it("revives each person under an id of their own", async () => {
      const mapper = mapperOf();
      const people = ["ada", "bob", "eve"].map((user) => person(user));
      for (const speaker of people) await say(mapper, speaker, `my name is ${speaker.user}`);
      emulator.advance(25 * hours);
      for (const speaker of people) {
        expect(await say(mapper, speaker, "what is my name?")).toBe(`Turn 1. Your name is ${speaker.user}.`);
      }
      expect(new Set(sessionIds()).size).toBe(6);
      expect(sessionIds().every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
    });

    it("runs the turns of one session one after the other", async () => {
      const mapper = mapperOf();
      const texts = Array.from({ length: 20 }, (_, index) => `word ${index}`);
      const answers = await Promise.all(texts.map((text) => say(mapper, person("ada"), text)));
      expect(answers.map((answer) => answer.split(".")[0])).toEqual(
        texts.map((_, index) => `Turn ${index + 1}`),
      );
    });
  });

  describe("input", () => {
    it("is the text, or an event, an intent or keys that the application makes of the turn", async () => {
      const service = backend({
        input: ({ text }) => {
          if (text === "/order") return { intent: `${emulator.agent}/intents/order.pizza` };
          if (/^\d#$/.test(text)) return { dtmf: { digits: text.slice(0, 1), finishDigit: "#" } };
          return text.startsWith("!") ? { event: text.slice(1) } : undefined;
        },
      });
      const ada = await conversation(service);
      expect(messagesOf(await ada.say("/order"))).toEqual(["Which size: small, medium or large?"]);
      expect(messagesOf(await ada.say("3#"))).toEqual(["Which topping would you like?"]);
      expect(messagesOf(await ada.say("!OPENED"))).toEqual(["The event OPENED happened."]);
      expect(messagesOf(await ada.say("ham"))).toEqual(["One large pizza with ham. Shall I order it?"]);
      expect(emulator.turns().map((turn) => turn.input.kind)).toEqual(["intent", "dtmf", "event", "text"]);
    });

    it("is refused when it is none of them", async () => {
      const input = (() => ({ audio: {} })) as unknown as NonNullable<DialogflowCxOptions["input"]>;
      const ada = await conversation(backend({ input }));
      expect(await failure(ada.say("hello"))).toMatchObject({ code: "input-invalid", field: "input" });
    });

    it("is answered with a hint when it is too long, and is not sent", async () => {
      const ada = await conversation();
      expect(await ada.say("👩".repeat(501))).toEqual([
        {
          type: "notice",
          code: "too-long",
          text: "Your message has 501 characters, and I can read 500 at most. Please send it in shorter parts.",
        },
      ]);
      expect(emulator.requests()).toEqual([]);
      expect(messagesOf(await ada.say("👩".repeat(500)))).toHaveLength(1);
    });

    it("takes no files", async () => {
      const ada = await conversation();
      const error = await failure(ada.say("look", { files: [{ name: "a.png", data: new Uint8Array(1) }] }));
      expect(error.code).toBe("backend-rejected");
    });

    it("carries parameters and payload as plain JSON, whole", async () => {
      const payload = { telephony: { caller_id: "+1" }, list: [1, "two", { three: null }] };
      const ada = await conversation(backend({ payload, parameters: payload }));
      expect(messagesOf(await ada.say("webhook"))).toEqual([`The webhook got ${JSON.stringify(payload)}.`]);
      expect(lastTurn()?.parameters).toEqual(payload);
    });
  });

  describe("reply", () => {
    it.each([
      [
        "twice",
        [
          { type: "message", text: "First answer." },
          { type: "message", text: "Second answer." },
        ],
      ],
      ["lines", [{ type: "message", text: "First line, and more.\nSecond line." }]],
      [
        "human",
        [
          { type: "message", text: "I will fetch a human." },
          { type: "handoff", detail: { queue: "support" } },
        ],
      ],
      ["bye", [{ type: "message", text: "Goodbye." }, { type: "end" }]],
      ["payload", [{ type: "status", text: "Dialogflow: custom payload" }]],
      [
        "audio",
        [
          { type: "message", text: "Listen." },
          { type: "status", text: "Dialogflow: audio clip" },
          { type: "status", text: "Dialogflow: audio" },
        ],
      ],
      [
        "call me",
        [
          { type: "message", text: "Hold the line." },
          { type: "status", text: "Dialogflow: telephone transfer" },
        ],
      ],
      ["speech", [{ type: "message", text: "Hello there" }]],
      [
        "card",
        [
          { type: "status", text: "Dialogflow: info card" },
          { type: "status", text: "Dialogflow: conversation succeeded" },
        ],
      ],
      [
        "novelty",
        [
          { type: "status", text: "Dialogflow: hologram" },
          { type: "message", text: "Look at that." },
        ],
      ],
    ])("to %s is made of the right events, streamed or not", async (text, expected) => {
      for (const stream of [true, false]) {
        const ada = await conversation(backend({ stream }));
        const events = await ada.say(text);
        expect(events.filter((event) => event.type !== "text").map(withoutId)).toEqual(expected);
      }
    });

    it("shows a partial response while the turn still runs", async () => {
      const ada = await conversation();
      const iterator = ada.ask("wait: 60000")[Symbol.asyncIterator]();
      expect(await iterator.next()).toMatchObject({ value: { type: "text", delta: "One moment, please." } });
      expect(await iterator.next()).toMatchObject({
        value: { type: "message", text: "One moment, please." },
      });
      expect(ada.state()).toBeUndefined();
      // Waits until the request is over: the emulator would go on for a minute.
      await iterator.return?.();
    });

    it("has all of it in order when it is not streamed", async () => {
      const ada = await conversation(backend({ stream: false }));
      expect(messagesOf(await ada.say("wait"))).toEqual(["One moment, please.", 'Turn 1. You said: "wait".']);
      expect(emulator.requests()[0]?.call).toBe("detectIntent");
    });

    it("gives custom payloads to the application, and checks what it makes of them", async () => {
      const good = await conversation(
        backend({
          onPayload: (payload) => {
            const { options } = payload.card as { options: string[] };
            return { type: "suggestions", items: options };
          },
        }),
      );
      expect(await good.say("payload")).toEqual([{ type: "suggestions", items: ["Margherita", "Funghi"] }]);
      const image = { type: "file", kind: "image", url: "https://x.example/a.png" } as const;
      const drawing = await conversation(backend({ onPayload: () => [image] }));
      expect(await drawing.say("payload")).toEqual([image]);
      const wrong = [
        { type: "blocks" },
        { type: "message" },
        { type: "suggestions", items: [7] },
        { ...image, kind: "video" },
        { ...image, url: "javascript:alert(1)" },
      ];
      for (const made of wrong) {
        const bad = await conversation(backend({ onPayload: () => made as never }));
        expect(await failure(bad.say("payload"))).toMatchObject({
          code: "backend-failed",
          field: "onPayload",
        });
      }
      const throws = await conversation(backend({ onPayload: () => Promise.reject(new Error("no")) }));
      expect(await failure(throws.say("payload"))).toMatchObject({
        code: "backend-failed",
        field: "onPayload",
      });
    });

    it("is an error when the agent wants a tool that nobody runs, and when a webhook's failure leaves it empty", async () => {
      const ada = await conversation();
      expect((await failure(ada.say("tool call"))).code).toBe("action-required");
      const error = await failure(ada.say("webhook fails"));
      expect(error.code).toBe("backend-failed");
      expect(error.message).toContain("webhook failed (gRPC code 4)");
    });
  });

  describe("errors", () => {
    it.each([
      ["INVALID_ARGUMENT", "backend-rejected", 1],
      ["FAILED_PRECONDITION", "backend-rejected", 1],
      ["OUT_OF_RANGE", "backend-rejected", 1],
      ["NOT_FOUND", "backend-rejected", 1],
      ["PERMISSION_DENIED", "backend-auth", 1],
      // Once more with a new token.
      ["UNAUTHENTICATED", "backend-auth", 2],
      // Refused before it ran, so repeated.
      ["RESOURCE_EXHAUSTED", "backend-rate-limited", 4],
      ["ABORTED", "conversation-busy", 1],
      ["UNIMPLEMENTED", "backend-unsupported", 1],
      // It may have run: never repeated, and nobody else is told to.
      ["UNAVAILABLE", "backend-failed", 1],
      ["INTERNAL", "backend-failed", 1],
      ["UNKNOWN", "backend-failed", 1],
      ["DATA_LOSS", "backend-failed", 1],
      ["CANCELLED", "backend-failed", 1],
      ["DEADLINE_EXCEEDED", "backend-timeout", 1],
    ] as const)("%s is %s after %i requests, streamed or not", async (status, code, requests) => {
      for (const stream of [true, false]) {
        const fault = emulator.fail({ status, times: 100, message: "words of the person" });
        const ada = await conversation(backend({ stream }));
        const error = await failure(ada.say("hello"));
        fault.lift();
        expect([error.code, fault.hits]).toEqual([code, requests]);
        expect(error.message).not.toContain("words of the person");
        expect(emulator.turns()).toEqual([]);
        if (code === "backend-failed" || code === "backend-timeout") expect(error.retryable).toBe(false);
      }
    });

    it.each([
      [400, "INVALID_ARGUMENT", "backend-rejected", "Check the language code, and that the agent's location"],
      [401, "UNAUTHENTICATED", "backend-auth", "check the key and this machine's clock"],
      [403, "PERMISSION_DENIED", "backend-auth", '"Dialogflow API Client" in the agent\'s project'],
      [404, "NOT_FOUND", "backend-rejected", "check agent, environment, location and baseURL"],
      [409, "ABORTED", "conversation-busy", "Another request got in the way; ask again"],
      [413, "OUT_OF_RANGE", "backend-rejected", "A value is out of range"],
      [418, "INVALID_ARGUMENT", "backend-rejected", "Check the language code"],
      [429, "RESOURCE_EXHAUSTED", "backend-rate-limited", "wait, or ask Google for more"],
      [499, "CANCELLED", "backend-failed", "The request was cancelled there"],
      [500, "UNKNOWN", "backend-failed", "The service failed; whether the turn ran is not known"],
      [501, "UNIMPLEMENTED", "backend-unsupported", "does not offer this call here"],
      [502, "UNAVAILABLE", "backend-failed", "The service is not available; whether"],
      [503, "UNAVAILABLE", "backend-failed", "The service is not available; whether"],
      [504, "DEADLINE_EXCEEDED", "backend-timeout", "The agent or its webhook took too long; whether"],
    ])("HTTP %i without the service's words is %s, %s: %s", async (page, status, code, advice) => {
      emulator.fail({ page, times: 100 });
      const ada = await conversation(backend({ maxRetries: 0 }));
      const error = await failure(ada.say("hello"));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/^Dialogflow answered [A-Z_]+ \(HTTP \d+\)\. \w.*\w\.$/);
      expect(error.message).toContain(`Dialogflow answered ${status} (HTTP ${page}). `);
      expect(error.message).toContain(advice);
    });

    it.each([
      ["FAILED_PRECONDITION", "is not in a state to answer; check it in the console."],
      ["ALREADY_EXISTS", "It exists already."],
      ["INTERNAL", "The service failed; whether the turn ran is not known."],
      ["DATA_LOSS", "The service failed; whether the turn ran is not known."],
    ])("%s says: %s", async (status, words) => {
      const body = JSON.stringify([{ error: { status, message: "as a stream's first element" } }]);
      emulator.fail({ page: 409, body });
      const error = await failure((await conversation()).say("hello"));
      expect(error.message).toContain(`Dialogflow answered ${status} (HTTP 409). `);
      expect(error.message).toContain(words);
      expect(serviceWords(error)).toBe("as a stream's first element");
    });

    it.each([
      [{ details: [{ retryDelay: "1.5s" }] }, 1500],
      [{ details: [null, { requestId: "r" }, { retryDelay: " 45s " }] }, 45_000],
      [{ details: [{ retryDelay: "45s" }], after: "60" }, 60_000],
      [{ after: "5 apples" }, undefined],
      [{ after: "x5" }, undefined],
      [{ after: "Fri, 27 Nov 2026 05:00:00 GMT" }, undefined],
      [{ details: [{ retryDelay: 45 }] }, undefined],
      [{ details: "45s" }, undefined],
    ])(
      "reads from %j when to come back: %j",
      async ({ details, after }: { details?: unknown; after?: string }, ms) => {
        const body = JSON.stringify({ error: { status: "RESOURCE_EXHAUSTED", details } });
        emulator.fail({ page: 429, body, headers: after === undefined ? {} : { "retry-after": after } });
        const ada = await conversation(backend({ maxRetries: 0 }));
        expect(await failure(ada.say("hello"))).toMatchObject({
          code: "backend-rate-limited",
          retryAfterMs: ms,
        });
      },
    );

    it("tells the service's id for a request, and does not take its own words for a status", async () => {
      const details = [{ requestId: "r-1" }, { requestId: "r-2" }];
      emulator.fail({ page: 400, body: JSON.stringify({ error: { status: "toString", details } }) });
      const error = await failure((await conversation()).say("hello"));
      expect([error.code, error.traceId]).toEqual(["backend-rejected", "r-1"]);
      expect(error.message).toContain("INVALID_ARGUMENT");
      emulator.fail({ page: 200, body: '[{"error":{"code":409}}]' });
      expect((await failure((await conversation()).say("hello"))).code).toBe("conversation-busy");
      emulator.fail({ page: 200, body: '[{"error":{"message":"no code"}}]' });
      expect((await failure((await conversation()).say("hello"))).code).toBe("backend-failed");
    });

    it("leaves nothing on the signals of its callers", async () => {
      const { signal } = new AbortController();
      const service = backend();
      const ada = await conversation(service);
      await ada.say("hello", { signal });
      await service.probe?.(signal);
      emulator.fail({ page: 400 });
      await failure(ada.say("hello", { signal }));
      emulator.fail({ page: 400 });
      await failure(Promise.resolve(service.probe?.(signal)));
      expect(getEventListeners(signal, "abort")).toEqual([]);
    });

    it("runs a turn once that was refused for quota first", async () => {
      emulator.fail({ call: streaming, status: "RESOURCE_EXHAUSTED", times: 2 });
      const ada = await conversation();
      expect(messagesOf(await ada.say("hello"))).toEqual(['Turn 1. You said: "hello".']);
      expect(emulator.turns()).toHaveLength(1);
    });

    it.each([true, false])(
      "sends a turn with leave alone, asked for anew before it is repeated (streamed: %s)",
      async (stream) => {
        const ada = await conversation(backend({ stream }));
        let asked = 0;
        const permit = async () => {
          asked += 1;
          if (asked > 2) throw new AparteError("lease-lost", "Another process goes on with the turn.");
        };
        const fault = emulator.fail({ status: "RESOURCE_EXHAUSTED", times: 9 });
        expect((await failure(ada.say("hello", { permit }))).code).toBe("lease-lost");
        expect([asked, fault.hits]).toEqual([3, 2]);
        fault.lift();
        expect((await failure(ada.say("hello", { permit }))).code).toBe("lease-lost");
        expect(emulator.turns()).toEqual([]);
        asked = 1;
        expect(messagesOf(await ada.say("hello", { permit }))).toHaveLength(1);
      },
    );

    it("asks for leave to send when its token is there", async () => {
      const told: string[] = [];
      const accessToken = async () => {
        told.push("token");
        return "refused";
      };
      const ada = await conversation(backend({ accessToken }));
      const permit = async () => void told.push("permit");
      await failure(ada.say("hello", { permit }));
      expect(told).toEqual(["token", "permit", "token", "permit"]);
    });

    it("does not wait out a pause that the service wants longer than half a minute, but tells it", async () => {
      const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "45s" }];
      emulator.fail({ status: "RESOURCE_EXHAUSTED", details });
      const ada = await conversation();
      expect(await failure(ada.say("hello"))).toMatchObject({
        code: "backend-rate-limited",
        retryAfterMs: 45_000,
      });
      emulator.fail({ status: "RESOURCE_EXHAUSTED", headers: { "retry-after": "60" } });
      expect(await failure(ada.say("hello"))).toMatchObject({
        code: "backend-rate-limited",
        retryAfterMs: 60_000,
      });
    });

    it("comes back when the service says so, and no sooner", async () => {
      emulator.fail({ status: "RESOURCE_EXHAUSTED", headers: { "retry-after": "1" } });
      const ada = await conversation();
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
      expect(emulator.requests().map(({ status, isEarly }) => [status, isEarly])).toEqual([
        [429, undefined],
        [200, undefined],
      ]);
    });

    it("tells a quota of a day apart", async () => {
      const details = [
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", metadata: { quota_unit: "1/d/{project}" } },
      ];
      const fault = emulator.fail({ status: "RESOURCE_EXHAUSTED", details, times: 100 });
      const ada = await conversation();
      expect((await failure(ada.say("hello"))).code).toBe("backend-quota");
      expect(fault.hits).toBe(1);
    });

    it("understands a gateway's page and a foreign service", async () => {
      const ada = await conversation();
      emulator.fail({ page: 502, body: "<h1>Bad gateway</h1>" });
      expect((await failure(ada.say("hello"))).code).toBe("backend-failed");
      emulator.fail({ page: 200, body: "<h1>Welcome</h1>" });
      expect((await failure(ada.say("hello"))).code).toBe("backend-protocol");
      emulator.fail({ page: 302, body: "", headers: { location: "https://example.com/" } });
      expect((await failure(ada.say("hello"))).code).toBe("backend-protocol");
      emulator.fail({ page: 200, body: "[]" });
      expect((await failure(ada.say("hello"))).code).toBe("backend-stream-cut");
      const whole = await conversation(backend({ stream: false }));
      emulator.fail({ page: 200, body: "{}" });
      expect((await failure(whole.say("hello"))).code).toBe("backend-protocol");
    });

    it.each([true, false])(
      "never takes an answer that breaks off for a whole one (streamed: %s)",
      async (stream) => {
        const ada = await conversation(backend({ stream }));
        for (const endAt of [1, 50, 300]) {
          emulator.fail({ endAt });
          const error = await failure(ada.say("hello"));
          expect(["backend-stream-cut", "backend-protocol"]).toContain(error.code);
          expect(error.retryable).toBe(false);
        }
        expect(ada.state()).toBeUndefined();
        expect(emulator.turns()).toHaveLength(3);
      },
    );

    it("never repeats a turn whose answer was lost", async () => {
      const ada = await conversation();
      emulator.fail({ dropResponse: true });
      expect((await failure(ada.say("hello"))).code).toBe("backend-stream-cut");
      expect(emulator.turns()).toHaveLength(1);
    });

    it("tells an error that comes in the middle of a stream, after what was said", async () => {
      const ada = await conversation();
      emulator.fail({ midway: "INTERNAL" });
      const events: ReplyEvent[] = [];
      const run = (async () => {
        for await (const event of ada.ask("wait")) events.push(event);
      })();
      expect((await failure(run)).code).toBe("backend-failed");
      expect(messagesOf(events)).toEqual(["One moment, please."]);
      expect(ada.state()).toBeUndefined();
    });

    it("keeps its deadline, and tells that the outcome is not known", async () => {
      const fault = emulator.fail({ hang: true });
      // Long enough for a busy machine to have sent it.
      const ada = await conversation(backend({ requestTimeout: 2000 }));
      const error = await failure(ada.say("hello"));
      expect([error.code, error.retryable]).toEqual(["backend-timeout", false]);
      expect(error.message).toMatch(/^Dialogflow did not answer in time; .* Raise requestTimeout/);
      expect([fault.hits, error.cause instanceof Error]).toEqual([1, true]);
      const hasty = await conversation(backend({ requestTimeout: 200 }));
      expect((await failure(hasty.say("fail: hang"))).code).toBe("backend-timeout");
    });

    it("ends the request when the turn is cancelled, before and in the middle of the answer", async () => {
      const ada = await conversation();
      const before = new AbortController();
      const { hit } = emulator.fail({ hang: true });
      const first = failure(ada.say("hello", { signal: before.signal }));
      await hit;
      before.abort();
      expect((await first).code).toBe("stopped");

      const middle = new AbortController();
      const events: ReplyEvent[] = [];
      const second = (async () => {
        for await (const event of ada.ask("fail: hang", { signal: middle.signal })) {
          events.push(event);
          middle.abort();
        }
      })();
      expect((await failure(second)).code).toBe("stopped");
      expect(events[0]).toMatchObject({ type: "text" });
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
    });

    it("sends again what could not be sent at all, and says when the service cannot be reached", async () => {
      const closed = await closedPort();
      const attempts: string[] = [];
      const flaky: typeof fetch = (input, init) => {
        attempts.push(String(input));
        return fetch(attempts.length < 3 ? `http://127.0.0.1:${closed}/` : input, init);
      };
      const ada = await conversation(backend({ fetch: flaky }));
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
      expect(attempts).toHaveLength(3);
      const bob = await conversation(backend({ baseURL: `http://127.0.0.1:${closed}` }));
      expect((await failure(bob.say("hello"))).code).toBe("backend-unavailable");
    });

    it("tells a wrong location by an error, not by an empty answer", async () => {
      const agent = emulator.agent.replace("global", "us-central1");
      const ada = await conversation(backend({ agent }));
      const error = await failure(ada.say("hello"));
      expect(error.code).toBe("backend-rejected");
      expect(error.message).toContain("location");
    });
  });

  describe("token", () => {
    it("names the audience at the service's own host, and the scopes at any other", async () => {
      const { credentials, agent, now } = emulator;
      const own = rerouted();
      await (await conversation(dialogflowCx({ agent, credentials, now, fetch: own.fetch }))).say("hello");
      expect(own.urls[0]).toMatch(/^https:\/\/dialogflow\.googleapis\.com\/v3\/projects\//);
      const claims = decodeJwt([...own.tokens][0] ?? "");
      expect(claims).toMatchObject({
        aud: "https://dialogflow.googleapis.com/",
        iss: credentials.client_email,
      });
      expect(claims).not.toHaveProperty("scope");
      expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(3600);

      emulator = await start({ location: "europe-west3" });
      const regional = rerouted();
      const options = { agent: emulator.agent, credentials: emulator.credentials, fetch: regional.fetch };
      await (await conversation(dialogflowCx(options))).say("hello");
      expect(regional.urls[0]).toMatch(/^https:\/\/europe-west3-dialogflow\.googleapis\.com\/v3\/projects\//);
      const scoped = decodeJwt([...regional.tokens][0] ?? "");
      expect(scoped.scope).toContain("https://www.googleapis.com/auth/cloud-platform");
      expect(scoped).not.toHaveProperty("aud");
    });

    it("is signed once for many turns at once, and anew five minutes before its end", async () => {
      const seen = rerouted();
      const service = backend({ fetch: seen.fetch });
      const people = await Promise.all(
        Array.from({ length: 20 }, (_, index) => conversation(service, `p${index}`)),
      );
      await Promise.all(people.map((person) => person.say("hello")));
      expect(seen.tokens.size).toBe(1);
      emulator.advance(54 * minutes);
      await people[0]?.say("hello");
      expect(seen.tokens.size).toBe(1);
      emulator.advance(2 * minutes);
      await people[0]?.say("hello");
      expect(seen.tokens.size).toBe(2);
    });

    it("is taken from a key file, from JSON text, and from the application", async () => {
      const file = await emulator.writeCredentials();
      const text = JSON.stringify(emulator.credentials);
      const accounts = [
        { credentials: file },
        { credentials: text },
        { accessToken: async () => emulator.accessToken() },
      ];
      for (const account of accounts) {
        const ada = await conversation(backend(account));
        expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
      }
      const failing = await conversation(backend({ accessToken: () => Promise.reject(new Error("no")) }));
      expect((await failure(failing.say("hello"))).code).toBe("backend-auth");
      const empty = await conversation(backend({ accessToken: async () => "" }));
      expect((await failure(empty.say("hello"))).code).toBe("backend-auth");
    });

    it("is the application-default one: of the file that the environment names", async () => {
      vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", await emulator.writeCredentials());
      const { agent, baseURL, now } = emulator;
      const ada = await conversation(dialogflowCx({ agent, baseURL, now }));
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
    });

    it("is the application-default one: a person's, exchanged and renewed when it is refused", async () => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, "application_default_credentials.json"), JSON.stringify(emulator.user));
      vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", "");
      vi.stubEnv("CLOUDSDK_CONFIG", folder);
      const { agent, baseURL, now } = emulator;
      const { fetch } = rerouted();
      const service = dialogflowCx({ agent, baseURL, now, fetch });
      const ada = await conversation(service);
      await ada.say("hello");
      emulator.expireTokens();
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
      const requests = emulator.requests();
      expect(requests.map((request) => [request.call, request.status])).toEqual([
        ["token", 200],
        [streaming, 200],
        [streaming, 401],
        ["token", 200],
        [streaming, 200],
      ]);
      expect(requests.at(-1)?.quotaProject).toBe(emulator.user.quota_project_id);
      emulator.advance(hours);
      const people = await Promise.all(["bob", "eve", "ian"].map((name) => conversation(service, name)));
      await Promise.all(people.map((person) => person.say("hello")));
      expect(emulator.requests().filter((request) => request.call === "token")).toHaveLength(3);
      emulator.expireTokens();
      emulator.fail({ call: "token", page: 400, body: '{"error":"invalid_grant"}' });
      expect((await failure(ada.say("hello"))).code).toBe("backend-auth");
    });

    it("is the application-default one: of the machine's metadata server", async () => {
      vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", "");
      vi.stubEnv("CLOUDSDK_CONFIG", await temporaryFolder());
      vi.stubEnv("GCE_METADATA_HOST", new URL(emulator.baseURL).host);
      const { agent, baseURL, now } = emulator;
      const ada = await conversation(dialogflowCx({ agent, baseURL, now }));
      expect(messagesOf(await ada.say("hello"))).toHaveLength(1);
      expect(emulator.requests()[0]?.path).toBe(
        "/computeMetadata/v1/instance/service-accounts/default/token",
      );
    });

    it("is tried by a probe, which runs no turn", async () => {
      const signal = new AbortController().signal;
      await backend().probe?.(signal);
      const wrong = backend({ accessToken: async () => "ya29.wrong" });
      expect((await failure(Promise.resolve(wrong.probe?.(signal)))).code).toBe("backend-auth");
      expect(emulator.turns()).toEqual([]);
    });

    it("goes to no other address than the service's", async () => {
      const seen: string[] = [];
      const thief = await listen((request) => {
        seen.push(request.url);
        return new Response("[]");
      });
      closers.push(thief.close);
      emulator.fail({ page: 307, body: "", headers: { location: thief.url } });
      const ada = await conversation();
      expect((await failure(ada.say("hello"))).code).toBe("backend-protocol");
      expect(seen).toEqual([]);
    });
  });
});

describe("jsonArray", () => {
  async function* bytes(text: string, size: number): AsyncGenerator<Uint8Array> {
    const all = Buffer.from(text);
    for (let start = 0; start < all.length; start += size) yield all.subarray(start, start + size);
  }
  const read = async (text: string, size = 1): Promise<unknown[]> => {
    const elements: unknown[] = [];
    for await (const element of jsonArray(bytes(text, size))) elements.push(element);
    return elements;
  };

  it("finds the elements wherever the bytes are cut", async () => {
    const elements = [{ a: 'quote " brace } bracket ] \\' }, { ü: "李雷 👩‍👩‍👧", list: [[1], {}] }, {}];
    const text = `[${elements.map((element) => JSON.stringify(element, undefined, 1)).join("\n,\r\n")}\n]\n`;
    for (let size = 1; size < 40; size += 1) expect(await read(text, size)).toEqual(elements);
    expect(await read(" [ ] ")).toEqual([]);
  });

  it("yields an element before the next one is there", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('[{"n":1}');
      await gate;
      yield Buffer.from(',{"n":2}]');
    }
    const iterator = jsonArray(slow());
    expect(await iterator.next()).toEqual({ done: false, value: { n: 1 } });
    release();
    expect(await iterator.next()).toEqual({ done: false, value: { n: 2 } });
    expect(await iterator.next()).toMatchObject({ done: true });
  });

  it.each(["", "[", '[{"a":1}', '[{"a":1},', '[{"a":"'])("takes %j for broken off", async (text) => {
    expect((await failure(read(text))).code).toBe("backend-stream-cut");
  });

  it.each(["{}", "<html>", "[1]", "[{]}", '["a"]'])("takes %j for nothing of the service's", async (text) => {
    expect((await failure(read(text))).code).toBe("backend-protocol");
  });
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aparte-test-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("dialogflowCx feedback", () => {
  it.each([true, false])(
    "tells the service what a person thinks of an answer (streamed: %s)",
    async (stream) => {
      const service = backend({ stream, environment: "production" });
      const ada = await conversation(service);
      const [id] = (await ada.say("hello")).flatMap((event) => (event.type === "message" ? [event.id] : []));
      if (id === undefined) throw new Error("the answer has no id");
      // The session that answered, also after the next one has begun.
      await ada.say("bye");
      await ada.say("hello again");
      const { conversationId } = ada;
      const session = { sessionName: "ada", agent: "helper", signal: new AbortController().signal };
      await service.feedback?.({ ...session, conversationId, answer: id, rating: "down", words: "zu kurz" });
      expect(emulator.turns().map(({ feedback }) => feedback)).toEqual([
        { rating: "THUMBS_DOWN", ratingReason: { feedback: "zu kurz" } },
        undefined,
        undefined,
      ]);
      await service.feedback?.({ ...session, conversationId, answer: id, rating: "up" });
      expect(emulator.turns()[0]?.feedback).toEqual({ rating: "THUMBS_UP" });
    },
  );

  it("is refused for an answer that never was", async () => {
    const service = backend();
    const { conversationId } = await conversation(service);
    const session = { sessionName: "ada", agent: "helper", signal: new AbortController().signal };
    for (const answer of ["", "../agents", "a:b", `${conversationId}:nothing`]) {
      const error = await failure(
        Promise.resolve(service.feedback?.({ ...session, conversationId, answer, rating: "up" })),
      );
      expect(error.code).toBe("backend-rejected");
    }
    expect(emulator.requests().map(({ call }) => call)).toEqual(["submitAnswerFeedback"]);
  });
});
