import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { BotkitAdapter, Request, Response } from "../../../adapters/botkit/controller.ts";
import { WebGate } from "../../../adapters/botkit/web.ts";

type Authenticate = ConstructorParameters<typeof WebGate>[0];

/** What gets through to an adapter, by an HTTP request or by a web socket. */
async function gated(authenticate: Authenticate) {
  const errors: unknown[] = [];
  const asked: unknown[] = [];
  const received: unknown[] = [];
  const gate = new WebGate(
    (request, message) => {
      asked.push(message);
      return authenticate(request, message);
    },
    (error) => errors.push(error),
  );
  const wss = new WebSocketServer({ noServer: true });
  wss.on("connection", (socket) =>
    socket.on("message", (payload) => {
      received.push({ user: gate.user, message: JSON.parse(String(payload)) });
      socket.send("taken");
    }),
  );
  const adapter: BotkitAdapter = {
    wss: wss as unknown as NonNullable<BotkitAdapter["wss"]>,
    async processActivity({ body }: Request, response: Response) {
      received.push({ user: gate.user, message: body });
      response.end("taken");
    },
  };
  gate.guardRequests(adapter);
  gate.guardSockets(adapter);
  const server = createServer(async (request: IncomingMessage, response) => {
    let text = "";
    for await (const part of request) text += part;
    const body = text === "" ? undefined : JSON.parse(text);
    await adapter.processActivity?.(Object.assign(request, { body }), response, undefined);
  });
  server.on("upgrade", (request, socket, head) =>
    wss.handleUpgrade(request, socket, head, (open) => wss.emit("connection", open, request)),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of wss.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (body?: string) => {
    const response = await fetch(`http://${host}`, { method: "POST", ...(body !== undefined && { body }) });
    return `${response.status} ${await response.text()}`;
  };
  /** What becomes of a message: it is taken, or the socket is closed. */
  const send = async (text: string) => {
    const socket = new WebSocket(`ws://${host}`);
    await once(socket, "open");
    const taken = once(socket, "message").then(([data]) => String(data));
    const closed = once(socket, "close").then(([code, reason]) => `${code} ${reason}`);
    socket.send(text);
    return Promise.race([taken, closed]);
  };
  return { asked, errors, post, received, send };
}

const refused = '401 {"error":"not authenticated"}';
const closed = "4403 not authenticated";

describe("Botkit's Web adapter gets a message", () => {
  it("of who is proved, under that name, by a request and by a socket", async () => {
    const { post, received, send } = await gated(async () => "ada");
    expect(await post('{"text":"a"}')).toBe("200 taken");
    expect(await post('{"text":"b","user":"ada"}')).toBe("200 taken");
    expect(await send('{"text":"c"}')).toBe("taken");
    expect(await send('{"text":"d","user":"ada"}')).toBe("taken");
    expect(received).toEqual(
      ["a", "b", "c", "d"].map((text) => ({ user: "ada", message: { text, user: "ada" } })),
    );
  });

  it.each(['"ada"', "1", "true", "null"])("never, where it is no object: %s", async (message) => {
    const { asked, errors, post, received, send } = await gated(() => "ada");
    expect(await post(message)).toBe(refused);
    expect(await send(message)).toBe(closed);
    expect([asked, errors, received]).toEqual([[], [], []]);
  });

  it("never, where there is none, or it is no JSON", async () => {
    const { asked, errors, post, received, send } = await gated(() => "ada");
    expect(await post()).toBe(refused);
    expect(await send("{")).toBe("4403 not JSON");
    expect([asked, errors, received]).toEqual([[], [], []]);
  });

  it.each<[unknown]>([[undefined], [null], [""], [1], [true], [{ id: "ada" }]])(
    "never, where this is what proves who it is: %j",
    async (proved) => {
      const { errors, post, received, send } = await gated(() => proved as string);
      // One who says the same, and one who says nothing.
      for (const message of [JSON.stringify({ user: proved }), "{}"]) {
        expect(await post(message)).toBe(refused);
        expect(await send(message)).toBe(closed);
      }
      expect([errors, received]).toEqual([[], []]);
    },
  );

  it.each<[unknown]>([["bob"], [""], [null], ["ADA"], ["ada "], [["ada"]]])(
    "never, where it names another than is proved: %j",
    async (user) => {
      const { errors, post, received, send } = await gated(() => "ada");
      expect(await post(JSON.stringify({ user }))).toBe(refused);
      expect(await send(JSON.stringify({ user }))).toBe(closed);
      expect([errors, received]).toEqual([[], []]);
    },
  );

  it("never, where the proof cannot be looked at, which is told", async () => {
    const away = new Error("The sessions' database is away.");
    for (const fail of [
      () => Promise.reject(away),
      () => {
        throw away;
      },
    ]) {
      const { errors, post, received, send } = await gated(fail);
      expect(await post("{}")).toBe(refused);
      expect(errors).toEqual([away]);
      expect(await send("{}")).toBe(closed);
      expect(errors).toEqual([away, away]);
      expect(received).toEqual([]);
    }
  });
});
