import { optionInvalid, refuseUnknown } from "../../check.ts";
import { type GrpcStatus, isGrpcStatus } from "./refusal.ts";

/** One thing to go wrong, for the next request that fits. */
export interface DialogflowCxFault {
  /** The call that fits, e.g. `"detectIntent"`; `"token"` is the token endpoint. @default any */
  readonly call?: string;
  /** How many requests it hits. @default 1 */
  readonly times?: number;
  /** Answers with this gRPC status and does no work. */
  readonly status?: GrpcStatus;
  /** The words beside `status`. */
  readonly message?: string;
  /** The details beside `status`, e.g. `[{ "@type": "…/google.rpc.RetryInfo", retryDelay: "3s" }]`. */
  readonly details?: readonly object[];
  /** Answers with this HTTP status and `body` (as HTML), as a gateway does, and does no work. */
  readonly httpStatus?: number;
  readonly body?: string;
  /** Further headers of an answer made by `status` or `httpStatus`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Holds the request, its work not begun, until the client leaves or the emulator closes. */
  readonly hang?: boolean;
  /** Does the work, then breaks the connection before the answer. */
  readonly dropResponse?: boolean;
  /** Does the work, then breaks the connection after this many bytes of the answer. */
  readonly cut?: number;
  /** Does the work, then streams this error in place of the last part. */
  readonly midway?: GrpcStatus;
}

export interface DialogflowCxFaultHandle {
  /** How many requests it has hit. */
  readonly hits: number;
  /** Resolves when it first hits a request. */
  readonly hit: Promise<void>;
  /** Takes it back. A request that it holds is let go when its client leaves. */
  lift(): void;
}

const known: Record<keyof DialogflowCxFault, true> = {
  call: true,
  times: true,
  status: true,
  message: true,
  details: true,
  httpStatus: true,
  body: true,
  headers: true,
  hang: true,
  dropResponse: true,
  cut: true,
  midway: true,
};

/** The faults that wait for their requests, in line; each request meets one. */
export class Faults {
  readonly #waiting: { readonly fault: DialogflowCxFault; left: number; readonly onHit: () => void }[] = [];

  add(fault: DialogflowCxFault): DialogflowCxFaultHandle {
    refuseUnknown(fault, Object.keys(known), "fault.");
    for (const name of ["status", "midway"] as const) {
      const status = fault[name];
      if (status !== undefined && !isGrpcStatus(status))
        throw optionInvalid(`fault.${name}`, "is no gRPC status");
    }
    let hits = 0;
    let resolve = (): void => {};
    const hit = new Promise<void>((settle) => {
      resolve = settle;
    });
    const onHit = (): void => {
      hits += 1;
      resolve();
    };
    const entry = { fault, left: fault.times ?? 1, onHit };
    this.#waiting.push(entry);
    return {
      get hits() {
        return hits;
      },
      hit,
      lift: () => {
        if (this.#waiting.includes(entry)) this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      },
    };
  }

  /** The first fault that fits, used up by one. */
  take(call: string): DialogflowCxFault | undefined {
    const index = this.#waiting.findIndex(({ fault }) => fault.call === undefined || fault.call === call);
    const entry = this.#waiting[index];
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#waiting.splice(index, 1);
    entry.onHit();
    return entry.fault;
  }
}
