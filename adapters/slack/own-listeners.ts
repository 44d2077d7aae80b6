import { setTimeout as pause } from "node:timers/promises";
import type { App } from "@slack/bolt";
import { Recent } from "./recent.ts";

/** How long a mention waits for its other event, in milliseconds. */
const echoWait = 1_000;

/** How many messages are remembered. */
const limit = 1_000;

type Listener = (args: { readonly body: object }) => unknown;

/** Which messages the app's own listeners are called for, of those that it registers from now on. */
export class OwnListeners {
  readonly #taken = new Recent<string, true>(limit);
  /** The mentions of which the event came that is told of all messages. Not every app asks Slack for it. */
  readonly #echoes = new Recent<string, true>(limit);
  /** Mentions that wait for their other event. */
  readonly #waiting = new Map<string, () => void>();

  /** @param heard told of a message when a listener is called for it */
  constructor(app: App, heard: (body: object) => void) {
    for (const method of ["message", "event"] as const) {
      const register = app[method].bind(app) as (...args: unknown[]) => void;
      const noticing = (...args: unknown[]) => {
        const listener = args.pop() as Listener;
        register(...args, (told: Parameters<Listener>[0]) => {
          this.#note(this.#taken, told.body);
          heard(told.body);
          return listener(told);
        });
      };
      Object.assign(app, { [method]: noticing });
    }
  }

  /** A mention's other event has come, and the app's listeners have been called for it. */
  echoed(body: object): void {
    this.#note(this.#echoes, body);
  }

  /**
   * Whether one of them took the message.
   * @param isMention whether it comes as two events: what takes either of them has taken the message
   */
  async took(body: object, isMention: boolean): Promise<boolean> {
    const name = nameOf(body);
    const isDecided = this.#taken.has(name) || this.#echoes.size === 0 || this.#echoes.has(name);
    if (isMention && !isDecided) {
      const heard = new Promise<void>((resolve) => this.#waiting.set(name, resolve));
      await Promise.race([heard, pause(echoWait, undefined, { ref: false })]);
      this.#waiting.delete(name);
    }
    return this.#taken.has(name);
  }

  #note(heard: Recent<string, true>, body: object): void {
    const name = nameOf(body);
    heard.set(name, true);
    this.#waiting.get(name)?.();
  }
}

interface Named {
  readonly ts?: string;
  readonly edited?: { readonly ts?: string };
}

/** The same for both events of a mention; another one for each edit. */
function nameOf(body: object): string {
  const { team_id, event } = body as {
    readonly team_id?: string;
    readonly event?: Named & { readonly channel?: unknown; readonly message?: Named };
  };
  const { ts, edited } = event?.message ?? event ?? {};
  return [team_id, event?.channel, ts, edited?.ts].join(" ");
}
