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
});
