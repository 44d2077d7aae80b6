import type { Backend } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { Settings } from "../options.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { Message } from "./message.ts";

type AgentSettings = Pick<Settings, "agents" | "defaultAgent" | "route" | "allow">;

/** The agents of a mapper: which one a message reaches, and who may talk to which. */
export class Agents {
  readonly #settings: AgentSettings;

  constructor(settings: AgentSettings) {
    this.#settings = settings;
  }

  /** All that are configured. */
  get names(): readonly string[] {
    return [...this.#settings.agents.keys()];
  }

  /** @throws {AparteError} `agent-unknown` */
  backend(agent: string): Backend {
    const backend = this.#settings.agents.get(agent);
    if (backend !== undefined) return backend;
    throw agentUnknown("There is no agent of that name.", this.names);
  }

  /** The names of those that a person may talk to; the first one answers where none was chosen. */
  async allowedTo(speaker: Speaker): Promise<readonly string[]> {
    const allowed: readonly string[] | undefined = await this.#settings.allow?.(speaker);
    return this.names.filter((name) => allowed?.includes(name) ?? true);
  }

  /** @throws {AparteError} `agent-unknown` where the person may not talk to the agent */
  async assertAllowed(speaker: Speaker, agent: string): Promise<void> {
    if (this.#settings.allow === undefined) return;
    assertAmong(await this.allowedTo(speaker), agent);
  }

  /**
   * The agent for a session's message: its own, the route's, the person's choice, the first one. At once where no hook
   * has to be asked.
   * @param chosen the person's own choice
   */
  reachedBy(message: Message, chosen: string | undefined): string | Promise<string> {
    return this.#settings.allow === undefined
      ? this.#wanted(message, chosen)
      : this.#allowed(message, chosen);
  }

  /**
   * The agent that is meant where none is named and no message says it.
   * @throws {AparteError} `input-invalid` where there are several
   */
  get only(): string {
    const [only, another] = this.names;
    if (only !== undefined && another === undefined) return only;
    throw new AparteError("input-invalid", "A session's name does not say which agent is meant: name it.", {
      field: "agent",
    });
  }

  async #allowed(message: Message, chosen: string | undefined): Promise<string> {
    const names = await this.allowedTo(message);
    const isChosen = message.agent === undefined && this.#settings.route === undefined;
    // A choice that is no longer allowed is as none.
    if (isChosen && (chosen === undefined || !names.includes(chosen))) {
      const [first] = names;
      if (first === undefined) throw agentUnknown("There is no agent for this person.", []);
      return first;
    }
    return assertAmong(names, await this.#wanted(message, chosen));
  }

  /** The agent that the message, the route or the person names, in this order, or else the first one. */
  #wanted(message: Message, chosen: string | undefined): string | Promise<string> {
    const { agents, defaultAgent, route } = this.#settings;
    if (message.agent !== undefined) return message.agent;
    const existing = chosen !== undefined && agents.has(chosen) ? chosen : defaultAgent;
    if (route === undefined) return existing;
    return Promise.resolve(route(message)).then((agent = existing) => {
      this.backend(agent);
      return agent;
    });
  }
}

function assertAmong(names: readonly string[], agent: string): string {
  if (names.includes(agent)) return agent;
  throw agentUnknown("This person may not talk to that agent.", names);
}

function agentUnknown(problem: string, names: readonly string[]): AparteError {
  return new AparteError("agent-unknown", `${problem} There are: ${names.join(", ") || "none"}.`, {
    field: "agent",
  });
}
