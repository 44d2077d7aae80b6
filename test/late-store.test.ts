import { type Lanes, type Message, SessionMapper, type Store } from "aparte";
import { afterEach, describe, expect, it } from "vitest";
import { memoryStore } from "../src/stores/memory.ts";
import { Gate } from "../src/testing/adapter-agent.ts";
import { until } from "../src/testing/runner.ts";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };

const says = (id: string): Message => ({
  ...{ platform: "chat", tenant: "t", user: "ada", id },
  text: `text ${id}`,
});

/** A store whose answers to one kind of step come late, although all is done at once. */
function lateStore(
  store: Store,
  step: "begin" | "takeOver",
  late: () => Promise<unknown> | undefined,
): Store {
  const join: Store["join"] = (owner) => {
    const lanes = store.join(owner);
    const slow = async (...args: [never]) => {
      const answer = await lanes[step](...args);
      await late();
      return answer;
    };
    return { ...lanes, [step]: slow } as Lanes;
  };
  return { ...store, join, isBounded: false };
}

describe("A store that answers too late", () => {
  const mappers: SessionMapper[] = [];

  afterEach(async () => {
    await Promise.all(mappers.splice(0).map((mapper) => mapper.close({ drainTimeout: 100 })));
  });

  function start(store: Store, asked: string[], hangs?: Promise<void>): SessionMapper {
    const agent = {
      name: "test",
      open: async () => "c1",
      async *ask({ text }: { text: string }) {
        asked.push(text);
        await hangs;
        yield { type: "message", text: `answer to ${text}` } as const;
      },
    };
    const agents = { helper: agent };
    const mapper = new SessionMapper({
      agents,
      secret,
      store,
      logger: quiet,
      storeTimeout: 50,
      leaseTime: 300,
    });
    mappers.push(mapper);
    return mapper;
  }

  it("has its grant run by the next delivery of the event, and its lane goes on", async () => {
    const asked: string[] = [];
    const [first, second] = [new Gate(), new Gate()];
    const gates = [first, second];
    const mapper = start(
      lateStore(memoryStore(), "begin", () => gates.shift()?.opened),
      asked,
    );
    await expect(mapper.handle(says("1")).text()).rejects.toMatchObject({ code: "store-timeout" });
    const again = mapper.handle(says("1"));
    await until("both have been begun", () => (gates.length === 0 ? true : undefined));
    first.open();
    await new Promise((resolve) => setImmediate(resolve));
    second.open();
    expect(await again.text()).toBe("answer to text 1");
    expect(await mapper.handle(says("2")).text()).toBe("answer to text 2");
    expect(asked).toEqual(["text 1", "text 2"]);
  });

  it("has what it let be taken over gone on with, once", async () => {
    const shared = memoryStore();
    const [asked, replies]: [string[], string[]] = [[], []];
    const dead = start(shared, [], new Promise(() => {}));
    dead.connect({ platform: "chat", deliver: async () => {} });
    await dead.receive(says("1"));
    await dead.close({ drainTimeout: 0 });
    // Each time after the deadline, and long before the lease has run out.
    const late = () => new Promise((resolve) => setTimeout(resolve, 100));
    const mapper = start(lateStore({ ...shared, close: async () => {} }, "takeOver", late), asked);
    mapper.connect({
      platform: "chat",
      deliver: async (_, reply) => void replies.push(await reply.text()),
    });
    await until("it is answered", () => replies[0]);
    // The dead one had asked the agent, which cannot be asked for its answer.
    expect(replies).toEqual([expect.stringContaining("my answer to your last message is lost")]);
    expect(asked).toEqual([]);
  });
});
