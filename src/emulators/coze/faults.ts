import { early } from "../kit/chance.ts";
import { type CommonFault, commonFaults, type FaultRules } from "../kit/faults.ts";
import type { CozeRequest } from "./protocol.ts";

/** One thing to go wrong, for the next request that fits. Without `method` and `path` any request fits. */
export interface CozeFault extends CommonFault {
  /** E.g. `"POST"`. */
  readonly method?: string;
  /**
   * The path that fits, e.g. `"/v3/chat"`. It fits exactly; with `/` or `*` at its end it fits all that begins so,
   * e.g. `"/v1/conversations/"` or `"/api/permission/oauth2*"`.
   */
  readonly path?: string;
  /** Answers with this code in the JSON envelope and does no work; in place of a stream too. */
  readonly code?: number | string;
  /** The HTTP status of such an answer; without `code`, that of an answer with code 5000. @default 200 */
  readonly status?: number;
  /** The message beside `code`. */
  readonly msg?: string;
  /** Breaks the stream after this many events. The chat itself goes on. */
  readonly cut?: number;
  /** Lets the stream fall silent after this many events. The connection stays, and the chat goes on. */
  readonly hangAfter?: number;
  /** The chat begins and goes on, but after this many events its stream ends with an `error` event of this data. */
  readonly errorEvent?: { readonly after: number; readonly data: string };
  /** The chat begins, then fails with this `last_error`. */
  readonly chatFailed?: { readonly code: number; readonly msg: string };
}

/** The rest of the service's table: what is refused for good. */
const refusals: readonly number[] = [
  ...[4000, 4001, 4003, 4004, 4005, 4006, 4007, 4008, 4010, 4011, 4012, 4014, 4015, 4019, 4021, 4022],
  ...[4028, 4102, 4104, 4105, 4200, 4201, 4300, 4301, 4302, 4303, 4304, 4314, 4315, 700012006],
];

export const faultRules: FaultRules<CozeFault, CozeRequest> = {
  known: {
    ...commonFaults,
    method: true,
    path: true,
    code: true,
    status: true,
    msg: true,
    cut: true,
    hangAfter: true,
    errorEvent: true,
    chatFailed: true,
  },
  fits,
  // What a hostile network and a service at its limits do.
  hostile: [
    (random) => ({ resetAt: early(random, 3000) }),
    (random) => ({ closeAt: early(random, 3000) }),
    (random) => ({ pieces: 1 + early(random, 40) }),
    () => ({ unterminated: true }),
    () => ({ contentType: "text/plain" }),
    () => ({ contentType: "Text/Event-Stream; charset=UTF-8" }),
    () => ({ afterWork: 503 }),
    () => ({ afterWork: 502 }),
    () => ({ dropResponse: true }),
    () => ({ page: 503 }),
    () => ({ page: 429 }),
    () => ({ page: 302, headers: { location: "/elsewhere" } }),
    () => ({ code: 4009 }),
    () => ({ code: 4013 }),
    () => ({ code: 4013, status: 429 }),
    () => ({ code: "4020" }),
    () => ({ code: 5000 }),
    (random) => ({ code: refusals[Math.floor(random() * refusals.length)] ?? 4000 }),
    () => ({ code: 4100, status: 401 }),
    () => ({ code: 4101 }),
    () => ({ contentType: "text/event-stream", code: 4009 }),
    (random) => ({ cut: early(random, 12) }),
    (random) => ({ errorEvent: { after: early(random, 8), data: "{}" } }),
    (random) => ({ errorEvent: { after: early(random, 8), data: "event interval error" } }),
    (random) => ({ errorEvent: { after: early(random, 8), data: '{"code":4013,"msg":"model"}' } }),
  ],
};

function fits(fault: CozeFault, { method, path }: CozeRequest): boolean {
  if (fault.method !== undefined && fault.method.toUpperCase() !== method) return false;
  if (fault.path === undefined || fault.path === path) return true;
  if (fault.path.endsWith("*")) return path.startsWith(fault.path.slice(0, -1));
  return fault.path.endsWith("/") && path.startsWith(fault.path);
}
