import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** One client's way to the server. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Stands between a client and a server on this machine, and breaks their connections when told to. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** How long each piece of data is on its way, in milliseconds; asked for each. It never overtakes. */
  delay: () => number = () => 0;
  /** Refuses whoever connects. */
  isDown = false;
  /** Lets requests pass and drops their answers. */
  isSwallowing = false;
  #isCut: (answer: string) => boolean = () => false;

  static async start(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(port: number) {
    // Half-open, so that one direction may end while the other goes on.
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      if (this.isDown) return void client.on("error", () => {}).destroy();
      const pair = { client, server: connect({ port, host: "127.0.0.1", allowHalfOpen: true }) };
      this.#pairs.add(pair);
      this.#pass(pair.client, pair.server, () => true);
      this.#pass(pair.server, pair.client, (data) => {
        if (this.isSwallowing) return false;
        if (!this.#isCut(data.toString())) return true;
        this.cut();
        return false;
      });
      for (const end of [pair.client, pair.server]) {
        end.on("error", () => {});
        end.on("close", () => this.#break(pair));
      }
      return undefined;
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #pass(from: Socket, to: Socket, isPassed: (data: Buffer) => boolean): void {
    let last: Promise<void> | undefined;
    const later = (act: () => void) => {
      const wait = this.delay();
      if (wait === 0 && last === undefined) return act();
      const before = last;
      const mine = sleep(wait).then(async () => {
        await before;
        act();
        if (last === mine) last = undefined;
      });
      last = mine;
    };
    from.on("data", (data) => later(() => isPassed(data) && to.write(data)));
    from.on("end", () => later(() => to.end()));
  }

  #break(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }

  /** Breaks all connections in place of the next answer that fits: it was carried out, and nobody knows. */
  cutAt(fits: (answer: string) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#isCut = (answer) => {
        if (!fits(answer)) return false;
        this.#isCut = () => false;
        resolve();
        return true;
      };
    });
  }

  /** Breaks all connections. */
  cut(): void {
    for (const pair of this.#pairs) this.#break(pair);
  }

  /** Ends all connections in one direction: the client hears no more, or the server does. */
  halfClose(end: "client" | "server"): void {
    for (const pair of this.#pairs) pair[end].end();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
