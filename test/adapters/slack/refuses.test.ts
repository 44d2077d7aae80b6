import { SessionMapper } from "aparte";
import { type SlackOptions, slack } from "aparte/slack";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { deliveryOf } from "../../support/delivery.ts";
import { backend, remembering } from "../agent.ts";
import { endings, secret, startBot, startServer } from "./bot.ts";

describe("slack refuses", () => {
  const mapper = () =>
    new SessionMapper({ agents: { helper: backend(remembering) }, secret, store: memoryStore() });

  it.each([
    ["bot", { bot: "" }],
    ["stream", { stream: "both" }],
    ["editInterval", { editInterval: 0 }],
    ["maxFileBytes", { maxFileBytes: "1" }],
    ["fileHosts", { fileHosts: ["https://x"] }],
    ["client", { client: "xoxb" }],
    ["respond", { respond: "sometimes" }],
    ["threadTime", { threadTime: 0 }],
    ["agentView", { agentView: "yes" }],
    ["eraseRemoved", { eraseRemoved: 1 }],
    ["answer", { answer: "some" }],
    ["command", { command: "agent" }],
    ["command", { command: "/Agent" }],
    ["command", { command: `/${"a".repeat(32)}` }],
    ["command", { command: true }],
    ["installations", { installations: {} }],
    ["installations", { installations: null }],
    ["buttons", { buttons: ["go"] }],
    ["onFeedback", { onFeedback: "yes" }],
    ["loadingMessages", { loadingMessages: [""] }],
    ["loadingMessages", { loadingMessages: Array(11).fill("…") }],
    ["prompts", { prompts: [""] }],
    ["prompts", { prompts: Array(5).fill("?") }],
    ["streams", { streams: "native" }],
  ])("a wrong option: %s", async (field, options) => {
    const one = mapper();
    endings.push(() => one.close());
    expect(() => slack(one, options as SlackOptions)).toThrow(
      expect.objectContaining({ code: "option-invalid", field }),
    );
  });

  it("no option that is right at its edge", async () => {
    const one = mapper();
    endings.push(() => one.close());
    const right: SlackOptions = {
      ...{
        bot: "A1",
        respond: () => true,
        threadTime: 0.5,
        prompts: Array(4).fill("?"),
        buttons: [],
        answer: "none",
      },
      ...{ command: `/${"a".repeat(31)}`, loadingMessages: Array(10).fill("…"), stream: "edit" },
      fileHosts: ["127.0.0.1:8080"],
    };
    for (const options of [right, { command: false as const, respond: "threads" as const }, {}])
      expect(slack(one, options).platform).toBe("slack");
  });

  it("to deliver before it has an app", async () => {
    const one = mapper();
    endings.push(() => one.close());
    const message = { platform: "slack", tenant: "T1", user: "U1", id: "x", text: "hi" };
    await expect(slack(one).deliver(message, deliveryOf().delivery)).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "app" },
    });
  });

  it("a second app, and to deliver what it did not take", async () => {
    const server = await startServer();
    const { adapter, app, mapper: taken } = await startBot(server);
    expect(() => adapter.attach(app)).toThrow(expect.objectContaining({ field: "app" }));
    expect(() => slack(taken).attach(app)).toThrow(expect.objectContaining({ field: "bot" }));
    expect(() => slack(taken, { bot: "other" }).attach(app)).not.toThrow();
    const message = { platform: "slack", tenant: "T1", user: "U1", id: "x", text: "hi" };
    await expect(adapter.deliver(message, deliveryOf().delivery)).rejects.toMatchObject({
      field: "replyTo",
    });
  });

  it.each([
    [400, false],
    [404, false],
    [428, false],
    [429, true],
    [499, false],
    [500, true],
    [503, true],
  ])("no answer for good where Slack's status is one that passes: %i", async (statusCode, passes) => {
    const one = mapper();
    endings.push(() => one.close());
    expect(slack(one).failure({ statusCode })).toMatchObject({ passes, reason: `${statusCode}` });
  });
});
