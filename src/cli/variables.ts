import type { Duration } from "../check.ts";
import { AparteError } from "../errors.ts";
import { nearest } from "./nearest.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Without an agent they would be set for nothing. */
export const cozeExtras = [
  "COZE_REGION",
  "COZE_BASE_URL",
  "COZE_ACCOUNT_ID",
  "COZE_ENTERPRISE_ID",
  "COZE_CONNECTOR_ID",
  "COZE_QPS",
] as const;
export const dialogflowExtras = [
  "DIALOGFLOW_CREDENTIALS_FILE",
  "DIALOGFLOW_ENVIRONMENT",
  "DIALOGFLOW_LANGUAGE",
  "DIALOGFLOW_BASE_URL",
] as const;

/** All that the program reads. */
const names: readonly string[] = [
  ...["PORT", "HOST"],
  ...[
    "APARTE_SECRET",
    "APARTE_OTHER_SECRETS",
    "APARTE_STORE",
    "APARTE_FOLDER",
    "APARTE_SCOPE",
    "APARTE_OVERLAP",
  ],
  ...[
    "APARTE_TURNS_PER_MINUTE",
    "APARTE_TENANT_TURNS_PER_MINUTE",
    "APARTE_PAGE",
    "APARTE_LINK_HOSTS",
    "APARTE_FRESH_AFTER",
    "APARTE_RETENTION",
    "APARTE_ENCRYPT",
  ],
  ...[
    "COZE_APP_ID",
    "COZE_KEY_ID",
    "COZE_BOT_ID",
    "COZE_PRIVATE_KEY",
    "COZE_PRIVATE_KEY_FILE",
    ...cozeExtras,
  ],
  ...["SONAOPS_BASE_URL", "SONAOPS_API_KEY", "SONAOPS_API_SECRET", "SONAOPS_AGENT_ID"],
  ...["SONAOPS_AGENT_NAME", "SONAOPS_PROFILE"],
  ...["DIALOGFLOW_AGENT", ...dialogflowExtras],
  ...["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_PORT", "SLACK_AGENT_VIEW"],
  ...["SLACK_API_URL", "DISCORD_TOKEN", "DISCORD_API_URL"],
];

const platforms = /^(COZE|SONAOPS|DIALOGFLOW|SLACK|DISCORD)_/i;

/** The environment's variables; an empty one counts as not set. */
export class Variables {
  readonly #environment: Environment;

  /**
   * @throws {AparteError} `option-invalid` for a name that begins with `APARTE_` and does not exist, and for a slip in
   * one of a service's or platform's. Other programs have variables of those, too: what is like none of ours is theirs.
   */
  constructor(environment: Environment) {
    this.#environment = environment;
    const unset = names.filter((name) => this.get(name) === undefined);
    for (const name of Object.keys(environment)) {
      if (names.includes(name) || this.get(name) === undefined) continue;
      if (/^APARTE_/i.test(name)) {
        const bare = name.slice("APARTE_".length);
        const meant = names.includes(bare) ? bare : nearest(name, names);
        const own = names.filter((each) => each.startsWith("APARTE_")).join(", ");
        throw wrong(
          name,
          `does not exist. ${meant === undefined ? `There are: ${own}.` : `Did you mean ${meant}?`}`,
        );
      }
      const meant = platforms.test(name) ? nearest(name, unset) : undefined;
      if (meant !== undefined) {
        throw wrong(name, `is not read. Did you mean ${meant}? Another program's is to be unset here.`);
      }
    }
  }

  get(name: string): string | undefined {
    const value = this.#environment[name]?.trim();
    return value === "" ? undefined : value;
  }

  hasAny(...lists: (readonly string[])[]): boolean {
    return lists.flat().some((name) => this.get(name) !== undefined);
  }

  /** The values of all of these. @throws {AparteError} with the problem, for the first one that is not set */
  need<Names extends readonly string[]>(
    names: Names,
    problem: string,
  ): { readonly [Index in keyof Names]: string } {
    return names.map((name) => {
      const value = this.get(name);
      if (value === undefined) throw wrong(name, problem);
      return value;
    }) as { [Index in keyof Names]: string };
  }

  /** A whole number above 0, if it is set. */
  count(name: string): number | undefined {
    const text = this.get(name);
    if (text === undefined) return undefined;
    if (!/^[1-9]\d{0,8}$/.test(text)) throw wrong(name, "must be a whole number above 0.");
    return Number(text);
  }

  /** A span of time, if it is set. */
  duration(name: string): Duration | undefined {
    const text = this.get(name);
    if (text === undefined || /^[1-9]\d{0,8}[dhms]$/.test(text)) return text as Duration | undefined;
    throw wrong(name, 'must be a span of time such as "90d", "24h", "30m" or "10s".');
  }

  port(name: string, fallback: number): number {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (!/^\d+$/.test(value) || Number(value) > 65_535) {
      throw wrong(name, "must be a number from 0 to 65535 (0 takes a free port).");
    }
    return Number(value);
  }

  /** The first choice is the default. */
  oneOf<Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice {
    const value = this.get(name);
    if (value === undefined) return choices[0];
    const choice = choices.find((each) => each === value);
    if (choice === undefined) throw wrong(name, `must be one of: ${choices.join(", ")}.`);
    return choice;
  }
}

export function wrong(name: string, problem: string, cause?: unknown): AparteError {
  return new AparteError("option-invalid", `${name} ${problem}`, { field: name, cause });
}

/** Tells of an option that is wrong by the variable that has set it: two services have a `baseURL`. */
export function rethrowOf(variables: Readonly<Record<string, string>> = {}): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AparteError) || error.code !== "option-invalid") throw error;
    const variable = Object.entries(variables).find(([option]) => option === error.field)?.[1];
    if (variable === undefined) throw error;
    throw wrong(variable, error.message.replace(`Option "${error.field}" `, ""), error.cause);
  };
}
