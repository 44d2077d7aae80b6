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
  /** What Slack waits to hear, by message. */
  const held = new WeakMap<object, ReceiverEvent["ack"]>();
  const release = async (body: object) => {
    const ack = held.get(body);
    held.delete(body);
    // A connection that is gone: Slack sends the event again, and it is known by then.
    await ack?.().catch(() => {});
  };
  const processEvent = app.processEvent.bind(app);
  app.processEvent = async (event) => {
    const { body, ack } = event;
    if (!isMessage(body)) return processEvent(event);
    held.set(body, ack);
    let isAccepted = false;
    const accept = async () => {
      isAccepted = true;
    };
    await processEvent({ ...event, ack: accept });
    if (!isAccepted || !held.has(body)) return;
    await finished(body);
    await release(body);
  };
  return { recorded: release, leave: (body) => void held.delete(body) };
}

function isMessage(body: ReceiverEvent["body"] | undefined): boolean {
  const type: unknown = body?.event?.type;
  return type === "message" || type === "app_mention";
}
