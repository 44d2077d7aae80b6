import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Backend, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { startCozeEmulator } from "aparte/testing";
import { web } from "aparte/web";
import { afterEach, describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";

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

/** An agent that answers nobody before the test ends. */
function silent(): Backend {
  return {
    name: "silent",
    open: async () => "c1",
    async *ask({ signal }) {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  };
}

describe("Two customers in one process, with one app at the service", () => {
  it("have each their own tokens in their own store, and forget their own alone", async () => {
    const emulator = await startCozeEmulator();
    endings.push(() => emulator.close());
    const { appId, keyId, privateKey, botId, baseURL } = emulator;
    const customers = ["a", "b"].map(() => {
      const store = { ...memoryStore(), shared: true };
      const helper = coze({ appId, keyId, privateKey, botId, baseURL });
      const mapper = new SessionMapper({ agents: { helper }, store, secret, logger: quiet });
      endings.push(() => mapper.close());
      const tokens = async () => {
        let count = 0;
        for await (const _ of store.records.entries("token:")) count += 1;
        return count;
      };
      return { mapper, tokens };
    });
    const [a, b] = customers;
    if (a === undefined || b === undefined) throw new Error("There are two.");
    // The same person by name: with the same secret even the session's name is the same.
    const ada = { platform: "web", tenant: "acme", user: "ada" };
    const first = await a.mapper.resolve(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 0]);
    const second = await b.mapper.resolve(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 1]);
    expect(second.accessToken).not.toBe(first.accessToken);
    await b.mapper.forget(ada);
    expect([await a.tokens(), await b.tokens()]).toEqual([1, 0]);
  });
});

describe("One signed-in person who floods the web handler", () => {
  function handler() {
    const mapper = new SessionMapper({ agents: { helper: silent() }, secret, logger: quiet });
    endings.push(() => mapper.close({ drainTimeout: 1 }));
    const authenticate = (request: Request) => ({
      tenant: "acme",
      user: request.headers.get("x-user") ?? "",
    });
    return web(mapper, { authenticate, logger: quiet });
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

  const says = (user: string, id: string) =>
    new Request("http://app.test/", {
      ...{ method: "POST", body: JSON.stringify({ id, text: "hi" }) },
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
});
