import { purposeOf, shortcuts, usageHint } from "./commands.ts";
import { checkOptions, type SlackOptions } from "./options.ts";
import { promptOf } from "./prompts.ts";

/** What an app's manifest says besides what the adapter's options tell. */
export interface ManifestOptions
  extends Pick<SlackOptions, "respond" | "agentView" | "command" | "buttons" | "prompts"> {
  /** @default "Agent" */
  readonly name?: string;
  /** @default "Answers you, and keeps what you tell it to itself." */
  readonly description?: string;
  /** Where Slack sends what happens. @default none: Socket Mode */
  readonly requestUrl?: string;
}

/** The scopes that the bot needs, and what happens without them. */
const scopes = {
  "app_mentions:read": "hears no mentions",
  "assistant:write": "shows no status",
  "channels:history": "may post twice what Slack lost, and follows no threads",
  "channels:read": "reads channels as ids",
  "chat:write": "answers nobody",
  commands: "has no commands",
  "files:read": "reads no files",
  "groups:history": "the same, in private channels",
  "im:history": "hears no direct messages",
  "mpim:history": "the same, in group messages",
  "users:read": "reads people as ids",
} as const;

function neededScopes(command: SlackOptions["command"]): string[] {
  return Object.keys(scopes).filter((scope) => scope !== "commands" || command !== false);
}

/** The manifest of a Slack app that fits the adapter's options: to be pasted where Slack creates an app from one. */
export function slackManifest(options: ManifestOptions = {}): object {
  const {
    name = "Agent",
    description = "Answers you, and keeps what you tell it to itself.",
    requestUrl,
    ...others
  } = options;
  const { respond, agentView, command, buttons, prompts } = checkOptions(others);
  const readsAll = respond !== "called" && respond !== "never";
  const events = [
    ...["app_mention", "message.im", "app_uninstalled", "tokens_revoked"],
    ...(readsAll ? ["message.channels", "message.groups", "message.mpim"] : []),
    ...(agentView ? ["agent_session_stopped"] : []),
    ...(agentView || prompts.length > 0 ? ["app_home_opened"] : []),
  ].sort();
  const isInteractive = buttons.length > 0 || command !== false;
  const url = requestUrl === undefined ? {} : { request_url: requestUrl };
  return {
    _metadata: { major_version: 2 },
    display_information: { name, description },
    features: {
      app_home: { messages_tab_enabled: true, messages_tab_read_only_enabled: false },
      bot_user: { display_name: name, always_online: true },
      ...(agentView
        ? { agent_view: { agent_description: description, suggested_prompts: prompts.map(promptOf) } }
        : {}),
      ...(command === false ? {} : { slash_commands: [slashCommand(command, url)], shortcuts: allShortcuts }),
    },
    oauth_config: { scopes: { bot: neededScopes(command) } },
    settings: {
      event_subscriptions: { ...url, bot_events: events },
      interactivity: { is_enabled: isInteractive, ...(isInteractive ? url : {}) },
      org_deploy_enabled: true,
      socket_mode_enabled: requestUrl === undefined,
      token_rotation_enabled: false,
    },
  };
}

function slashCommand(command: string, url: { readonly request_url?: string }): object {
  return {
    command,
    description: "A new conversation, another agent, what is kept of you",
    usage_hint: usageHint,
    should_escape: false,
    ...(url.request_url === undefined ? {} : { url: url.request_url }),
  };
}

const allShortcuts = shortcuts.map(({ callback_id, name, command }) => {
  const purpose = purposeOf(command);
  return {
    type: "message",
    callback_id,
    name,
    description: purpose[0]?.toUpperCase() + purpose.slice(1),
  };
});

/** What the bot cannot do for want of scopes: one line each. */
export function missingScopes(given: readonly string[], command: SlackOptions["command"]): string[] {
  return neededScopes(command)
    .filter((scope) => !given.includes(scope))
    .map((scope) => `${scope} (without it the bot ${scopes[scope as keyof typeof scopes]})`);
}
