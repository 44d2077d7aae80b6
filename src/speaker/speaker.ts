import { AparteError } from "../errors.ts";

/** Who spoke, to whom, and where. Tenant, user, channel and thread are the platform's own ids, taken as opaque strings. */
export interface Speaker {
  /** The chat platform, e.g. `"slack"`, `"discord"`, `"web"`. Not empty. */
  readonly platform: string;
  /** The application that was spoken to, where one platform has several: several bots share one mapper and one store. */
  readonly bot?: string;
  /** The installation that was spoken to: a Slack workspace or organisation, a Discord guild, your customer. */
  readonly tenant?: string;
  /** The person. Not empty. */
  readonly user: string;
  readonly channel?: string;
  readonly thread?: string;
  /** Said in private, and not in a place that others read. @default false */
  readonly direct?: boolean;
  /** The person's home is another tenant (Slack Connect). It is told, and part of no key. @default false */
  readonly external?: boolean;
  /**
   * The person's language, as a tag such as `"zh-CN"`, where the platform tells it: our own sentences come in it. Part of
   * no key.
   */
  readonly locale?: string;
  /** The scope of this place in place of the mapper's: where a thread is a conversation of its own. */
  readonly scope?: "user-in-thread";
}

const texts = ["bot", "tenant", "channel", "thread", "locale"] as const;
const flags = ["direct", "external"] as const;

/**
 * Checks that a value is a speaker.
 * @throws {AparteError} `input-invalid` with the field's name.
 */
export function checkSpeaker(speaker: Speaker): void {
  if (typeof speaker !== "object" || speaker === null) {
    throw speakerInvalid(
      "speaker",
      "must be an object { platform, bot?, tenant?, user, channel?, thread?, direct? }",
    );
  }
  for (const field of ["platform", "user"] as const) {
    if (typeof speaker[field] !== "string") throw speakerInvalid(field, "must be a string");
  }
  for (const field of texts) {
    const value = speaker[field];
    if (value !== undefined && typeof value !== "string") throw speakerInvalid(field, "must be a string");
  }
  if (speaker.scope !== undefined && speaker.scope !== "user-in-thread") {
    throw speakerInvalid("scope", 'must be "user-in-thread" or left out');
  }
  for (const field of flags) {
    const value = speaker[field];
    if (value !== undefined && typeof value !== "boolean")
      throw speakerInvalid(field, "must be true or false");
  }
  if (speaker.platform === "") throw speakerInvalid("platform", "must not be empty");
  if (speaker.user === "")
    throw speakerInvalid("user", "must not be empty: without it people would share a session");
}

/** The fields of a speaker alone, of a value that may have others. */
export function speakerOf(value: Speaker): Speaker {
  const { platform, bot, tenant, user, channel, thread, direct, external, locale, scope } = value;
  return {
    platform,
    user,
    ...(bot === undefined ? {} : { bot }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(channel === undefined ? {} : { channel }),
    ...(thread === undefined ? {} : { thread }),
    ...(direct === undefined ? {} : { direct }),
    ...(external === undefined ? {} : { external }),
    ...(locale === undefined ? {} : { locale }),
    ...(scope === undefined ? {} : { scope }),
  };
}

/** Whether something was said by a person where they are: anywhere, as far as they name no channel or thread. */
export function isFrom(said: Speaker, who: Speaker): boolean {
  const places = (["channel", "thread"] as const).filter((field) => who[field] !== undefined);
  const isSame = (["platform", "bot", "tenant", "user", ...places] as const).every(
    (field) => said[field] === who[field],
  );
  return isSame && (said.direct === true) === (who.direct === true);
}

/** Where answers of one bot on one platform go: whose adapter can deliver them. No two of them have one place. */
export function deliveryPlace({ platform = "", bot }: Partial<Pick<Speaker, "platform" | "bot">>): string {
  return JSON.stringify(bot === undefined ? [platform] : [platform, bot]);
}

export function speakerInvalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Speaker field "${field}" ${problem}.`, { field });
}
