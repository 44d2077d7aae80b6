import type { Rates } from "aparte";
import { Feature } from "./feature.ts";
import type { SlackSettings } from "./options.ts";
import { Allowance, budgetOf, Pace } from "./pace.ts";
import { Told } from "./told.ts";

/** Slack takes about 100 appends a minute in a workspace. In milliseconds. */
const appendInterval = 700;

/** First words are so far apart that 30 people have theirs within two seconds. In milliseconds. */
const firstInterval = 50;

/** Slack begins about this many streams a minute in a workspace. */
const streamsPerMinute = 20;

/** What the replies of one workspace share. */
export interface Workspace {
  readonly streaming: Feature;
  readonly markdown: Feature;
  /** Of agents. */
  readonly sessions: Feature;
  readonly streamStarts: Allowance;
  /** The streams that this process has open. */
  readonly streams: Set<string>;
  readonly firsts: Pace;
  readonly edits: Pace;
  readonly appends: Pace;
  readonly told: Told;
}

/** The workspaces in which the app is installed, each with its allowance of calls. */
export class Workspaces {
  readonly #settings: SlackSettings;
  readonly #rates: Rates | undefined;
  readonly #workspaces = new Map<string, Workspace>();

  /** @param rates what all processes share */
  constructor(settings: SlackSettings, rates: Rates | undefined) {
    this.#settings = settings;
    this.#rates = rates;
  }

  get(id: string): Workspace {
    const { stream, editInterval } = this.#settings;
    const appends = Math.min(editInterval, appendInterval);
    const budget = (method: string, interval: number, atOnce = 5) =>
      budgetOf(this.#rates, `slack ${id} ${method}`, interval, atOnce);
    const starts = budget("chat.startStream", 60_000 / streamsPerMinute, streamsPerMinute);
    const workspace = this.#workspaces.get(id) ?? {
      streaming: new Feature(stream === "native"),
      markdown: new Feature(true),
      sessions: new Feature(true),
      streamStarts: new Allowance(streamsPerMinute, starts),
      streams: new Set(),
      firsts: new Pace(Math.min(editInterval, firstInterval)),
      edits: new Pace(editInterval, budget("chat.update", editInterval)),
      appends: new Pace(appends, budget("chat.appendStream", appends)),
      told: new Told(),
    };
    this.#workspaces.set(id, workspace);
    return workspace;
  }
}
