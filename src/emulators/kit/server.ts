import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Emulator } from "../emulator.ts";
import { connectionOf, listen } from "../http-server.ts";
import type { CommonFault, Faults, Hit } from "./faults.ts";
import { Log } from "./log.ts";
import { throughWire } from "./wire.ts";

/** A request that came in. No query, no headers and no body: they may hold words and secrets. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  /** The HTTP status of the answer; undefined while there is none. */
  readonly status?: number;
  /** It came before the `Retry-After` of an earlier answer was over, and was refused for that. */
  readonly isEarly?: true;
}

/** A request on its way through an emulator. */
export interface Call<Entry, Fault> {
  readonly request: Request;
  readonly url: URL;
  /** What the log says of it, which may be added to. */
  readonly entry: { -readonly [Name in keyof Entry]: Entry[Name] };
  /** What goes wrong with it; empty where nothing does. */
  readonly fault: Partial<Fault>;
  /** Aborted when the emulator closes. */
  readonly closing: AbortSignal;
}

/** What makes one service's emulator differ from the others. */
export interface Service<Entry, Fault> {
  answer(call: Call<Entry, Fault>): Promise<Response> | Response;
  /** The answer to a request that `answer` threw for. */
  refuse(error: unknown, call: Call<Entry, Fault>): Response;
  /** Called with each answer before it is sent. */
  sign?(response: Response): void;
}

export interface ServerParts<Entry, Fault extends CommonFault> {
  readonly port: number;
  readonly faults: Faults<Fault, Entry>;
  readonly entryOf: (request: Request, url: URL) => Entry;
  /** Called once, when the port is known. */
  readonly service: (port: number, closing: AbortSignal) => Service<Entry, Fault>;
}

export interface Server<Entry, Fault> extends Emulator<Entry, Fault> {
  readonly log: Log<Entry>;
}

/** Listens, lets each request meet its fault, and has what is left of it answered by the service. */
export async function startServer<Entry extends LoggedRequest, Fault extends CommonFault>(
  parts: ServerParts<Entry, Fault>,
): Promise<Server<Entry, Fault>> {
  const { port, faults, entryOf } = parts;
  const closing = new AbortController();
  // Each running chat and held request listens, and there may be thousands.
  setMaxListeners(0, closing.signal);
  const log = new Log<Entry>();
  const pauses = new Pauses();
  const server = await listen(port, async (request) => {
    const url = new URL(request.url);
    const entry = entryOf(request, url);
    log.add(entry);
    const early = pauses.refusal(request);
    if (early !== undefined) {
      Object.assign(entry, { status: early.status, isEarly: true });
      return early;
    }
    const hit = faults.take(entry);
    const call: Call<Entry, Fault> = {
      request,
      url,
      entry,
      fault: hit?.fault ?? {},
      closing: closing.signal,
    };
    const response = await respond(service, call, hit);
    pauses.begin(request, response);
    Object.assign(entry, { status: response.status });
    return response;
  });
  const service = parts.service(server.port, closing.signal);
  return {
    baseURL: `http://127.0.0.1:${server.port}`,
    log,
    requests: () => log.last.map((entry) => ({ ...entry })),
    fail: (fault) => faults.add(fault),
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      await server.close();
    },
  };
}

async function respond<Entry, Fault extends CommonFault>(
  service: Service<Entry, Fault>,
  call: Call<Entry, Fault>,
  hit: Hit<Fault> | undefined,
): Promise<Response> {
  const { request, closing } = call;
  const { body, page = body === undefined ? undefined : 200, headers = {}, dropResponse } = call.fault;
  // Nobody waits for the answer any more, so the work must not be done either.
  if (hit !== undefined && !(await held(hit, request, closing))) return new Response(null, { status: 499 });
  const respondent = async (): Promise<Response> =>
    page === undefined
      ? await service.answer(call)
      : new Response(body ?? `<html><body>${page}</body></html>`, {
          status: page,
          headers: { "content-type": "text/html", ...headers },
        });
  const response = await respondent().catch((error: unknown) => service.refuse(error, call));
  service.sign?.(response);
  // Before a single byte of the answer: to the client it looks as if the service died at its work.
  if (dropResponse === true) connectionOf(request)?.destroy();
  return hit === undefined ? response : await throughWire(response, hit.fault, request);
}

/** How much too early a timer may fire, in milliseconds. */
const toleranceMs = 20;

/** Holds clients to the `Retry-After` that they were sent, for the same call with the same key. */
class Pauses {
  readonly #until = new Map<string, number>();

  begin(request: Request, { headers }: Response): void {
    const seconds = Number(headers.get("retry-after"));
    if (seconds > 0) this.#until.set(this.#keyOf(request), performance.now() + seconds * 1000 - toleranceMs);
  }

  refusal(request: Request): Response | undefined {
    if (this.#until.size === 0) return undefined;
    const key = this.#keyOf(request);
    const leftMs = (this.#until.get(key) ?? 0) - performance.now();
    if (leftMs > 0) {
      const headers = { "retry-after": String(Math.ceil(leftMs / 1000)) };
      return new Response("Too early.", { status: 429, headers });
    }
    this.#until.delete(key);
    return undefined;
  }

  #keyOf({ method, url, headers }: Request): string {
    return JSON.stringify([method, new URL(url).pathname, headers.get("authorization")]);
  }
}

/** False where the client has left meanwhile. */
async function held(
  { fault, lifted }: Hit<CommonFault>,
  request: Request,
  closing: AbortSignal,
): Promise<boolean> {
  if (fault.delayMs === undefined && fault.hang !== true) return true;
  const over = AbortSignal.any([closing, request.signal]);
  if (fault.delayMs !== undefined) await sleep(fault.delayMs, undefined, { signal: over }).catch(() => {});
  if (fault.hang === true) await Promise.race([lifted, aborted(over)]);
  return !over.aborted;
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
