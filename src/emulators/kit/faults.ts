import { refuseUnknown } from "../../check.ts";
import { chanceOf, type Hostile } from "./chance.ts";
import { type WireFault, wireFaults } from "./wire.ts";

/** What can go wrong with a request to any service. */
export interface CommonFault extends WireFault {
  /** How many requests it hits. @default 1 */
  readonly times?: number;
  /** Milliseconds before anything else happens. */
  readonly delayMs?: number;
  /** Holds the request, its work not begun, until {@link FaultHandle.lift}; then it goes on as usual. */
  readonly hang?: boolean;
  /** Answers with this HTTP status and a page of HTML, as a gateway does, and does no work. */
  readonly page?: number;
  /** The page's text; without `page`, one of the status 200. @default one that says its status */
  readonly body?: string;
  /** Further headers of an answer that a fault makes, e.g. `{ "retry-after": "3" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Does all the work, then breaks the connection before the answer. */
  readonly dropResponse?: boolean;
}

export const commonFaults: Readonly<Record<keyof CommonFault, true>> = {
  ...wireFaults,
  times: true,
  delayMs: true,
  hang: true,
  page: true,
  body: true,
  headers: true,
  dropResponse: true,
};

/** A fault that was ordered of an emulator. */
export interface FaultHandle {
  /** How many requests it has hit. */
  readonly hits: number;
  /** Resolves when it first hits a request. */
  readonly hit: Promise<void>;
  /** Takes it back, and lets go of the requests it holds. */
  lift(): void;
}

/** A fault that met a request. */
export interface Hit<Fault> {
  readonly fault: Fault;
  /** Resolves when the fault is lifted. */
  readonly lifted: Promise<void>;
}

interface Waiting<Fault> {
  readonly fault: Fault;
  left: number;
  hits: number;
  readonly hit: Signal;
  readonly lifted: Signal;
}

export interface FaultRules<Fault, Asked> {
  /** The members that a fault may have. */
  readonly known: Readonly<Record<keyof Fault, true>>;
  readonly fits: (fault: Fault, asked: Asked) => boolean;
  /** Throws for a fault that makes no sense. */
  readonly check?: (fault: Fault) => void;
  /** What goes wrong by itself where the emulator is hostile; each makes a fault out of a random number. */
  readonly hostile: readonly ((random: () => number) => Fault)[];
}

/** The faults that wait for their requests, in line; each request meets one. */
export class Faults<Fault extends CommonFault, Asked> {
  readonly #rules: FaultRules<Fault, Asked>;
  readonly #chance: (() => Fault | undefined) | undefined;
  readonly #waiting: Waiting<Fault>[] = [];

  constructor(rules: FaultRules<Fault, Asked>, hostile: Hostile | undefined) {
    this.#rules = rules;
    this.#chance = hostile && chanceOf(hostile.seed, hostile.share ?? 0.3, rules.hostile);
  }

  /** @throws {AparteError} `option-invalid` for a member that does not exist. */
  add(fault: Fault): FaultHandle {
    refuseUnknown(fault, Object.keys(this.#rules.known), "fault.");
    this.#rules.check?.(fault);
    const entry: Waiting<Fault> = { fault, left: fault.times ?? 1, hits: 0, hit: signal(), lifted: signal() };
    this.#waiting.push(entry);
    return {
      get hits() {
        return entry.hits;
      },
      hit: entry.hit.promise,
      lift: () => {
        this.#remove(entry);
        entry.lifted.resolve();
      },
    };
  }

  /** The first fault that fits, used up by one. */
  take(asked: Asked): Hit<Fault> | undefined {
    const entry = this.#waiting.find(({ fault }) => this.#rules.fits(fault, asked));
    if (entry === undefined) {
      const fault = this.#chance?.();
      return fault && { fault, lifted: Promise.resolve() };
    }
    entry.left -= 1;
    entry.hits += 1;
    if (entry.left <= 0) this.#remove(entry);
    entry.hit.resolve();
    return { fault: entry.fault, lifted: entry.lifted.promise };
  }

  #remove(entry: Waiting<Fault>): void {
    if (this.#waiting.includes(entry)) this.#waiting.splice(this.#waiting.indexOf(entry), 1);
  }
}

interface Signal {
  readonly promise: Promise<void>;
  resolve: () => void;
}

function signal(): Signal {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
