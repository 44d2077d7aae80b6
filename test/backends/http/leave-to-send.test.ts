import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { Deadline, inDoubt, lost, refusedForNow, send } from "aparte/backend";
import { afterEach, describe, expect, it } from "vitest";
import { AparteError } from "../../../src/errors.ts";

const { signal } = new AbortController();
const deadline = new Deadline(signal, 60_000);
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Says what comes over its connections. */
async function service(answer: (request: IncomingMessage, body: string) => string | undefined) {
  const server = createServer(async (request, response) => {
    const said = answer(request, await text(request));
    if (said === undefined) response.destroy();
    else response.end(said);
  });
  let bytes = 0;
  const connected = once(server, "connection");
  server.on("connection", (socket) => socket.on("data", (data) => (bytes += data.length)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: addressOf("http", server.address()), connected, bytes: () => bytes };
}

function addressOf(scheme: string, address: ReturnType<ReturnType<typeof createServer>["address"]>): string {
  return `${scheme}://127.0.0.1:${typeof address === "object" ? address?.port : ""}/turns`;
}

describe("A request with leave to be sent", () => {
  const request = {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer t" },
    body: JSON.stringify({ text: "Grüße 你好" }),
  };
  const leaseLost = new AparteError("lease-lost", "Another process goes on with the turn.");

  it("waits for it on an open connection, of which nothing was used", async () => {
    const seen: unknown[] = [];
    const { url, connected, bytes } = await service(({ headers, method }, body) => {
      seen.push(method, headers, JSON.parse(body));
      return "taken";
    });
    const permit = async () => {
      await connected;
      seen.push(bytes());
    };
    const response = await send(fetch, { ...request, url, permit, signal });
    expect(await response.text()).toBe("taken");
    const length = String(Buffer.byteLength(request.body));
    const headers = { ...request.headers, "content-length": length };
    expect(seen).toEqual([0, "POST", expect.objectContaining(headers), { text: "Grüße 你好" }]);
    expect(seen[2]).not.toHaveProperty("transfer-encoding");
  });

  it("is not written without it, and fails as the leave does", async () => {
    const { url, connected, bytes } = await service(() => "taken");
    const permit = async () => {
      await connected;
      throw leaseLost;
    };
    await expect(send(fetch, { ...request, url, permit, signal })).rejects.toBe(leaseLost);
    const [socket] = (await connected) as [Socket];
    if (!socket.closed) await once(socket, "close");
    expect(bytes()).toBe(0);
  });

  it("does not ask for it before its connection stands; what fails until then was surely not sent", async () => {
    // It hangs up in the middle of the handshake.
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.resetAndDestroy());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => server.close());
    let asked = 0;
    const permit = async () => {
      asked += 1;
    };
    const url = addressOf("https", server.address());
    const error = await send(fetch, { ...request, url, permit, signal }).catch((thrown: unknown) => thrown);
    expect(asked).toBe(0);
    expect(lost(error, signal, deadline, "Parrot")).toMatchObject(refusedForNow);
  });

  it("may have run once it was written", async () => {
    const { url } = await service(() => undefined);
    const sending = send(fetch, { ...request, url, permit: async () => {}, signal });
    const error = await sending.catch((thrown: unknown) => thrown);
    expect(lost(error, signal, deadline, "Parrot")).toMatchObject(inDoubt);
  });

  it("is answered with 401 as with any other status, also by a fetch that holds to the standard", async () => {
    // "If request's body's source is null, then return a network error." undici 7.18 to 7.24 does so.
    const standard = async (_: unknown, { body, credentials }: RequestInit = {}) => {
      await text(body as ReadableStream);
      if (credentials !== "omit") throw new TypeError("fetch failed");
      return new Response("", { status: 401 });
    };
    const url = "https://example.com";
    expect(await send(standard, { ...request, url, permit: async () => {} })).toMatchObject({ status: 401 });
  });

  it("has its text for a client that knows no streams, and may have run by then", async () => {
    const said: unknown[] = [];
    const old = async (_: unknown, init?: RequestInit) => {
      said.push(String(init?.body));
      throw new TypeError("socket hang up");
    };
    const sending = send(old, { ...request, url: "https://example.com", permit: async () => {} });
    const error = await sending.catch((thrown: unknown) => thrown);
    expect(said).toEqual([request.body]);
    expect(lost(error, signal, deadline, "Parrot")).toMatchObject(inDoubt);
  });

  it("goes as it is where none is asked for, and where it has no text", async () => {
    const inits: (RequestInit | undefined)[] = [];
    const recording = async (_: unknown, init?: RequestInit) => {
      inits.push(init);
      return new Response();
    };
    const form = new FormData();
    const permit = async () => expect.unreachable();
    await send(recording, { ...request, url: "https://example.com" });
    await send(recording, { method: "POST", body: form, url: "https://example.com", permit });
    await send(recording, { method: "GET", url: "https://example.com", permit });
    expect(inits.map((init) => init?.body)).toEqual([request.body, form, undefined]);
  });
});
