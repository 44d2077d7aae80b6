import { AparteError } from "aparte";
import { plainTexts, ReplyText } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { chinese } from "../../src/texts/chinese.ts";
import { textsFor } from "../../src/texts/texts.ts";

const text = (delta: string) => ({ type: "text", delta }) as const;
const message = (words: string) => ({ type: "message", text: words }) as const;

function shown(...events: readonly Parameters<ReplyText["add"]>[0][]): string {
  const reply = new ReplyText(plainTexts);
  for (const event of events) reply.add(event);
  return reply.text;
}

describe("The text of a reply", () => {
  it("is the draft, until the answer takes its place", () => {
    expect(shown(text("Hel"), text("lo"))).toBe("Hello");
    expect(shown(text("Hel"), text("lo"), message("Hello."))).toBe("Hello.");
    expect(shown(message("One."), text("Tw"))).toBe("One.\n\nTw");
    expect(shown(message("One."), text("Tw"), message("Two."), message("  "))).toBe("One.\n\nTwo.");
  });

  it("has what is told besides behind the answer that is being written", () => {
    const file = { type: "file", kind: "image", url: "https://a.example/cat.png", name: "cat.png" } as const;
    const { name: _, ...nameless } = file;
    expect(shown(file, nameless)).toBe("cat.png: https://a.example/cat.png\n\nhttps://a.example/cat.png");
    expect(shown(text("Lo"), file)).toBe("Lo\n\ncat.png: https://a.example/cat.png");
    expect(shown(text("Lo"), file, message("Look."))).toBe("Look.\n\ncat.png: https://a.example/cat.png");
    expect(shown(text("Lo"), file, message("Look."), message("End."))).toBe(
      "Look.\n\ncat.png: https://a.example/cat.png\n\nEnd.",
    );
  });

  it("has questions, the hand-off and the end in words, and no usage and no question of none", () => {
    const usage = { type: "usage", inputTokens: 1, outputTokens: 2 } as never;
    expect(shown({ type: "suggestions", items: [] }, usage)).toBe("");
    expect(shown({ type: "suggestions", items: ["How?", "Why?"] })).toBe(
      `${plainTexts("you-could-ask")}\n- How?\n- Why?`,
    );
    expect(shown({ type: "handoff" })).toBe(plainTexts("handoff"));
    expect(shown({ type: "end" })).toBe(plainTexts("conversation-ended"));
  });

  it("has notices, but for those that say nothing to the person", () => {
    const notice = (code: string) => ({ type: "notice", code, text: `It is ${code}.` }) as never;
    expect(shown(notice("busy"), notice("merged"))).toBe("It is busy.");
  });

  it("is in the person's language", () => {
    const reply = new ReplyText(textsFor({ locale: "zh-CN" }, { failed: () => {} }));
    reply.add({ type: "handoff" });
    expect(reply.text).toBe(chinese.handoff);
  });

  it("says behind what came of the answer that the turn failed", () => {
    const reply = new ReplyText(plainTexts);
    reply.add(text("Half of"));
    const failure = new AparteError("backend-unavailable", "Away.");
    reply.fail(failure);
    expect(reply.text).toBe(`Half of\n\n${failure.say}`);
    const other = new ReplyText(plainTexts);
    other.fail(new TypeError("words of nobody"));
    const { say } = new AparteError("backend-failed", "");
    expect(other.text.replace(/\(ref \w+\)/, "")).toBe(say.replace(/\(ref \w+\)/, ""));
  });
});

describe("The status of a reply", () => {
  it("is what the agent does, in one line, while it says nothing", () => {
    const reply = new ReplyText(plainTexts);
    expect(reply.status).toBe("");
    reply.add({ type: "status", text: " Looks\n up the  weather " });
    expect(reply.status).toBe("Looks up the weather");
    reply.add(text(" \n"));
    reply.add({ type: "status", text: "x".repeat(300) });
    expect(reply.status).toBe(`${"x".repeat(199)}…`);
    reply.add(text("It"));
    reply.add({ type: "status", text: "Looks again" });
    expect(reply.status).toBe("");
    reply.add(message("It rains."));
    expect(reply.status).toBe("");
  });

  it.each([
    ["words", text("a")],
    ["an answer", message("")],
    ["a file", { type: "file", kind: "image", url: "https://a.example" } as const],
  ])("is over with %s", (_, event) => {
    const reply = new ReplyText(plainTexts);
    reply.add({ type: "status", text: "Draws" });
    reply.add(event as never);
    reply.add(message(""));
    expect(reply.status).toBe("");
  });
});
