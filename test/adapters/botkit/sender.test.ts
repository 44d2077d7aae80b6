import { plainTexts } from "aparte/adapter";
import type { TurnContext } from "botbuilder";
import type { BotkitMessage, BotWorker } from "botkit";
import { describe, expect, it } from "vitest";
import type { Controller } from "../../../adapters/botkit/controller.ts";
import { senderFor } from "../../../adapters/botkit/sender.ts";

/** What a reply on a channel makes Botkit do. */
async function replyOn(
  channelId: string | undefined,
  {
    drafts,
    isTaken = true,
    user = { id: "ada" },
    online = [],
  }: {
    drafts?: boolean;
    isTaken?: boolean;
    user?: { id: string } | null;
    online?: string[];
  } = {},
) {
  const done: unknown[] = [];
  const context = {
    updateActivity: async (activity: object) => void done.push({ update: activity }),
    deleteActivity: async (id: string) => void done.push({ delete: id }),
  } satisfies Partial<Record<keyof TurnContext, unknown>>;
  const bot = {
    changeContext: async (reference: object) => void done.push({ at: reference }),
    getConfig: () => context,
    say: async (message: unknown) => {
      done.push({ say: message });
      return isTaken ? { id: "m1" } : undefined;
    },
  };
  const controller = {
    adapter: { isConnected: (id: string) => online.includes(id) },
    spawn: async () => bot,
  } as unknown as Controller;
  const reference = { ...(channelId && { channelId }), ...(user && { user }), conversation: { id: "c" } };
  const message = { replyTo: { reference } } as unknown as Parameters<typeof senderFor>[1];
  const sender = await senderFor(controller, message, undefined, drafts, plainTexts);
  return { done, reference, sender };
}

const { signal } = new AbortController();

describe("Botkit's reply", () => {
  it.each([
    ["msteams", true, ["post", "suggest", "edit", "remove"]],
    ["webchat", true, ["post", "suggest"]],
    ["emulator", true, ["post", "suggest"]],
    ["websocket", true, ["post"]],
    ["directline", false, ["post", "suggest"]],
    ["facebook", false, ["post", "suggest"]],
    ["slack", false, ["post"]],
    ["sms", false, ["post"]],
    [undefined, false, ["post"]],
  ])("on %s shows that the bot writes: %s; is made of: %j", async (channelId, isTyping, calls) => {
    const { done, reference, sender } = await replyOn(channelId);
    expect(Object.keys(sender)).toEqual(calls);
    expect(done).toEqual([{ at: reference }, ...(isTyping ? [{ say: { type: "typing" } }] : [])]);
  });

  it("is edited where the option says so, and not where it says not", async () => {
    const edited = await replyOn("sms", { drafts: true });
    expect(Object.keys(edited.sender)).toEqual(["post", "edit", "remove"]);
    await edited.sender.edit?.("m1", "more", signal);
    await edited.sender.remove?.("m2", signal);
    expect(edited.done.slice(1)).toEqual([
      { update: { type: "message", id: "m1", text: "more" } },
      { delete: "m2" },
    ]);
    const left = await replyOn("msteams", { drafts: false });
    expect(Object.keys(left.sender)).toEqual(["post", "suggest"]);
  });

  it("is posted, and named as the channel names it", async () => {
    const { done, sender } = await replyOn("sms");
    expect(await sender.post("hello", 0, signal)).toBe("m1");
    expect(done.at(-1)).toEqual({ say: "hello" });
    const unnamed = await replyOn("sms", { isTaken: false });
    expect(await unnamed.sender.post("hello", 0, signal)).toBeUndefined();
  });

  it("on Slack loads no previews, and is lost where Slack did not take it", async () => {
    const { done, sender } = await replyOn("slack");
    expect(await sender.post("hello", 0, signal)).toBe("m1");
    expect(done.at(-1)).toEqual({
      say: { text: "hello", channelData: { unfurl_links: false, unfurl_media: false } },
    });
    const refused = await replyOn("slack", { isTaken: false });
    await expect(refused.sender.post("hello", 0, signal)).rejects.toMatchObject({ code: "answer-lost" });
  });

  it("offers questions to the one who asked, with the words for it", async () => {
    const questions = ["And then?", "Why?"];
    const actions = questions.map((title) => ({ type: "imBack", title, value: title }));
    for (const [user, to] of [
      [{ id: "ada" }, ["ada"]],
      [null, []],
    ] as const) {
      const { done, sender } = await replyOn("facebook", { user });
      expect(await sender.suggest?.(questions, signal)).toBe("m1");
      expect(done.at(-1)).toEqual({ say: { text: "You could ask:", suggestedActions: { actions, to } } });
    }
  });

  it("goes to a socket that is open, and is lost where the person has none", async () => {
    const { done, sender } = await replyOn("websocket", { online: ["ada"] });
    expect(await sender.post("hello", 0, signal)).toBe("m1");
    expect(done.at(-1)).toEqual({ say: "hello" });
    for (const other of [{ online: ["bob"] }, { online: ["ada"], user: null }]) {
      const lost = await replyOn("websocket", other);
      await expect(lost.sender.post("hello", 0, signal)).rejects.toMatchObject({ code: "answer-lost" });
      expect(lost.done).not.toContainEqual({ say: "hello" });
    }
  });

  it("is lost where its HTTP request is gone", async () => {
    await expect(replyOn("webhook")).rejects.toMatchObject({ code: "answer-lost" });
  });

  it("to an HTTP request that waits is said in its turn, and fails with that", async () => {
    const message = { text: "a" } as BotkitMessage;
    const said: unknown[] = [];
    const reply = async (...words: unknown[]) => {
      said.push(words);
      if (words[1] === "second") throw new Error("The request is gone.");
      return { id: "m1" };
    };
    const turn = { bot: { reply } as unknown as BotWorker, message };
    const nowhere = {} as Parameters<typeof senderFor>[1];
    const sender = await senderFor({} as Controller, nowhere, turn, true, plainTexts);
    expect(Object.keys(sender)).toEqual(["post"]);
    expect(await sender.post("first", 0, signal)).toBeUndefined();
    await expect(sender.post("second", 1, signal)).rejects.toThrow("The request is gone.");
    expect(said).toEqual([
      [message, "first"],
      [message, "second"],
    ]);
  });
});
