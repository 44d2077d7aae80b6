import { optionInvalid } from "aparte";
import type { SlackClient, SlackSettings } from "./options.ts";
import { Pace } from "./pace.ts";
import { Told } from "./told.ts";

/** Slack takes about 100 appends a minute in a workspace. In milliseconds. */
const appendInterval = 700;

/** What the replies of one workspace share. */
export interface Workspace {
  /** False from when the workspace has refused a stream. */
  hasStreams: boolean;
  /** False from when the workspace has refused a markdown block. */
  hasMarkdown: boolean;
  readonly edits: Pace;
  readonly appends: Pace;
  readonly told: Told;
}

/** The workspaces in which the app is installed, each with its client and its allowance of calls. */
export class Workspaces {
  readonly #appClient: SlackClient;
  readonly #settings: SlackSettings;
  readonly #clients = new Map<string, SlackClient>();
  readonly #workspaces = new Map<string, Workspace>();

  constructor(appClient: SlackClient, settings: SlackSettings) {
    this.#appClient = appClient;
    this.#settings = settings;
  }

  /** Keeps the client that came with an event: the newest one has the newest token. */
  heard(id: string, client: SlackClient): void {
    this.#clients.set(id, client);
  }

  /** @throws {AparteError} `option-invalid` when the app has a client per workspace, and none is known here. */
  async client(id: string): Promise<SlackClient> {
    const known = (await this.#settings.client?.(id)) ?? this.#clients.get(id);
    if (known !== undefined) return known;
    if (this.#appClient.token !== undefined) return this.#appClient;
    throw optionInvalid("client", "is needed by an app with several workspaces: (tenant) => WebClient");
  }

  get(id: string): Workspace {
    const { stream, editInterval } = this.#settings;
    const workspace = this.#workspaces.get(id) ?? {
      hasStreams: stream === "native",
      hasMarkdown: true,
      edits: new Pace(editInterval),
      appends: new Pace(Math.min(editInterval, appendInterval)),
      told: new Told(),
    };
    this.#workspaces.set(id, workspace);
    return workspace;
  }
}
