import { readFileSync } from "node:fs";
import type { CozeOptions } from "../backends/coze/index.ts";
import type { DialogflowCxOptions } from "../backends/dialogflow-cx/index.ts";
import type { SonaopsOptions } from "../backends/sonaops/index.ts";
import type { Duration } from "../check.ts";
import type { Overlap } from "../lane/machine.ts";
import type { Scope } from "../speaker/scope.ts";
import { secretCommand, secretProblem } from "../speaker/secret.ts";
import type { TurnLimits } from "../turn/limits.ts";
import { isHost } from "../turn/links.ts";
import { cozeExtras, dialogflowExtras, type Environment, Variables, wrong } from "./variables.ts";

export interface SlackSettings {
  readonly botToken: string;
  /** Socket Mode. */
  readonly appToken?: string;
  /** HTTP. */
  readonly signingSecret?: string;
  /** The app is an agent in Slack's sense: each thread is a conversation. */
  readonly agentView: boolean;
  readonly port: number;
  readonly apiUrl?: string;
}

export interface DiscordSettings {
  readonly token: string;
  readonly apiUrl?: string;
}

export interface ProgramSettings {
  readonly port: number;
  readonly host: string;
  /** Whether the page is there. Missing: where only this machine reaches it, and no bot runs. */
  readonly page?: boolean;
  /** Missing: a SQLite file in the folder, or memory where SQLite cannot be used. */
  readonly store?: string;
  /** The folder for what the program makes itself: a store, a secret, the stand-in agent's memory. */
  readonly folder: string;
  /** Missing: made once and kept in the folder. */
  readonly secret?: readonly string[];
  readonly scope: Extract<Scope, string>;
  readonly overlap: Overlap;
  readonly limits?: TurnLimits;
  readonly linkHosts?: readonly string[];
  readonly freshAfter?: Duration;
  readonly retention?: { readonly idle: Duration };
  readonly encrypt?: true;
  /** Missing: a stand-in agent on this machine. */
  readonly coze?: CozeOptions;
  readonly sonaops?: SonaopsOptions;
  readonly dialogflow?: DialogflowCxOptions;
  readonly slack?: SlackSettings;
  readonly discord?: DiscordSettings;
}

/**
 * The program's settings from the environment; `docs/program.md` lists them.
 * @throws {AparteError} `option-invalid`: what is wrong, and how to mend it. `field` is the variable's name.
 */
export function readSettings(environment: Environment): ProgramSettings {
  const env = new Variables(environment);
  const coze = readCoze(env);
  const sonaops = readSonaops(env);
  const dialogflow = readDialogflow(env);
  const hasAgent = coze !== undefined || sonaops !== undefined || dialogflow !== undefined;
  const slack = readSlack(env);
  const discord = readDiscord(env);
  const page = env.oneOf("APARTE_PAGE", ["auto", "on", "off"]);
  if (page === "on" && (slack !== undefined || discord !== undefined)) {
    throw wrong("APARTE_PAGE", "does not go with a bot: the page lets everybody on it speak as everybody.");
  }
  if (!hasAgent && (slack !== undefined || discord !== undefined)) {
    throw wrong(
      "COZE_APP_ID",
      "is missing: a Slack or Discord bot needs an agent. Set the COZE_, SONAOPS_ or DIALOGFLOW_ variables.",
    );
  }
  const secrets = [
    env.get("APARTE_SECRET") ?? [],
    env.get("APARTE_OTHER_SECRETS")?.split(/\s+/) ?? [],
  ].flat();
  if (env.get("APARTE_SECRET") === undefined && (hasAgent || secrets.length > 0)) {
    throw wrong(
      "APARTE_SECRET",
      `is missing. Set it to a random text, and never change it: it keys all sessions. This makes one: ${secretCommand}`,
    );
  }
  for (const [index, secret] of secrets.entries()) {
    const problem = secretProblem(secret);
    if (problem === undefined) continue;
    const name = index === 0 ? "APARTE_SECRET" : "APARTE_OTHER_SECRETS";
    throw wrong(
      name,
      `${index === 0 ? "is" : "holds one that is"} ${problem}. This makes a good one: ${secretCommand}`,
    );
  }
  const person = env.count("APARTE_TURNS_PER_MINUTE");
  const tenant = env.count("APARTE_TENANT_TURNS_PER_MINUTE");
  const linkHosts = readLinkHosts(env);
  const freshAfter = env.duration("APARTE_FRESH_AFTER");
  const idle = env.duration("APARTE_RETENTION");
  return {
    port: env.port("PORT", 3000),
    host: env.get("HOST") ?? "127.0.0.1",
    ...(page === "auto" ? {} : { page: page === "on" }),
    folder: env.get("APARTE_FOLDER") ?? ".aparte",
    ...definedOf<Pick<ProgramSettings, "store">>({ store: env.get("APARTE_STORE") }),
    ...(secrets.length === 0 ? {} : { secret: secrets }),
    scope: env.oneOf("APARTE_SCOPE", ["user", "user-in-channel", "user-in-thread", "channel", "thread"]),
    overlap: env.oneOf("APARTE_OVERLAP", ["queue", "merge", "interrupt", "reject"]),
    ...(person === undefined && tenant === undefined ? {} : { limits: definedOf({ person, tenant }) }),
    ...(linkHosts === undefined ? {} : { linkHosts }),
    ...(freshAfter === undefined ? {} : { freshAfter }),
    ...(idle === undefined ? {} : { retention: { idle } }),
    ...(env.oneOf("APARTE_ENCRYPT", ["off", "on"]) === "on" ? { encrypt: true } : {}),
    ...(coze === undefined ? {} : { coze }),
    ...(sonaops === undefined ? {} : { sonaops }),
    ...(dialogflow === undefined ? {} : { dialogflow }),
    ...(slack === undefined ? {} : { slack }),
    ...(discord === undefined ? {} : { discord }),
  };
}

function readLinkHosts(env: Variables): readonly string[] | undefined {
  const text = env.get("APARTE_LINK_HOSTS");
  if (text === undefined) return undefined;
  const hosts = text === "none" ? [] : text.split(/[\s,]+/).filter((host) => host !== "");
  if (hosts.every(isHost)) return hosts;
  throw wrong(
    "APARTE_LINK_HOSTS",
    'must be hosts with blanks between them, e.g. "docs.example.com *.example.org", or "none".',
  );
}

function readCoze(env: Variables): CozeOptions | undefined {
  const needed = ["COZE_APP_ID", "COZE_KEY_ID", "COZE_BOT_ID"] as const;
  const keyFile = env.get("COZE_PRIVATE_KEY_FILE");
  const keyText = env.get("COZE_PRIVATE_KEY");
  if (!env.hasAny(needed, ["COZE_PRIVATE_KEY_FILE", "COZE_PRIVATE_KEY"], cozeExtras)) return undefined;
  const [appId, keyId, botId] = env.need(
    needed,
    `is missing: an agent on Coze needs ${needed.join(", ")} and COZE_PRIVATE_KEY_FILE together.`,
  );
  if (keyFile !== undefined && keyText !== undefined) {
    throw wrong("COZE_PRIVATE_KEY", "and COZE_PRIVATE_KEY_FILE are both set. Keep one of them.");
  }
  if (keyFile === undefined && keyText === undefined) {
    throw wrong("COZE_PRIVATE_KEY_FILE", "is missing: the file with the OAuth app's private key (PEM).");
  }
  const region = env.get("COZE_REGION");
  if (region !== undefined && region !== "cn" && region !== "com") {
    throw wrong("COZE_REGION", 'must be "cn" (coze.cn) or "com" (coze.com).');
  }
  const optional = {
    baseURL: env.get("COZE_BASE_URL"),
    accountId: env.get("COZE_ACCOUNT_ID"),
    enterpriseId: env.get("COZE_ENTERPRISE_ID"),
    connectorId: env.get("COZE_CONNECTOR_ID"),
    qps: env.count("COZE_QPS"),
    region,
  };
  return {
    ...{ appId, keyId, botId },
    privateKey: keyText ?? readKeyFile(keyFile as string),
    ...definedOf<Partial<CozeOptions>>(optional),
  };
}

function readSonaops(env: Variables): SonaopsOptions | undefined {
  const agent = env.get("SONAOPS_AGENT_NAME") === undefined ? "SONAOPS_AGENT_ID" : "SONAOPS_AGENT_NAME";
  const needed = ["SONAOPS_BASE_URL", "SONAOPS_API_KEY", "SONAOPS_API_SECRET", agent] as const;
  if (!env.hasAny(needed, ["SONAOPS_AGENT_ID", "SONAOPS_PROFILE"])) return undefined;
  const problem = `is missing: an agent on Sonaops needs ${needed.join(", ")}.`;
  const [baseURL, apiKey, apiSecret] = env.need(needed, problem);
  return {
    ...{ baseURL, apiKey, apiSecret },
    ...definedOf<Partial<SonaopsOptions>>({
      agentId: env.get("SONAOPS_AGENT_ID"),
      agentName: env.get("SONAOPS_AGENT_NAME"),
      // Without it both are tried.
      profile: env.get("SONAOPS_PROFILE") && env.oneOf("SONAOPS_PROFILE", ["A", "B"]),
    }),
  };
}

function readDialogflow(env: Variables): DialogflowCxOptions | undefined {
  const agent = env.get("DIALOGFLOW_AGENT");
  if (agent === undefined) {
    if (!env.hasAny(dialogflowExtras)) return undefined;
    throw wrong(
      "DIALOGFLOW_AGENT",
      "is missing: the agent's resource name (projects/…/locations/…/agents/…).",
    );
  }
  const optional = {
    baseURL: env.get("DIALOGFLOW_BASE_URL"),
    environment: env.get("DIALOGFLOW_ENVIRONMENT"),
    languageCode: env.get("DIALOGFLOW_LANGUAGE"),
    credentials: env.get("DIALOGFLOW_CREDENTIALS_FILE"),
  };
  return { agent, ...definedOf<Partial<DialogflowCxOptions>>(optional) };
}

function definedOf<T>(options: object): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    throw wrong("COZE_PRIVATE_KEY_FILE", `names a file that cannot be read (${code}): ${path}`, cause);
  }
}

function readSlack(env: Variables): SlackSettings | undefined {
  const botToken = env.get("SLACK_BOT_TOKEN");
  const appToken = env.get("SLACK_APP_TOKEN");
  const signingSecret = env.get("SLACK_SIGNING_SECRET");
  if (botToken === undefined && appToken === undefined && signingSecret === undefined) return undefined;
  if (botToken === undefined) {
    throw wrong("SLACK_BOT_TOKEN", "is missing (xoxb-…): SLACK_APP_TOKEN and SLACK_SIGNING_SECRET need it.");
  }
  if (appToken === undefined && signingSecret === undefined) {
    throw wrong(
      "SLACK_APP_TOKEN",
      "is missing (xapp-…, for Socket Mode); or set SLACK_SIGNING_SECRET for HTTP.",
    );
  }
  if (!botToken.startsWith("xoxb-"))
    throw wrong("SLACK_BOT_TOKEN", 'is no bot token: those start with "xoxb-".');
  if (appToken !== undefined && !appToken.startsWith("xapp-")) {
    throw wrong("SLACK_APP_TOKEN", 'is no app-level token: those start with "xapp-".');
  }
  const apiUrl = env.get("SLACK_API_URL");
  return {
    botToken,
    ...(appToken === undefined ? {} : { appToken }),
    ...(signingSecret === undefined ? {} : { signingSecret }),
    agentView: env.oneOf("SLACK_AGENT_VIEW", ["true", "false"]) !== "false",
    port: env.port("SLACK_PORT", 3001),
    ...(apiUrl === undefined ? {} : { apiUrl }),
  };
}

function readDiscord(env: Variables): DiscordSettings | undefined {
  const token = env.get("DISCORD_TOKEN");
  const apiUrl = env.get("DISCORD_API_URL");
  if (token === undefined) return undefined;
  if (token.split(".").length !== 3) {
    throw wrong("DISCORD_TOKEN", "is no bot token: those have three parts with dots between them.");
  }
  return { token, ...(apiUrl === undefined ? {} : { apiUrl }) };
}
