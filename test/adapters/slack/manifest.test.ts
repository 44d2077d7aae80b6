import { slackManifest } from "aparte/slack";
import { describe, expect, it } from "vitest";
import { slackManifestText } from "../../../src/cli/slack-manifest.ts";
import { settled, startBot, startServer } from "./bot.ts";

const scopes = [
  ...["app_mentions:read", "assistant:write", "channels:history", "channels:read", "chat:write"],
  ...["commands", "files:read", "groups:history", "im:history", "mpim:history", "users:read"],
];

const shortcut = (callback_id: string, name: string, description: string) => ({
  ...{ type: "message", callback_id, name, description },
});

describe("slackManifest", () => {
  it("asks for what an app of the default options needs, in Socket Mode", () => {
    expect(slackManifest()).toEqual({
      _metadata: { major_version: 2 },
      display_information: {
        name: "Agent",
        description: "Answers you, and keeps what you tell it to itself.",
      },
      features: {
        app_home: { messages_tab_enabled: true, messages_tab_read_only_enabled: false },
        bot_user: { display_name: "Agent", always_online: true },
        agent_view: {
          agent_description: "Answers you, and keeps what you tell it to itself.",
          suggested_prompts: [],
        },
        slash_commands: [
          {
            command: "/agent",
            description: "A new conversation, another agent, what is kept of you",
            usage_hint: "new | name TITLE | use NAME | stop | kept | forget",
            should_escape: false,
          },
        ],
        shortcuts: [
          shortcut(
            "aparte_new",
            "New conversation",
            "Begins a new conversation: the agent forgets what was said",
          ),
          shortcut("aparte_stop", "Stop", "Stops the answer that is being written for you"),
          shortcut("aparte_kept", "What is kept of me", "Tells what is kept of you"),
        ],
      },
      oauth_config: { scopes: { bot: scopes } },
      settings: {
        event_subscriptions: {
          bot_events: [
            ...["agent_session_stopped", "app_home_opened", "app_mention", "app_uninstalled", "message.im"],
            "tokens_revoked",
          ],
        },
        interactivity: { is_enabled: true },
        org_deploy_enabled: true,
        socket_mode_enabled: true,
        token_rotation_enabled: false,
      },
    });
  });

  it("has the events, the address and the agent view that the options ask for", () => {
    const requestUrl = "https://bot.example.com/slack/events";
    const options = {
      respond: "threads",
      agentView: true,
      prompts: ["Hello?", `H${"e".repeat(75)}`],
      ...{ buttons: [], command: "/ask-us" },
      requestUrl,
    } as const;
    expect(slackManifest(options)).toMatchObject({
      features: {
        slash_commands: [{ command: "/ask-us", url: requestUrl }],
        agent_view: {
          suggested_prompts: [
            { title: "Hello?", message: "Hello?" },
            { title: `H${"e".repeat(73)}…`, message: `H${"e".repeat(75)}` },
          ],
        },
      },
      settings: {
        event_subscriptions: {
          request_url: requestUrl,
          bot_events: [
            ...[
              "agent_session_stopped",
              "app_home_opened",
              "app_mention",
              "app_uninstalled",
              "message.channels",
            ],
            ...["message.groups", "message.im", "message.mpim", "tokens_revoked"],
          ],
        },
        // Shortcuts come the same way as buttons.
        interactivity: { is_enabled: true, request_url: requestUrl },
        socket_mode_enabled: false,
      },
    });
  });

  it("has neither commands nor what they need where they are turned off", () => {
    const manifest = slackManifest({ command: false, buttons: [] });
    expect(manifest).not.toHaveProperty("features.slash_commands");
    expect(manifest).not.toHaveProperty("features.shortcuts");
    expect(manifest).toMatchObject({
      oauth_config: { scopes: { bot: scopes.filter((scope) => scope !== "commands") } },
      settings: { interactivity: { is_enabled: false } },
    });
  });

  it.each([
    [{}, { socket_mode_enabled: true }],
    [{ SLACK_SIGNING_SECRET: "x" }, { socket_mode_enabled: false }],
    [{ SLACK_SIGNING_SECRET: "x", SLACK_APP_TOKEN: "xapp-1" }, { socket_mode_enabled: true }],
  ])("is printed by the program for its own environment: %o", async (env, settings) => {
    const text = await slackManifestText(env);
    expect(JSON.parse(text)).toMatchObject({ settings });
    // What is to be filled in by hand is where it is looked for.
    expect(text.split("https://YOUR-HOST/slack/events")).toHaveLength(settings.socket_mode_enabled ? 1 : 4);
    expect(text).toMatch(/^\{\n {2}"/);
    expect(text.endsWith("\n}\n")).toBe(true);
  });

  it("is printed by the program without the agent view for a classic app", async () => {
    expect(JSON.parse(await slackManifestText({}))).toHaveProperty("features.agent_view");
    const manifest: object = JSON.parse(await slackManifestText({ SLACK_AGENT_VIEW: "false" }));
    expect(manifest).not.toHaveProperty("features.agent_view");
    expect(manifest).toHaveProperty("settings.event_subscriptions.bot_events", [
      ...["app_mention", "app_uninstalled", "message.im", "tokens_revoked"],
    ]);
  });
});

describe("slack", () => {
  it("says at start which scopes its token lacks, and nothing of one that has all", async () => {
    const server = await startServer();
    const whole = await startBot(server);
    await server.next("auth.test");
    await settled(whole);
    expect(whole.appLog).toEqual([]);
    server.scopes = scopes.filter((scope) => scope !== "files:read");
    const bot = await startBot(server);
    await server.next("auth.test");
    await expect.poll(() => bot.appLog.length).toBeGreaterThan(0);
    await settled(bot);
    expect(bot.appLog.join()).toContain("files:read (without it the bot reads no files)");
    expect(bot.appLog.join()).not.toContain("chat:write");
    server.scopes = scopes.filter((scope) => scope !== "commands");
    const without = await startBot(server, { slack: { command: false } });
    await server.next("auth.test");
    await settled(without);
    expect(without.appLog).toEqual([]);
  });
});
