import { describe, expect, it, vi } from "vitest";
import type { ApiCall, SlackServer } from "../../fakes/slack-server.ts";
import { count, endings, mention, settled, shows, startBot, startServer } from "./bot.ts";

const begunAnew = "我已经忘记了我们谈过的内容。";

/** Somebody is known: who is asked for the first time is not waited for where Slack is slow. */
async function known(server: SlackServer, user: string) {
  await server.command(user, "/agent");
  await server.next("respond");
  const isOpen = ({ method, result }: ApiCall) => method === "users.info" && result === undefined;
  await server.until(() => !server.calls.some(isOpen));
}

describe("slack speaks a person's language", () => {
  it("in what is said to them, in messages, commands and buttons, and asks Slack for it once", async () => {
    const server = await startServer();
    server.people.set("U1", { name: "li", locale: "zh-CN" });
    server.people.set("U2", { name: "bob", locale: "en-US" });
    const bot = await startBot(server);
    for (const user of ["U1", "U2"]) await known(server, user);
    await server.say("U1", "!new", { channel: server.direct });
    await shows(server, begunAnew);
    await server.command("U1", "/agent", "new");
    expect((await server.next("respond")).body.text).toBe(begunAnew);
    await server.command("U2", "/agent", "new");
    expect((await server.next("respond")).body.text).toBe("I have forgotten what we talked about.");
    await server.say("U1", `${mention(server)} hello`);
    await shows(server, 'You say "hello" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ locale }) => locale)).toEqual(["zh-CN"]);
    expect(count(server, "users.info")).toBe(2);
  });

  it("and asks anew after an hour, since people change it", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    endings.push(() => vi.useRealTimers());
    const server = await startServer();
    server.people.set("U1", { name: "li", locale: "zh-CN" });
    await startBot(server);
    const saysAnew = async () => {
      await known(server, "U1");
      await server.command("U1", "/agent", "new");
      return (await server.next("respond")).body.text;
    };
    expect(await saysAnew()).toBe(begunAnew);
    server.people.set("U1", { name: "li", locale: "en-US" });
    vi.advanceTimersByTime(3_590_000);
    expect(await saysAnew()).toBe(begunAnew);
    vi.advanceTimersByTime(20_000);
    expect(await saysAnew()).toBe("I have forgotten what we talked about.");
    expect(count(server, "users.info")).toBe(2);
  });

  it("and asks anew after a minute where Slack did not tell it", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    endings.push(() => vi.useRealTimers());
    const server = await startServer();
    server.people.set("U1", { name: "li", locale: "zh-CN" });
    server.fail({ method: "users.info", error: "internal_error" });
    await startBot(server);
    const saysAnew = async () => {
      await server.command("U1", "/agent", "new");
      return (await server.next("respond")).body.text;
    };
    expect(await saysAnew()).toBe("I have forgotten what we talked about.");
    vi.advanceTimersByTime(59_000);
    expect(await saysAnew()).toBe("I have forgotten what we talked about.");
    expect(count(server, "users.info")).toBe(1);
    vi.advanceTimersByTime(2_000);
    expect(await saysAnew()).toBe(begunAnew);
  });

  it("for the app's own listeners", async () => {
    const server = await startServer();
    server.people.set("U1", { name: "li", locale: "zh-CN" });
    const bot = await startBot(server);
    await known(server, "U1");
    bot.app.use(bot.adapter.session);
    const heard = new Promise<string | undefined>((resolve) => {
      bot.app.command("/mine", async ({ ack, context }) => {
        await ack();
        resolve(context.session?.speaker.locale);
      });
    });
    await server.command("U1", "/mine");
    expect(await heard).toBe("zh-CN");
  });

  it("and does not keep a message waiting for it", async () => {
    const server = await startServer();
    server.people.set("U1", { name: "li", locale: "zh-CN" });
    const bot = await startBot(server);
    let open = () => {};
    const until = new Promise<void>((resolve) => {
      open = resolve;
    });
    server.fail({ method: "users.info", until });
    await server.say("U1", "hello", { channel: server.direct });
    await shows(server, 'You say "hello" after nothing.');
    open();
    await server.until(() =>
      server.calls.some(({ method, result }) => method === "users.info" && result === ""),
    );
    await server.say("U1", "again", { channel: server.direct });
    await shows(server, 'You say "again" after hello.');
    await settled(bot);
    expect(bot.messages.map(({ locale }) => locale)).toEqual([undefined, "zh-CN"]);
  });
});
