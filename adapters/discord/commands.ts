import type { SessionMapper, TextCode } from "aparte";
import type {
  APIApplicationCommand,
  ClientApplication,
  APIApplicationCommandOption as CommandOption,
  RESTPostAPIApplicationCommandsJSONBody,
} from "discord.js";

/** A command as Discord takes it, e.g. to add `name_localizations` and `description_localizations`. */
export type DiscordCommand = RESTPostAPIApplicationCommandsJSONBody;

type PlainCode = Extract<TextCode, `command-${string}`>;

// Discord's numbers, written here so that only types are imported from discord.js.
const kind = { chatInput: 1, message: 3 } as const;
const option = { string: 3, boolean: 5 } as const;
/** In guilds and for people who install the app for themselves; in guilds, direct messages and groups. */
const everywhere = { integration_types: [0, 1], contexts: [0, 1, 2] };

/** The name of the command on messages: it is Discord's id of it, too, and so the same for everybody. */
export function aboutThis(mapper: SessionMapper): string {
  return mapper.texts({ platform: "discord" })("command-ask-about");
}

/** The languages of Discord in which our own sentences come along. */
const locales = ["en-US", "en-GB", "zh-CN", "zh-TW"] as const;

/** The adapter's commands. `/agent` only where there are several. */
export function allCommands(mapper: SessionMapper): DiscordCommand[] {
  const described = (code: PlainCode) => descriptions(mapper, code);
  const text = (name: string, code: PlainCode, max_length: number) =>
    ({ type: option.string, name, ...described(code), max_length, required: true }) as CommandOption;
  const slash = (name: string, code: PlainCode, options: readonly CommandOption[] = []) =>
    ({
      type: kind.chatInput,
      name,
      ...described(code),
      options: [...options],
      ...everywhere,
    }) as DiscordCommand;
  const commands: DiscordCommand[] = [
    slash("ask", "command-ask", [
      text("question", "command-ask-question", 4_000),
      { type: option.boolean, name: "private", ...described("command-ask-private") },
    ]),
    slash("new", "command-new"),
    slash("title", "command-title", [text("title", "command-title-title", 100)]),
    slash("stop", "command-stop"),
    slash("privacy", "command-privacy"),
    slash("forget", "command-forget"),
    { type: kind.message, name: aboutThis(mapper), ...everywhere } as DiscordCommand,
  ];
  if (mapper.agentNames.length > 1) {
    const name = { ...text("agent", "command-agent-agent", 100), autocomplete: true } as CommandOption;
    commands.push(slash("agent", "command-agent", [name]));
  }
  return commands;
}

/** What Discord shows of a command, in its people's languages. */
function descriptions(mapper: SessionMapper, code: PlainCode) {
  const description = mapper.texts({ platform: "discord" })(code);
  const others = locales
    .map((locale) => [locale, mapper.texts({ platform: "discord", locale })(code)] as const)
    .filter(([, text]) => text !== description);
  return { description, description_localizations: Object.fromEntries(others) };
}

/** Registers the commands that Discord does not have as they are. Others of the application stay. */
export async function register(
  { commands: registered }: ClientApplication,
  commands: readonly DiscordCommand[],
): Promise<void> {
  const known = await registered.fetch({ withLocalizations: true });
  for (const command of commands) {
    const { name, type = kind.chatInput } = command;
    const same = known.find((one) => one.name === name && one.type === type);
    if (same?.equals(command as APIApplicationCommand) !== true) await registered.create(command);
  }
}
