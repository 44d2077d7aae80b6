import { type Message, openStore, SessionMapper, type Store } from "aparte";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Participant } from "../../src/testing/participant.ts";
import { until } from "../../src/testing/runner.ts";
import { TcpProxy } from "../fakes/tcp-proxy.ts";
import { describeWithRedis, RedisServer } from "../redis.ts";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };

describeWithRedis("Lanes on Redis", () => {
  let redis: RedisServer;
  let stores: Store[];
  let closers: (() => Promise<unknown>)[];

  beforeEach(async () => {
    redis = await RedisServer.start();
    stores = [];
    closers = [];
  });

  afterEach(async () => {
    for (const close of closers.reverse()) await close();
    for (const store of stores) await store.close();
    await redis.close();
  });

  async function open(url = redis.url): Promise<Store> {
    const store = await openStore(url, { logger: quiet });
    stores.push(store);
    return store;
  }

  /** An owner in a process of its own, which listens. */
  async function owner(leaseMs?: number, platforms?: string[]): Promise<Participant> {
    const participant = new Participant(await open(), leaseMs, platforms);
    await participant.lanes.takeOver([]);
    return participant;
  }

  /** Breaks the connections of all owners that listen: they are made again in a moment. */
  const breakListening = () => redis.command("CLIENT", "KILL", "TYPE", "pubsub");

  const listeners = async () =>
    ((await redis.command("PUBSUB", "CHANNELS")) as string[]).filter((name) => name.includes("wake")).length;

  it("leaves a turn without a platform to its owner, which does not listen for a moment", async () => {
    const [a, b] = [await owner(), await owner()];
    const running = await a.run("lane", "1");
    await b.wait("lane", "2");
    await breakListening();
    await a.lanes.end(running);
    await until("both listen again", async () => ((await listeners()) === 2 ? true : undefined));
    const granted = await until("the turn is granted", async () => {
      expect(await a.takeOverAll()).toEqual([]);
      return b.grants[0];
    });
    expect(granted).toMatchObject({ turn: { key: "2" }, attempt: 1 });
  });

  it("runs a turn at once in a lane whose last waiting turn was withdrawn while nobody ran", async () => {
    const [a, b] = [await owner(), await owner()];
    const running = await a.run("lane", "1");
    await b.wait("lane", "2");
    await a.lanes.leave();
    await breakListening();
    await a.lanes.end(running);
    // Granted or not by now: either way nobody waits behind nobody.
    if (await b.lanes.withdraw("lane", "2")) await b.run("lane", "3");
    else await b.lanes.end(await b.grant("2"));
  });

  it("tells the owner of an interruption that was not heard with the next renewal", async () => {
    const [a, b] = [await owner(), await owner()];
    const running = await a.run("lane", "1", { overlap: "interrupt" });
    await breakListening();
    await b.wait("lane", "2", { overlap: "interrupt" });
    // It may have listened again by then; here it has not.
    a.interruptedKeys.length = 0;
    expect(await a.lanes.renew([running])).toEqual([]);
    expect(a.interruptedKeys).toContain("1");
    await a.lanes.end(running);
    const next = await until("the next turn is granted", async () => {
      await b.lanes.renew([]);
      return b.grants[0];
    });
    await b.lanes.renew([next]);
    expect(b.interruptedKeys).toEqual([]);
  });

  it("interrupts an owner that has only taken turns over", async () => {
    const dead = await owner(60);
    await dead.run("lane", "1", { platform: "chat" });
    const a = new Participant(await open(), undefined, ["chat"]);
    await a.takeOver("1");
    const b = await owner();
    await b.wait("lane", "2", { overlap: "interrupt" });
    await until("it is told", () => a.interruptedKeys[0]);
  });

  it("puts a running turn behind the one that began after the server had lost its data", async () => {
    const [a, b] = [await owner(), await owner()];
    const first = await a.run("lane", "1");
    await a.lanes.note(first, { chat: "c1" });
    await redis.command("FLUSHALL");
    const second = await b.run("lane", "2");
    expect(await a.lanes.renew([first])).toEqual([first]);
    await b.lanes.renew([second]);
    await b.lanes.end(second);
    const again = await a.grant("1");
    expect(again).toMatchObject({ attempt: 2, facts: { chat: "c1" } });
    await a.lanes.end(again);
    expect(await b.begin("lane", "1")).toEqual({ is: "duplicate" });
  });

  it("takes over other lanes beside one whose record cannot be read, and keeps other leases", async () => {
    const a = await owner(60);
    for (const lane of ["one", "two", "three"]) await a.run(lane, "1");
    await a.lanes.save(await a.run("named", "1"), { v: 1, speaker: { scope: "user" }, conversations: {} });
    const keys = (await redis.command("KEYS", "*session:named")) as string[];
    const named = keys[0] ?? "";
    await redis.command("LPUSH", named.replace("named", "two"), "no record");
    await redis.command("SET", named.replace("named", "three"), "no JSON");
    const b = await owner();
    const taken = await until("all that can be read are taken over", async () => {
      b.grants.push(...(await b.takeOverAll()));
      return b.grants.length === 3 ? b.grants : undefined;
    });
    expect(taken.map(({ lane }) => lane).sort()).toEqual(["named", "one", "three"]);
    // Read once more by whoever runs the turn, who tells the person.
    expect(taken.find(({ lane }) => lane === "three")).not.toHaveProperty("record");
    expect(await b.lanes.renew(taken)).toEqual([]);
  });

  describe("whose connection breaks", () => {
    const says = (user: string, id: string): Message => ({
      ...{ platform: "chat", tenant: "t", user, id },
      text: `text ${id}`,
    });

    /** A copy of a bot behind a proxy, and one that is not. */
    async function bots() {
      const asked: string[] = [];
      const waiting: (() => void)[] = [];
      const agent = {
        name: "test",
        open: async () => "c1",
        async *ask({ text }: { text: string }) {
          asked.push(text);
          if (text.includes("slow")) await new Promise<void>((resolve) => waiting.push(resolve));
          yield { type: "message", text: `answer to ${text}` } as const;
        },
      };
      const replies: string[] = [];
      const start = async (url: string) => {
        const mapper = new SessionMapper({
          ...{ agents: { helper: agent }, secret, logger: quiet, leaseTime: 3_000 },
          store: await openStore(url, { logger: quiet }),
        });
        mapper.connect({
          platform: "chat",
          deliver: async (_, reply) => {
            const text = await reply.text().catch(({ code }) => code);
            if (reply.held) replies.push(text);
          },
        });
        closers.push(() => mapper.close({ drainTimeout: 100 }));
        return mapper;
      };
      const proxy = await TcpProxy.start(redis.port);
      closers.push(() => proxy.close());
      const [direct, behind] = [await start(redis.url), await start(`redis://127.0.0.1:${proxy.port}`)];
      await behind.receive(says("warm", `warm ${closers.length}`));
      await until("it listens", () => replies[0]);
      return { asked, replies, proxy, direct, behind, release: () => waiting.shift()?.() };
    }

    it("runs a turn once whose begin was answered to nobody", async () => {
      for (let round = 0; round < 8; round += 1) {
        const { asked, proxy, behind } = await bots();
        const cut = proxy.cutAt((answer) => answer.includes('"run"'));
        await behind.receive(says(`u${round}`, `m${round}`)).catch(() => {});
        await cut;
        await until("the agent is asked", () => asked.find((text) => text === `text m${round}`));
        // Whoever would claim it once more has done so when a later message is answered.
        await until("it answers again", () =>
          behind
            .handle(says("another", `${round} ${Math.random()}`))
            .text()
            .catch(() => undefined),
        );
        expect(asked.filter((text) => text === `text m${round}`)).toHaveLength(1);
      }
    });

    it("runs a waiting turn whose claim was answered to nobody", async () => {
      const { asked, replies, proxy, direct, behind, release } = await bots();
      await direct.receive(says("ada", "slow"));
      await until("the agent is asked", () => asked[1]);
      await behind.receive(says("ada", "next"));
      const cut = proxy.cutAt((answer) => answer.includes('"grant"'));
      release();
      await cut;
      await until("it is answered", () => replies.find((text) => text === "answer to text next"));
      expect(asked.filter((text) => text === "text next")).toHaveLength(1);
    });
  });
});
