import { AparteError } from "../../errors.ts";

/** One thing to go wrong, for the next request that fits. Without `method` and `path` any request fits. */
export interface CozeFault {
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
  /** Holds the request, its work not begun, until {@link CozeFaultHandle.lift}; then it goes on as usual. */
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
  /** The chat begins, then fails with this `last_error`. */
  readonly chatFailed?: { readonly code: number; readonly msg: string };
}

export interface CozeFaultHandle {
  /** How many requests it has hit. */
  readonly hits: number;
  /** Resolves when it first hits a request. */
  readonly hit: Promise<void>;
  /** Takes it back, and lets go of the requests it holds. */
  lift(): void;
}

/** A fault that met a request. */
export interface Hit {
  readonly fault: CozeFault;
  /** Resolves when the fault is lifted. */
  readonly lifted: Promise<void>;
}

export interface Faults {
  add(fault: CozeFault): CozeFaultHandle;
  /** The first fault that fits the request, used up by one. */
  take(method: string, path: string): Hit | undefined;
}

const known = new Set<string>([
  "method",
  "path",
  "times",
  "delayMs",
  "hang",
  "status",
  "code",
  "msg",
  "body",
  "headers",
  "dropResponse",
  "cut",
  "hangAfter",
  "chatFailed",
] satisfies (keyof CozeFault)[]);

export function createFaults(): Faults {
  const queue: { fault: CozeFault; left: number; take: () => Hit }[] = [];
  return {
    add(fault) {
      for (const name of Object.keys(fault)) {
        if (known.has(name)) continue;
        throw new AparteError(
          "option-invalid",
          `\`${name}\` is no member of a fault. Known: ${[...known].join(", ")}.`,
          {
            field: name,
          },
        );
      }
      const hit = signal();
      const lifted = signal();
      let hits = 0;
      const entry = {
        fault,
        left: fault.times ?? 1,
        take() {
          hits += 1;
          hit.resolve();
          return { fault, lifted: lifted.promise };
        },
      };
      queue.push(entry);
      return {
        get hits() {
          return hits;
        },
        hit: hit.promise,
        lift() {
          if (queue.includes(entry)) queue.splice(queue.indexOf(entry), 1);
          lifted.resolve();
        },
      };
    },
    take(method, path) {
      const index = queue.findIndex(({ fault }) => fits(fault, method, path));
      const entry = queue[index];
      if (entry === undefined) return undefined;
      entry.left -= 1;
      if (entry.left <= 0) queue.splice(index, 1);
      return entry.take();
    },
  };
}

function fits(fault: CozeFault, method: string, path: string): boolean {
  if (fault.method !== undefined && fault.method.toUpperCase() !== method) return false;
  if (fault.path === undefined || fault.path === path) return true;
  if (fault.path.endsWith("*")) return path.startsWith(fault.path.slice(0, -1));
  return fault.path.endsWith("/") && path.startsWith(fault.path);
}

function signal(): { readonly promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
