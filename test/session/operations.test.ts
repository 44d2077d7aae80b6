import { AsyncResource } from "node:async_hooks";
import { AparteError, type SessionFilter, type SessionSummary, type Speaker } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, TestAgent } from "../support/bot.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { TestStore } from "../support/test-store.ts";

const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };
const scopedAnn = { scope: "user", platform: "chat", tenant: "acme", user: "ann" };

let clock: TestClock;
let store: TestStore;
let a: BotInTest;
let other: TestAgent;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
  const helper = new TestAgent();
  other = new TestAgent();
  for (const agent of [helper, other]) agent.reply = (text) => text;
  a = botOf(clock, store, { agent: helper, agents: { helper, other } });
});

async function say(id: string, agent?: string): Promise<void> {
  await a.receive(id, id, agent === undefined ? {} : { agent });
  await settled();
}

async function record(): Promise<unknown> {
  const { sessionName } = await a.mapper.resolve(ann);
  return store.direct.records.get(`session:${sessionName}`);
}

function conversationsOf(agent: TestAgent): string[] {
  return agent.asked.map(({ call }) => call.conversationId);
}

describe("reset", () => {
  it("leaves the conversation for a new one, where the service cannot clear it", async () => {
    await say("m1");
    a.agent.last.call.keep?.("state");
    await a.mapper.reset(ann);
    await say("m2");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
    expect(a.agent.last.call.state).toBeUndefined();
  });

  it("clears it where the service can, and keeps its id but not the backend's notes", async () => {
    const cleared: unknown[] = [];
    a.agent.clear = async ({ conversationId, agent, sessionName, signal }) => {
      cleared.push([conversationId, agent, sessionName.length, signal.aborted]);
    };
    a.mapper.use(async (_, next) => {
      await next();
      a.agent.last.call.keep?.({ page: 3 });
    });
    await say("m1");
    await say("m2");
    expect(a.agent.last.call.state).toEqual({ page: 3 });
    await a.mapper.reset(ann);
    await say("m3");
    expect(cleared).toEqual([["c1", "helper", 36, false]]);
    expect(conversationsOf(a.agent)).toEqual(["c1", "c1", "c1"]);
    expect(a.agent.last.call.state).toBeUndefined();
  });

  it("opens a new one without the old one's notes where the service has lost it", async () => {
    a.agent.clear = async () => {
      throw new AparteError("conversation-lost", "Gone.");
    };
    a.mapper.use(async (_, next) => {
      await next();
      a.agent.last.call.keep?.({ page: 3 });
    });
    await say("m1");
    await a.mapper.reset(ann);
    await say("m2");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
    expect(a.agent.last.call.state).toBeUndefined();
  });

  it("tells its caller where the service failed, and leaves the conversation", async () => {
    for (const error of [new AparteError("backend-unavailable", "Away."), new TypeError("raw")]) {
      a.agent.clear = () => Promise.reject(error);
      await say(`before ${error.name}`);
      await expect(a.mapper.reset(ann)).rejects.toBe(error);
      await say(`after ${error.name}`);
    }
    expect(conversationsOf(a.agent)).toEqual(["c1", "c1", "c1", "c1"]);
  });

  it("leaves no trace of a conversation that was never named, so that none is looked for", async () => {
    a.agent.find = () => Promise.reject(new Error("Nothing was lost."));
    await say("m1");
    await a.mapper.reset(ann);
    await say("m2");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
  });

  it("is of the agent that is named, else of the one that the person talks to", async () => {
    await say("m1");
    await say("m1b", "other");
    await a.mapper.reset(ann, "other");
    await say("m2");
    await say("m2b", "other");
    expect([conversationsOf(a.agent), conversationsOf(other)]).toEqual([
      ["c1", "c1"],
      ["c1", "c2"],
    ]);
    await a.mapper.select(ann, "other");
    await a.mapper.reset(ann);
    await say("m3");
    await say("m3b", "helper");
    expect([conversationsOf(a.agent).at(-1), conversationsOf(other).at(-1)]).toEqual(["c1", "c3"]);
  });

  it("does nothing where there is no conversation, and fails for an agent that does not exist", async () => {
    a.agent.clear = () => Promise.reject(new Error("There is nothing to clear."));
    await a.mapper.reset(ann);
    a.agent.rename = async () => {};
    expect(await a.mapper.rename(ann, "Holidays")).toBe("Holidays");
    await a.mapper.reset(ann);
    await expect(a.mapper.reset(ann, "nobody")).rejects.toMatchObject({ code: "agent-unknown" });
    await expect(a.mapper.reset({ ...ann, user: "" })).rejects.toMatchObject({ field: "user" });
  });
});

describe("reset that keeps the conversation", () => {
  const keep = { keep: true };

  it("opens another one beside it, also where the service could clear it, or finds the old one", async () => {
    const cleared: string[] = [];
    a.agent.clear = async ({ conversationId }) => {
      cleared.push(conversationId);
    };
    a.agent.find = async () => "c1";
    await say("m1");
    await a.mapper.rename(ann, "The first", "helper").catch(() => {});
    await a.mapper.reset(ann, undefined, keep);
    await say("m2");
    await a.mapper.reset(ann);
    await say("m3");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2", "c2"]);
    expect(cleared).toEqual(["c2"]);
  });

  it("is not taken for the new one, whose opening's answer was lost", async () => {
    await say("m1");
    a.agent.find = async () => "c1";
    await a.mapper.reset(ann, undefined, keep);
    const { open } = a.agent;
    a.agent.open = async (call) => {
      await open.call(a.agent, call);
      throw new AparteError("backend-timeout", "No answer.");
    };
    await say("m2");
    a.agent.open = open;
    await say("m3");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c3"]);
  });

  it("keeps its name for it", async () => {
    a.agent.rename = async () => {};
    a.agent.remove = async () => {};
    await say("m1");
    await a.mapper.rename(ann, "The first");
    await a.mapper.reset(ann, undefined, keep);
    await say("m2");
    expect(await a.mapper.rename(ann, "The second")).toBe("The second");
    await a.mapper.reset(ann);
    await say("m3");
    // The service has its own idea of it.
    a.agent.rename = async ({ title }) => title.toUpperCase();
    expect(await a.mapper.rename(ann, "The third")).toBe("THE THIRD");
    await a.mapper.reset(ann);
    await say("m4");
    expect(a.agent.opened.map(({ title }) => title)).toEqual(["m1", "m2", "The second", "THE THIRD"]);
  });

  it("is forgotten, listed and exported with the session", async () => {
    const removed: string[] = [];
    a.agent.remove = async ({ conversationId }) => {
      if (conversationId === "c1" && removed.length === 0)
        throw new AparteError("backend-unavailable", "Away.");
      removed.push(conversationId);
    };
    a.agent.history = async ({ conversationId }) => [{ role: "user", text: conversationId }];
    await say("m1");
    await a.mapper.reset(ann, undefined, keep);
    await a.mapper.reset(ann, undefined, keep);
    expect((await a.mapper.export(ann))?.messages).toEqual({ helper: [{ role: "user", text: "c1" }] });
    await say("m2");
    await a.mapper.reset(ann, undefined, keep);
    await say("m3");
    const exported = await a.mapper.export(ann);
    expect(exported).toMatchObject({ conversations: { helper: "c3" }, earlier: { helper: ["c1", "c2"] } });
    expect(exported?.messages.helper?.map(({ text }) => text)).toEqual(["c1", "c2", "c3"]);
    expect((await a.mapper.forget(ann)).conversations).toEqual({ helper: "later" });
    expect(removed).toEqual(["c2", "c3"]);
  });
});

describe("A session by its name", () => {
  async function nameOf(): Promise<string> {
    for await (const { sessionName } of a.mapper.sessions()) return sessionName;
    throw new Error("There is none.");
  }

  it("is reset, renamed, exported and forgotten, also where only the application knows the person", async () => {
    const renamed: unknown[] = [];
    a = botOf(clock, store, {
      agents: { helper: a.agent, other },
      identify: ({ user }) => (user === "ann" ? "p1" : undefined),
      scope: "user",
    });
    await a.mapper.handle({ ...ann, id: "m1", text: "m1" }).text();
    const name = await nameOf();
    other.rename = async ({ title }) => {
      renamed.push(title);
    };
    await a.mapper.rename(name, "Hers", "other");
    expect(await a.mapper.export(name)).toMatchObject({
      ...{ sessionName: name, speaker: { identity: "p1" }, conversations: { helper: "c1" } },
    });
    await a.mapper.reset(name, "helper");
    expect((await a.mapper.resolve(ann, "helper")).conversationId).toBe("c2");
    expect(await a.mapper.forget(name)).toMatchObject({ found: true });
    expect(await a.mapper.export(ann)).toBeUndefined();
    expect(await a.mapper.forget(name)).toMatchObject({ found: false });
    await expect(a.mapper.rename(name, "Hers", "other")).rejects.toMatchObject({ field: "sessionName" });
  });

  it("does not say which agent is meant where there are several", async () => {
    await say("m1");
    const name = await nameOf();
    const noAgent = { code: "input-invalid", field: "agent" };
    await expect(a.mapper.reset(name)).rejects.toMatchObject(noAgent);
    await expect(a.mapper.rename(name, "x")).rejects.toMatchObject(noAgent);
    const b = botOf(clock, store, { agent: a.agent });
    await b.mapper.reset(name);
    await say("m2");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
  });

  it("must be one", async () => {
    const [name] = [(await a.mapper.resolve(ann)).sessionName];
    for (const wrong of ["", "ann", `${name}x`, name.slice(1), name.replace("a1_", "b1_")]) {
      const refused = { code: "input-invalid", field: "sessionName" };
      await expect(a.mapper.forget(wrong)).rejects.toMatchObject(refused);
      await expect(a.mapper.export(wrong)).rejects.toMatchObject(refused);
    }
  });
});

describe("rename", () => {
  it("names the conversation at the service, and the next one too", async () => {
    const renamed: unknown[] = [];
    a.agent.rename = async ({ conversationId, title }) => {
      renamed.push([conversationId, title]);
    };
    await say("m1");
    await a.mapper.rename(ann, "Holidays");
    await a.mapper.reset(ann);
    await say("m2");
    expect(renamed).toEqual([["c1", "Holidays"]]);
    expect(a.agent.opened.map(({ title }) => title)).toEqual(["m1", "Holidays"]);
  });

  it("names a conversation that is opened later", async () => {
    a.agent.rename = () => Promise.reject(new Error("There is nothing to rename."));
    await a.mapper.rename(ann, "Holidays");
    await say("m1");
    expect(a.agent.opened.map(({ title }) => title)).toEqual(["Holidays"]);
  });

  it("needs a title, and a service that knows names", async () => {
    await expect(a.mapper.rename(ann, "Holidays")).rejects.toMatchObject({
      ...{ code: "backend-unsupported", message: 'The service "test" knows no names for conversations.' },
    });
    a.agent.rename = async () => {};
    for (const title of ["", "  ", 7 as unknown as string]) {
      await expect(a.mapper.rename(ann, title)).rejects.toMatchObject({
        ...{ code: "input-invalid", field: "title", message: "The title must be a text that is not empty." },
      });
    }
  });
});

describe("feedback", () => {
  it("goes to the service of the conversation's agent", async () => {
    const given: unknown[] = [];
    a.agent.feedback = async ({ sessionName: _, signal: __, ...call }) => {
      given.push(call);
    };
    await say("m1");
    await a.mapper.feedback(ann, "answer-1", "down", { words: "too short" });
    await a.mapper.feedback(ann, "answer-1", "up");
    const call = { agent: "helper", conversationId: "c1", answer: "answer-1" };
    expect(given).toStrictEqual([
      { ...call, rating: "down", words: "too short" },
      { ...call, rating: "up" },
    ]);
  });

  it("needs an answer, a rating, a conversation, and a service that takes feedback", async () => {
    const code = (promise: Promise<void>) =>
      promise.catch((error: { code: string; field?: string }) => [error.code, error.field]);
    await expect(a.mapper.feedback(ann, "answer-1", "up")).rejects.toThrow(
      'The service "test" takes no feedback.',
    );
    expect(await code(a.mapper.feedback(ann, "answer-1", "up"))).toEqual(["backend-unsupported", undefined]);
    a.agent.feedback = async () => {};
    expect(await code(a.mapper.feedback(ann, "answer-1", "up"))).toEqual(["conversation-lost", undefined]);
    await say("m1");
    expect(await code(a.mapper.feedback(ann, " ", "up"))).toEqual(["input-invalid", "answer"]);
    expect(await code(a.mapper.feedback(ann, "answer-1", "good" as "up"))).toEqual([
      "input-invalid",
      "rating",
    ]);
    expect(await code(a.mapper.feedback(ann, "answer-1", "up", { agent: "nobody" }))).toEqual([
      "agent-unknown",
      "agent",
    ]);
  });
});

describe("select", () => {
  it("is the person's choice until another one is made, or its agent is gone", async () => {
    await a.mapper.select(ann, "other");
    await say("m1");
    expect(other.texts).toEqual(["m1"]);
    expect(await record()).toMatchObject({ agent: "other" });
    await expect(a.mapper.select(ann, "nobody")).rejects.toMatchObject({ code: "agent-unknown" });
    const b = botOf(clock, store, { agent: a.agent });
    await b.receive("m2");
    await settled();
    expect(a.agent.texts).toEqual(["m2"]);
  });
});

describe("forget", () => {
  it("deletes the conversations at the services that can, and the record", async () => {
    const removed: unknown[] = [];
    for (const agent of [a.agent, other]) {
      agent.remove = async ({ conversationId, agent: name }) => {
        removed.push([conversationId, name]);
      };
    }
    await say("m1");
    await say("m2", "other");
    const { sessionName } = await a.mapper.resolve(ann);
    await a.mapper.forget(ann);
    expect(removed).toEqual([
      ["c1", "helper"],
      ["c1", "other"],
    ]);
    expect(await store.direct.records.get(`session:${sessionName}`)).toBeUndefined();
    expect(await a.mapper.export(ann)).toBeUndefined();
    await say("m3");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
  });
});

describe("export", () => {
  it("tells all that is kept, and what was said where the service can tell", async () => {
    await say("m1");
    await say("m2", "other");
    await a.mapper.select(ann, "other");
    const { sessionName } = await a.mapper.resolve(ann);
    a.agent.history = async (call) => {
      expect(call).toEqual({
        ...{ sessionName, agent: "helper", conversationId: "c1", signal: expect.any(AbortSignal) },
      });
      return [{ role: "user", text: "m1" }];
    };
    expect(await a.mapper.export(ann)).toEqual({
      ...{ sessionName, speaker: scopedAnn, agent: "other" },
      conversations: { helper: "c1", other: "c1" },
      messages: { helper: [{ role: "user", text: "m1" }] },
      ...{ createdAt: expect.any(Number), lastTurnAt: expect.any(Number) },
    });
    expect(await a.mapper.export({ ...ann, user: "bob" })).toBeUndefined();
  });

  it("gives a backend that keeps the words itself what it kept, for the conversation that it is of", async () => {
    const asked: [string, unknown][] = [];
    a.agent.history = async ({ conversationId, state }) => {
      asked.push([conversationId, state]);
      return [];
    };
    a.agent.reply = undefined;
    await say("m1");
    a.agent.last.call.keep?.({ said: ["m1"] });
    a.agent.last.answer("one");
    await settled();
    await a.mapper.reset(ann, "helper", { keep: true });
    await say("m2");
    a.agent.last.call.keep?.({ said: ["m2"] });
    a.agent.last.answer("two");
    await settled();
    await a.mapper.export(ann);
    expect(asked).toEqual([
      ["c1", undefined],
      ["c2", { said: ["m2"] }],
    ]);
  });
});

describe("sessions", () => {
  it("lists all, and logs those that cannot be read", async () => {
    await say("m1");
    await a.receive("m1", "m1", { user: "bob" });
    await settled();
    await store.direct.records.set("session:broken", { v: 2 });
    const listed: SessionSummary[] = [];
    for await (const session of a.mapper.sessions()) listed.push(session);
    const people = listed.map(({ speaker, conversations }) => [speaker.user, conversations]);
    expect(listed.map((session) => Object.keys(session))).toEqual(
      Array.from({ length: 2 }, () => ["sessionName", "speaker", "conversations", "createdAt", "lastTurnAt"]),
    );
    expect(people.sort()).toEqual([
      ["ann", { helper: "c1" }],
      ["bob", { helper: "c2" }],
    ]);
    expect(a.log.said).toEqual(["error: a session cannot be read"]);
    expect(a.log.lines[0]?.fields).toMatchObject({ session: "broken", code: "store-unreadable" });
  });

  it("leave out a conversation that is being opened", async () => {
    a.agent.opening = new Promise(() => {});
    await say("m1");
    const listed: SessionSummary[] = [];
    for await (const session of a.mapper.sessions()) listed.push(session);
    expect(listed).toMatchObject([{ speaker: scopedAnn, conversations: {} }]);
  });
});

describe("sessions that are looked for", () => {
  async function listed(filter?: SessionFilter): Promise<string[]> {
    const found: string[] = [];
    for await (const { speaker } of a.mapper.sessions(filter))
      found.push(`${speaker.tenant} ${speaker.user}`);
    return found.sort();
  }

  it("are those of a tenant, a platform, a user, or idle for a while", async () => {
    const minute = 60_000;
    const people = [
      ["acme", "ann"],
      ["acme", "bob"],
      ["other", "ann"],
    ] as const;
    for (const [tenant, user] of people) {
      await a.receive(`first of ${user}`, "hello", { tenant, user });
      await clock.pass(minute);
    }
    let start = Number.POSITIVE_INFINITY;
    for await (const { createdAt } of a.mapper.sessions()) start = Math.min(start, createdAt ?? start);
    expect(store.now() - start).toBe(3 * minute);
    expect(await listed()).toEqual(["acme ann", "acme bob", "other ann"]);
    expect(await listed({ tenant: "acme" })).toEqual(["acme ann", "acme bob"]);
    expect(await listed({ tenant: "acme", user: "ann" })).toEqual(["acme ann"]);
    expect(await listed({ platform: "chat", user: "ann" })).toEqual(["acme ann", "other ann"]);
    expect(await listed({ platform: "slack" })).toEqual([]);
    expect(await listed({ idleSince: start })).toEqual([]);
    expect(await listed({ idleSince: start + 1 })).toEqual(["acme ann"]);
    expect(await listed({ idleSince: new Date(start + minute + 1) })).toEqual(["acme ann", "acme bob"]);
    // To the minute: a turn that follows soon writes nothing.
    await a.receive("m2", "again");
    await clock.pass(minute - 1);
    await a.receive("m3", "again");
    await settled();
    for await (const session of a.mapper.sessions({ tenant: "acme", user: "ann" })) {
      expect([session.createdAt, session.lastTurnAt]).toEqual([start, start + 3 * minute]);
    }
    expect(await listed({ idleSince: start + 3 * minute, user: "ann" })).toEqual(["other ann"]);
    expect(await listed({ idleSince: start + 3 * minute + 1, tenant: "acme", user: "ann" })).toEqual([
      "acme ann",
    ]);
  });

  it("are refused by what does not exist", async () => {
    for (const [filter, problem] of [
      [{ team: "acme" }, "does not exist"],
      [{ tenant: 7 }, "is not of its type"],
      [{ idleSince: "soon" }, "is not of its type"],
    ] as const) {
      const [field] = Object.keys(filter);
      const message = `The filter "${field}" of sessions() ${problem}.`;
      const refused = { code: "input-invalid", field, message };
      await expect(listed(filter as object)).rejects.toMatchObject(refused);
    }
  });
});

describe("resolve", () => {
  it("has what the service needs beside the conversation's id, by what the backend keeps of it", async () => {
    const located: unknown[] = [];
    Object.assign(a.agent, {
      locate: async ({ signal: _, ...call }: { signal: AbortSignal }) => {
        located.push(call);
        return { conversationId: "projects/p/sessions/c1", start: { page: "start" } };
      },
    });
    const { sessionName } = await a.mapper.resolve(ann);
    const call = { sessionName, agent: "helper", conversationId: "c1" };
    const ask = a.agent.ask.bind(a.agent);
    a.agent.ask = (asked) => {
      asked.keep?.({ page: 7 });
      return ask(asked);
    };
    await say("m1");
    expect(await a.mapper.resolve(ann)).toEqual({
      ...{ sessionName, conversationId: "projects/p/sessions/c1", start: { page: "start" } },
      ...{ accessToken: undefined, expiresAt: undefined },
    });
    expect(located).toStrictEqual([call, { ...call, state: { page: 7 } }]);
  });

  it("opens a conversation once, and gives a token where the service has one", async () => {
    const first = await a.mapper.resolve(ann);
    expect(first).toEqual({
      ...{ sessionName: expect.stringMatching(/^a1_/), conversationId: "c1", accessToken: undefined },
    });
    a.agent.accessToken = async ({ sessionName, agent }) => `${agent} of ${sessionName}`;
    expect(await a.mapper.resolve(ann)).toEqual({ ...first, accessToken: `helper of ${first.sessionName}` });
    expect(a.agent.opened.length).toBe(1);
    expect((await a.mapper.resolve(ann, "other")).conversationId).toBe("c1");
    expect(other.opened.length).toBe(1);
    await expect(a.mapper.resolve(ann, "nobody")).rejects.toMatchObject({ code: "agent-unknown" });
  });
});

describe("resolve after a refusal", () => {
  const fresh = { fresh: true };

  it("brings another token, with its end where the service tells it", async () => {
    let count = 0;
    a.agent.accessToken = async ({ isFresh = false }) => {
      if (isFresh) count += 1;
      return { token: `t${count}`, expiresAt: 1_000 * count };
    };
    expect(await a.mapper.resolve(ann)).toMatchObject({ accessToken: "t0", expiresAt: 0 });
    expect(await a.mapper.resolve(ann, "helper", fresh)).toMatchObject({
      accessToken: "t1",
      expiresAt: 1_000,
    });
    expect(await a.mapper.resolve(ann)).toMatchObject({ accessToken: "t1" });
  });

  it("brings another conversation if the service has lost the one that is known, and only then", async () => {
    const there = new Set(["c1"]);
    a.agent.exists = async ({ conversationId }) => there.has(conversationId);
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c1");
    expect((await a.mapper.resolve(ann, undefined, fresh)).conversationId).toBe("c1");
    there.clear();
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c1");
    expect((await a.mapper.resolve(ann, undefined, fresh)).conversationId).toBe("c2");
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c2");
    await say("m1");
    expect(conversationsOf(a.agent)).toEqual(["c2"]);
  });

  it("keeps the conversation where the service cannot say, or fails", async () => {
    await a.mapper.resolve(ann);
    expect((await a.mapper.resolve(ann, undefined, fresh)).conversationId).toBe("c1");
    a.agent.exists = async () => Promise.reject(new AparteError("backend-unavailable", "Away."));
    await expect(a.mapper.resolve(ann, undefined, fresh)).rejects.toMatchObject({
      code: "backend-unavailable",
    });
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c1");
  });
});

describe("inLane", () => {
  it("runs between the turns before it and those that come later, in the same conversation", async () => {
    a.agent.reply = undefined;
    a.agent.accessToken = async () => ({ token: "t", expiresAt: 7 });
    await a.receive("m1");
    await settled();
    const order: unknown[] = [];
    let leave = () => {};
    const own = a.mapper.inLane(ann, async ({ signal, ...mapping }) => {
      order.push(mapping, signal.aborted, [...a.agent.texts]);
      await new Promise<void>((resolve) => (leave = resolve));
      return "done";
    });
    await a.receive("m2");
    await settled();
    expect(order).toEqual([]);
    a.agent.last.answer("one");
    await settled();
    const sessionName = a.agent.last.call.sessionName;
    const mapping = { sessionName, conversationId: "c1", accessToken: "t", expiresAt: 7 };
    expect(order).toEqual([mapping, false, ["m1"]]);
    expect(a.agent.texts).toEqual(["m1"]);
    leave();
    expect(await own).toBe("done");
    await settled();
    expect(a.agent.texts).toEqual(["m1", "m2"]);
  });

  it("is of the agent that is named, in a conversation that is opened for it", async () => {
    expect(await a.mapper.inLane(ann, "other", ({ conversationId }) => conversationId)).toBe("c1");
    expect([other.opened.length, a.agent.opened.length]).toEqual([1, 0]);
    const run = () => expect.unreachable();
    await expect(a.mapper.inLane(ann, "nobody", run)).rejects.toMatchObject({ code: "agent-unknown" });
    await expect(a.mapper.inLane(ann, "other", undefined as never)).rejects.toMatchObject({ field: "run" });
  });

  it("tells its caller what it failed with, and the lane goes on", async () => {
    const failure = new Error("own");
    await expect(a.mapper.inLane(ann, () => Promise.reject(failure))).rejects.toBe(failure);
    await say("m1");
    expect(a.platform.shown).toEqual(["m1"]);
  });

  it("runs operations of its session at once, as long as it runs, and refuses to wait for itself", async () => {
    let later = async () => {};
    await a.mapper.inLane(ann, async ({ conversationId }) => {
      expect(conversationId).toBe("c1");
      await a.mapper.reset(ann);
      expect((await a.mapper.resolve(ann)).conversationId).toBe("c1");
      await expect(a.mapper.handle({ ...ann, id: "m1", text: "m1" }).text()).rejects.toMatchObject({
        ...{ code: "input-invalid", field: "message" },
      });
      later = AsyncResource.bind(() => a.mapper.reset(ann));
    });
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c2");
    await later();
    expect((await a.mapper.resolve(ann)).conversationId).toBe("c3");
  });

  it("is given up after turnTimeout, told so by its signal", async () => {
    let ended: AbortSignal | undefined;
    const own = a.mapper.inLane(ann, ({ signal }) => {
      ended = signal;
      return new Promise<never>(() => {});
    });
    await a.receive("m1");
    await settled();
    expect(a.agent.texts).toEqual([]);
    const over = expect(own).rejects.toMatchObject({ code: "turn-timeout" });
    await clock.pass(600_000);
    await over;
    expect(ended?.aborted).toBe(true);
    expect(a.agent.texts).toEqual(["m1"]);
  });
});

describe("A conversation", () => {
  it("is looked for at the service where a process died while it was opened, and only then", async () => {
    const found: string[] = [];
    a.agent.find = async ({ sessionName }) => {
      found.push(sessionName);
      return "c7";
    };
    await say("m1");
    expect(found).toEqual([]);
    const { sessionName } = await a.mapper.resolve({ ...ann, user: "bob" });
    await store.direct.records.set(`session:${sessionName}`, {
      ...{ v: 1, speaker: { ...scopedAnn, user: "bob" }, conversations: { helper: { isOpening: true } } },
    });
    await a.receive("m1", "m1", { user: "bob" });
    await settled();
    expect(found).toEqual([sessionName]);
    expect(a.agent.last.call.conversationId).toBe("c7");
  });

  it("is opened where it is not found", async () => {
    a.agent.find = async () => undefined;
    const { sessionName } = await a.mapper.resolve(ann);
    await store.direct.records.set(`session:${sessionName}`, {
      ...{ v: 1, speaker: scopedAnn, conversations: { helper: { isOpening: true } } },
    });
    await say("m1");
    expect(a.agent.last.call.conversationId).toBe("c2");
    expect(await record()).toMatchObject({ conversations: { helper: { id: "c2" } } });
    expect(JSON.stringify(await record())).not.toContain("isOpening");
  });

  it("is looked for always where that is wanted", async () => {
    const b = botOf(clock, new TestStore(clock), { recover: "always" });
    b.agent.find = async () => "c7";
    await b.receive("m1");
    await settled();
    expect(b.agent.last.call.conversationId).toBe("c7");
    expect(b.agent.opened).toEqual([]);
  });

  it.each(["", 7, undefined])("is refused with the id %j", async (id) => {
    a.agent.open = async () => id as string;
    await say("m1");
    expect(a.platform.shown).toEqual(["failed: backend-protocol"]);
  });

  it("is written down before it is opened, and after it", async () => {
    const written: unknown[] = [];
    a.agent.open = async ({ sessionName }) => {
      written.push(await store.direct.records.get(`session:${sessionName}`));
      return "c1";
    };
    a.agent.reply = undefined;
    await say("m1");
    written.push(await record());
    expect(written).toMatchObject([
      { v: 1, speaker: scopedAnn, conversations: { helper: {} } },
      { v: 1, speaker: scopedAnn, conversations: { helper: { id: "c1" } } },
    ]);
    expect((written[0] as { conversations: { helper: object } }).conversations.helper).toEqual({
      isOpening: true,
    });
  });

  it("is still looked for after a reset, where its opening's answer was lost", async () => {
    let opened = 0;
    a.agent.open = async () => {
      opened += 1;
      throw new AparteError("backend-timeout", "No answer.");
    };
    a.agent.find = async () => "c1";
    await say("m1");
    await a.mapper.reset(ann);
    await say("m2");
    expect(opened).toBe(1);
    expect(conversationsOf(a.agent)).toEqual(["c1"]);
  });

  it("is a new one after a reset, even where it has a name and the service could find the old one", async () => {
    a.agent.find = async () => "c1";
    await say("m1");
    a.agent.rename = async () => {};
    await a.mapper.rename(ann, "Holidays");
    await a.mapper.reset(ann);
    await say("m2");
    expect(conversationsOf(a.agent)).toEqual(["c1", "c2"]);
  });

  it("is not opened before the intent is written", async () => {
    await settled();
    let write = () => {};
    a.view.intercept = async (call, run) => {
      if (call.commit?.record !== undefined) await new Promise<void>((resolve) => (write = resolve));
      return run();
    };
    await say("m1");
    expect(a.agent.opened).toEqual([]);
    write();
    await settled();
    expect(a.agent.opened.length).toBe(1);
    expect(a.agent.asked).toEqual([]);
    write();
    await settled();
    expect(a.agent.texts).toEqual(["m1"]);
  });

  it("is named by its first message's first line, or as the application wants", async () => {
    await a.receive("m1", "  Where is it? \nAnd when?");
    await a.receive("m1", "", { user: "bob", files: [{ name: "map.png", data: new Uint8Array([1]) }] });
    const b = botOf(clock, store, { title: ({ user }) => `of ${user}` });
    await b.receive("m1", "m1", { user: "eve" });
    await settled();
    expect([...a.agent.opened, ...b.agent.opened].map(({ title }) => title)).toEqual([
      "Where is it?",
      "map.png",
      "of eve",
    ]);
  });
});
