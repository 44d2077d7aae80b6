import { type Backend, SessionMapper, type Speaker } from "aparte";
import { Keyv } from "keyv";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type BotInTest, botOf, TestAgent } from "./support/bot.ts";
import { LogLines } from "./support/log-lines.ts";
import { leaseTime } from "./support/owner.ts";
import { settled, TestClock } from "./support/test-clock.ts";
import { cut, TestStore } from "./support/test-store.ts";

const secret = "a secret of the tests, long enough";

function parrot(): Backend & { opened: number; log: string[] } {
  const backend = {
    name: "parrot",
    opened: 0,
    log: [] as string[],
    open: async () => {
      backend.opened += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return `c${backend.opened}`;
    },
    async *ask({ text, conversationId }: { text: string; conversationId: string }) {
      backend.log.push(text);
      await new Promise((resolve) => setImmediate(resolve));
      yield { type: "message" as const, text: `${conversationId}: ${text}` };
    },
  };
  return backend;
}

describe("SessionMapper", () => {
  it("says what is wrong with a backend of one's own that yields or returns something else", async () => {
    const ann: Speaker = { platform: "web", tenant: "acme", user: "ann" };
    const askedOf = (ask: unknown) => {
      const backend = { ...parrot(), ask } as Backend;
      const mapper = new SessionMapper({ agents: { helper: backend }, secret });
      return mapper.handle({ ...ann, id: "m1", text: "hi" }).text();
    };
    const yielding = (event: unknown) =>
      askedOf(async function* () {
        yield event;
      });
    const wrong = [
      ...["hello", null, { type: "words", text: "hello" }, { text: "hello" }],
      ...[{ type: "text", text: "hello" }, { type: "message" }, { type: "message", text: "hello", id: 7n }],
      ...[{ type: "file", kind: "image" }, { type: "suggestions", items: "hello" }, { type: "notice" }],
      ...[{ type: "handoff", detail: 7n }, { type: "status" }],
    ];
    for (const event of wrong) {
      await expect(yielding(event)).rejects.toMatchObject({
        code: "backend-failed",
        message: expect.stringContaining('The backend of the agent "helper" yielded what is no reply event.'),
      });
    }
    await expect(askedOf(async () => "hello")).rejects.toMatchObject({
      code: "backend-failed",
      message: expect.stringContaining(
        '"ask" of the backend of the agent "helper" must be an async generator',
      ),
    });
  });

  it.each(["keep", "note"] as const)(
    "fails a turn in which a backend gave to %s what is no JSON",
    async (call) => {
      const endless: { itself?: object } = {};
      endless.itself = endless;
      const backend: Backend = {
        name: "untyped",
        open: async () => "c1",
        async *ask({ text, [call]: give }) {
          if (text === "fail") give?.(endless as never);
          yield { type: "message", text };
        },
      };
      const mapper = new SessionMapper({ agents: { backend }, secret, logger: new LogLines() });
      const ann: Speaker = { platform: "web", user: "ann" };
      await expect(mapper.handle({ ...ann, id: "m1", text: "fail" }).text()).rejects.toMatchObject({
        code: "backend-failed",
        message: `The backend of the agent "backend" gave to "${call}" what is no JSON.`,
      });
      expect(await mapper.handle({ ...ann, id: "m2", text: "hi" }).text()).toBe("hi");
      await mapper.close();
    },
  );

  it.each([
    [null, "c1"],
    ["c0", "c0"],
    ["", "backend-protocol"],
    [7, "backend-protocol"],
  ])("asks in a conversation that a backend found as %j: %s", async (found, outcome) => {
    const backend: Backend = {
      name: "untyped",
      open: async () => "c1",
      find: async () => found as never,
      async *ask({ conversationId }) {
        yield { type: "message", text: conversationId };
      },
    };
    const mapper = new SessionMapper({
      agents: { backend },
      secret,
      recover: "always",
      logger: new LogLines(),
    });
    const answer = mapper.handle({ platform: "web", user: "ann", id: "m1", text: "hi" }).text();
    expect(await answer.catch(({ code }) => code)).toBe(outcome);
    await mapper.close();
  });

  it("answers on where the logger throws", async () => {
    const said = vi.spyOn(console, "error").mockReturnValue();
    const fails = () => {
      throw new Error("no disk");
    };
    const backend: Backend = {
      name: "moody",
      open: async () => "c1",
      async *ask({ text }) {
        if (text === "fail") throw new Error("boom");
        yield { type: "message", text };
      },
    };
    const logger = { info: fails, warn: fails, error: fails };
    const mapper = new SessionMapper({ agents: { backend }, secret, logger });
    const ann: Speaker = { platform: "web", user: "ann" };
    const failed = mapper.handle({ ...ann, id: "m1", text: "fail" }).text();
    await expect(failed).rejects.toMatchObject({ code: "backend-failed" });
    expect(await mapper.handle({ ...ann, id: "m2", text: "hi" }).text()).toBe("hi");
    await mapper.close();
    said.mockRestore();
  });

  it("tells times in whole milliseconds", async () => {
    const mapper = new SessionMapper({ agents: { helper: parrot() }, secret });
    const ann: Speaker = { platform: "web", tenant: "acme", user: "ann" };
    for (const id of ["m1", "m2"]) await mapper.handle({ ...ann, id, text: "hi" }).text();
    const { createdAt, lastTurnAt } = (await mapper.export(ann)) ?? {};
    expect([createdAt, lastTurnAt].map(Number.isInteger)).toEqual([true, true]);
    await mapper.close();
  });

  it("opens one conversation for fifty first messages at once, and answers in order", async () => {
    const backend = parrot();
    const mapper = new SessionMapper({ agents: { helper: backend }, secret });
    const answered: string[] = [];
    const replies = Array.from({ length: 50 }, async (_, index) => {
      const text = await mapper
        .handle({ id: `m${index}`, platform: "web", tenant: "acme", user: "u1", text: `word ${index}` })
        .text();
      answered.push(text);
    });
    await Promise.all(replies);
    expect(backend.opened).toBe(1);
    expect(answered).toEqual(Array.from({ length: 50 }, (_, index) => `c1: word ${index}`));
    await mapper.close();
  });

  describe("means by an operation without an agent's name the agent that a message would reach", () => {
    const ada = { platform: "slack", tenant: "T1", user: "U1", channel: "sales" };

    function routed() {
      const [helper, sales] = [parrot(), parrot()];
      const mapper = new SessionMapper({
        agents: { helper, sales },
        secret,
        route: ({ channel }) => (channel === "sales" ? "sales" : undefined),
      });
      return { mapper, helper, sales };
    }

    it("by the route", async () => {
      const { mapper, helper, sales } = routed();
      const privately = { ...ada, channel: "other" };
      await mapper.handle({ ...privately, id: "1", text: "to the helper" }).text();
      await mapper.handle({ ...ada, id: "2", text: "to sales" }).text();
      await mapper.reset(ada);
      expect(await mapper.handle({ ...privately, id: "3", text: "again" }).text()).toBe("c1: again");
      expect(await mapper.handle({ ...ada, id: "4", text: "anew" }).text()).toBe("c2: anew");
      expect([helper.opened, sales.opened]).toEqual([1, 2]);
      expect((await mapper.resolve(ada)).conversationId).toBe("c2");
      expect((await mapper.resolve(privately)).conversationId).toBe("c1");
      await mapper.close();
    });

    it("in a middleware the turn's, also where the message names it", async () => {
      const { mapper, helper, sales } = routed();
      mapper.use(async (turn, next) => {
        if (turn.text === "/reset") {
          const { platform, tenant, user } = turn.message;
          await mapper.reset({ platform, ...(tenant === undefined ? {} : { tenant }), user });
          turn.say("Done.");
        } else await next();
      });
      for (const agent of ["helper", "sales"] as const) {
        await mapper.handle({ ...ada, id: agent, text: "hello", agent }).text();
      }
      await mapper.handle({ ...ada, id: "1", text: "/reset", agent: "sales" }).text();
      expect(await mapper.handle({ ...ada, id: "2", text: "anew", agent: "sales" }).text()).toBe("c2: anew");
      expect(await mapper.handle({ ...ada, id: "3", text: "again", agent: "helper" }).text()).toBe(
        "c1: again",
      );
      expect([helper.opened, sales.opened]).toEqual([1, 2]);
      await mapper.close();
    });

    it("and forgets the conversation with one agent where it is named", async () => {
      const { mapper, helper, sales } = routed();
      for (const agent of ["helper", "sales"] as const) {
        await mapper.handle({ ...ada, id: agent, text: "hello", agent }).text();
      }
      expect(await mapper.forget(ada, "sales")).toMatchObject({
        found: true,
        conversations: { sales: "unsupported" },
      });
      expect((await mapper.export(ada))?.conversations).toEqual({ helper: "c1" });
      await expect(mapper.forget(ada, "salse")).rejects.toMatchObject({ code: "agent-unknown" });
      await mapper.forget({ ...ada, user: "U2" }, "sales");
      expect(await mapper.export({ ...ada, user: "U2" })).toBeUndefined();
      expect([helper.opened, sales.opened]).toEqual([1, 1]);
      await mapper.close();
    });
  });

  it("answers by the default agent where none was chosen, and names all for one that does not exist", async () => {
    const agents = { books: parrot(), helper: parrot() };
    const mapper = new SessionMapper({ agents, secret, defaultAgent: "helper" });
    const ann = { platform: "web", user: "ann" };
    await mapper.handle({ ...ann, id: "m1", text: "hello" }).text();
    expect([agents.books.log, agents.helper.log]).toEqual([[], ["hello"]]);
    await expect(mapper.select(ann, "sales" as "books")).rejects.toMatchObject({
      code: "agent-unknown",
      message: expect.stringContaining("There are: helper, books."),
    });
    await mapper.close();
  });

  it("shares tokens and budgets with the processes that share its store, and with no others", async () => {
    const clock = new TestClock();
    const rates = { take: async () => 0 };
    for (const shared of [true, false]) {
      const hosts: object[] = [];
      const agent = Object.assign(new TestAgent(), { attach: (host: object) => void hosts.push(host) });
      const store = Object.assign(new TestStore(clock).view(), { shared, rates });
      const { mapper } = botOf(clock, new TestStore(clock), { agent, store });
      expect(mapper.rates).toBe(shared ? rates : undefined);
      expect(hosts.map((host) => Object.keys(host))).toEqual([shared ? ["sharedTokens"] : []]);
      await mapper.close();
    }
  });

  it("warns of a Keyv that serves one process only, and of no other store", async () => {
    for (const [store, said] of [
      [
        new Keyv(),
        ["warn: this Keyv offers no atomic steps: run one process only; turns under way end with it"],
      ],
      [undefined, []],
    ] as const) {
      const logger = new LogLines();
      const agents = { helper: parrot() };
      const mapper = new SessionMapper({ agents, secret, logger, ...(store === undefined ? {} : { store }) });
      await mapper.close();
      expect(logger.said).toEqual(said);
    }
  });

  it("runs nothing with an agent that the person may not talk to", async () => {
    const agents = { helper: parrot(), sales: parrot() };
    const mapper = new SessionMapper({ agents, secret, allow: () => ["helper"] });
    const ann = { platform: "web", user: "ann" };
    const refused = { code: "agent-unknown", message: expect.stringContaining("There are: helper.") };
    await expect(mapper.inLane(ann, "sales", () => "ran")).rejects.toMatchObject(refused);
    expect(await mapper.inLane(ann, "helper", () => "ran")).toBe("ran");
    expect(agents.sales.opened).toBe(0);
    await mapper.close();
  });

  it("refuses what is no middleware", async () => {
    const mapper = new SessionMapper({ agents: { helper: parrot() }, secret });
    expect(() => mapper.use(undefined as never)).toThrow(
      expect.objectContaining({ code: "option-invalid", field: "use" }),
    );
    await mapper.close();
  });
});

describe("close()", () => {
  const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };
  let a: BotInTest;
  let clock: TestClock;

  beforeEach(() => {
    clock = new TestClock();
    a = botOf(clock, new TestStore(clock));
  });

  /** Whether it has resolved by now. */
  function closing(): { readonly hasClosed: () => boolean } {
    let hasClosed = false;
    void a.mapper.close().then(() => {
      hasClosed = true;
    });
    return { hasClosed: () => hasClosed };
  }

  it("waits for the one turn that runs, and takes nothing new", async () => {
    const answer = a.mapper.handle({ ...ann, id: "m1", text: "hello" }).text();
    await settled();
    const { hasClosed } = closing();
    await settled();
    expect(hasClosed()).toBe(false);
    const closed = expect.objectContaining({ code: "closed" });
    await expect(a.mapper.send({ ...ann, replyTo: 1 }, "Ready.")).rejects.toThrow(closed);
    await expect(a.mapper.reset(ann)).rejects.toThrow(closed);
    a.agent.last.answer("the end");
    expect(await answer).toBe("the end");
    await settled();
    expect(hasClosed()).toBe(true);
  });

  it("closes its store, once, and leaves no timer", async () => {
    const store = new TestStore(clock);
    let closed = 0;
    const view = Object.assign(store.view(), {
      close: async () => {
        closed += 1;
      },
    });
    await a.mapper.close();
    const b = botOf(clock, store, { store: view });
    b.agent.reply = (text) => text;
    b.agent.remove = () => Promise.reject(new Error("away"));
    await b.receive("m1");
    await settled();
    await b.mapper.forget(ann);
    await settled();
    // The service is asked again later, by whoever runs then.
    expect(clock.planned.length).toBeGreaterThan(1);
    await Promise.all([b.mapper.close(), b.mapper.close()]);
    await b.mapper.close();
    expect([closed, clock.planned]).toEqual([1, []]);
  });

  it("tells nobody of a message that comes again elsewhere", async () => {
    const store = new TestStore(clock);
    const b = botOf(clock, store, { store: store.view({ durable: false }) });
    await b.receive("m1");
    await settled();
    const closed = b.mapper.close();
    const again = b.mapper.receive({ ...ann, id: "m2", text: "m2" }, { comesAgain: true });
    await expect(again).rejects.toMatchObject({ code: "closed" });
    b.agent.last.answer("one");
    await closed;
    expect(b.platform.shown).toEqual(["one"]);
  });

  it("waits for an operation that runs", async () => {
    let end = () => {};
    const own = a.mapper.inLane(ann, () => new Promise<void>((resolve) => (end = resolve)));
    await settled();
    const { hasClosed } = closing();
    await settled();
    expect(hasClosed()).toBe(false);
    end();
    await own;
    await settled();
    expect(hasClosed()).toBe(true);
  });
});

describe("An adapter", () => {
  it.each([undefined, {}, { platform: "chat" }, { deliver: async () => {} }])(
    "is refused that is %o",
    (adapter) => {
      const { mapper } = botOf(new TestClock(), new TestStore(new TestClock()));
      expect(() => mapper.connect(adapter as never)).toThrow(
        expect.objectContaining({ code: "option-invalid", field: "connect" }),
      );
    },
  );

  it("is connected once for each bot of a platform: another one would take its answers", async () => {
    const { mapper, platform } = botOf(new TestClock(), new TestStore(new TestClock()));
    const other = (bot?: string) => ({ ...(bot && { bot }), platform: "chat", deliver: async () => {} });
    expect(() => mapper.connect(platform)).not.toThrow();
    expect(() => mapper.connect(other("second"))).not.toThrow();
    for (const same of [other(), other("second")]) {
      expect(() => mapper.connect(same)).toThrow(
        expect.objectContaining({ code: "option-invalid", field: "bot" }),
      );
    }
  });
});

describe("An operation whose turn does not come", () => {
  it("is given up after waitTimeout, and the turns behind it run", async () => {
    const clock = new TestClock();
    const a = botOf(clock, new TestStore(clock), { waitTimeout: 60_000 });
    const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };
    await a.receive("m1");
    await settled();
    const reset = expect(a.mapper.reset(ann)).rejects.toMatchObject({
      code: "wait-timeout",
      message: '"reset" did not get its turn in time.',
    });
    await clock.pass(60_000);
    await reset;
    await a.receive("m2");
    a.agent.last.answer("one");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    a.agent.last.answer("two");
    await a.mapper.close();
  });

  it("tells that its process was taken for dead", async () => {
    const clock = new TestClock();
    const store = new TestStore(clock);
    const a = botOf(clock, store);
    const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };
    await a.receive("m1");
    await settled();
    const reset = expect(a.mapper.reset(ann)).rejects.toMatchObject({ code: "lease-lost" });
    await settled();
    botOf(clock, store);
    a.view.intercept = cut;
    await clock.pass(3 * leaseTime);
    a.view.intercept = (_, run) => run();
    await clock.pass(leaseTime);
    await reset;
  });
});
