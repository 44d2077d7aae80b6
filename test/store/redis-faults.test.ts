import { randomUUID } from "node:crypto";
import { type AparteError, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStore } from "../../src/stores/open.ts";
import { until } from "../../src/testing/runner.ts";
import { describeWithRedis, RedisServer } from "../redis.ts";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };
const ada = { platform: "web", tenant: "acme", user: "ada" };

/** No call takes longer, whatever is broken, in milliseconds. */
const longest = 1200;

let emulator: CozeEmulator;
let redis: RedisServer;
let mappers: SessionMapper[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
  redis = await RedisServer.prepare();
});

afterEach(async () => {
  redis.thaw();
  await Promise.all(mappers.map((mapper) => mapper.close()));
  mappers = [];
  await redis.close();
  await emulator.close();
});

async function mapperOnRedis(options: Partial<ConstructorParameters<typeof SessionMapper>[0]> = {}) {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const mapper = new SessionMapper({
    agents: { helper: coze({ appId, keyId, privateKey, botId, baseURL, retryDelay: 1 }) },
    store: await openStore(redis.url, { logger: quiet }),
    logger: quiet,
    secret,
    ...options,
  });
  mappers.push(mapper);
  return mapper;
}

const says = (text: string) => ({ ...ada, id: randomUUID(), text });

/** What each call comes to: `"ok"`, or the error's code. Fails if one takes too long. */
async function results(mapper: SessionMapper): Promise<Record<string, string>> {
  mapper.connect({
    platform: ada.platform,
    deliver: async (_, reply) => void (await reply.text().catch(() => {})),
  });
  const calls = {
    receive: () => mapper.receive(says("hello")),
    handle: () => mapper.handle(says("hello")).text(),
    resolve: () => mapper.resolve({ ...ada, user: "one who was never here" }),
    reset: () => mapper.reset(ada),
    rename: () => mapper.rename(ada, "a name"),
    select: () => mapper.select(ada, "helper"),
    forget: () => mapper.forget(ada),
    export: () => mapper.export(ada),
    sessions: async () => {
      for await (const _ of mapper.sessions());
    },
  };
  const found: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls)) {
    const from = performance.now();
    found[name] = await call().then(
      () => "ok",
      (error: AparteError) => error.code,
    );
    expect(performance.now() - from, name).toBeLessThan(longest);
  }
  return found;
}

/** Says something until it is answered: the server is back, and the mapper finds that by itself. */
function healed(mapper: SessionMapper): Promise<string> {
  return until("the mapper answers again", () =>
    mapper
      .handle(says("What do you know of me?"))
      .text()
      .catch(() => undefined),
  );
}

const failed = /^store-(failed|timeout)$/;
const allFail = Object.fromEntries(
  ["receive", "handle", "resolve", "reset", "rename", "select", "forget", "export", "sessions"].map(
    (name) => [name, expect.stringMatching(failed)],
  ),
);
/** What only reads goes on. */
const writesFail = { ...allFail, export: "ok", sessions: "ok" };

describeWithRedis("Redis that fails", () => {
  it("does not keep a program from starting, which heals by itself", async () => {
    const from = performance.now();
    const mapper = await mapperOnRedis();
    expect(performance.now() - from, "openStore").toBeLessThan(longest);
    expect(await results(mapper)).toEqual(allFail);
    expect(emulator.conversations()).toEqual([]);
    await redis.up();
    await healed(mapper);
    expect(emulator.conversations()).toHaveLength(1);
  });

  const faults: readonly {
    readonly name: string;
    readonly to: () => Promise<unknown>;
    readonly back: () => Promise<unknown>;
    readonly results: object;
  }[] = [
    { name: "killed", to: () => redis.kill(), back: () => redis.up(), results: allFail },
    { name: "frozen", to: async () => redis.freeze(), back: async () => redis.thaw(), results: allFail },
    {
      name: "full",
      to: () => redis.command("CONFIG", "SET", "maxmemory", "100kb"),
      back: () => redis.command("CONFIG", "SET", "maxmemory", "0"),
      results: writesFail,
    },
    {
      name: "read-only",
      to: () => redis.command("REPLICAOF", "127.0.0.1", "1"),
      back: () => redis.command("REPLICAOF", "NO", "ONE"),
      results: writesFail,
    },
  ];
  for (const { name, to, back, results: expected } of faults) {
    it(`opens, sends and erases nothing while it is ${name}, and finds all again`, async () => {
      await redis.up();
      const mapper = await mapperOnRedis();
      await mapper.handle(says("My name is Ada Lovelace.")).text();
      const chats = emulator.chats().length;
      await to();
      expect(await results(mapper)).toEqual(expected);
      expect(emulator.chats()).toHaveLength(chats);
      await back();
      expect(await healed(mapper)).toContain("Ada Lovelace");
      expect(emulator.conversations()).toHaveLength(1);
    });
  }

  it("finds the conversation again at the service when it comes back empty", async () => {
    await redis.up();
    const mapper = await mapperOnRedis({ recover: "always" });
    await mapper.handle(says("My name is Ada Lovelace.")).text();
    await redis.upEmpty();
    expect(await healed(mapper)).toContain("Ada Lovelace");
    expect(emulator.conversations()).toHaveLength(1);
  });

  /** A mapper whose agent answers when it is told to. */
  async function withSlowAgent(leaseTime: number) {
    const asked: string[] = [];
    const release: (() => void)[] = [];
    const agent = {
      name: "slow",
      open: async () => "c1",
      async *ask({ text }: { text: string }) {
        asked.push(text);
        await new Promise<void>((resolve) => release.push(resolve));
        yield { type: "message", text: `answer to ${text}` } as const;
      },
    };
    const mapper = await mapperOnRedis({ agents: { helper: agent }, leaseTime });
    return { mapper, asked, release };
  }

  for (const [name, fail] of [
    ["comes back empty", () => redis.upEmpty()],
    ["restarts with its data", () => redis.kill().then(() => redis.up())],
  ] as const) {
    it(`lets running and waiting turns go on, in order, when it ${name}`, async () => {
      await redis.up();
      const { mapper, asked, release } = await withSlowAgent(6_000);
      const first = mapper.handle(says("one"));
      await first.taken;
      const second = mapper.handle(says("two"));
      await second.taken;
      await until("the agent is asked", () => asked[0]);
      await fail();
      // Renewed at the restarted server: the lane is there again, and the second turn in it.
      await until("the lane is found again", async () => {
        const lanes = (await redis.command("KEYS", "aparte-lane:*")) as string[];
        const count = lanes[0] === undefined ? 0 : Number(await redis.command("HLEN", lanes[0]));
        return count > 8 ? true : undefined;
      });
      release.shift()?.();
      expect(await first.text()).toBe("answer to one");
      await until("the agent is asked again", () => asked[1]);
      release.shift()?.();
      expect(await second.text()).toBe("answer to two");
      expect(asked).toEqual(["one", "two"]);
    });
  }

  it("lets a turn that runs end, and the next one run, while it is full", async () => {
    await redis.up();
    const { mapper, asked, release } = await withSlowAgent(10_000);
    const first = mapper.handle(says("one"));
    await first.taken;
    const second = mapper.handle(says("two"));
    await second.taken;
    await until("the agent is asked", () => asked[0]);
    await redis.command("CONFIG", "SET", "maxmemory", "100kb");
    release.shift()?.();
    expect(await first.text()).toBe("answer to one");
    await until("the agent is asked again", () => asked[1]);
    release.shift()?.();
    expect(await second.text()).toBe("answer to two");
    expect(await mapper.export(ada)).toMatchObject({ conversations: { helper: "c1" } });
  });

  it("goes on with what was taken while it hung, once", async () => {
    await redis.up();
    const delivered: string[] = [];
    const mapper = await mapperOnRedis();
    mapper.connect({
      platform: "web",
      deliver: async (message, reply) => {
        delivered.push(`${message.id}: ${await reply.text().catch((error: AparteError) => error.code)}`);
      },
    });
    await mapper.receive(says("My name is Ada Lovelace."));
    await until("the first one is answered", () => delivered[0]);
    redis.freeze();
    const message = says("What do you know of me?");
    await expect(mapper.receive(message)).rejects.toMatchObject({ code: "store-timeout" });
    redis.thaw();
    const answer = await until("it is answered", () =>
      delivered.find((text) => text.startsWith(message.id) && !text.includes("store-")),
    );
    expect(answer).toContain("Ada Lovelace");
    // The platform, which was told of the failure, delivers it again.
    expect(await mapper.receive(message)).toBe(false);
    expect(emulator.chats()).toHaveLength(2);
  });
});

describeWithRedis("The Redis store", () => {
  it("refuses a wrong URL, a wrong password and a wrong namespace, and tells no password", async () => {
    await redis.close();
    redis = await RedisServer.start("--requirepass", "the right one");
    const refused = async (open: () => Promise<unknown>): Promise<AparteError> =>
      open().then(
        () => expect.unreachable(),
        (error: AparteError) => error,
      );
    const wrong = [
      () => openStore(redis.url.replace("//", "//:hunter2@"), { logger: quiet }),
      () => openStore("redis://user:hunter2@host:port/0", { logger: quiet }),
      () => openStore(redis.url, { logger: quiet, namespace: "{hunter2}" }),
    ];
    for (const open of wrong) {
      const error = await refused(open);
      expect(error).toMatchObject({ name: "AparteError", code: "option-invalid" });
      expect(`${error.stack} ${JSON.stringify(error.cause)}`).not.toContain("hunter2");
    }
  });

  it("warns of a server that would forget people's conversations", async () => {
    await redis.close();
    redis = await RedisServer.start("--maxmemory-policy", "allkeys-lru", "--appendonly", "no");
    const warnings: string[] = [];
    const logger = { ...quiet, warn: (message: string) => void warnings.push(message) };
    const store = await openStore(redis.url, { logger });
    await until("it warns twice", () => warnings[1]);
    expect(warnings.join()).toContain("noeviction");
    expect(warnings.join()).toContain("appendonly");
    await store.close();
  });

  it("tells that the server is away, and that it is back, once each", async () => {
    await redis.up();
    const told: string[] = [];
    const logger = { ...quiet, warn: (message: string) => void told.push(message) };
    const store = await openStore(redis.url, { logger });
    await redis.kill();
    await redis.up();
    await until("both connections are back", () =>
      told.filter((text) => text.includes("back")).length === 2 ? true : undefined,
    );
    expect(told.filter((text) => text.includes("lost"))).toHaveLength(2);
    await store.close();
  });
});
