import { optionInvalid } from "../../check.ts";
import { early } from "../kit/chance.ts";
import { type FaultHandle, Faults } from "../kit/faults.ts";
import { type WireFault, wireFaults } from "../kit/wire.ts";
import { refusalKinds, type SonaopsRefusalKind } from "./refusal.ts";

const cuts = ["before-answer", "in-answer", "before-saved", "after-saved"] as const;

/** One thing to go wrong, for the next request that fits. */
export interface SonaopsFault extends WireFault {
  /** The path that fits, e.g. `"/v1/chat/stream"`. @default any */
  readonly path?: string;
  /** How many requests it hits. @default 1 */
  readonly times?: number;
  /** Milliseconds before anything else happens: slow headers. */
  readonly delayMs?: number;
  /** Holds the request, its work not begun, until {@link FaultHandle.lift}; then it goes on as usual. */
  readonly hang?: boolean;
  /** Refuses in the service's own form and does no work. */
  readonly refuse?: SonaopsRefusalKind;
  /** Answers with this HTTP status and a page of HTML, as a gateway does, and does no work. */
  readonly html?: number;
  /**
   * Breaks the connection: the work done but nothing answered; after the first word; with all words but no
   * `message_saved`, in which case the turn is not kept; or after `message_saved`.
   */
  readonly cut?: (typeof cuts)[number];
}

/** A fault that was ordered of the emulated Sonaops. */
export type SonaopsFaultHandle = FaultHandle;
export type SonaopsFaults = Faults<SonaopsFault, string>;

const known: Record<keyof SonaopsFault, true> = {
  ...wireFaults,
  path: true,
  times: true,
  delayMs: true,
  hang: true,
  refuse: true,
  html: true,
  cut: true,
};

/** @param chance what goes wrong by itself with a request that no fault waits for */
export function createFaults(chance?: () => SonaopsFault | undefined): SonaopsFaults {
  return new Faults<SonaopsFault, string>({
    known,
    fits: (fault, path) => fault.path === undefined || fault.path === path,
    check(fault) {
      if (fault.refuse !== undefined && !refusalKinds.includes(fault.refuse)) {
        throw optionInvalid("fault.refuse", `must be one of: ${refusalKinds.join(", ")}`);
      }
      if (fault.cut !== undefined && !cuts.includes(fault.cut)) {
        throw optionInvalid("fault.cut", `must be one of: ${cuts.join(", ")}`);
      }
    },
    chance,
  });
}

/** What a hostile network and a service at its limits do. */
export const hostileFaults: readonly ((random: () => number) => SonaopsFault)[] = [
  (random) => ({ resetAt: early(random, 1000) }),
  (random) => ({ pieces: 1 + early(random, 40) }),
  () => ({ unterminated: true }),
  () => ({ contentType: "Text/Event-Stream; charset=UTF-8" }),
  () => ({ contentType: "text/plain" }),
  () => ({ afterWork: 503 }),
  () => ({ html: 502 }),
  () => ({ html: 429 }),
  () => ({ refuse: "rate-limit" }),
  () => ({ refuse: "server-error" }),
  () => ({ cut: "before-answer" }),
  () => ({ cut: "in-answer" }),
  () => ({ cut: "before-saved" }),
  () => ({ cut: "after-saved" }),
];
