import { optionInvalid } from "../../check.ts";
import { early } from "../kit/chance.ts";
import { type FaultHandle, Faults } from "../kit/faults.ts";
import { type WireFault, wireFaults } from "../kit/wire.ts";
import { type GrpcStatus, isGrpcStatus } from "./refusal.ts";

/** One thing to go wrong, for the next request that fits. */
export interface DialogflowCxFault extends WireFault {
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

/** A fault that was ordered of the emulated Dialogflow CX. */
export type DialogflowCxFaultHandle = FaultHandle;
export type DialogflowCxFaults = Faults<DialogflowCxFault, string>;

const known: Record<keyof DialogflowCxFault, true> = {
  ...wireFaults,
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

/** @param chance what goes wrong by itself with a call that no fault waits for */
export function createFaults(chance?: () => DialogflowCxFault | undefined): DialogflowCxFaults {
  return new Faults<DialogflowCxFault, string>({
    known,
    fits: (fault, call) => fault.call === undefined || fault.call === call,
    check(fault) {
      for (const name of ["status", "midway"] as const) {
        const status = fault[name];
        if (status !== undefined && !isGrpcStatus(status))
          throw optionInvalid(`fault.${name}`, "is no gRPC status");
      }
    },
    chance,
  });
}

/** What a hostile network and a service at its limits do. */
export const hostileFaults: readonly ((random: () => number) => DialogflowCxFault)[] = [
  (random) => ({ resetAt: early(random, 2000) }),
  (random) => ({ pieces: 1 + early(random, 40) }),
  (random) => ({ cut: early(random, 2000) }),
  () => ({ afterWork: 503 }),
  () => ({ httpStatus: 502, body: "<html>" }),
  () => ({ status: "RESOURCE_EXHAUSTED" }),
  () => ({ status: "UNAVAILABLE" }),
  () => ({ status: "INTERNAL" }),
  () => ({ status: "UNAUTHENTICATED" }),
  () => ({ dropResponse: true }),
  () => ({ midway: "UNAVAILABLE" }),
];
