import type { MapperOptions, Speaker } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { type BotInTest, botOf, TestAgent } from "../support/bot.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { TestStore } from "../support/test-store.ts";

const oldSecret = "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp";
const newSecret = "mB7xR2kPz9WdY4sLq6NfTg1HcJv8EuAo";
const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };

let clock: TestClock;
let store: TestStore;
let agent: TestAgent;

beforeEach(() => {
  clock = new TestClock();
  store = new TestStore(clock);
  agent = new TestAgent();
  agent.reply = (text) => text;
});

/** A process with these secrets. */
function bot(secret: MapperOptions["secret"], more: Partial<MapperOptions> = {}): BotInTest {
  return botOf(clock, store, { agent, secret, ...more });
}

async function say({ mapper }: BotInTest, user: string, id: string): Promise<string | undefined> {
  await mapper.handle({ ...ann, user, id, text: id }).text();
  return agent.last.call.conversationId;
}

describe("A rotation of secrets", () => {
  it("has an end: after rekey() the old secret is needed no more, and nothing is lost", async () => {
    const before = bot(oldSecret);
    expect(await say(before, "ann", "m1")).toBe("c1");
    expect(await say(before, "bob", "m2")).toBe("c2");
    const { sessionName } = await before.mapper.resolve(ann);
    const during = bot([newSecret, oldSecret]);
    await settled();
    expect(during.log.lines).toMatchObject([
      {
        message: "sessions still need an old secret: call rekey() before it is dropped",
        fields: { sessions: 2 },
      },
    ]);
    expect(await say(during, "eve", "m3")).toBe("c3");
    expect(await during.mapper.rekey()).toEqual({ rekeyed: 2, left: 0 });
    expect(await during.mapper.rekey()).toEqual({ rekeyed: 0, left: 0 });

    const told = bot([newSecret, oldSecret]);
    await settled();
    expect(told.log.said).toEqual(["info: no session needs an old secret: it may be dropped"]);
    const after = bot(newSecret);
    expect(await say(after, "ann", "m4")).toBe("c1");
    expect(await say(after, "bob", "m5")).toBe("c2");
    expect(await say(after, "eve", "m6")).toBe("c3");
    // The service knows the session by the name that it had, and so do the copies that still have both.
    expect((await after.mapper.resolve(ann)).sessionName).toBe(sessionName);
    expect(await say(during, "ann", "m7")).toBe("c1");
    expect(await after.mapper.forget(ann)).toMatchObject({ found: true });
    expect(await say(after, "new", "m8")).toBe("c4");
  });

  it("leaves nothing encrypted that only the old secret opens", async () => {
    const encrypt = { encrypt: true };
    await say(bot(oldSecret, encrypt), "ann", "m1");
    const first = bot([newSecret, oldSecret], encrypt);
    // Found by its name, and read, but not written again.
    await first.mapper.resolve(ann);
    const during = bot([newSecret, oldSecret], encrypt);
    await settled();
    expect(during.log.lines).toMatchObject([
      { message: "sessions still need an old secret: call rekey() before it is dropped" },
    ]);
    expect(await during.mapper.rekey()).toEqual({ rekeyed: 1, left: 0 });
    expect(await during.mapper.rekey()).toEqual({ rekeyed: 0, left: 0 });
    const told = bot([newSecret, oldSecret], encrypt);
    await settled();
    expect(told.log.said).toEqual(["info: no session needs an old secret: it may be dropped"]);
    expect(await say(bot(newSecret, encrypt), "ann", "m2")).toBe("c1");
  });

  it("can read what is encrypted of a session that it leaves", async () => {
    const encrypt = { encrypt: true };
    await say(bot(oldSecret, encrypt), "ann", "m1");
    await say(bot(newSecret, encrypt), "ann", "m2");
    const during = bot([newSecret, oldSecret], encrypt);
    expect(await during.mapper.rekey()).toEqual({ rekeyed: 0, left: 1 });
    const ids = async ({ mapper }: BotInTest) => {
      const found: unknown[] = [];
      for await (const { conversations } of mapper.sessions()) found.push(conversations.helper);
      return found.sort();
    };
    expect(await ids(bot(newSecret, encrypt))).toEqual(["c1", "c2"]);
  });

  it("makes no session of one that is forgotten while it is encrypted anew", async () => {
    const encrypt = { encrypt: true };
    await say(bot(oldSecret, encrypt), "ann", "m1");
    const during = bot([newSecret, oldSecret], encrypt);
    agent.reply = undefined;
    const running = during.mapper.handle({ ...ann, id: "m2", text: "m2" }).text();
    await settled();
    const forgotten = during.mapper.forget(ann);
    await settled();
    const rekeyed = during.mapper.rekey();
    await settled();
    agent.last.answer("done");
    await Promise.all([running, forgotten, rekeyed]);
    for await (const session of during.mapper.sessions()) expect(session).toBeUndefined();
  });

  it("can follow another one, and what was named before both is found", async () => {
    const newest = "Zt5hY1uKq8RwNe3XjVb6LdPo9CsAi2Fm";
    await say(bot(oldSecret), "ann", "m1");
    await bot([newSecret, oldSecret]).mapper.rekey();
    const during = bot([newest, newSecret]);
    expect(await say(during, "ann", "m2")).toBe("c1");
    const { sessionName } = await during.mapper.resolve(ann);
    await during.mapper.forget(ann);
    await during.mapper.rekey();
    expect((await bot([newest, newSecret]).mapper.resolve(ann)).sessionName).toBe(sessionName);
    expect((await bot(newest).mapper.resolve(ann)).sessionName).toBe(sessionName);
    expect((await bot(newSecret).mapper.resolve(ann)).sessionName).toBe(sessionName);
  });

  it("finds who was forgotten in the first one, and comes in the second one", async () => {
    const newest = "Zt5hY1uKq8RwNe3XjVb6LdPo9CsAi2Fm";
    await say(bot(oldSecret), "ann", "m1");
    const first = bot([newSecret, oldSecret]);
    await first.mapper.rekey();
    await first.mapper.forget(ann);
    const { sessionName } = await bot([newest, newSecret]).mapper.resolve(ann);
    expect((await bot(newSecret).mapper.resolve(ann)).sessionName).toBe(sessionName);
  });

  it("loses nobody who was forgotten in it, and came back before the old secret was dropped", async () => {
    await say(bot(oldSecret), "ann", "m1");
    const during = bot([newSecret, oldSecret]);
    await say(during, "ann", "m2");
    await during.mapper.forget(ann);
    await during.mapper.rekey();
    const conversation = await say(during, "ann", "m3");
    expect(await say(bot(newSecret), "ann", "m4")).toBe(conversation);
  });

  it("without it loses what the old secret named", async () => {
    expect(await say(bot(oldSecret), "ann", "m1")).toBe("c1");
    expect(await say(bot(newSecret), "ann", "m2")).toBe("c2");
  });

  it("leaves the session of somebody who has begun another one meanwhile", async () => {
    await say(bot(oldSecret), "ann", "m1");
    const after = bot(newSecret);
    await say(after, "ann", "m2");
    expect(await after.mapper.rekey()).toEqual({ rekeyed: 0, left: 1 });
    expect(await say(after, "ann", "m3")).toBe("c2");
  });

  it("finds people whom only the application knows, also after the old secret was dropped", async () => {
    const more: Partial<MapperOptions> = { identify: ({ user }) => (user === "ann" ? "p1" : undefined) };
    await say(bot(oldSecret, more), "ann", "m1");
    const after = bot(newSecret, more);
    expect(await after.mapper.rekey()).toEqual({ rekeyed: 1, left: 0 });
    expect(await say(after, "ann", "m2")).toBe("c1");
  });

  it("keeps the order of messages that come while it is not known whether there was one", async () => {
    const first = bot(oldSecret);
    await say(first, "ann", "m1");
    await first.mapper.rekey();
    const during = bot([newSecret, oldSecret]);
    await during.mapper.rekey();
    const after = bot(newSecret);
    agent.asked.length = 0;
    const replies = ["a", "b", "c"].map((id) => after.mapper.handle({ ...ann, id, text: id }).text());
    await settled();
    replies.push(after.mapper.handle({ ...ann, id: "d", text: "d" }).text());
    expect(await Promise.all(replies)).toEqual(["a", "b", "c", "d"]);
    expect(agent.texts).toEqual(["a", "b", "c", "d"]);
    expect(new Set(agent.asked.map(({ call }) => call.conversationId))).toEqual(new Set(["c1"]));
  });
});
