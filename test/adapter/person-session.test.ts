import type { AskCall } from "aparte";
import { personSession } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { botOf, TestAgent } from "../support/bot.ts";
import { TestClock } from "../support/test-clock.ts";
import { TestStore } from "../support/test-store.ts";

const ann = { platform: "chat", tenant: "acme", user: "ann" };
const files = [{ name: "a.txt", data: new Uint8Array([1]) }];

function bot() {
  const clock = new TestClock();
  const [agent, other] = [new TestAgent(), new TestAgent()];
  const agents = { helper: agent, other };
  return { ...botOf(clock, new TestStore(clock), { agent, agents }), other };
}

describe("A person's session for a bot's own handlers", () => {
  it("asks what was said, with its files, or other words; each call once, however often the event comes", async () => {
    const { mapper, agent } = bot();
    agent.reply = (text) => `re ${text}`;
    const event = { id: "e1", text: "hello", files };
    for (let delivery = 0; delivery < 2; delivery += 1) {
      const session = personSession(mapper, ann, event);
      expect(session.speaker).toBe(ann);
      expect(await session.ask().text()).toBe("re hello");
      expect(await session.ask("in other words").text()).toBe("re in other words");
    }
    const calls = agent.asked.map(({ call }: { call: AskCall }) => [call.text, call.files?.[0]?.name]);
    expect(calls).toEqual([
      ["hello", "a.txt"],
      ["in other words", "a.txt"],
    ]);
    expect(new Set(agent.asked.map(({ call }) => call.sessionName))).toEqual(
      new Set([(await mapper.resolve(ann)).sessionName]),
    );
    await mapper.close();
  });

  it("asks an agent by name", async () => {
    const { mapper, agent, other } = bot();
    other.reply = (text) => `${text}!`;
    const session = personSession(mapper, ann, { id: "e1", text: "hello" });
    expect(await session.ask(undefined, "other").text()).toBe("hello!");
    expect(agent.asked).toEqual([]);
    await session.select("other");
    expect(await session.ask("again").text()).toBe("again!");
    await session.rename("A trip", "other").catch(({ code }) => expect(code).toBe("backend-unsupported"));
    await session.reset("other");
    expect((await session.resolve("other")).conversationId).toBe("c2");
    await session.forget("other");
    expect((await session.export())?.conversations).toEqual({});
    await mapper.close();
  });

  it("does what the mapper does with the person's session", async () => {
    const { mapper, agent } = bot();
    agent.reply = (text) => `re ${text}`;
    const renamed: unknown[] = [];
    agent.rename = async ({ title }) => void renamed.push(title);
    const session = personSession(mapper, ann, { id: "e1", text: "hello" });
    await session.ask().text();
    expect((await session.resolve()).conversationId).toBe("c1");
    await session.rename("A trip");
    expect(renamed).toEqual(["A trip"]);
    await session.reset();
    expect((await session.resolve()).conversationId).toBe("c2");
    await session.select("helper");
    expect(await session.export()).toMatchObject({ agent: "helper", conversations: { helper: "c2" } });
    expect(await session.stop()).toBe(false);
    expect(await session.forget()).toMatchObject({ conversations: { helper: expect.any(String) } });
    expect(await session.export()).toBeUndefined();
    await mapper.close();
  });
});
