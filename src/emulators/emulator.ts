/** A local stand-in for an agent service, listening on 127.0.0.1. */
export interface Emulator {
  /** Base URL without a trailing slash, e.g. `"http://127.0.0.1:40123"`. */
  readonly baseURL: string;
  /** Stops listening, cuts open streams, and writes what is to be kept. */
  close(): Promise<void>;
}
