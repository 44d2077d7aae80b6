import { setTimeout as pause } from "node:timers/promises";
import type { App } from "@slack/bolt";
import { Recent } from "./recent.ts";

/** How long a mention waits for its other event, and how often it looks for it, in milliseconds. */
const echoWait = 1_000;
const lookInterval = 20;

/** How many messages are remembered. */
const limit = 1_000;

type Listener = (args: { readonly body: object }) => unknown;

/** Which messages the app's own listeners are called for, of those that it registers from now on. */
export class OwnListeners {
  readonly #taken = new Recent<string, true>(limit);
  /** The mentions of which the event came that is told of all messages. Not every app asks Slack for it. */
  readonly #echoes = new Recent<string, true>(limit);

  /** @param heard told of a message when a listener is called for it */
  constructor(app: App, heard: (body: object) => void) {
    for (const method of ["message", "event"] as const) {
      const register = app[method].bind(app) as (...args: unknown[]) => void;
      const noticing = (...args: unknown[]) => {
        const listener = args.pop() as Listener;
        register(...args, (told: Parameters<Listener>[0]) => {
          this.#taken.set(nameOf(told.body), true);
          heard(told.body);
          return listener(told);
        });
      };
      Object.assign(app, { [method]: noticing });
    }
  }

  /** A mention's other event has come, and the app's listeners have been called for it. */
  echoed(body: object): void {
    this.#echoes.set(nameOf(body), true);
  }

  /**
   * Whether one of them took the message.
   * @param isMention whether it comes as two events: what takes either of them has taken the message
   */
  async took(body: object, isMention: boolean): Promise<boolean> {
    const name = nameOf(body);
    const until = performance.now() + echoWait;
    const isDecided = () => this.#taken.has(name) || this.#echoes.size === 0 || this.#echoes.has(name);
    while (isMention && !isDecided() && performance.now() < until) await pause(lookInterval);
    return this.#taken.has(name);
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
