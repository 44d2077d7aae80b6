import { describe, expect, it } from "vitest";
import { Speech } from "../agent.ts";
import { edits, ended, mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

const sentences = (count: number): string =>
  Array.from({ length: count }, (_, index) => `This is sentence ${String(index).padStart(6, "0")}.`).join(
    " ",
  );

describe("discord shows a long answer", () => {
  it.each([
    ["50,000 characters", sentences(1_850)],
    ["300,000 characters", sentences(11_000)],
    ["a line of 1,000,000 characters", "x".repeat(1_000_000)],
  ])("of %s as a file, with its beginning in five messages", async (_, text) => {
    const server = await startServer();
    const bot = await startBot(server, { answer: ended({ type: "message", text }) });
    server.say(server.person("ann"), `${mention(server)} at length`);
    const last = await server.until(() => server.shown().find(({ attachments }) => attachments.length > 0));
    await settled(bot);
    const shown = server.shown();
    expect(shown).toHaveLength(5);
    expect(shown.at(-1)).toBe(last);
    expect(last.content).toMatch(/\n\n-# The whole answer is in the file\.$/);
    expect(last.attachments[0]?.filename).toBe("answer.md");
    expect(Buffer.from(last.attachments[0]?.bytes ?? []).toString()).toBe(text);
    const beginning = shown
      .map(({ content }) => content)
      .join(" ")
      .replace(/\n\n-# .*$/, "")
      .replace(/\s/g, "");
    expect(text.replace(/\s/g, "").startsWith(beginning)).toBe(true);
    expect(beginning.length).toBeGreaterThan(5_000);
  });

  it.each([0, 1, 2])("of 5,000 characters whole, with a 429 at its post %i", async (limited) => {
    const server = await startServer();
    const text = sentences(204);
    expect(text.length).toBeGreaterThan(5_000);
    const bot = await startBot(server, { answer: ended({ type: "message", text }) });
    let index = -1;
    server.faultOf = ({ method, path }) => {
      if (method === "POST" && posts.test(path)) index += 1;
      else return undefined;
      return index === limited ? { method, path: posts, retryAfter: 0.05 } : undefined;
    };
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} at length`);
    await shows(server, /sentence 000203\.$/);
    await settled(bot);
    const shown = server.shown().map(({ content }) => content);
    expect(shown).toHaveLength(3);
    expect(shown.join(" ")).toBe(text);
    expect(server.calls.filter(({ status }) => status === 429)).toHaveLength(1);
  });

  it("in as many messages as it is told, the last of them with the file, also when it streamed before", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer, discord: { maxMessages: 1 } });
    server.say(server.person("ann"), `${mention(server)} at length`);
    const text = sentences(200);
    speech.say("This ");
    await server.next("POST", posts);
    speech.say(text.slice(5));
    await server.next("PATCH", edits);
    speech.end();
    await settled(bot);
    const [only, ...others] = server.shown();
    expect(others).toEqual([]);
    expect(Buffer.from(only?.attachments[0]?.bytes ?? []).toString()).toBe(text);
    expect(only?.content.startsWith("This is sentence 000000.")).toBe(true);
  });

  it("in messages alone where it may not attach files", async () => {
    const server = await startServer();
    server.limits.windowMs = 500;
    const text = sentences(500);
    const bot = await startBot(server, { answer: ended({ type: "message", text }) });
    server.deny(server.channelId, "AttachFiles");
    server.say(server.person("ann"), `${mention(server)} at length`);
    await shows(server, /sentence 000499\.$/);
    await settled(bot);
    expect(
      server
        .shown()
        .map(({ content }) => content)
        .join(" "),
    ).toBe(text);
  });

  it("in order with the person's next answer", async () => {
    const server = await startServer();
    server.limits.windowMs = 500;
    const bot = await startBot(server, {
      answer: async function* ({ text }) {
        yield { type: "message", text: text === "short" ? "Short." : sentences(1_000) };
      },
    });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} long`);
    server.say(ann, `${mention(server)} short`);
    await shows(server, "Short.");
    await settled(bot);
    const shown = server.shown();
    expect(shown).toHaveLength(6);
    expect(shown.at(-1)?.content).toBe("Short.");
  });
});
