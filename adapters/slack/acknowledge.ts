import { setTimeout as pause } from "node:timers/promises";
import type { App } from "@slack/bolt";

/** How long Slack may be kept waiting for what people command, in milliseconds. From three seconds on it says that it failed. */
const longestWait = 2_000;

/**
 * Resolves when a command is done, and at the latest when Slack must hear of it. Acknowledged so late, a command whose
 * process dies is sent again if it was a message, and otherwise fails before the person's eyes.
 */
export async function soon(work: Promise<unknown> | undefined): Promise<void> {
  const done = Promise.resolve(work).catch(() => {});
  await Promise.race([done, pause(longestWait, undefined, { ref: false })]);
}

type ReceiverEvent = Parameters<App["processEvent"]>[0];

/** What Slack waits to hear of one message. */
interface Held {
  /** Tells Slack that the message came. */
  release(): Promise<void>;
  /** Never tells. */
  leave(): void;
  isReleased: boolean;
}

/** The messages of which Slack has not heard yet that they came. */
export interface Acknowledgements {
  /** The message is recorded, or is none for the bot. */
  recorded(body: object): Promise<void>;
  /** It never is: Slack sends it again, to another process or to the next one. */
  leave(body: object): void;
}

/**
 * Bolt acknowledges an event before any listener sees it; what a process that dies has not recorded by then is lost.
 * So each message is acknowledged when it is recorded, whatever receiver brought it, and Slack sends it again if it is
 * not. Slow listeners of the app do not delay that.
 * @param finished called when all listeners have ended, for what is not acknowledged by then
 */
export function acknowledgeRecorded(app: App, finished: (body: object) => Promise<void>): Acknowledgements {
  const held = new WeakMap<object, Held>();
  const processEvent = app.processEvent.bind(app);
  app.processEvent = async (event) => {
    if (!isMessage(event.body)) return processEvent(event);
    const one = hold(event);
    held.set(event.body, one);
    let isAccepted = false;
    await processEvent({
      ...event,
      ack: async () => {
        isAccepted = true;
      },
    });
    if (!isAccepted || one.isReleased) return;
    await finished(event.body);
    await one.release();
  };
  return {
    recorded: async (body) => held.get(body)?.release(),
    leave: (body) => held.get(body)?.leave(),
  };
}

function hold({ ack }: ReceiverEvent): Held {
  const one: Held = {
    isReleased: false,
    async release() {
      if (one.isReleased) return;
      one.isReleased = true;
      // A connection that is gone: Slack sends the event again, and it is known by then.
      await ack().catch(() => {});
    },
    leave() {
      one.isReleased = true;
    },
  };
  return one;
}

function isMessage(body: ReceiverEvent["body"] | undefined): boolean {
  const type: unknown = body?.event?.type;
  return type === "message" || type === "app_mention";
}
