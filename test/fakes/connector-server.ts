import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Watch } from "./watch.ts";

interface ActivityBody {
  readonly type: string;
  readonly text?: string;
  readonly suggestedActions?: {
    readonly actions: readonly { readonly title: string; readonly type: string; readonly value: string }[];
    readonly to: readonly string[];
  };
}

/**
 * What Bot Framework's bots send their messages to, in small: the Connector service of Teams and others
 * (https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference).
 */
export class ConnectorServer {
  /** The bot's messages as they are now, by id. */
  readonly messages = new Map<string, string>();
  /** The questions that the bot's messages offer, by the message's id. */
  readonly offers = new Map<string, string[]>();
  /** Each call that was carried out, e.g. `PUT 2 some words`. */
  readonly calls: string[] = [];
  readonly #server: Server;
  readonly #watch = new Watch(() => this.calls.join("\n"));
  #failures = 0;
  #count = 0;

  static async start(): Promise<ConnectorServer> {
    const connector = new ConnectorServer();
    connector.#server.listen(0, "127.0.0.1");
    await once(connector.#server, "listening");
    return connector;
  }

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get shown(): string[] {
    return [...this.messages.values()];
  }

  /** Refuses the next calls. */
  fail(times: number): void {
    this.#failures = times;
  }

  /** Resolves when something is so; asked after each call. */
  until(isSo: () => boolean): Promise<boolean> {
    return this.#watch.until(isSo);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += part;
    const { method = "", url = "" } = request;
    const id = /^\/v3\/conversations\/[^/]+\/activities\/([^/]+)$/.exec(url)?.[1];
    const body = text === "" ? { type: "" } : (JSON.parse(text) as ActivityBody);
    const [status, answer] = this.#carryOut(method, id, body);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
    this.#watch.happened();
  }

  #carryOut(method: string, id: string | undefined, body: ActivityBody): [number, object] {
    const { type, text = "", suggestedActions } = body;
    if (type === "typing") return [201, { id: "typing" }];
    if (this.#failures > 0) {
      this.#failures -= 1;
      return [403, { error: { code: "Forbidden", message: "The bot is not part of the conversation." } }];
    }
    // Pressed, it says what it shows, as the person to whom it is shown.
    const isSaid = suggestedActions?.actions.every(
      ({ type: kind, title, value }) => kind === "imBack" && value === title,
    );
    if (isSaid === false || suggestedActions?.to.length === 0) return [400, { error: { code: "BadSyntax" } }];
    if (method === "POST") {
      this.#count += 1;
      const own = `m${this.#count}`;
      this.messages.set(own, text);
      if (suggestedActions !== undefined)
        this.offers.set(
          own,
          suggestedActions.actions.map(({ title }) => title),
        );
      this.calls.push(`POST ${own} ${text}`);
      return [201, { id: own }];
    }
    if (id === undefined || !this.messages.has(id)) return [404, { error: { code: "ActivityNotFound" } }];
    if (method === "PUT") this.messages.set(id, text);
    else this.messages.delete(id);
    this.calls.push(`${method} ${id} ${text}`);
    return [200, { id }];
  }
}
