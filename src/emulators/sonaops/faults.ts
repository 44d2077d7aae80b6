import { optionInvalid, refuseUnknown } from "../../check.ts";
import { refusalKinds, type SonaopsRefusalKind } from "./refusal.ts";

const cuts = ["before-answer", "in-answer", "before-saved", "after-saved"] as const;

/** One thing to go wrong, for the next request that fits. */
export interface SonaopsFault {
  /** The path that fits, e.g. `"/v1/chat/stream"`. @default any */
  readonly path?: string;
  /** How many requests it hits. @default 1 */
  readonly times?: number;
  /** Milliseconds before anything else happens: slow headers. */
  readonly delayMs?: number;
  /** Holds the request, its work not begun, until {@link SonaopsFaultHandle.lift}; then it goes on as usual. */
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

export interface SonaopsFaultHandle {
  /** How many requests it has hit. */
  readonly hits: number;
  /** Resolves when it first hits a request. */
  readonly hit: Promise<void>;
  /** Takes it back, and lets go of the requests it holds. */
  lift(): void;
}

/** A fault that met a request. */
export interface Hit {
  readonly fault: SonaopsFault;
  /** Resolves when the fault is lifted. */
  readonly lifted: Promise<void>;
}

const known: Record<keyof SonaopsFault, true> = {
  path: true,
  times: true,
  delayMs: true,
  hang: true,
  refuse: true,
  html: true,
  cut: true,
};

interface Waiting {
  readonly fault: SonaopsFault;
  left: number;
  hits: number;
  readonly hit: Signal;
  readonly lifted: Signal;
}

/** The faults that wait for their requests, in line; each request meets one. */
export class Faults {
  readonly #waiting: Waiting[] = [];

  add(fault: SonaopsFault): SonaopsFaultHandle {
    refuseUnknown(fault, Object.keys(known), "fault.");
    if (fault.refuse !== undefined && !refusalKinds.includes(fault.refuse)) {
      throw optionInvalid("fault.refuse", `must be one of: ${refusalKinds.join(", ")}`);
    }
    if (fault.cut !== undefined && !cuts.includes(fault.cut)) {
      throw optionInvalid("fault.cut", `must be one of: ${cuts.join(", ")}`);
    }
    const entry: Waiting = { fault, left: fault.times ?? 1, hits: 0, hit: signal(), lifted: signal() };
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
  take(path: string): Hit | undefined {
    const entry = this.#waiting.find(({ fault }) => fault.path === undefined || fault.path === path);
    if (entry === undefined) return undefined;
    entry.left -= 1;
    entry.hits += 1;
    if (entry.left <= 0) this.#remove(entry);
    entry.hit.resolve();
    return { fault: entry.fault, lifted: entry.lifted.promise };
  }

  #remove(entry: Waiting): void {
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
