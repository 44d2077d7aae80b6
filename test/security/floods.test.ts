import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient } from "@keyv/redis";
import { type Backend, type MapperOptions, openStore, SessionMapper, type Store } from "aparte";
import { type WebOptions, web } from "aparte/web";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { describeOnRedis } from "../support/redis.ts";

const secret = "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp";
const quiet = { info() {}, warn() {}, error() {} };
const megabyte = 1024 * 1024;

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function usedBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** An agent that says to some "hello", and answers nobody else before the test ends. */
function silent(): Backend {
  return {
    name: "silent",
    open: async () => "c1",
    async *ask({ text, signal }) {
      if (text === "hello") return yield { type: "message", text };
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  };
}

describe("One signed-in person who floods the web handler", () => {
  function handler(options: Partial<MapperOptions> = {}, more: Partial<WebOptions> = {}) {
    const mapper = new SessionMapper({ agents: { helper: silent() }, secret, logger: quiet, ...options });
    endings.push(() => mapper.close({ drainTimeout: 1 }));
    const authenticate = (request: Request) => ({
      tenant: "acme",
      user: request.headers.get("x-user") ?? "",
    });
    return web(mapper, { authenticate, logger: quiet, graceTime: 0, ...more });
  }

  /** A body of so many bytes, which come as they are read. */
  function upload(id: string, size: number): Request {
    const boundary = "limit-of-the-parts";
    const part = (name: string, more = "") =>
      `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n`;
    const head = `${part("id")}\r\n${id}\r\n${part("text")}\r\nhi\r\n${part("files", '; filename="a.bin"')}content-type: application/octet-stream\r\n\r\n`;
    let left = size;
    let isBegun = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (!isBegun) {
          isBegun = true;
          controller.enqueue(new TextEncoder().encode(head));
        } else if (left > 0) {
          controller.enqueue(new Uint8Array(Math.min(left, megabyte)));
          left -= megabyte;
        } else {
          controller.enqueue(new TextEncoder().encode(`\r\n--${boundary}--\r\n`));
          controller.close();
        }
      },
    });
    return new Request("http://app.test/", {
      ...{ method: "POST", body, duplex: "half" },
      headers: {
        ...{ "content-type": `multipart/form-data; boundary=${boundary}` },
        ...{ "x-user": "mallory", "x-aparte": "1" },
      },
    } as RequestInit);
  }

  const says = (user: string, id: string, text = "hi") =>
    new Request("http://app.test/", {
      ...{ method: "POST", body: JSON.stringify({ id, text }) },
      headers: { "content-type": "application/json", "x-user": user },
    });

  it("with a hundred uploads holds no 300 MB, and leaves room for others", async () => {
    const handle = handler();
    const before = usedBytes();
    const responses: Response[] = [];
    for (let index = 0; index < 100; index += 1) {
      responses.push(await handle(upload(`u${index}`, 16 * megabyte)));
    }
    expect(usedBytes() - before).toBeLessThan(300 * megabyte);
    expect(responses.map(({ status }) => status)).toEqual([200, 200, ...Array(98).fill(429)]);
    // All at once, too, of which each may be half there when the others are refused.
    await Promise.all(Array.from({ length: 100 }, (_, index) => handle(upload(`v${index}`, 16 * megabyte))));
    expect(usedBytes() - before).toBeLessThan(300 * megabyte);
    expect((await handle(says("ben", "1"))).status).toBe(200);
  });

  it("with replies that run or are kept locks out nobody, not even as twenty accounts", async () => {
    const handle = handler();
    for (let account = 0; account < 20; account += 1) {
      const responses = await Promise.all(
        Array.from({ length: 101 }, (_, index) => handle(says(`mallory${account}`, `m${index}`))),
      );
      const taken = responses.filter(({ status }) => status === 200).length;
      expect([account, taken]).toEqual([account, 50]);
    }
    expect((await handle(says("ben", "1"))).status).toBe(200);
  });

  it("gets the reply to a message that was sent again for its whole time, whatever became of the one before", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    endings.push(() => vi.useRealTimers());
    const handle = handler({}, { keepTime: 1_000, maxPersonReplies: 1 });
    const reads = (id: string) =>
      handle(new Request(`http://app.test/?id=${id}`, { headers: { "x-user": "ada" } }));
    const hear = async (id: string) =>
      expect(await (await handle(says("ada", id, "hello"))).text()).toContain("hello");
    await hear("1");
    vi.advanceTimersByTime(600);
    // It makes room for this one, which makes room for it again.
    await hear("2");
    await hear("1");
    vi.advanceTimersByTime(600);
    expect((await reads("1")).status).toBe(200);
    vi.advanceTimersByTime(600);
    expect((await reads("1")).status).toBe(404);
  });

  it("leaves no timer behind for each piece of an answer that was sent", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    endings.push(() => vi.useRealTimers());
    const agent: Backend = {
      ...silent(),
      async *ask() {
        for (let piece = 0; piece < 100; piece++) {
          await new Promise(setImmediate);
          yield { type: "text", delta: "hello " };
        }
      },
    };
    const handle = handler({ agents: { helper: agent } });
    const before = vi.getTimerCount();
    expect((await (await handle(says("ada", "1"))).text()).split("delta").length).toBeGreaterThan(50);
    expect(vi.getTimerCount() - before).toBeLessThan(10);
  });

  it("can send each message again that was refused since too many waited, or since the turns were used up", async () => {
    const full = handler({ queueLimit: 1 });
    const streams = [await full(says("ada", "1")), await full(says("ada", "2"))];
    for (let time = 0; time < 2; time++) expect((await full(says("ada", "3", "hello"))).status).toBe(429);
    for (const stream of streams) await stream.body?.cancel();
    await vi.waitFor(async () => expect((await full(says("ada", "3", "hello"))).status).toBe(200), 5_000);

    const store = memoryStore();
    const limited = handler({ store, limits: { person: 1 } });
    const answered = await limited(says("ada", "4", "hello"));
    expect(await answered.text()).toContain("hello");
    // The first one beyond the limit is refused in its stream, those after it at once.
    expect(await (await limited(says("ada", "5", "hello"))).text()).toContain('"limited"');
    const over = await limited(says("ada", "6", "hello"));
    const [status, retryAfter] = [over.status, Number(over.headers.get("retry-after"))];
    expect([status, retryAfter > 0]).toEqual([429, true]);
    expect(await over.json()).toMatchObject({ error: { code: "limited" } });
    // Nothing is left of it, so that it may come again.
    for (const id of ["5", "6"]) {
      const again = await handler({ store })(says("ada", id, "hello"));
      expect([again.status, await again.text()]).toEqual([200, expect.stringContaining('"hello"')]);
    }
  });
});

/** `count` is of the store's keys, where it has any. */
function limitedPerson(open: () => Promise<{ store: Store; count?: () => Promise<number> }>): void {
  it("leaves nothing in the store by 5,000 messages beyond the limit", async () => {
    const { store, count } = await open();
    let commits = 0;
    const commit: Store["commit"] = (one) => {
      commits += 1;
      return store.commit(one);
    };
    const options = { agents: { helper: silent() }, limits: { person: 2 }, secret, logger: quiet };
    const mapper = new SessionMapper({ ...options, store: { ...store, commit } });
    endings.push(() => mapper.close());
    const mallory = { platform: "own", tenant: "acme", user: randomUUID() };
    let sent = 0;
    const says = () => mapper.handle({ ...mallory, id: `m${++sent}`, text: "hello" }).text();
    for (let turn = 0; turn < 2; turn++) expect(await says()).toBe("hello");
    await expect(says()).rejects.toMatchObject({ code: "limited" });
    await mapper.select(mallory, "helper"); // In its lane, after the turns' ends.
    commits = 0;
    while (sent < 5_003) await expect(says()).rejects.toMatchObject({ code: "limited" });
    expect(commits).toBe(0);
    if (count !== undefined) expect(await count()).toBeLessThan(50);
  });
}

describe("A person over their limit, in memory", () => {
  limitedPerson(async () => ({ store: await openStore("memory:") }));
});

describe("A person over their limit, in a SQLite file", () => {
  const folder = mkdtempSync(join(tmpdir(), "aparte-floods-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  limitedPerson(async () => ({ store: await openStore(`sqlite:${join(folder, "aparte.db")}`) }));
});

describeOnRedis("A person over their limit, on Redis", (url) => {
  limitedPerson(async () => {
    const namespace = `test-${randomUUID()}`;
    const store = await openStore(await url(), { namespace, logger: quiet });
    const client = createClient({ url: await url() });
    await client.connect();
    endings.push(async () => client.destroy());
    const count = async () => (await client.keys(`*${namespace}*`)).length;
    return { store, count };
  });
});
