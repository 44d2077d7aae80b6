import { type Backend, SessionMapper } from "aparte";
import { describe, expect, it } from "vitest";

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
});
