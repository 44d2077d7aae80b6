import { AparteError } from "aparte";
import { describe, expect, it } from "vitest";
import type { DiscordServer } from "../../fakes/discord-server.ts";
import { type Answer, Speech } from "../agent.ts";
import { edits, mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

describe("discord when something fails", () => {
  const ask = async (fault: Parameters<DiscordServer["fail"]>[0], answer?: Answer) => {
    const server = await startServer();
    const bot = await startBot(server, answer === undefined ? {} : { answer });
    server.fail(fault);
    server.say(server.person("ann"), `${mention(server)} hello`);
    return { server, bot };
  };

  it("tells the person briefly, with the reference that the log has", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} my words`);
    const failure = new AparteError("backend-unavailable", "The service is down. Try later.");
    speech.say("I was about");
    speech.end(failure);
    await shows(server, `I was about\n\n${failure.say}`);
    await settled(bot);
    expect(bot.log.join("\n")).toContain(failure.reference);
    expect(bot.log.join("\n")).not.toContain("my words");
  });

  it("posts once when the server stores the message and answers 500", async () => {
    const { server, bot } = await ask({ method: "POST", path: posts, status: 500, after: true, times: 2 });
    await shows(server, 'You say "hello" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
    expect(server.calls.filter(({ path }) => posts.test(path)).length).toBe(3);
  });

  it("posts once when the connection breaks after the message was stored", async () => {
    const { server, bot } = await ask({ method: "POST", path: posts, drop: true, after: true });
    await shows(server, 'You say "hello" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
    const nonces = server.calls.filter(({ path }) => posts.test(path)).map(({ body }) => body.nonce);
    expect(nonces).toHaveLength(2);
    expect(new Set(nonces).size).toBe(1);
  });

  it("shows the whole answer though an edit broke", async () => {
    const { server } = await ask({ method: "PATCH", path: edits, drop: true, times: 2 });
    await shows(server, 'You say "hello" after nothing.');
  });

  it("posts the answer anew, once, when its message is deleted while it grows", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} tell me`);
    speech.say("one ");
    await server.next("POST", posts);
    server.delete(server.shown()[0]?.id ?? "");
    speech.say("two ");
    await server.next("POST", posts);
    expect(server.shown().map(({ content }) => content)).toEqual(["one two"]);
    server.delete(server.shown()[0]?.id ?? "");
    speech.say("three");
    speech.end();
    await settled(bot);
    expect(server.shown()).toEqual([]);
    expect(bot.log.join("\n")).toContain("an answer could not be delivered");
  });

  it("gives up where a message does not say where its answer goes", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const user = server.person("ann").id;
    const message = { platform: "discord", bot: server.bot.id, user, id: "1", text: "?", replyTo: {} };
    await bot.mapper.receive(message);
    await settled(bot);
    expect(bot.log[0]).toMatch(/^an answer could not be delivered .*"willTryAgain":false/);
  });

  it("gives up where it may not write, and answers the person's next message", async () => {
    const { server, bot } = await ask({ method: "POST", path: posts, status: 403, code: 50_013 });
    await server.next("POST", posts, ({ status }) => status === 403);
    server.say(server.person("bob"), `${mention(server)} and me?`);
    await shows(server, 'You say "and me?" after nothing.');
    expect(server.calls.filter(({ status }) => status === 403)).toHaveLength(1);
    await settled(bot);
    expect(bot.log.join("\n")).toContain("an answer could not be delivered");
  });
});
