import { optionInvalid } from "../../check.ts";
import { early } from "../kit/chance.ts";
import { type CommonFault, commonFaults, type FaultRules } from "../kit/faults.ts";
import { refusalKinds, type SonaopsRefusalKind } from "./refusal.ts";
import type { SonaopsRequest } from "./server.ts";

const cuts = ["in-answer", "before-saved", "after-saved"] as const;

/** One thing to go wrong, for the next request that fits. */
export interface SonaopsFault extends CommonFault {
  /** The path that fits, e.g. `"/v1/chat/stream"`. @default any */
  readonly path?: string;
  /** Refuses in the service's own form and does no work. */
  readonly refuse?: SonaopsRefusalKind;
  /**
   * Breaks the connection: after the first word; with all words but no `message_saved`, in which case the turn is not
   * kept; or after `message_saved`.
   */
  readonly cut?: (typeof cuts)[number];
}

export const faultRules: FaultRules<SonaopsFault, SonaopsRequest> = {
  known: { ...commonFaults, path: true, refuse: true, cut: true },
  fits: (fault, { path }) => fault.path === undefined || fault.path === path,
  check(fault) {
    if (fault.refuse !== undefined && !refusalKinds.includes(fault.refuse)) {
      throw optionInvalid("fault.refuse", `must be one of: ${refusalKinds.join(", ")}`);
    }
    if (fault.cut !== undefined && !cuts.includes(fault.cut)) {
      throw optionInvalid("fault.cut", `must be one of: ${cuts.join(", ")}`);
    }
  },
  // What a hostile network and a service at its limits do.
  hostile: [
    (random) => ({ resetAt: early(random, 1000) }),
    (random) => ({ closeAt: early(random, 1000) }),
    (random) => ({ pieces: 1 + early(random, 40) }),
    () => ({ unterminated: true }),
    () => ({ contentType: "Text/Event-Stream; charset=UTF-8" }),
    () => ({ contentType: "text/plain" }),
    () => ({ afterWork: 503 }),
    () => ({ page: 502 }),
    () => ({ page: 429 }),
    () => ({ refuse: "rate-limit" }),
    () => ({ refuse: "server-error" }),
    () => ({ dropResponse: true }),
    () => ({ cut: "in-answer" }),
    () => ({ cut: "before-saved" }),
    () => ({ cut: "after-saved" }),
  ],
};
