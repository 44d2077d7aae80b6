import { optionInvalid } from "../../check.ts";
import { early } from "../kit/chance.ts";
import { type CommonFault, commonFaults, type FaultRules } from "../kit/faults.ts";
import { type GrpcStatus, isGrpcStatus } from "./refusal.ts";
import type { DialogflowCxRequest } from "./server.ts";

/** One thing to go wrong, for the next request that fits. */
export interface DialogflowCxFault extends CommonFault {
  /** The call that fits, e.g. `"detectIntent"`; `"token"` is the token endpoint. @default any */
  readonly call?: string;
  /** Answers with this gRPC status and does no work. */
  readonly status?: GrpcStatus;
  /** The words beside `status`. */
  readonly message?: string;
  /** The details beside `status`, e.g. `[{ "@type": "…/google.rpc.RetryInfo", retryDelay: "3s" }]`. */
  readonly details?: readonly object[];
  /** Does the work, then streams this error in place of the last part. */
  readonly midway?: GrpcStatus;
}

export const faultRules: FaultRules<DialogflowCxFault, DialogflowCxRequest> = {
  known: { ...commonFaults, call: true, status: true, message: true, details: true, midway: true },
  fits: (fault, { call }) => fault.call === undefined || fault.call === call,
  check(fault) {
    for (const name of ["status", "midway"] as const) {
      const status = fault[name];
      if (status !== undefined && !isGrpcStatus(status))
        throw optionInvalid(`fault.${name}`, "is no gRPC status");
    }
  },
  // What a hostile network and a service at its limits do.
  hostile: [
    (random) => ({ resetAt: early(random, 2000) }),
    (random) => ({ closeAt: early(random, 2000) }),
    (random) => ({ pieces: 1 + early(random, 40) }),
    (random) => ({ endAt: early(random, 2000) }),
    () => ({ afterWork: 503 }),
    () => ({ page: 502 }),
    () => ({ status: "RESOURCE_EXHAUSTED" }),
    () => ({ status: "UNAVAILABLE" }),
    () => ({ status: "INTERNAL" }),
    () => ({ status: "UNAUTHENTICATED" }),
    () => ({ dropResponse: true }),
    () => ({ midway: "UNAVAILABLE" }),
  ],
};
