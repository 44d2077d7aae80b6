import type { AppOptions } from "@slack/bolt";
import { type SlackContext, slack, speakerOf } from "aparte/slack";
import { describe, expect, it } from "vitest";
import type { SlackServer } from "../../fakes/slack-server.ts";
import { type Answer, backend } from "../agent.ts";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

/** An app that is installed in many places. */
const installed = (server: SlackServer) => {
  const authorize = async () => ({ botToken: server.token, botUserId: server.botUserId, botId: "B1" });
  return { app: { token: undefined, authorize } as unknown as AppOptions };
};

const workspace = (team: string, enterprise: string | null = null) => ({
  ...{ team_id: team, enterprise_id: enterprise },
  authorizations: [{ team_id: team, enterprise_id: enterprise, is_enterprise_install: false }],
});
const organisation = {
  ...{ team_id: "T3", enterprise_id: "E1" },
  authorizations: [{ team_id: null, enterprise_id: "E1", is_enterprise_install: true }],
};
const connect = { is_ext_shared_channel: true };

describe("slack keeps apart", () => {
  it("who speaks in a shared channel of another company from who they are at home", async () => {
    const server = await startServer();
    const bot = await startBot(server, installed(server));
    const event = { team: "T9", user_team: "T9" };
    await server.say("U9", "our secret", { channel: "D9", event, envelope: workspace("T9") });
    await shows(server, 'You say "our secret" after nothing.');
    await server.say("U9", `${mention(server)} hello`, {
      event,
      envelope: { ...workspace("T1"), ...connect },
    });
    await shows(server, 'You say "hello" after nothing.');
    await settled(bot);
    expect(bot.messages).toMatchObject([
      { tenant: "T9", user: "U9", direct: true },
      { tenant: "T1", user: "T9/U9", external: true },
    ]);
    expect(bot.messages.map(({ external }) => external)).toEqual([undefined, true]);
  });

  it("two workspaces whose people and channels have equal ids", async () => {
    const server = await startServer();
    const bot = await startBot(server, installed(server));
    await server.say("U1", `${mention(server)} I am Ann`, {
      event: { team: "T1" },
      envelope: workspace("T1"),
    });
    await shows(server, 'You say "I am Ann" after nothing.');
    await server.say("U1", `${mention(server)} who?`, { event: { team: "T2" }, envelope: workspace("T2") });
    await shows(server, 'You say "who?" after nothing.');
    await settled(bot);
  });

  it("all installations, agents and people, whose ids are equal as far as they can be", async () => {
    const server = await startServer();
    const echo = (name: string): Answer =>
      async function* ({ text }, memory) {
        yield { type: "message", text: `${name}: ${text} after ${memory.join(" and ") || "nothing"}` };
      };
    const bot = await startBot(server, {
      ...installed(server),
      mapper: {
        agents: { first: backend(echo("first")), second: backend(echo("second")) },
        route: ({ tenant }) => (tenant === "T2" ? "second" : "first"),
      },
    });
    server.people.set("U1", { enterprise_user: { enterprise_id: "E1" } });
    const people: [who: string, agent: string, team: string, envelope: object, channel: string][] = [
      ["one", "first", "T1", workspace("T1"), "C1"],
      ["one in private", "first", "T1", workspace("T1"), "D1"],
      ["two", "second", "T2", workspace("T2"), "C1"],
      ["two in private", "second", "T2", workspace("T2"), "D1"],
      ["two's person at one's", "first", "T2", { ...workspace("T1"), ...connect }, "C1"],
      ["one's person at two's", "second", "T1", { ...workspace("T2"), ...connect }, "C1"],
      ["three's organisation", "first", "T3", organisation, "C1"],
      ["three's organisation in private", "first", "T3", organisation, "D1"],
    ];
    for (const round of ["I am", "who is"]) {
      for (const [who, agent, team, envelope, channel] of people) {
        const event = { team, user_team: team };
        await server.say("U1", `${mention(server)} ${round} ${who}`, { channel, event, envelope });
        const before = round === "I am" ? "nothing" : `I am ${who}`;
        await shows(server, `${agent}: ${round} ${who} after ${before}`, channel);
      }
    }
    await settled(bot);
    expect(server.shown()).toHaveLength(2 * people.length);
  });

  it("a guest from the workspace's members, as one more person of the workspace", async () => {
    const server = await startServer();
    server.people.set("U2", { is_restricted: true, is_ultra_restricted: true });
    const bot = await startBot(server, installed(server));
    const said: [user: string, before: string][] = [
      ["U1", "nothing"],
      ["U2", "nothing"],
      ["U1", "I am U1"],
    ];
    for (const [user, before] of said) {
      const place = { event: { team: "T1", user_team: "T1" }, envelope: { ...workspace("T1"), ...connect } };
      await server.say(user, `${mention(server)} I am ${user}`, place);
      await shows(server, `You say "I am ${user}" after ${before}.`);
    }
    await settled(bot);
    expect(bot.messages.map(({ tenant, user, external }) => [tenant, user, external])).toEqual(
      said.map(([user]) => ["T1", user, undefined]),
    );
  });

  it("what is said in private from what is said in a channel", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U1", "between us", { channel: server.direct });
    await shows(server, 'You say "between us" after nothing.');
    await server.say("U1", `${mention(server)} hello`);
    await shows(server, 'You say "hello" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ direct }) => direct)).toEqual([true, undefined]);
  });

  it("nobody within an organisation, also in a channel that is shared with another company", async () => {
    const server = await startServer();
    const bot = await startBot(server, installed(server));
    server.people.set("U3", { enterprise_user: { enterprise_id: "E1" } });
    server.people.set("U9", { enterprise_user: { enterprise_id: "E9" } });
    const say = (user: string, team: string, text: string, envelope: object) =>
      server.say(user, `${mention(server)} ${text}`, { event: { team }, envelope });
    await say("U3", "T3", "one", organisation);
    await shows(server, 'You say "one" after nothing.');
    await say("U3", "T4", "two", { ...organisation, ...connect });
    await shows(server, 'You say "two" after one.');
    await say("U3", "E1", "three", { ...organisation, ...connect });
    await shows(server, 'You say "three" after one and two.');
    await say("U9", "T9", "four", { ...organisation, ...connect });
    await say("U8", "T8", "five", { ...organisation, ...connect });
    await settled(bot);
    expect(bot.messages.map(({ tenant, user, external }) => [tenant, user, external])).toEqual([
      ["E1", "U3", undefined],
      ["E1", "U3", undefined],
      ["E1", "U3", undefined],
      ["E1", "T9/U9", true],
      // Slack does not say who this is.
      ["E1", "T8/U8", true],
    ]);
  });

  it("nobody within an organisation by a button, of which Slack does not tell whether others share the channel", async () => {
    const server = await startServer();
    const bot = await startBot(server, installed(server));
    server.people.set("U3", { enterprise_user: { enterprise_id: "E1" } });
    server.people.set("U9", { enterprise_user: { enterprise_id: "E9" } });
    for (const [id, team_id] of [
      ["U3", "T3"],
      ["U3", "T4"],
      ["U9", "T9"],
    ] as const) {
      const post = { channel: server.channel, ts: server.ts(), thread: "1789.1" };
      const organisation = { is_enterprise_install: true, enterprise: { id: "E1" }, team: { id: "T3" } };
      await server.press(id, post, "aparte_question_0", team_id, { ...organisation, user: { id, team_id } });
    }
    await settled(bot);
    expect(bot.messages.map(({ text, tenant, user, external }) => [text, tenant, user, external])).toEqual([
      ["T3", "E1", "U3", undefined],
      ["T4", "E1", "U3", undefined],
      ["T9", "E1", "T9/U9", true],
    ]);
  });

  it("the threads of the agent view, where each top-level message begins one, but not those of channels", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { agentView: true } });
    const direct = { channel: server.direct };
    const thread = await server.say("U1", "one", direct);
    expect(await shows(server, 'You say "one" after nothing.')).toMatchObject({ thread });
    await server.say("U1", "two", { ...direct, thread });
    await shows(server, 'You say "two" after one.');
    await server.say("U1", "three", direct);
    await shows(server, 'You say "three" after nothing.');
    await server.say("U1", `${mention(server)} four`);
    await shows(server, 'You say "four" after nothing.');
    await server.say("U1", `${mention(server)} five`);
    await shows(server, 'You say "five" after four.');
    await settled(bot);
  });

  it("the threads of the agent view by default", async () => {
    const server = await startServer();
    const { mapper } = await startBot(server);
    const context: SlackContext = {};
    const body = { ...workspace("T1"), event: { user: "U1", channel: "D1", ts: "1.1" } };
    await slack(mapper).session({ body, context, next: async () => {} } as never);
    expect(context.session?.speaker).toMatchObject({ thread: "1.1", scope: "user-in-thread" });
  });

  it("no threads of the agent view where the application chose another scope", async () => {
    const server = await startServer();
    const mapper = { scope: "user-in-channel" } as const;
    const bot = await startBot(server, { slack: { agentView: true }, mapper });
    for (const text of ["one", "two"]) await server.say("U1", text, { channel: server.direct });
    await shows(server, 'You say "two" after one.');
    await settled(bot);
  });
});

describe("speakerOf", () => {
  const envelope = (event: object, more: object = {}) => ({ ...workspace("T1"), event, ...more });
  it.each([
    [
      "an event",
      envelope({ user: "U1", channel: "C1", ts: "1.1" }),
      { user: "U1", channel: "C1", thread: "1.1" },
    ],
    [
      "an event in a thread",
      envelope({ user: "U1", channel: "C1", ts: "1.2", thread_ts: "1.1" }),
      { user: "U1", channel: "C1", thread: "1.1" },
    ],
    [
      "a direct message",
      envelope({ user: "U1", channel: "D1", ts: "1.1" }),
      { user: "U1", channel: "D1", thread: "1.1", direct: true, scope: "user-in-thread" },
    ],
    ["the home tab", envelope({ user: "U1", type: "app_home_opened" }), { user: "U1", direct: true }],
    [
      "a reaction",
      envelope({ user: "U1", item: { channel: "C1" }, type: "reaction_added" }),
      { user: "U1", channel: "C1" },
    ],
    ["somebody who joins", envelope({ user: { id: "U1" }, type: "team_join" }), { user: "U1", direct: true }],
    [
      "a command",
      { team_id: "T1", user_id: "U1", channel_id: "C1", is_enterprise_install: "false", command: "/x" },
      { user: "U1", channel: "C1" },
    ],
    [
      "a command of an organisation's app",
      { team_id: "T1", enterprise_id: "E1", user_id: "U1", channel_id: "C1", is_enterprise_install: "true" },
      { user: "U1", channel: "C1", tenant: "E1" },
    ],
    [
      "a button",
      {
        ...{
          type: "block_actions",
          user: { id: "U1", team_id: "T1" },
          team: { id: "T1" },
          channel: { id: "C1" },
        },
        ...{ container: { channel_id: "C1", message_ts: "1.2" }, message: { ts: "1.2", thread_ts: "1.1" } },
      },
      { user: "U1", channel: "C1", thread: "1.1" },
    ],
    [
      "a button that somebody of another company pressed",
      {
        user: { id: "U9", team_id: "T9" },
        team: { id: "T1" },
        channel: { id: "C1" },
        message: { ts: "1.2" },
      },
      { user: "T9/U9", external: true, channel: "C1", thread: "1.2" },
    ],
    ["a global shortcut", { user: { id: "U1" }, team: { id: "T1" } }, { user: "U1", direct: true }],
    [
      "a view",
      { user: { id: "U1", team_id: "T1" }, team: { id: "T1" }, view: { app_installed_team_id: "T1" } },
      { user: "U1", direct: true },
    ],
  ])("tells who is behind %s", (_, body, speaker) => {
    expect(speakerOf(body)).toEqual({ platform: "slack", tenant: "T1", ...speaker });
  });

  it("knows the bot, and the direct messages of a classic app", () => {
    const body = envelope({ user: "U1", channel: "D1", ts: "1.1" });
    const speaker = { platform: "slack", tenant: "T1", bot: "A1", user: "U1", channel: "D1", direct: true };
    expect(speakerOf(body, { bot: "A1", agentView: false })).toEqual(speaker);
  });

  it.each([
    ["no person", envelope({ channel: "C1" })],
    ["no installation", { user: { id: "U1" }, channel: { id: "C1" } }],
  ])("is undefined where there is %s", (_, body) => {
    expect(speakerOf(body)).toBeUndefined();
  });
});
