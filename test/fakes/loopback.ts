import { serve } from "srvx/node";

/** A fetch handler on a loopback port. */
export interface Loopback {
  readonly url: string;
  close(): Promise<void>;
}

export async function listen(fetch: (request: Request) => Response | Promise<Response>): Promise<Loopback> {
  const server = serve({ fetch, port: 0, hostname: "127.0.0.1", silent: true, gracefulShutdown: false });
  await server.ready();
  return { url: server.url ?? "", close: () => server.close(true) };
}
