import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ServerRequest } from "srvx";
import { serve } from "srvx/node";
import { optionInvalid } from "../check.ts";

/**
 * Listens on the loopback. No signal ends it: the program that runs the emulator listens to
 * those itself.
 * @param port 0 for a free one
 * @throws {AparteError} `option-invalid` with the field `port`.
 */
export async function listen(
  port: number,
  fetch: (request: Request) => Promise<Response>,
): Promise<{ port: number; close: () => Promise<void> }> {
  const hostname = "127.0.0.1";
  const server = serve({ hostname, port, manual: true, silent: true, gracefulShutdown: false, fetch });
  try {
    await server.serve();
  } catch (cause) {
    const problem = `cannot be listened on: ${hostname}:${port} (${codeOf(cause)}). Choose another one, or 0 for a free one`;
    throw optionInvalid("port", problem, cause);
  }
  const address = server.node?.server?.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () => server.close(true),
  };
}

/** The connection of a request, to break it. */
export function connectionOf(request: Request): Socket | undefined {
  return ((request as ServerRequest).runtime?.node?.res as ServerResponse | undefined)?.socket ?? undefined;
}

/** Sends what is written, then ends the connection in the midst of its answer. */
export function breakOff(request: Request): void {
  const connection = connectionOf(request);
  // The writes of this turn of the loop reach the socket in the next ones.
  setImmediate(() => setImmediate(() => connection?.destroySoon()));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}
