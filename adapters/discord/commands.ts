import type { APIApplicationCommandOption, REST, RESTPostAPIApplicationCommandsJSONBody } from "discord.js";

/** A command as Discord takes it, e.g. to add `name_localizations` and `description_localizations`. */
export type DiscordCommand = RESTPostAPIApplicationCommandsJSONBody;

// Discord's numbers, written here so that only types are imported from discord.js.
const kind = { chatInput: 1, message: 3 } as const;
const option = { string: 3, boolean: 5 } as const;
/** In guilds and for people who install the app for themselves; in guilds, direct messages and groups. */
const everywhere = { integration_types: [0, 1], contexts: [0, 1, 2] };

export const aboutThis = "Ask about this";

/** The adapter's commands. `/agent` only where there are several. */
export function allCommands(agents: readonly string[]): DiscordCommand[] {
  const commands: DiscordCommand[] = [
    slash("ask", "Ask the agent", [
      text("question", "What you want to know", 4_000),
      { type: option.boolean, name: "private", description: "Only you see the question and the answer" },
    ]),
    slash("new", "Begin a new conversation: the agent forgets what was said"),
    slash("title", "Name our conversation", [text("title", "The name", 100)]),
    slash("stop", "Stop the answer that is being written for you here"),
    slash("privacy", "What happens with what you say"),
    slash("forget", "Erase our conversation, and all that is kept of you here"),
    { type: kind.message, name: aboutThis, ...everywhere } as DiscordCommand,
  ];
  if (agents.length > 1) {
    const name = { ...text("agent", "Its name", 100), autocomplete: true } as APIApplicationCommandOption;
    commands.push(slash("agent", "Choose the agent that you talk to", [name]));
  }
  return commands;
}

function slash(
  name: string,
  description: string,
  options: readonly APIApplicationCommandOption[] = [],
): DiscordCommand {
  return { type: kind.chatInput, name, description, options: [...options], ...everywhere } as DiscordCommand;
}

function text(name: string, description: string, max_length: number): APIApplicationCommandOption {
  return { type: option.string, name, description, max_length, required: true };
}

/** Registers the commands that Discord does not have as they are. Others of the application stay. */
export async function register(
  rest: REST,
  applicationId: string,
  commands: readonly DiscordCommand[],
): Promise<void> {
  const path = `/applications/${applicationId}/commands` as const;
  const query = new URLSearchParams({ with_localizations: "true" });
  const known = (await rest.get(path, { query })) as readonly {
    readonly name: string;
    readonly type?: number;
  }[];
  for (const command of commands) {
    const same = known.find(({ name, type }) => name === command.name && (type ?? 1) === (command.type ?? 1));
    if (same === undefined || !contains(same, command)) await rest.post(path, { body: command });
  }
}

/** Whether Discord has all that is wanted; it adds fields of its own, and leaves out what is empty or false. */
function contains(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    const list = Array.isArray(found) ? found : [];
    return list.length === wanted.length && wanted.every((one, index) => contains(list[index], one));
  }
  if (typeof wanted !== "object" || wanted === null) return found === wanted || (!found && !wanted);
  const fields = (found ?? {}) as { readonly [name: string]: unknown };
  return Object.entries(wanted).every(([name, value]) => contains(fields[name], value));
}
