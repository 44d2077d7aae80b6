import { early } from "../kit/chance.ts";
import { type FaultHandle, Faults, type Hit } from "../kit/faults.ts";
import { type WireFault, wireFaults } from "../kit/wire.ts";

/** One thing to go wrong, for the next request that fits. Without `method` and `path` any request fits. */
export interface CozeFault extends WireFault {
  /** E.g. `"POST"`. */
  readonly method?: string;
  /**
   * The path that fits, e.g. `"/v3/chat"`. It fits exactly; with `/` or `*` at its end it fits all that begins so,
   * e.g. `"/v1/conversations/"` or `"/api/permission/oauth2*"`.
   */
  readonly path?: string;
  /** How many requests it hits. @default 1 */
  readonly times?: number;
  /** Milliseconds to wait before anything else happens. */
  readonly delayMs?: number;
  /** Holds the request, its work not begun, until {@link FaultHandle.lift}; then it goes on as usual. */
  readonly hang?: boolean;
  /** Answers with this HTTP status and does no work. @default 200 when `code` is given */
  readonly status?: number;
  /** Answers with this code in the JSON envelope and does no work; in place of a stream too. */
  readonly code?: number | string;
  /** The message beside `code`. */
  readonly msg?: string;
  /** Answers with this text (as HTML) in place of JSON, as a gateway does. */
  readonly body?: string;
  /** Further headers of an answer made by `status`, `code` or `body`, e.g. `{ "retry-after": "3" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Does all the work, then breaks the connection before the answer. */
  readonly dropResponse?: boolean;
  /** Breaks the stream after this many events. The chat itself goes on. */
  readonly cut?: number;
  /** Lets the stream fall silent after this many events. The connection stays, and the chat goes on. */
  readonly hangAfter?: number;
  /** The chat begins and goes on, but after this many events its stream ends with an `error` event of this data. */
  readonly errorEvent?: { readonly after: number; readonly data: string };
  /** The chat begins, then fails with this `last_error`. */
  readonly chatFailed?: { readonly code: number; readonly msg: string };
}

/** A fault that was ordered of the emulated Coze. */
export type CozeFaultHandle = FaultHandle;
export type CozeHit = Hit<CozeFault>;

/** Method and path of a request. */
export type Asked = readonly [method: string, path: string];
export type CozeFaults = Faults<CozeFault, Asked>;

const known: Record<keyof CozeFault, true> = {
  ...wireFaults,
  method: true,
  path: true,
  times: true,
  delayMs: true,
  hang: true,
  status: true,
  code: true,
  msg: true,
  body: true,
  headers: true,
  dropResponse: true,
  cut: true,
  hangAfter: true,
  errorEvent: true,
  chatFailed: true,
};

/** @param chance what goes wrong by itself with a request that no fault waits for */
export function createFaults(chance?: () => CozeFault | undefined): CozeFaults {
  return new Faults<CozeFault, Asked>({ known, fits, chance });
}

/** What a hostile network and a service at its limits do. */
export const hostileFaults: readonly ((random: () => number) => CozeFault)[] = [
  (random) => ({ resetAt: early(random, 3000) }),
  (random) => ({ pieces: 1 + early(random, 40) }),
  () => ({ unterminated: true }),
  () => ({ contentType: "text/plain" }),
  () => ({ contentType: "Text/Event-Stream; charset=UTF-8" }),
  () => ({ afterWork: 503 }),
  () => ({ afterWork: 502 }),
  () => ({ dropResponse: true }),
  () => ({ status: 503, body: "<html>" }),
  () => ({ status: 429, body: "slow down" }),
  () => ({ status: 302, body: "", headers: { location: "/elsewhere" } }),
  () => ({ code: 4009 }),
  () => ({ code: 4013 }),
  () => ({ code: "4020" }),
  () => ({ code: 5000 }),
  () => ({ code: 4100, status: 401 }),
  () => ({ code: 4101 }),
  () => ({ contentType: "text/event-stream", code: 4009 }),
  (random) => ({ cut: early(random, 12) }),
  (random) => ({ errorEvent: { after: early(random, 8), data: "{}" } }),
  (random) => ({ errorEvent: { after: early(random, 8), data: "event interval error" } }),
  (random) => ({ errorEvent: { after: early(random, 8), data: '{"code":4013,"msg":"model"}' } }),
];

function fits(fault: CozeFault, [method, path]: Asked): boolean {
  if (fault.method !== undefined && fault.method.toUpperCase() !== method) return false;
  if (fault.path === undefined || fault.path === path) return true;
  if (fault.path.endsWith("*")) return path.startsWith(fault.path.slice(0, -1));
  return fault.path.endsWith("/") && path.startsWith(fault.path);
}
