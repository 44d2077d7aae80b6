import type { SlackClients } from "./clients.ts";
import { mentions } from "./mentions.ts";
import type { Heard, SlackEvent } from "./message.ts";
import type { SlackSettings } from "./options.ts";
import { Recent } from "./recent.ts";

interface Thread {
  readonly ok: boolean;
  readonly messages?: readonly SlackEvent[];
}

/** How many threads are remembered, and how many messages of one are looked through for a call. */
const limit = 10_000;
const lookedAt = 100;

/** The word that ends a thread's talk with the bot. */
const stop = /^[!/]?stop[.!]?$/i;

export function isStop(text: string): boolean {
  return stop.test(text.trim());
}

/** Decides which of the messages in shared places are for the bot. In direct messages all are. */
export class Responding {
  readonly #settings: SlackSettings;
  readonly #clients: SlackClients;
  /** By thread: when the bot was last spoken to, in milliseconds since the epoch; 0 when it was told to stop. */
  readonly #spoken = new Recent<string, number>(limit);

  constructor(settings: SlackSettings, clients: SlackClients) {
    this.#settings = settings;
    this.#clients = clients;
  }

  async isForBot(heard: Heard, botUserId: string | undefined): Promise<boolean> {
    const { event, place, isCalled } = heard;
    const { respond, threadTime } = this.#settings;
    if (place.isDirect || respond === "always") return true;
    if (typeof respond === "function") return (await respond(event)) === true;
    if (respond !== "threads") return isCalled && respond === "called";
    const key = `${place.installation.workspace} ${event.channel} ${place.thread}`;
    const now = Number(event.ts) * 1_000;
    if (isCalled) {
      this.#spoken.set(key, now);
      return true;
    }
    if (event.thread_ts === undefined || botUserId === undefined) return false;
    const last = this.#spoken.get(key) ?? (await this.#look(heard, botUserId));
    const isForBot = now - last < threadTime && !isStop(event.text ?? "");
    this.#spoken.set(key, isForBot ? now : 0);
    return isForBot;
  }

  /** Another process, or an earlier one, may have been called there: Slack knows. */
  async #look({ event, place }: Heard, botUserId: string): Promise<number> {
    const { channel, ts, thread_ts = ts } = event;
    try {
      const { side } = await this.#clients.of(place.installation);
      const range = { channel, ts: thread_ts, latest: ts, limit: lookedAt };
      const { messages = [] } = (await side.apiCall("conversations.replies", range)) as Thread;
      return messages.reduce((last, said) => {
        if (said.user === botUserId || mentions(said, botUserId)) return Number(said.ts) * 1_000;
        return isStop(said.text ?? "") ? 0 : last;
      }, 0);
    } catch {
      return 0; // The bot may not read there: it answers who calls it.
    }
  }
}
