import type { App, InstallationStore } from "@slack/bolt";
import type { Speaker } from "aparte";
import {
  areHosts,
  checkOptions as check,
  isAboveZero,
  isFlag,
  isFunction,
  isListOf,
  isOneOf,
  isText,
  type OptionCheck,
} from "aparte/adapter";
import type { SlackButton } from "./buttons.ts";

/** `@slack/web-api`'s WebClient, of the version that Bolt uses. */
export type SlackClient = App["client"];

/** Which messages are answered in shared places. */
export type Respond =
  | "called"
  | "threads"
  | "always"
  | "never"
  | ((event: object) => boolean | Promise<boolean>);

/** What a person thinks of an answer. */
export interface SlackFeedback {
  readonly speaker: Speaker;
  /** The message that shows the answer, in the speaker's channel. */
  readonly ts: string;
  readonly isPositive: boolean;
}

/** What `slack` takes. */
export interface SlackOptions {
  /**
   * A name for this bot, e.g. its app's id, where several Slack apps share a mapper or a store: each person has a
   * session with each of them. @default none, for one app
   */
  readonly bot?: string;
  /**
   * Which messages are answered in channels, group messages and their threads; direct messages all are. `"called"`:
   * those that call the bot by its name. `"threads"`: also what follows in a thread where it was called, until somebody
   * says "stop" there or `threadTime` passes; needs the events and scopes to read there. `"always"`, `"never"`, or a
   * function of Slack's event. @default "called"
   */
  readonly respond?: Respond;
  /** How long a thread goes on without the bot's name (`respond: "threads"`), in milliseconds. @default 86_400_000 */
  readonly threadTime?: number;
  /**
   * Whether the app is an agent in Slack's sense (`agent_view` in its manifest): each top-level direct message begins
   * a thread, and a thread is a conversation of its own. `false` for a classic app, where a person's direct messages are
   * one conversation. @default true
   */
  readonly agentView?: boolean;
  /** What somebody may ask who opens the agent's messages: four at most. @default none */
  readonly prompts?: readonly string[];
  /** What Slack shows in turn while the agent thinks and tells of nothing that it does: ten at most. @default none */
  readonly loadingMessages?: readonly string[];
  /**
   * Which messages aparte takes, where the app has message listeners of its own: `"all"`, `"unheard"` for those that
   * none of them was called for (of those registered after `attach`), or `"none"`. @default "all"
   */
  readonly answer?: "all" | "unheard" | "none";
  /**
   * The slash command by which people begin anew, choose the agent, see and erase what is kept of them …: `/agent new`.
   * The same works as `!new` in a message, since Slack has no slash commands in threads. `false` for neither.
   * @default "/agent"
   */
  readonly command?: string | false;
  /**
   * The buttons of answers: `"stop"` while one grows by edits, `"questions"` for follow-up questions (where there are more
   * than 25, or one over 2,000 characters, they stand among the words), `"new"` for a new conversation, `"feedback"` where
   * the agent's service takes it or `onFeedback` is given. The app needs interactivity; `[]` for one without.
   * @default ["stop", "questions"]
   */
  readonly buttons?: readonly SlackButton[];
  /** Told what people think of answers, by the button `"feedback"`; what whoever asked thinks, the service is told as well. */
  readonly onFeedback?: (feedback: SlackFeedback) => unknown;
  /**
   * Where the app's installations are kept (`slackInstallations(store, secret)`): what a workspace removes is deleted
   * there. @default none
   */
  readonly installations?: InstallationStore;
  /**
   * Erases the sessions of a workspace's people, here and at the agents' services, when the workspace removes the app.
   * Needs the event `app_uninstalled`. @default false
   */
  readonly eraseRemoved?: boolean;
  /**
   * How a reply grows: in Slack's own streams where they work (in threads, and where the workspace has them), or
   * by edits of a message. @default "native"
   */
  readonly stream?: "native" | "edit";
  /**
   * The pause between two edits in one workspace, in milliseconds. Slack takes about 50 a minute there. Streams
   * grow at most every 700 ms, since Slack takes about 100 a minute. @default 1200
   */
  readonly editInterval?: number;
  /** The largest file that is handed to the agent, in bytes. @default 20_971_520 */
  readonly maxFileBytes?: number;
  /**
   * Further hosts from which files may be loaded, with the port where there is one, also over plain http: a proxy
   * of your own, a test's server. They are sent the bot's token. Slack's are known.
   */
  readonly fileHosts?: readonly string[];
  /**
   * The client of a workspace, or of an Enterprise organisation where the app is installed in all of it. Needed
   * by apps with several workspaces whose tokens Bolt does not know: that have neither `authorize` nor an
   * installation store.
   * @default with the token of the app, or of its `authorize`
   */
  readonly client?: (tenant: string) => SlackClient | Promise<SlackClient>;
}

type Open = "bot" | "onFeedback" | "installations" | "client";

/** The options as they were given, or by default. */
export type SlackSettings = Required<Omit<SlackOptions, Open>> & {
  readonly [K in Open]: SlackOptions[K] | undefined;
};

const [isRespondWord] = isOneOf("called", "threads", "always", "never");
const isRespond: OptionCheck = [
  (value) => typeof value === "function" || isRespondWord(value),
  'must be "called", "threads", "always", "never" or a function',
];

const [areTexts] = isListOf(isText);
const areAtMost = (most: number): OptionCheck => [
  (value) => areTexts(value) && (value as readonly string[]).length <= most,
  `must be a list of at most ${most} texts that are not empty`,
];

const isCommand: OptionCheck = [
  (value) => value === false || (typeof value === "string" && /^\/[^\sA-Z]{1,31}$/.test(value)),
  'must be like "/agent", in lower case, or false',
];

const isStore: OptionCheck = [
  (value) => typeof (value as Partial<InstallationStore> | null)?.deleteInstallation === "function",
  "must be an installation store with deleteInstallation",
];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: SlackOptions): SlackSettings {
  return check<SlackSettings>(options, {
    bot: [isText],
    respond: [isRespond, "called"],
    threadTime: [isAboveZero, 86_400_000],
    agentView: [isFlag, true],
    prompts: [areAtMost(4), []],
    loadingMessages: [areAtMost(10), []],
    answer: [isOneOf("all", "unheard", "none"), "all"],
    command: [isCommand, "/agent"],
    buttons: [isListOf(isOneOf("stop", "questions", "new", "feedback")), ["stop", "questions"]],
    onFeedback: [isFunction("(feedback) => …")],
    installations: [isStore],
    eraseRemoved: [isFlag, false],
    stream: [isOneOf("native", "edit"), "native"],
    editInterval: [isAboveZero, 1_200],
    maxFileBytes: [isAboveZero, 20_971_520],
    fileHosts: [areHosts, []],
    client: [isFunction("(tenant) => WebClient")],
  });
}
