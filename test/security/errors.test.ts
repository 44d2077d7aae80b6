import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backend, SessionMapper, type Store } from "aparte";
import { coze } from "aparte/coze";
import { dialogflowCx } from "aparte/dialogflow-cx";
import { sonaops } from "aparte/sonaops";
import {
  type CozeFault,
  type DialogflowCxFault,
  type SonaopsFault,
  startCozeEmulator,
  startDialogflowCxEmulator,
  startSonaopsEmulator,
} from "aparte/testing";
import { web } from "aparte/web";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { backend, remembering } from "../adapters/agent.ts";
import { newMapper, teamsBot } from "../adapters/botkit/teams.ts";
import * as onDiscord from "../adapters/discord/bot.ts";
import * as onSlack from "../adapters/slack/bot.ts";
import { allOf, found, keyOf } from "../support/canaries.ts";
import { LogLines } from "../support/log-lines.ts";

const secret = "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp";
const ada = { platform: "own", tenant: "tenant-canary", user: "user-canary" };
const people = { words: "word-canary", person: "user-canary", tenant: "tenant-canary", secret };
/** What a service says of a failure may repeat the person's words. */
const echo = "bad request: word-canary";

const folder = mkdtempSync(join(tmpdir(), "aparte-errors-"));
afterAll(() => rmSync(folder, { recursive: true }));

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Service {
  readonly agent: Backend;
  readonly secrets: Readonly<Record<string, string>>;
}

async function onCoze(fault: CozeFault): Promise<Service> {
  const emulator = await startCozeEmulator();
  endings.push(() => emulator.close());
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  emulator.fail({ method: "POST", path: "/v3/chat", ...fault });
  const agent = coze({ appId, keyId, privateKey, botId, baseURL, retryDelay: 1 });
  return { agent, secrets: { key: keyOf(privateKey) } };
}

async function onSonaops(fault: SonaopsFault): Promise<Service> {
  const emulator = await startSonaopsEmulator({ profile: "A" });
  endings.push(() => emulator.close());
  const { apiKey, apiSecret, agentId, baseURL } = emulator;
  emulator.fail({ path: "/v1/chat/stream", ...fault });
  const agent = sonaops({ apiKey, apiSecret, agentId, baseURL, retryDelay: 1, savedTimeout: 50 });
  return { agent, secrets: { key: apiKey, "key's secret": apiSecret } };
}

async function onDialogflow(fault: DialogflowCxFault, as: "service" | "user" = "service"): Promise<Service> {
  const emulator = await startDialogflowCxEmulator();
  endings.push(() => emulator.close());
  const { agent: name, credentials, user, baseURL } = emulator;
  emulator.fail(fault);
  const file = join(folder, "user.json");
  writeFileSync(file, JSON.stringify(user));
  const given = as === "service" ? credentials : file;
  const agent = dialogflowCx({ agent: name, credentials: given, baseURL, retryDelay: 1 });
  const secrets = {
    key: keyOf(credentials.private_key),
    client: user.client_secret,
    refresh: user.refresh_token,
  };
  return { agent, secrets };
}

const page = { page: 502, body: `<html>${echo}</html>`, times: 9 };

describe("An error of a turn", () => {
  it.each<[string, () => Promise<Service>]>([
    ["Coze refuses it", () => onCoze({ code: 4000, msg: echo })],
    ["Coze refuses its token", () => onCoze({ code: 4101, msg: echo, times: 9 })],
    ["a gateway answers for Coze", () => onCoze({ status: 502, body: `<html>${echo}</html>`, times: 9 })],
    ["Coze gives no answer at all", () => onCoze({ body: echo, times: 9 })],
    ["the chat fails on Coze", () => onCoze({ chatFailed: { code: 4011, msg: echo } })],
    [
      "Coze's stream ends with an error",
      () => onCoze({ errorEvent: { after: 1, data: JSON.stringify({ code: 1, msg: echo }) } }),
    ],
    ["Sonaops refuses it", () => onSonaops({ refuse: "bad-request", times: 9 })],
    ["a gateway answers for Sonaops", () => onSonaops(page)],
    ["Sonaops gives no answer at all", () => onSonaops({ body: echo, times: 9 })],
    ["Sonaops' connection breaks", () => onSonaops({ cut: "in-answer", times: 9 })],
    [
      "Dialogflow CX refuses it",
      () =>
        onDialogflow({
          call: "serverStreamingDetectIntent",
          status: "INVALID_ARGUMENT",
          message: echo,
          times: 9,
        }),
    ],
    [
      "Dialogflow CX refuses its token",
      () =>
        onDialogflow({
          call: "serverStreamingDetectIntent",
          status: "UNAUTHENTICATED",
          message: echo,
          times: 9,
        }),
    ],
    ["Google gives no token", () => onDialogflow({ call: "token", ...page, page: 400 }, "user")],
    [
      "a gateway answers for Dialogflow CX",
      () => onDialogflow({ call: "serverStreamingDetectIntent", ...page }),
    ],
    [
      "Dialogflow CX gives no answer at all",
      () => onDialogflow({ call: "serverStreamingDetectIntent", body: echo, times: 9 }),
    ],
  ])("has no words, token or key in any of its fields where %s", async (_, service) => {
    const { agent, secrets } = await service();
    const log = new LogLines();
    const mapper = new SessionMapper({ agents: { helper: agent }, secret, logger: log });
    endings.push(() => mapper.close());
    const { accessToken = "none" } = await mapper.resolve(ada).catch(() => ({ accessToken: "none" }));
    const failure = await mapper
      .handle({ ...ada, id: "1", text: "word-canary" })
      .text()
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(log.said).toContain("error: a turn failed");
    const seen = allOf([failure, log.lines]) + String(failure) + JSON.stringify(failure);
    expect(found(seen, { ...people, ...secrets, token: accessToken })).toEqual([]);
  });

  it.each(["commit", "take"])("has no words or ids in the log where the store fails to %s", async (call) => {
    const store = memoryStore();
    const failing = () => Promise.reject(new Error(`no place for ${echo} of user-canary`));
    const log = new LogLines();
    const options = { agents: { helper: backend(remembering) }, secret, logger: log, storeTimeout: 100 };
    const broken: Store = {
      ...store,
      ...(call === "commit" ? { commit: failing } : { rates: { take: failing } }),
    };
    const mapper = new SessionMapper({ ...options, store: broken, limits: { person: 1 } });
    endings.push(() => mapper.close({ drainTimeout: 1 }));
    const failure = await mapper
      .handle({ ...ada, id: "1", text: "word-canary" })
      .text()
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(log.lines).not.toEqual([]);
    // What the store threw is kept as the cause, for the application alone.
    expect(found(allOf(log.lines) + String(failure) + JSON.stringify(failure), people)).toEqual([]);
  });
});

describe("What a platform does not take", () => {
  it("is told without words, ids or tokens on Slack", async () => {
    const server = await onSlack.startServer();
    const log = new LogLines();
    const bot = await onSlack.startBot(server, { mapper: { logger: log } });
    const says = async (text: string) => {
      await server.say("USERCANARY", text, { channel: server.direct });
      await onSlack.shows(server, new RegExp(`You say "${text}" after`));
    };
    for (const fault of [
      { error: "channel_not_found" },
      { error: "ratelimited" },
      { error: "invalid_blocks" },
    ]) {
      server.fail({ method: "chat.postMessage", ...fault });
      await server.say("USERCANARY", "word-canary lost", { channel: server.direct });
      await server.next("chat.postMessage");
      await says(`word-canary ${fault.error}`);
    }
    await onSlack.settled(bot);
    expect(log.said).toContain("warn: an answer could not be delivered");
    const canaries = {
      words: "word-canary",
      person: "USERCANARY",
      token: server.token,
      secret: onSlack.secret,
    };
    expect(found(allOf([log.lines, bot.appLog]), canaries)).toEqual([]);
  });

  it("is told without words, ids, names or tokens on Discord", async () => {
    const server = await onDiscord.startServer();
    const log = new LogLines();
    const bot = await onDiscord.startBot(server, { mapper: { logger: log } });
    const person = server.person("name-canary");
    const says = (text: string) => server.say(person, `${onDiscord.mention(server)} ${text}`);
    for (const fault of [
      { status: 403, code: 50_013 },
      { status: 400, code: 50_035 },
    ]) {
      server.fail({ method: "POST", path: onDiscord.posts, ...fault });
      says("word-canary lost");
      await server.next("POST", onDiscord.posts);
      says(`word-canary ${fault.code}`);
      await onDiscord.shows(server, new RegExp(`You say "word-canary ${fault.code}" after`));
    }
    await onDiscord.settled(bot);
    expect(log.said).toContain("warn: an answer could not be delivered");
    const canaries = { words: "word-canary", person: person.id, name: "name-canary" };
    const secrets = { token: server.bot.token, secret: onDiscord.secret };
    expect(found(allOf(log.lines), { ...canaries, ...secrets })).toEqual([]);
  });

  it("is told without words or ids in Botkit, also to its onError", async () => {
    const log = new LogLines();
    const { connector, errors, mapper, says } = await teamsBot({}, newMapper(remembering, log));
    const from = { id: "user-canary", name: "name-canary" };
    connector.fail(3);
    await says("word-canary lost", { from });
    await says("word-canary kept", { from });
    await connector.until(() => connector.shown.some((text) => text.includes("word-canary kept")));
    await says("refused", { from, channelId: "slack" });
    await mapper.close();
    expect(log.said).toContain("warn: an answer could not be delivered");
    expect(errors).not.toEqual([]);
    const canaries = { words: "word-canary", person: "user-canary", name: "name-canary" };
    expect(found(allOf([log.lines, errors]), canaries)).toEqual([]);
  });

  it("is told without words or ids on the web", async () => {
    const log = new LogLines();
    const mapper = new SessionMapper({ agents: { helper: backend(remembering) }, secret, logger: log });
    endings.push(() => mapper.close());
    const authenticate = () => {
      throw new Error(`no such person: user-canary, who says ${echo}`);
    };
    const handler = web(mapper, { authenticate, logger: log });
    const response = await handler(
      new Request("http://app.test/", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ id: "1", text: "word-canary" }),
      }),
    );
    expect(response.status).toBe(503);
    expect(log.said).toContain("error: authenticate failed");
    expect(found(allOf(log.lines) + (await response.text()), people)).toEqual([]);
  });
});
