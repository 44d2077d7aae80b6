import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a client and a server on this machine, and breaks their connections when told to. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut: (answer: string) => boolean = () => false;

  static async start(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, "127.0.0.1");
      const ends = [client, server];
      for (const end of ends) {
        this.#sockets.add(end);
        end.on("error", () => {});
        end.on("close", () => {
          this.#sockets.delete(end);
          for (const other of ends) other.destroy();
        });
      }
      client.on("data", (data) => server.write(data));
      server.on("data", (data) => {
        if (!this.#isCut(data.toString())) client.write(data);
        else this.#cutAll();
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
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

  #cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#cutAll();
    this.#server.close();
    await once(this.#server, "close");
  }
}
