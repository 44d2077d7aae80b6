import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createClient } from "@keyv/redis";
import { openStore, SessionMapper } from "aparte";
import { SignJWT } from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { backend } from "../adapters/agent.ts";
import { listen } from "../fakes/loopback.ts";
import { describeWithRedis, RedisServer } from "../support/redis.ts";
import { lookAtStream, takeLeaks } from "../support/search.ts";

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const secret = "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp";
const quiet = { info() {}, warn() {}, error() {} };
const message = { platform: "own", user: "user-canary", id: "1", text: "my word-canary" };

function mapperOf(answer: (text: string) => string): SessionMapper {
  const helper = backend(async function* ({ text }) {
    yield { type: "message", text: answer(text) };
  });
  const mapper = new SessionMapper({ agents: { helper }, secret, logger: quiet });
  endings.push(() => mapper.close());
  return mapper;
}

// All tests of a run are searched so: none of them passes where something is found.
describe("The search of all that the tests write finds", () => {
  it("a secret, words, an id and a credential that was sent to a service, in a log that keeps nothing", async () => {
    const mapper = mapperOf((text) => text);
    await mapper.handle(message).text();
    const service = await listen(async () => new Response("ok"));
    endings.push(() => service.close());
    await fetch(service.url, { headers: { authorization: "Bearer credential-canary" } });
    expect(takeLeaks()).toEqual([]);
    await mapper.handle({ ...message, id: "2" }).text();
    mapper.logger.warn("one line", { secret });
    mapper.logger.info(`a line of ${message.user}`);
    mapper.logger.error("another", { deep: { down: [message.text, "credential-canary"] } });
    expect(takeLeaks()).toEqual([
      "a secret in the log",
      "what a person said, or is known by, in the log: user-canary",
      "what a person said, or is known by, in the log: my word-canary",
    ]);
    mapper.logger.error("another", { header: "credential-canary" });
    expect(takeLeaks()).toEqual(["a secret in the log"]);
  });

  it("words in an error that the application gets, where no property shows them", async () => {
    // What a parser says of what it cannot read.
    const mapper = mapperOf((text) => JSON.parse(text));
    await mapper
      .handle(message)
      .text()
      .catch(() => {});
    expect(takeLeaks()).toEqual(["what a person said, or is known by, in an error: my word-canary"]);
  });

  it("a token of Slack on the terminal", () => {
    const terminal = new PassThrough();
    lookAtStream("the terminal", terminal);
    terminal.write("connected with xoxb-0123456789\n");
    expect(String(terminal.read())).toContain("connected");
    expect(takeLeaks()).toEqual(["a token of Slack in the terminal"]);
  });

  it("a service's token in a SQLite file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "aparte-search-"));
    endings.push(() => rmSync(folder, { recursive: true }));
    const store = await openStore(`sqlite:${join(folder, "aparte.db")}`);
    const token = new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" });
    await store.records.set("a record", await token.sign(new TextEncoder().encode(secret)));
    await store.close();
    expect(takeLeaks()).toEqual(["a signed token in a SQLite file"]);
  });
});

describeWithRedis("The search finds", () => {
  it("a key that Redis was sent, also where it has forgotten it", async () => {
    const server = await RedisServer.start();
    const client = createClient({ url: server.url });
    await client.connect();
    await client.set("a key", "-----BEGIN PRIVATE KEY-----");
    await client.del("a key");
    client.destroy();
    await server.close();
    expect(takeLeaks()).toEqual(["a private key in what Redis was sent"]);
  });
});
