import type { Hostile } from "./kit/chance.ts";
import type { FaultHandle } from "./kit/faults.ts";

/** A local stand-in for an agent service, listening on 127.0.0.1. */
export interface Emulator<Request = unknown, Fault = never> {
  /** Base URL without a trailing slash, e.g. `"http://127.0.0.1:40123"`. */
  readonly baseURL: string;
  /** The requests, oldest first; the last 10,000. */
  requests(): readonly Request[];
  /**
   * Makes the next request that fits go wrong. Several wait in line; each request meets one.
   * @throws {AparteError} `option-invalid` for a member that does not exist.
   */
  fail(fault: Fault): FaultHandle;
  /** Stops listening, cuts open streams, and writes what is to be kept. */
  close(): Promise<void>;
}

/** What all emulators can be told. */
export interface EmulatorOptions {
  /** The port; 0 takes a free one. @default 0 */
  readonly port?: number;
  /** The emulator's clock, in Unix milliseconds; for tests of expiry and of clocks that differ. @default Date.now */
  readonly now?: () => number;
  /**
   * Makes this share of the requests (from 0 to 1) go wrong, the same ones for the same seed: connections reset at
   * any byte, torn events, answers of gateways, refusals. @default none; share 0.3
   */
  readonly hostile?: Hostile;
}
