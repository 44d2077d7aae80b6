import { setTimeout } from "node:timers/promises";
import { oneLine } from "aparte/adapter";
import type { Installation } from "./address.ts";
import type { SlackClients } from "./clients.ts";
import type { SlackClient } from "./options.ts";
import { Recent } from "./recent.ts";
import type { Place } from "./speaker.ts";
import type { Names } from "./words.ts";

/** How many answers are remembered, and how long each, in milliseconds: people and channels change their names. */
const limit = 5_000;
const lifetime = 3_600_000;
const failureLifetime = 60_000;

/** How long a message waits for its author's language, in milliseconds: an answer that comes later serves the next one. */
const localeWait = 500;

/** The longest name, in characters: it becomes part of what the agent reads. */
const nameLength = 80;

interface Person {
  readonly name: string | undefined;
  readonly enterprise: string | undefined;
  readonly locale: string | undefined;
}

/** What Slack tells of people and channels, where the bot may ask (`users:read`, `channels:read`). */
export class Directory {
  readonly #clients: SlackClients;
  readonly #answers = new Recent<string, { readonly answer: Promise<unknown>; readonly until: number }>(
    limit,
  );

  constructor(clients: SlackClients) {
    this.#clients = clients;
  }

  names(installation: Installation): Names {
    return {
      user: async (id) => (await this.#person(installation, id))?.name,
      channel: (id) =>
        this.#ask(installation, id, async ({ conversations }) => {
          const { channel } = await conversations.info({ channel: id });
          return oneLine(channel?.name ?? "", nameLength) || undefined;
        }),
    };
  }

  /** The place with what only Slack knows of the person: whose people they are, and their language. */
  async completed(place: Place): Promise<Place> {
    const { installation, user, isUncertain } = place;
    const person = this.#person(installation, user);
    const late = setTimeout(localeWait, undefined, { ref: false });
    const locale = (await Promise.race([person, late]))?.locale;
    // Somebody of another workspace of the own organisation is none of another company.
    const isForeign = isUncertain ? (await person)?.enterprise !== installation.enterprise : place.isForeign;
    return { ...place, isForeign, ...(locale === undefined ? {} : { locale }) };
  }

  #person(installation: Installation, id: string): Promise<Person | undefined> {
    return this.#ask(installation, id, async ({ users }) => {
      const { user } = await users.info({ user: id, include_locale: true });
      const { display_name, real_name } = user?.profile ?? {};
      return {
        name:
          oneLine(display_name || real_name || user?.real_name || user?.name || "", nameLength) || undefined,
        enterprise: user?.enterprise_user?.enterprise_id,
        locale: user?.locale,
      };
    });
  }

  /** Nobody's message waits long for a name, and none is lost for it. */
  #ask<T>(
    installation: Installation,
    id: string,
    ask: (client: SlackClient) => Promise<T>,
  ): Promise<T | undefined> {
    const key = `${installation.workspace} ${id}`;
    const known = this.#answers.get(key);
    if (known !== undefined && performance.now() < known.until) return known.answer as Promise<T | undefined>;
    const remember = (answer: Promise<T | undefined>, time: number) => {
      this.#answers.set(key, { answer, until: performance.now() + time });
    };
    const answer: Promise<T | undefined> = this.#clients
      .of(installation)
      .then(({ side }) => ask(side))
      .catch(() => {
        remember(answer, failureLifetime);
        return undefined;
      });
    remember(answer, lifetime);
    return answer;
  }
}
