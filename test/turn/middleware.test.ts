import { AparteError, type Middleware, type ReplyEvent, type TurnContext } from "aparte";
import { Transcript } from "aparte/adapter";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, messageOf, PlatformError, TestAgent } from "../support/bot.ts";
import { leaseTime } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, TestStore } from "../support/test-store.ts";

const ann = { platform: "chat", tenant: "acme", user: "ann" };

let clock: TestClock;
let a: BotInTest;

beforeEach(() => {
  clock = new TestClock();
  a = botOf(clock, new TestStore(clock));
});

describe("Middlewares", () => {
  it("run around the ask, the first one outermost, each to its end", async () => {
    const order: string[] = [];
    for (const name of ["one", "two"]) {
      a.mapper.use(async (turn, next) => {
        order.push(`${name} before`);
        turn.text += ` ${name}`;
        await next();
        order.push(`${name} after`);
      });
    }
    await a.receive("m1", "hello");
    await settled();
    expect(a.agent.texts).toEqual(["hello one two"]);
    expect(order).toEqual(["one before", "two before"]);
    a.agent.last.answer("hi");
    await settled();
    expect(order).toEqual(["one before", "two before", "two after", "one after"]);
    expect(a.platform.shown).toEqual(["hi"]);
  });

  it("see the turn", async () => {
    const seen: TurnContext[] = [];
    a.mapper.use((turn, next) => {
      seen.push(turn);
      return next();
    });
    const files = [{ name: "a.txt", data: new Uint8Array([7]) }];
    await a.receive("m1", "hello", { files });
    await settled();
    const { sessionName, signal } = a.agent.last.call;
    expect(seen[0]).toMatchObject({ agent: "helper", attempt: 1, text: "hello", sessionName, files });
    expect(seen[0]?.message.id).toBe("m1");
    expect(seen[0]?.signal).toBe(signal);
  });

  it("see that a process died over the turn before", async () => {
    const store = new TestStore(clock);
    const first = botOf(clock, store);
    await first.receive("m1", "hello");
    await settled();
    first.view.intercept = cut;
    const second = botOf(clock, store, {
      agent: Object.assign(new TestAgent(), { recover: async () => "not-sent" as const }),
    });
    const attempts: number[] = [];
    second.mapper.use((turn, next) => {
      attempts.push(turn.attempt);
      return next();
    });
    await clock.pass(3 * leaseTime);
    expect(attempts).toEqual([2]);
  });

  it("see what was answered, as far as it has come, and whole at the end", async () => {
    const seen: string[] = [];
    let turnOf: TurnContext | undefined;
    a.mapper.use(async (turn, next) => {
      turnOf = turn;
      seen.push(turn.answer);
      await next();
      seen.push(turn.answer);
    });
    await a.receive("m1", "hello");
    await settled();
    a.agent.last.say({ type: "message", text: "One." });
    a.agent.last.say({ type: "text", delta: "Tw" });
    await settled();
    seen.push(turnOf?.answer ?? "");
    a.agent.last.answer("Two.");
    await settled();
    expect(seen).toEqual(["", "One.\n\nTw", "One.\n\nTwo."]);
  });

  it("answer for the agent", async () => {
    a.mapper.use((turn) => turn.say("No."));
    await a.receive("m1");
    await settled();
    expect(a.platform.shown).toEqual(["No."]);
    expect(a.agent.asked).toEqual([]);
  });

  it("that fail are told as such, once the agent has ended", async () => {
    a.mapper.use(async (_, next) => {
      next().catch(() => {});
      throw new Error("broken");
    });
    await a.receive("m1");
    await settled();
    expect(a.platform.shown).toEqual([]);
    a.agent.last.answer("hi");
    await settled();
    expect(a.platform.shown).toEqual(["hi failed: hook-failed"]);
  });

  it("that fail before they ask are told as such, and nobody is asked", async () => {
    a.mapper.use(() => {
      throw new Error("broken");
    });
    await expect(a.mapper.handle(messageOf("m0")).text()).rejects.toMatchObject({
      ...{ code: "hook-failed", message: "A middleware failed. The cause is kept in the error." },
      cause: expect.objectContaining({ message: "broken" }),
    });
    await a.receive("m1");
    await settled();
    expect(a.platform.shown).toEqual(["failed: hook-failed"]);
    expect(a.agent.asked).toEqual([]);
  });

  it("pass the agent's failure on as it is", async () => {
    a.mapper.use((_, next) => next());
    await a.receive("m1");
    await settled();
    a.agent.last.fail(new AparteError("backend-quota", "Used up."));
    await settled();
    expect(a.platform.shown).toEqual(["failed: backend-quota"]);
  });

  it("may add to the agent's failure, which stays the turn's when it is thrown on", async () => {
    a.mapper.use(async (turn, next) => {
      try {
        await next();
      } catch (error) {
        turn.say("Later.");
        throw error;
      }
    });
    await a.receive("m1");
    await settled();
    a.agent.last.fail(new AparteError("backend-quota", "Used up."));
    await settled();
    expect(a.platform.shown).toEqual(["Later. failed: backend-quota"]);
    expect(a.log.said).toEqual(["error: a turn failed"]);
  });

  it("that do not await next() are awaited, one ask at a time, and the log says so", async () => {
    a.mapper.use((_, next) => {
      void next();
    });
    for (const id of ["m1", "m2", "m3"]) await a.receive(id);
    await settled();
    expect(a.agent.texts).toEqual(["m1"]);
    expect(a.log.said).toEqual([
      "error: a middleware did not await next(): write `await next()` or `return next()`",
    ]);
    a.agent.last.answer("one");
    await settled();
    expect(a.platform.shown).toEqual(["one"]);
    expect(a.agent.texts).toEqual(["m1", "m2"]);
    a.agent.last.fail(new AparteError("backend-quota", "Used up."));
    await settled();
    expect(a.platform.shown).toEqual(["one", "failed: backend-quota"]);
  });

  it("that await next() are not told otherwise, also where it ends at once", async () => {
    a.agent.reply = (text) => text;
    a.mapper.use((_, next) => next());
    await a.receive("m1");
    await settled();
    expect(a.log.said).toEqual([]);
  });

  it("ask once: a second next() throws", async () => {
    a.mapper.use(async (_, next) => {
      await next();
      await next();
    });
    await a.receive("m1");
    await settled();
    const failure = a.mapper.handle({ ...ann, id: "m1", text: "m1" }).text();
    a.agent.last.answer("hi");
    await expect(failure).rejects.toMatchObject({ code: "input-invalid", field: "next" });
    await settled();
    expect(a.agent.asked.length).toBe(1);
    expect(a.platform.shown).toEqual(["hi failed: input-invalid"]);
  });

  it("change nothing any more of what the agent is being asked", async () => {
    let open = () => {};
    a.agent.opening = new Promise((resolve) => {
      open = resolve;
    });
    a.mapper.use(async (turn, next) => {
      const whole = next().then((events) => events);
      turn.text = "too late";
      await whole;
    });
    await a.receive("m1", "hello");
    await settled();
    open();
    await settled();
    expect(a.agent.texts).toEqual(["hello"]);
  });

  it("must be functions", () => {
    expect(() => a.mapper.use("hello" as never)).toThrow(expect.objectContaining({ code: "option-invalid" }));
  });
});

const failed = new AparteError("backend-quota", "Used up.");

async function* shouted(events: AsyncIterable<ReplyEvent>): AsyncGenerator<ReplyEvent> {
  for await (const event of events) {
    if (event.type === "text") yield { type: "text", delta: event.delta.toUpperCase() };
    else if (event.type === "message") yield { type: "message", text: event.text.toUpperCase() };
    else yield event;
  }
}

describe("A middleware and the answer", () => {
  it("sees what was said once it is whole, which goes on as it comes", async () => {
    const seen: unknown[] = [];
    a.mapper.use(async (turn, next) => {
      seen.push(turn.agent, await next());
    });
    const reply = a.mapper.handle(messageOf("m1"));
    const events = reply[Symbol.asyncIterator]();
    await settled();
    a.agent.last.say({ type: "text", delta: "h" });
    expect(await events.next()).toMatchObject({ value: { type: "text", delta: "h" } });
    expect(seen).toEqual([]);
    a.agent.last.say({ type: "usage", total: 7 });
    a.agent.last.answer("hi");
    await settled();
    expect(seen).toEqual([
      "helper",
      [
        { type: "text", delta: "h" },
        { type: "usage", total: 7 },
        { type: "message", text: "hi" },
      ],
    ]);
  });

  it("changes it as it comes", async () => {
    a.mapper.use((_, next) => shouted(next()));
    const reply = a.mapper.handle(messageOf("m1"));
    const events = reply[Symbol.asyncIterator]();
    await settled();
    a.agent.last.say({ type: "text", delta: "h" });
    expect(await events.next()).toMatchObject({ value: { type: "text", delta: "H" } });
    a.agent.last.answer("hi");
    expect(await reply.text()).toBe("HI");
  });

  it("changes what those further in have made of it", async () => {
    a.mapper.use(async function* (_, next) {
      for await (const event of next()) {
        yield event.type === "message" ? { type: "message", text: `${event.text}!` } : event;
      }
    });
    a.mapper.use((_, next) => next());
    a.mapper.use((_, next) => shouted(next()));
    a.mapper.use(async (turn, next) => {
      turn.say("well");
      await next();
    });
    a.agent.reply = (text) => text;
    await a.receive("m1", "hi");
    await settled();
    expect(a.platform.shown).toEqual(["WELL!\n\nHI!"]);
  });

  it("holds it back until it is whole", async () => {
    a.mapper.use(async (turn, next) => {
      const said = new Transcript();
      for await (const event of next()) said.add(event);
      turn.say(said.answer.includes("secret") ? "(removed)" : said.answer);
    });
    await a.receive("m1");
    await a.receive("m2");
    await settled();
    a.agent.last.say({ type: "text", delta: "the secret" });
    a.agent.last.answer("the secret is out");
    await settled();
    a.agent.last.answer("hello");
    await settled();
    expect(a.platform.shown).toEqual(["(removed)", "hello"]);
    expect(a.log.said).toEqual([]);
  });

  it("is kept as it was changed, for a platform that does not take it", async () => {
    const b = botOf(clock, new TestStore(clock));
    b.mapper.use((_, next) => shouted(next()));
    let isAway = true;
    b.platform.beforePost = () => {
      if (isAway) throw new PlatformError({ passes: true });
    };
    await b.receive("m1");
    await settled();
    b.agent.last.answer("hi");
    await settled();
    isAway = false;
    await clock.pass(1_000);
    expect(b.platform.shown).toEqual(["HI"]);
  });

  it("is delivered as it was changed by a process that comes after", async () => {
    const store = new TestStore(clock);
    const first = botOf(clock, store);
    first.mapper.use((_, next) => shouted(next()));
    first.platform.beforePost = () => Promise.reject(new PlatformError({ passes: true }));
    await first.receive("m1");
    await settled();
    first.agent.last.answer("hi");
    await settled();
    first.view.intercept = cut;
    const second = botOf(clock, store);
    await clock.pass(3 * leaseTime);
    expect(second.platform.shown).toEqual(["HI"]);
    expect(second.agent.asked).toEqual([]);
  });

  it("answers for an agent that failed, whichever way it looks at the answer", async () => {
    const ways: Middleware[] = [
      async (turn, next) => {
        await next().catch(() => turn.say("Later."));
      },
      async function* (_, next) {
        try {
          yield* next();
        } catch {
          yield { type: "message", text: "Later." };
        }
      },
    ];
    for (const way of ways) {
      const b = botOf(clock, new TestStore(clock));
      b.mapper.use(way);
      await b.receive("m1");
      await settled();
      b.agent.last.say({ type: "text", delta: "Well, " });
      b.agent.last.fail(failed);
      await settled();
      expect(b.platform.shown).toEqual(["Later."]);
      expect(b.log.said).toEqual([]);
    }
  });

  it("does not answer for one that was stopped", async () => {
    a.mapper.use(async (turn, next) => {
      await next().catch(() => turn.say("Later."));
    });
    const reply = a.mapper.handle(messageOf("m1"));
    await settled();
    reply.cancel();
    await expect(reply.text()).rejects.toMatchObject({ code: "stopped" });
  });

  it("ends the asking where it leaves its loop", async () => {
    a.mapper.use(async (turn, next) => {
      for await (const event of next()) if (event.type === "text") break;
      turn.say("Enough.");
    });
    await a.receive("m1");
    await settled();
    a.agent.last.say({ type: "text", delta: "a" });
    await settled();
    expect(a.platform.shown).toEqual([]);
    a.agent.last.say({ type: "text", delta: "b" });
    await settled();
    expect(a.platform.shown).toEqual(["Enough."]);
    expect(a.log.said).toEqual([]);
  });

  it("hands on what the next ones need, typed", async () => {
    const seen: unknown[] = [];
    a.mapper.use((turn, next) => {
      turn.locals.plan = "pro";
      return next();
    });
    a.mapper.use((turn, next) => {
      seen.push(turn.locals.plan);
      return next();
    });
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    expect(seen).toEqual(["pro"]);
  });

  it("fails where its events would reach nobody, or are none", async () => {
    a.agent.reply = (text) => text;
    const yielded = "A middleware yielded what is not an event of a reply.";
    const wrong: [Middleware, string][] = [
      [
        async (_, next) => (await next()).slice(),
        "A middleware returned events: yield them, in an `async function*`.",
      ],
      ...[
        ...["hello", null, { type: 7 }, { type: "text" }, { type: "message", text: 7 }],
        ...[{ type: "suggestions" }, { type: "file", url: 7 }, { type: "handoff", detail: 7n }],
      ].map((event): [Middleware, string] => [
        async function* () {
          yield event as never;
        },
        yielded,
      ]),
      [(turn) => turn.say(undefined as never), yielded],
    ];
    for (const [middleware, message] of wrong) {
      const b = botOf(clock, new TestStore(clock), { agent: a.agent });
      b.mapper.use(middleware);
      await expect(b.mapper.handle(messageOf("m1")).text()).rejects.toMatchObject({
        ...{ code: "hook-failed", message },
      });
    }
  });
});

declare module "aparte" {
  interface TurnLocals {
    plan: string;
  }
}

describe("What the agent is to know", () => {
  const context = { name: "Ada", plan: { level: 2 } };

  it("comes with the message, and a middleware may add to it", async () => {
    const seen: unknown[] = [];
    a.mapper.use((turn, next) => {
      seen.push(turn.context);
      turn.context = { ...turn.context, zone: "Europe/Berlin" };
      return next();
    });
    await a.receive("m1", "hello", { context });
    await settled();
    expect(seen).toEqual([context]);
    expect(a.agent.last.call.context).toEqual({ ...context, zone: "Europe/Berlin" });
  });

  it("is nothing where nothing was given", async () => {
    await a.receive("m1");
    await settled();
    expect(a.agent.last.call.context).toEqual({});
  });

  it("is refused where JSON cannot say it", async () => {
    a.mapper.use((turn, next) => {
      turn.context = { born: new Date(0) as never };
      return next();
    });
    const wrong = a.mapper.handle(messageOf("m1")).text();
    await expect(wrong).rejects.toMatchObject({ code: "input-invalid", field: "context.born" });
    const refused = a.mapper.handle(messageOf("m2", "hello", { context: { age: Number.NaN } })).text();
    await expect(refused).rejects.toMatchObject({ code: "input-invalid", field: "context.age" });
    expect(a.agent.asked).toEqual([]);
  });

  it("is known to a process that goes on with the turn", async () => {
    const store = new TestStore(clock);
    const first = botOf(clock, store);
    await first.receive("m1", "hello", { context });
    await settled();
    first.view.intercept = cut;
    const second = botOf(clock, store, {
      agent: Object.assign(new TestAgent(), { recover: async () => "not-sent" as const }),
    });
    await clock.pass(3 * leaseTime);
    expect(second.agent.last.call.context).toEqual(context);
  });

  it("is the later one's where messages are merged, beside what the earlier one had", async () => {
    const b = botOf(clock, new TestStore(clock), { overlap: "merge" });
    await b.receive("m1");
    await b.receive("m2", "two", { context: { name: "Ada", language: "de" } });
    await b.receive("m3", "three", { context: { language: "en" } });
    await settled();
    b.agent.last.answer("one");
    await settled();
    expect(b.agent.last.call).toMatchObject({ text: "two\nthree", context: { name: "Ada", language: "en" } });
  });
});

describe("A turn's context", () => {
  it("throws once its turn is over", async () => {
    const contexts: TurnContext[] = [];
    a.mapper.use((turn, next) => {
      contexts.push(turn);
      return next();
    });
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    const [turn] = contexts;
    const over = expect.objectContaining({ code: "turn-over" });
    expect(() => turn?.say("late")).toThrow(over);
    expect(() => {
      if (turn !== undefined) turn.text = "late";
    }).toThrow(over);
    expect(turn?.text).toBe("m1");
    expect(a.platform.shown).toEqual(["m1"]);
  });
});

describe("Within a middleware", () => {
  it("operations on the turn's own session are part of the turn", async () => {
    a.agent.reply = (text) => text;
    await a.receive("m1");
    await settled();
    a.mapper.use(async (_, next) => {
      await a.mapper.reset(ann);
      await next();
    });
    await a.receive("m2");
    await settled();
    expect(a.agent.asked.map(({ call }) => call.conversationId)).toEqual(["c1", "c2"]);
    expect(a.platform.shown).toEqual(["m1", "m2"]);
  });

  it("operations that come after the turn's end are turns of their own", async () => {
    a.agent.reply = (text) => text;
    let reset: Promise<void> | undefined;
    a.mapper.use(async (turn, next) => {
      if (turn.message.id === "m1") clock.after(1_000, () => (reset = a.mapper.reset(ann)));
      await next();
    });
    await a.receive("m1");
    await clock.pass(1_000);
    await reset;
    await a.receive("m2");
    await settled();
    expect(a.agent.asked.map(({ call }) => call.conversationId)).toEqual(["c1", "c2"]);
  });

  it("a message of the very session is refused at once, and one of another session runs", async () => {
    a.agent.reply = (text) => text;
    const told: string[] = [];
    const tell = (text: string) => {
      told.push(text);
    };
    a.mapper.use(async (turn, next) => {
      if (turn.message.id === "m1") {
        await a.mapper
          .handle({ ...ann, id: "m2", text: "m2" })
          .text()
          .catch(({ code, field }) => tell(`${code} ${field}`));
        await a.mapper
          .handle({ ...ann, user: "bob", id: "m2", text: "from bob" })
          .text()
          .then(tell);
      }
      await next();
    });
    await a.receive("m1");
    await settled();
    expect(told).toEqual(["input-invalid message", "from bob"]);
    expect(a.agent.texts).toEqual(["from bob", "m1"]);
  });
});

describe("An operation", () => {
  it("runs between two turns, and never during one", async () => {
    const first = a.mapper.handle(messageOf("m1"));
    await settled();
    let isReset = false;
    const reset = a.mapper.reset({ ...ann, platform: "web" }).then(() => {
      isReset = true;
    });
    const second = a.mapper.handle(messageOf("m2"));
    await settled();
    expect([isReset, a.agent.texts]).toEqual([false, ["m1"]]);
    a.agent.last.answer("one");
    await first.text();
    await reset;
    await settled();
    expect(a.agent.asked.map(({ call }) => call.conversationId)).toEqual(["c1", "c2"]);
    a.agent.last.answer("two");
    expect(await second.text()).toBe("two");
  });

  it("is not run when it waited too long", async () => {
    const b = botOf(clock, new TestStore(clock), { waitTimeout: 1_000 });
    await b.receive("m1");
    await settled();
    const reset = expect(b.mapper.reset(ann)).rejects.toMatchObject({ code: "wait-timeout" });
    await clock.pass(1_000);
    await reset;
    b.agent.last.answer("one");
    await b.receive("m2");
    await settled();
    expect(b.agent.asked.map(({ call }) => call.conversationId)).toEqual(["c1", "c1"]);
  });

  it("tells its caller what it failed with, and the lane goes on", async () => {
    a.agent.reply = (text) => text;
    a.agent.clear = async () => {
      throw new AparteError("backend-unavailable", "Away.");
    };
    await a.receive("m1");
    await settled();
    await expect(a.mapper.reset(ann)).rejects.toMatchObject({ code: "backend-unavailable" });
    await a.receive("m2");
    await settled();
    expect(a.platform.shown).toEqual(["m1", "m2"]);
  });
});
