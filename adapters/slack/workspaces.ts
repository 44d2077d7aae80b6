import { Feature } from "./feature.ts";
import type { SlackSettings } from "./options.ts";
import { Allowance, Pace } from "./pace.ts";
import { Told } from "./told.ts";

/** Slack takes about 100 appends a minute in a workspace. In milliseconds. */
const appendInterval = 700;

/** First words are far enough apart for 30 people within five seconds. In milliseconds. */
const firstInterval = 100;

/** Slack begins about this many streams a minute in a workspace. */
const streamsPerMinute = 20;

/** What the replies of one workspace share. */
export interface Workspace {
  readonly streaming: Feature;
  readonly markdown: Feature;
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
  readonly #workspaces = new Map<string, Workspace>();

  constructor(settings: SlackSettings) {
    this.#settings = settings;
  }

  get(id: string): Workspace {
    const { stream, editInterval } = this.#settings;
    const workspace = this.#workspaces.get(id) ?? {
      streaming: new Feature(stream === "native"),
      markdown: new Feature(true),
      streamStarts: new Allowance(streamsPerMinute),
      streams: new Set(),
      firsts: new Pace(Math.min(editInterval, firstInterval)),
      edits: new Pace(editInterval),
      appends: new Pace(Math.min(editInterval, appendInterval)),
      told: new Told(),
    };
    this.#workspaces.set(id, workspace);
    return workspace;
  }
}
