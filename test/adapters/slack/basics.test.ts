import { describe, expect, it } from "vitest";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

describe.each([
  { mode: "over HTTP", isSocket: false },
  { mode: "in Socket Mode", isSocket: true },
])("slack $mode", ({ isSocket }) => {
  it("answers mentions in a thread under them, without the mention, once", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    const ts = await server.say("U1", `${mention(server)} I am &lt;Ann&gt;`);
    const answer = await shows(server, 'You say "I am <Ann>" after nothing.');
    expect(answer.thread).toBe(ts);
    await settled(bot);
    const { teamId, channel } = server;
    const replyTo = {
      workspace: teamId,
      team: teamId,
      channel,
      ts,
      user: "U1",
      userTeam: teamId,
      thread: ts,
    };
    expect(bot.messages).toEqual([
      {
        ...{ platform: "slack", tenant: teamId, user: "U1", channel, thread: ts },
        ...{
          id: `${channel}:${ts}`,
          text: "I am <Ann>",
          files: [],
          replyTo,
        },
      },
    ]);
    expect(server.shown()).toHaveLength(1);
  });

  it("says of its own accord what the application sends, in the person's place", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    const ts = await server.say("U1", `${mention(server)} hello`);
    await shows(server, 'You say "hello" after nothing.');
    const [heard] = bot.messages;
    if (heard === undefined) throw new Error("Nothing was heard.");
    const { replyTo: _, ...speaker } = heard;
    await bot.mapper.send(speaker, "Your report is ready.");
    expect(await shows(server, "Your report is ready.")).toMatchObject({
      channel: server.channel,
      thread: ts,
    });
    await bot.mapper.send(heard, "And another one.");
    await shows(server, "And another one.");
    await settled(bot);
    expect(server.shown()).toHaveLength(3);
    expect(bot.log).toEqual([]);
  });

  it("answers direct messages where they are", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    await server.say("U1", "hello", { channel: server.direct });
    const answer = await shows(server, 'You say "hello" after nothing.');
    expect(answer).toMatchObject({ channel: server.direct, thread: undefined, wasStream: false });
    await server.say("U1", "again", { channel: server.direct, thread: "1789.1" });
    const second = await shows(server, 'You say "again" after hello.');
    expect(second).toMatchObject({ thread: "1789.1" });
    await settled(bot);
  });

  it("takes a message once, also when Slack sends it again, and one that only a retry brings", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    const ts = await server.say("U1", `${mention(server)} once`);
    await server.say("U1", `${mention(server)} once`, { ts, retry: 1 });
    await shows(server, 'You say "once" after nothing.');
    await server.say("U1", `${mention(server)} once`, { ts, retry: 2 });
    await server.say("U1", `${mention(server)} late`, { retry: 1 });
    await shows(server, 'You say "late" after once.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["once", "late"]);
    expect(server.shown()).toHaveLength(2);
  });
});
