import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage } from "node:http";
import type { BotkitAdapter, Request, Response, Socket } from "./controller.ts";
import type { Failed } from "./guard.ts";
import type { BotkitOptions } from "./options.ts";

type Authenticate = NonNullable<BotkitOptions["authenticate"]>;

/** The code with which a web socket is closed whose client is not who it says. Private use: RFC 6455, 7.4.2. */
const closeForbidden = 4403;

/**
 * Lets in only clients of the Web adapter that prove who they are. The adapter takes the client's word: it sends
 * the replies for a person to whatever socket named that person last. So a message must not reach it before its
 * sender is known.
 * https://github.com/howdyai/botkit/blob/v4.15.0/packages/botbuilder-adapter-web/src/web_adapter.ts
 */
export class WebGate {
  readonly #authenticate: Authenticate;
  readonly #failed: Failed;
  readonly #verified = new AsyncLocalStorage<string>();

  constructor(authenticate: Authenticate, failed: Failed) {
    this.#authenticate = authenticate;
    this.#failed = failed;
  }

  /** Who sent what the calling turn is about. */
  get user(): string | undefined {
    return this.#verified.getStore();
  }

  guardRequests(adapter: BotkitAdapter): void {
    const { processActivity } = adapter;
    adapter.processActivity = async (request: Request, response: Response, logic: unknown) => {
      const user = await this.#admit(request, request.body);
      if (user === undefined) {
        response.writeHead(401, { "content-type": "application/json" });
        response.end(JSON.stringify({ error: "not authenticated" }));
        return;
      }
      request.body = { ...(request.body as object), user };
      await this.#verified.run(user, async () => processActivity?.call(adapter, request, response, logic));
    };
  }

  /** Call it when the controller is ready: then the adapter listens. */
  guardSockets({ wss }: BotkitAdapter): void {
    wss?.on("connection", (socket, request) => {
      const listeners = socket.listeners("message");
      socket.removeAllListeners("message");
      let before: Promise<void> = Promise.resolve();
      socket.on("message", (payload) => {
        before = before.then(() => this.#receive(socket, request, payload, listeners));
      });
    });
  }

  async #receive(
    socket: Socket,
    request: IncomingMessage,
    payload: unknown,
    listeners: readonly ((payload: unknown) => void)[],
  ): Promise<void> {
    let message: unknown;
    try {
      message = JSON.parse(String(payload));
    } catch {
      return socket.close(closeForbidden, "not JSON");
    }
    const user = await this.#admit(request, message);
    if (user === undefined) return socket.close(closeForbidden, "not authenticated");
    const text = JSON.stringify({ ...(message as object), user });
    this.#verified.run(user, () => {
      for (const listener of listeners) listener.call(socket, text);
    });
  }

  /** The person, unless nobody is proven, or another one than the message claims. */
  async #admit(request: IncomingMessage, message: unknown): Promise<string | undefined> {
    if (typeof message !== "object" || message === null) return undefined;
    try {
      const user = await this.#authenticate(request, message as Record<string, unknown>);
      if (typeof user !== "string" || user === "") return undefined;
      const claimed = "user" in message ? message.user : user;
      return claimed === user ? user : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }
}
