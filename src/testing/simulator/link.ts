import type { ProcessClock } from "./process-clock.ts";
import { drawn } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What processes are connected to. */
export type Server = "store" | "agent" | "platform";

/** What befalls one call. `doubled`: the request arrives a second time, `ms` after the first. */
export type CallFault = "request-lost" | "reply-lost" | "request-late" | "reply-late" | "doubled";

export interface PlannedFault {
  readonly fault: CallFault;
  /** Which call it befalls: the next one of this name. */
  readonly call: string;
  readonly ms: number;
}

export interface LinkOptions {
  readonly timeline: Timeline;
  readonly clock: ProcessClock;
  readonly server: Server;
  /** How long a call waits for its reply, in milliseconds. */
  readonly timeoutMs: number;
  /** What a call fails with that got no reply, or found no connection. */
  readonly failure: (isTimeout: boolean, call: string) => Error;
  /** Decides how long requests and replies are on their way. */
  readonly seed: readonly number[];
}

/** The longest time that a request or a reply is on its way where nothing befalls it, in milliseconds. */
export const usualMs = 4;

/** A process's connection to a server. */
export class Link {
  readonly #options: LinkOptions;
  #calls = 0;
  #faults: PlannedFault[] = [];
  /** Until when nothing comes through, by the timeline. */
  #downUntil = 0;
  /** Whether calls fail at once while nothing comes through. */
  #refuses = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  plan(fault: PlannedFault): void {
    this.#faults.push(fault);
  }

  /** Nothing comes through for a while. */
  cut(untilMs: number, refuses: boolean): void {
    this.#downUntil = Math.max(this.#downUntil, untilMs);
    this.#refuses = refuses;
  }

  mend(): void {
    this.#faults = [];
    this.#downUntil = 0;
  }

  get isDown(): boolean {
    return this.#options.timeline.now < this.#downUntil;
  }

  /**
   * Has the server do something.
   * @param name of the call, for faults that are planned for it
   */
  call<T>(name: string, run: () => T | Promise<T>): Promise<T> {
    const { timeline, clock, timeoutMs, failure, seed } = this.#options;
    this.#calls += 1;
    const number = this.#calls;
    if (clock.isDead) return new Promise(() => {});
    return new Promise<T>((resolve, reject) => {
      const deadline = clock.now() + timeoutMs;
      const fail = () =>
        void clock.after(Math.max(0, deadline - clock.now()), () => reject(failure(true, name)));
      if (this.isDown) {
        if (this.#refuses) clock.after(1, () => reject(failure(false, name)));
        else fail();
        return;
      }
      const fault = this.takeFault(name);
      const outMs = usualMs * drawn(...seed, number, 1) + (fault?.fault === "request-late" ? fault.ms : 0);
      const backMs = usualMs * drawn(...seed, number, 2) + (fault?.fault === "reply-late" ? fault.ms : 0);
      if (fault?.fault === "request-lost" || outMs + backMs >= timeoutMs) fail();
      if (fault?.fault === "request-lost") return;
      const receive = (react: () => void) => {
        timeline.after(backMs, () => {
          // A connection that broke meanwhile brings nothing.
          if (this.isDown) return fail();
          clock.enter(() => {
            // The process stood still for so long that its timer came first.
            if (clock.now() >= deadline) reject(failure(true, name));
            else react();
          });
        });
      };
      const arrive = async () => {
        try {
          const result = await run();
          if (fault?.fault === "reply-lost") fail();
          else receive(() => resolve(result));
        } catch (error) {
          if (fault?.fault === "reply-lost") fail();
          else receive(() => reject(error));
        }
      };
      timeline.after(outMs, () => void arrive());
      if (fault?.fault === "doubled")
        timeline.after(outMs + fault.ms, () => void Promise.resolve(run()).catch(() => {}));
    });
  }

  /** @returns what was planned for the next call of that name, which it befalls */
  takeFault(name: string): PlannedFault | undefined {
    if (this.#faults.length === 0) return undefined;
    const index = this.#faults.findIndex(({ call }) => call === name);
    return index < 0 ? undefined : this.#faults.splice(index, 1)[0];
  }
}
