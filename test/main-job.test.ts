import { type AparteError, type Message, type ReplyEvent, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };

let emulator: CozeEmulator;
let mappers: SessionMapper[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
});

afterEach(async () => {
  await Promise.all(mappers.map((mapper) => mapper.close()));
  mappers = [];
  await emulator.close();
});

function helper(options: Partial<Parameters<typeof coze>[0]> = {}) {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  // Two hundred signatures keep a busy machine's process for longer than the half minute that a request may take.
  const patient = { retryDelay: 1, requestTimeout: 110_000 };
  return coze({ appId, keyId, privateKey, botId, baseURL, ...patient, ...options });
}

function mapperWith(options: Partial<ConstructorParameters<typeof SessionMapper>[0]> = {}): SessionMapper {
  const mapper = new SessionMapper({ agents: { helper: helper() }, secret, logger: quiet, ...options });
  mappers.push(mapper);
  return mapper;
}

let count = 0;
function says(user: string, text: string, more: Partial<Message> = {}): Message {
  count += 1;
  return { id: `m${count}`, platform: "web", tenant: "acme", user, text, ...more };
}

async function eventsOf(reply: AsyncIterable<ReplyEvent>): Promise<ReplyEvent[]> {
  const events: ReplyEvent[] = [];
  for await (const event of reply) events.push(event);
  return events;
}

function failure(run: Promise<unknown>): Promise<AparteError> {
  return run.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: AparteError) => error,
  );
}

describe("The main job, on the Coze emulator", () => {
  it("answers 50 first messages of one person at once, in order, in one conversation", async () => {
    const mapper = mapperWith();
    const answered: number[] = [];
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const text = await mapper.handle(says("ada", `word ${index}`)).text();
        answered.push(index);
        return text;
      }),
    );
    expect(emulator.conversations()).toHaveLength(1);
    expect(answered).toEqual(Array.from({ length: 50 }, (_, index) => index));
    answers.forEach((answer, index) => {
      expect(answer).toContain(`Turn ${index + 1}.`);
      expect(answer).toContain(`word ${index}`);
    });
    expect(emulator.signatures).toBe(1);
  });

  it("opens 200 conversations with 200 signatures for 200 people at once", async () => {
    const mapper = mapperWith();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, person) =>
        mapper.handle(says(`person ${person}`, `my name is P${person}x`)).text(),
      ),
    );
    expect(answers).toHaveLength(200);
    expect(emulator.conversations()).toHaveLength(200);
    expect(emulator.signatures).toBe(200);
    expect(new Set(emulator.conversations().map(({ sessionName }) => sessionName)).size).toBe(200);
  });

  it("lets nobody see anybody else's words", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada", "my name is Ada")).text();
    await mapper.handle(says("ben", "my name is Ben")).text();
    const [ada, ben, eve] = await Promise.all(
      ["ada", "ben", "eve"].map((user) => mapper.handle(says(user, "what is my name?")).text()),
    );
    expect(ada).toContain("Ada");
    expect(ada).not.toContain("Ben");
    expect(ben).toContain("Ben");
    expect(ben).not.toContain("Ada");
    expect(eve).not.toMatch(/Ada|Ben/);
  });

  it("names a conversation after the first message, cut to what the service takes", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada", `${"a long first line ".repeat(10)}\nand more`)).text();
    const [conversation] = emulator.conversations();
    expect(conversation?.name).toMatch(/^a long first line/);
    expect(Array.from(conversation?.name ?? "").length).toBeLessThanOrEqual(100);
    await mapper.rename({ platform: "web", tenant: "acme", user: "ada" }, "Holidays");
    expect(emulator.conversations()[0]?.name).toBe("Holidays");
  });

  it("keeps the same pseudonym as session_name and user_id, and tells the service nothing else", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada@example.org", "hello")).text();
    const { sessionName } = await mapper.resolve({
      platform: "web",
      tenant: "acme",
      user: "ada@example.org",
    });
    expect(emulator.conversations()[0]?.sessionName).toBe(sessionName);
    expect(emulator.chats()[0]?.userId).toBe(sessionName);
    expect(JSON.stringify(emulator.jwts())).not.toContain("example.org");
  });

  it("mints a refused token anew and goes on; refused twice is a clear error", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada", "my name is Ada")).text();
    emulator.expireTokens();
    expect(await mapper.handle(says("ada", "what is my name?")).text()).toContain("Ada");
    expect(emulator.signatures).toBe(2);
    emulator.fail({ method: "POST", path: "/v3/chat", status: 401, code: 4100, times: 2 });
    const error = await failure(mapper.handle(says("ada", "again")).text());
    expect(error.code).toBe("backend-auth");
    expect(error.say).toContain(error.reference);
    expect(await mapper.handle(says("ada", "what is my name?")).text()).toContain("Ada");
  });

  it("signs once when the token ends in the middle of a burst", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada", "hello")).text();
    const before = emulator.signatures;
    emulator.expireTokens();
    const speakers = Array.from({ length: 20 }, () =>
      mapper.resolve({ platform: "web", tenant: "acme", user: "ada" }),
    );
    await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => mapper.handle(says("ada", `word ${index}`)).text()),
      ...speakers,
    ]);
    expect(emulator.signatures - before).toBe(1);
  });

  it("opens a new conversation where the service has lost it, and tells the person once", async () => {
    const mapper = mapperWith();
    await mapper.handle(says("ada", "my name is Ada")).text();
    emulator.deleteConversation(emulator.conversations()[0]?.id ?? "");
    const events = await eventsOf(mapper.handle(says("ada", "what is my name?")));
    expect(events.filter((event) => event.type === "notice")).toEqual([
      expect.objectContaining({ code: "new-conversation" }),
    ]);
    expect(events.some((event) => event.type === "message")).toBe(true);
    const later = await eventsOf(mapper.handle(says("ada", "hello")));
    expect(later.some((event) => event.type === "notice")).toBe(false);
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("handles an event once, however often it is delivered", async () => {
    const mapper = mapperWith();
    const message = says("ada", "once");
    const [first, second] = await Promise.all([mapper.handle(message).text(), mapper.handle(message).text()]);
    await mapper.select(message, "helper"); // In its lane, after the turn's end.
    const third = await mapper.handle(message).text();
    expect(first).toContain("once");
    expect(second).toBe(first);
    expect(third).toBe(first);
    expect(emulator.chats()).toHaveLength(1);
  });

  it("keeps a conversation per agent, and lets a person choose, be routed, or name the agent", async () => {
    const mapper = mapperWith({
      agents: { helper: helper(), sales: helper() },
      route: (message) => (message.text.startsWith("$") ? "sales" : undefined),
    });
    const speaker = { platform: "web", tenant: "acme", user: "ada" };
    await mapper.handle(says("ada", "remember that helper knows this")).text();
    await mapper.handle(says("ada", "$ remember that sales knows this")).text();
    await mapper.select(speaker, "sales");
    const sales = await mapper.handle(says("ada", "what did I tell you?")).text();
    const asked = await mapper.handle(says("ada", "what did I tell you?", { agent: "helper" })).text();
    expect(sales).toContain("sales knows");
    expect(sales).not.toContain("helper knows");
    expect(asked).toContain("helper knows");
    expect(asked).not.toContain("sales knows");
    expect(emulator.conversations()).toHaveLength(2);
    const first = await mapper.resolve(speaker, "helper");
    const second = await mapper.resolve(speaker, "sales");
    expect(first.sessionName).toBe(second.sessionName);
    expect(first.conversationId).not.toBe(second.conversationId);
  });

  it("forgets on reset and erases on forget", async () => {
    const mapper = mapperWith();
    const speaker = { platform: "web", tenant: "acme", user: "ada" };
    await mapper.handle(says("ada", "my name is Ada")).text();
    await mapper.reset(speaker);
    expect(await mapper.handle(says("ada", "what is my name?")).text()).not.toContain("Ada");
    const exported = await mapper.export(speaker);
    expect(exported?.messages.helper?.length).toBeGreaterThan(0);
    await mapper.forget(speaker);
    expect(emulator.conversations()).toHaveLength(0);
    expect(await mapper.export(speaker)).toBeUndefined();
    for await (const session of mapper.sessions()) expect.unreachable(session.sessionName);
  });

  it("runs an operation called in a middleware as part of its own turn", async () => {
    const mapper = mapperWith();
    mapper.use(async (turn, next) => {
      if (turn.text === "/reset") {
        await mapper.reset(turn.message);
        turn.say("Let us start over.");
      } else await next();
    });
    await mapper.handle(says("ada", "my name is Ada")).text();
    expect(await mapper.handle(says("ada", "/reset")).text()).toBe("Let us start over.");
    expect(await mapper.handle(says("ada", "what is my name?")).text()).not.toContain("Ada");
  });
});

describe("What happens to messages that overlap", () => {
  const longTurn = "slow: 20 one two three four five six seven eight nine ten";

  it("merge: those that wait become one turn", async () => {
    const mapper = mapperWith({ overlap: "merge" });
    const started = emulator.once("chat");
    const first = mapper.handle(says("ada", longTurn)).text();
    await started;
    const [second, third] = await Promise.all(
      ["apples", "pears"].map((text) => eventsOf(mapper.handle(says("ada", text)))),
    );
    await first;
    expect(second).toEqual([expect.objectContaining({ code: "merged" })]);
    expect(JSON.stringify(third)).toMatch(/apples.*pears/);
    expect(emulator.chats()).toHaveLength(2);
  });

  it("interrupt: the running turn is cancelled at the service, what was said stays, the new one runs", async () => {
    const mapper = mapperWith({ overlap: "interrupt" });
    const started = emulator.once("chat");
    const first = eventsOf(mapper.handle(says("ada", longTurn)));
    await started;
    const second = await mapper.handle(says("ada", "hello instead")).text();
    expect((await first).at(-1)).toMatchObject({ type: "notice", code: "interrupted" });
    expect(second).toContain("hello instead");
    expect(emulator.chats().map(({ status }) => status)).toEqual(["canceled", "completed"]);
  });

  it("reject: the message is not taken, politely", async () => {
    const mapper = mapperWith({ overlap: "reject" });
    const started = emulator.once("chat");
    const first = mapper.handle(says("ada", longTurn)).text();
    await started;
    const second = mapper.handle(says("ada", "hello"));
    expect(await second.taken).toBe(false);
    await expect(second.text()).rejects.toMatchObject({ code: "busy" });
    await first;
    expect(emulator.chats()).toHaveLength(1);
  });

  it("queue: more than the limit is answered politely", async () => {
    const mapper = mapperWith({ queueLimit: 1 });
    const started = emulator.once("chat");
    const first = mapper.handle(says("ada", longTurn)).text();
    await started;
    const second = mapper.handle(says("ada", "second")).text();
    await expect(mapper.handle(says("ada", "third")).text()).rejects.toMatchObject({ code: "full" });
    expect(await second).toContain("second");
    await first;
  });

  it("stops a turn at the service when it is cancelled, and not when its reader leaves", async () => {
    const mapper = mapperWith();
    const whole = mapper.handle(says("ada", "slow: 5 one two three"));
    for await (const event of whole) if (event.type === "text") break;
    expect(await whole.text()).toContain("one two three");
    const ended = emulator.once("chat-ended", ({ status }) => status === "canceled");
    const reply = mapper.handle(says("ada", longTurn));
    for await (const event of reply) if (event.type === "text") break;
    reply.cancel();
    expect((await ended).status).toBe("canceled");
    expect(await mapper.handle(says("ada", "hello")).text()).toContain("hello");
  });
});

describe("A store that fails", () => {
  /** A real Keyv on a Map whose reads and writes can be made to fail or hang. */
  class BrokenMap extends Map<string, unknown> {
    broken: "get" | "set" | "hang" | undefined;
    override get(key: string): never {
      if (this.broken === "get") throw new Error("read failed");
      if (this.broken === "hang") return new Promise(() => {}) as never;
      return super.get(key) as never;
    }
    override set(key: string, value: unknown): this {
      if (this.broken === "set") throw new Error("write failed");
      return super.set(key, value);
    }
  }

  // On a busy machine, the time may be over just when the store is tried again.
  for (const [broken, ...codes] of [
    ["get", "store-failed", "store-timeout"],
    ["set", "store-failed", "store-timeout"],
    ["hang", "store-timeout"],
  ] as const) {
    it(`opens nothing, tells the person, and works again by itself (${broken})`, async () => {
      const map = new BrokenMap();
      const mapper = mapperWith({ store: new Keyv({ store: map }), storeTimeout: 1_000 });
      map.broken = broken;
      const error = await failure(mapper.handle(says("ada", "my name is Ada")).text());
      expect(codes).toContain(error.code);
      expect(error.say).toMatch(/memory.*\(ref /);
      expect(emulator.conversations()).toHaveLength(0);
      map.broken = undefined;
      expect(await mapper.handle(says("ada", "my name is Ada")).text()).toContain("Ada");
      map.broken = broken;
      const meanwhile = mapper.handle(says("ada", "still there?"));
      await meanwhile.taken.catch(() => {});
      map.broken = undefined;
      await meanwhile.text().catch(() => {});
      expect(await mapper.handle(says("ada", "what is my name?")).text()).toContain("Ada");
      expect(emulator.conversations()).toHaveLength(1);
    });
  }
});

describe("Bad input", () => {
  const good = { id: "1", platform: "web", tenant: "acme", user: "ada", text: "hello" };
  const wrong: [string, object][] = [
    ["user", { ...good, user: undefined }],
    ["user", { ...good, user: "" }],
    ["user", { ...good, user: 7 }],
    ["platform", { ...good, platform: "" }],
    ["tenant", { ...good, tenant: 1 }],
    ["direct", { ...good, direct: "yes" }],
    ["channel", { ...good, channel: 1 }],
    ["id", { ...good, id: 12 }],
    ["id", { ...good, id: "" }],
    ["text", { ...good, text: "  " }],
    ["text", { ...good, text: undefined }],
    ["files[0]", { ...good, files: [{ name: "a.png" }] }],
    ["agent", { ...good, agent: "nobody" }],
    ["speaker", null as unknown as object],
  ];
  for (const [field, message] of wrong) {
    it(`names "${field}", before anything is written or sent: ${JSON.stringify(message)}`, async () => {
      const map = new Map();
      const mapper = mapperWith({ store: new Keyv({ store: map }) });
      const error = await failure(mapper.handle(message as Message).text());
      expect(error.name).toBe("AparteError");
      expect(error.field).toBe(field);
      expect(map.size).toBe(0);
      expect(emulator.requests()).toHaveLength(0);
    });
  }

  it("names a wrong option of the mapper", () => {
    const agents = { helper: helper() };
    const options: [string, object][] = [
      ["secret", { agents, secret: "short" }],
      ["secret", { agents }],
      ["secret", { agents, secret: [secret, "short"] }],
      ["agents", { secret }],
      ["agents", { secret, agents: {} }],
      ["agents.helper", { secret, agents: { helper: {} } }],
      ["scop", { secret, agents, scop: "user" }],
      ["scope", { secret, agents, scope: "everybody" }],
      ["overlap", { secret, agents, overlap: "drop" }],
      ["queueLimit", { secret, agents, queueLimit: 0 }],
      // A timer this long would fire at once.
      ["turnTimeout", { secret, agents, turnTimeout: 1e10 }],
      ["store", { secret, agents, store: "sqlite:./x.db" }],
    ];
    for (const [field, wrongOptions] of options) {
      expect(() => new SessionMapper(wrongOptions as never)).toThrow(
        expect.objectContaining({ name: "AparteError", code: "option-invalid", field }),
      );
    }
    expect(() => helper({ botID: "1" } as never)).toThrow(
      expect.objectContaining({ code: "option-invalid" }),
    );
  });

  it("says no to an agent that does not exist, in every operation", async () => {
    const mapper = mapperWith();
    const speaker = { platform: "web", tenant: "acme", user: "ada" };
    for (const run of [
      () => mapper.resolve(speaker, "nobody"),
      () => mapper.select(speaker, "nobody"),
      () => mapper.reset(speaker, "nobody"),
      () => mapper.rename(speaker, "x", "nobody"),
    ]) {
      expect((await failure(run())).code).toBe("agent-unknown");
    }
  });
});

describe("Secrets", () => {
  it("rotate: the first signs, and a session keeps the name it was born with", async () => {
    const store = new Keyv();
    const speaker = { platform: "web", tenant: "acme", user: "ada" };
    const before = mapperWith({ store });
    await before.handle(says("ada", "my name is Ada")).text();
    const born = await before.resolve(speaker);
    const after = mapperWith({ store, secret: ["another secret, long enough too", secret] });
    expect(await after.resolve(speaker)).toMatchObject({ sessionName: born.sessionName });
    expect(await after.handle(says("ada", "what is my name?")).text()).toContain("Ada");
    const { sessionName } = await after.resolve({ ...speaker, user: "new" });
    const fresh = mapperWith({ store, secret: "another secret, long enough too" });
    expect((await fresh.resolve({ ...speaker, user: "new" })).sessionName).toBe(sessionName);
  });

  it("identify: one person on two platforms is one session, in the order their messages came", async () => {
    let hurry = 5;
    const mapper = mapperWith({
      identify: async ({ user }) => {
        hurry -= 1;
        for (let turns = hurry * 10; turns > 0; turns -= 1) await Promise.resolve();
        return user.startsWith("ada") ? "ada" : undefined;
      },
    });
    const answers = await Promise.all(
      ["one", "two", "three"].map((text) => mapper.handle(says("ada-web", text)).text()),
    );
    for (const [index, answer] of answers.entries()) expect(answer).toContain(`Turn ${index + 1}.`);
    await mapper.handle(says("ada-web", "my name is Ada")).text();
    const elsewhere = says("ada-slack", "what is my name?", { platform: "slack", tenant: "T1" });
    expect(await mapper.handle(elsewhere).text()).toContain("Ada");
    expect(emulator.conversations()).toHaveLength(1);
  });
});

describe("A turn and the operations around it", () => {
  it("interrupt: leaves an operation alone, and a message that waits with it runs after it", async () => {
    const mapper = mapperWith({ overlap: "interrupt" });
    const speaker = { platform: "web", tenant: "acme", user: "ada" };
    await mapper.handle(says("ada", "my name is Ada")).text();
    const cleared = emulator.fail({ method: "POST", path: "/v1/conversations/", delayMs: 100 });
    const reset = mapper.reset(speaker);
    await cleared.hit;
    const answer = await mapper.handle(says("ada", "what is my name?")).text();
    await reset;
    expect(answer).not.toContain("Ada");
  });
});
