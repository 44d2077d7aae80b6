import { AparteError, type NoticeCode, type ReplyEvent } from "aparte";
import { silentNotices, Transcript } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { plainTexts } from "../../src/texts/texts.ts";
import { limited } from "../../src/turn/notices.ts";
import { Reply } from "../../src/turn/reply.ts";
import { ReplyLog } from "../../src/turn/reply-log.ts";
import { settled } from "../support/test-clock.ts";

function logOf(events: readonly ReplyEvent[], failure?: unknown): ReplyLog {
  const log = new ReplyLog();
  for (const event of events) log.push(event);
  if (failure === undefined) log.end();
  else log.fail(failure);
  return log;
}

function replyOf(...events: ReplyEvent[]): Reply {
  return new Reply(logOf(events), Promise.resolve(true), () => {});
}

const text = (delta: string): ReplyEvent => ({ type: "text", delta });
const message = (whole: string): ReplyEvent => ({ type: "message", text: whole });
const picture: ReplyEvent = { type: "file", kind: "image", url: "https://x.example/a.png" };
const notice = (code: NoticeCode, retryAfterMs?: number): ReplyEvent => ({
  ...{ type: "notice", code, text: `It is ${code}.` },
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe("A reply's text", () => {
  it.each<[string, ReplyEvent[]]>([
    ["hello", [message("hello")]],
    ["hello", [text("hel"), text("lo")]],
    ["hello", [text("hel"), message("hello")]],
    ["one\n\ntwo", [text("one"), message("one"), message("two")]],
    ["one\n\ntw", [message("one"), text("tw")]],
    ["one", [{ type: "status", text: "thinks" }, message("one"), { type: "suggestions", items: ["a"] }]],
    ["one", [notice("new-conversation"), message("one")]],
    ["https://x.example/a.png", [picture]],
    ["one\n\nhttps://x.example/a.png\n\ntwo", [message("one"), picture, text("two")]],
  ])("is %j", async (expected, events) => {
    expect(await replyOf(...events).text()).toBe(expected);
  });

  it.each([
    ["busy", [notice("busy", 5_000)], 5_000],
    ["full", [notice("full")], undefined],
    ["limited", [notice("limited", 7_000)], 7_000],
    ["duplicate", [notice("duplicate")], undefined],
    ["stopped", [notice("interrupted")], undefined],
    ["stopped", [text(""), notice("stopped")], undefined],
    ["answer-lost", [notice("answer-lost")], undefined],
    ["input-invalid", [notice("too-long")], undefined],
    ["duplicate", [notice("merged")], undefined],
    ["no-answer", [], undefined],
    ["no-answer", [notice("undelivered")], undefined],
    ["no-answer", [{ type: "suggestions", items: ["a"] } as ReplyEvent], undefined],
  ] as const)("throws %s where that stands in the answer's place", async (code, events, retryAfterMs) => {
    await expect(replyOf(...events).text()).rejects.toMatchObject({ code, retryAfterMs });
  });

  it("says what to look at where the agent said nothing", async () => {
    await expect(replyOf().text()).rejects.toThrow(
      "The agent said nothing. Look at the events for what it did.",
    );
    await expect(replyOf(notice("busy")).text()).rejects.toMatchObject({
      ...{ message: "There is no answer: It is busy.", say: "It is busy." },
    });
  });

  it("says when a message that was handled before may be handed in again", async () => {
    await expect(replyOf(notice("duplicate")).text()).rejects.toThrow(
      "If its process died, hand it in again once leaseTime is over.",
    );
    await expect(replyOf(notice("merged")).text()).rejects.toMatchObject({
      message: "There is no answer: It is merged.",
    });
  });

  it("throws what the turn failed with", async () => {
    const failure = new AparteError("backend-quota", "Used up.");
    const reply = new Reply(logOf([text("he")], failure), Promise.resolve(true), () => {});
    await expect(reply.text()).rejects.toBe(failure);
  });
});

describe("A reply's stream of texts", () => {
  it.each<[string[], ReplyEvent[]]>([
    [
      ["hel", "lo"],
      [text("hel"), text("lo"), message("hello")],
    ],
    [
      ["hel", "lo"],
      [text("hel"), message("hello")],
    ],
    [["hello"], [message("hello")]],
    [
      ["one", "\n\n", "two"],
      [message("one"), message("two")],
    ],
    [
      ["one", "\n\n", "tw", "o"],
      [text("one"), message("one"), text("tw"), message("two")],
    ],
    [["draft"], [text("draft"), message("quite another")]],
    [["one"], [message("one"), message("")]],
    [
      ["one", "\n\n", "two"],
      [message("one"), message(""), message("two")],
    ],
    [
      ["one", "\n\n", "two"],
      [message("one"), notice("busy"), text("two")],
    ],
    [
      ["one", "\n\nhttps://a.test/b", "\n\n", "tw", "o"],
      [text("one"), { type: "file", kind: "file", url: "https://a.test/b" }, text("tw"), text("o")],
    ],
    [
      ["on", "\n\nhttps://a.test/b", "\n\n", "e", "\n\n", "two"],
      [text("on"), { type: "file", kind: "file", url: "https://a.test/b" }, message("one"), text("two")],
    ],
  ])("is %j", async (expected, events) => {
    expect(await all(replyOf(...events).textStream)).toEqual(expected);
  });

  it.each(["busy", "full", "limited", "duplicate", "paused", "answer-lost"] as const)(
    "throws as text() does where there is no answer, but %s",
    async (code) => {
      const reply = replyOf(notice(code));
      const error = await reply.text().catch((thrown) => thrown);
      expect(error).toMatchObject({ code });
      await expect(all(reply.textStream)).rejects.toMatchObject({ code, message: error.message });
    },
  );
});

describe("Notices", () => {
  it("that say nothing to the person are silent", () => {
    expect([...silentNotices]).toEqual(["duplicate", "merged", "interrupted", "paused"]);
  });

  it("say when one may come back, in whole seconds", () => {
    expect([1, 1_000, 1_001].map((waitMs) => limited(waitMs, plainTexts).text)).toEqual([
      "That was a lot in a short time. Please come back in 1 s.",
      "That was a lot in a short time. Please come back in 1 s.",
      "That was a lot in a short time. Please come back in 2 s.",
    ]);
  });
});

describe("A transcript", () => {
  it("has the draft of the next answer behind the finished ones", () => {
    const transcript = new Transcript();
    const answers = [text("a"), message("one"), text("t"), text("w")].map((event) => {
      transcript.add(event);
      return transcript.answer;
    });
    expect(answers).toEqual(["a", "one", "one\n\nt", "one\n\ntw"]);
  });
});

describe("A log of a reply", () => {
  it("is read from its beginning by everybody, at their own pace", async () => {
    const log = new ReplyLog();
    const early = all(log.read());
    log.push(text("a"));
    await settled();
    const late = all(log.read());
    log.push(text("b"));
    log.end();
    log.push(text("c"));
    for (const read of [early, late, all(log.read())]) expect(await read).toEqual([text("a"), text("b")]);
  });

  it("tells each event when it comes, and not at the end", async () => {
    const log = new ReplyLog();
    const next = log.read().next();
    await settled();
    log.push(text("a"));
    expect(await next).toEqual({ value: text("a"), done: false });
  });

  it("wraps what is no failure of aparte's own", () => {
    const cause = new Error("raw");
    const { failure } = logOf([], cause);
    expect(failure).toMatchObject({
      ...{ code: "backend-failed", cause },
      message: 'The turn failed. The cause is kept in the error, which the option "onError" gets.',
    });
  });

  it("ends once, as it ended first", async () => {
    const log = new ReplyLog();
    log.fail(new AparteError("stopped", "Stopped."));
    log.fail(new AparteError("closed", "Closed."));
    log.end();
    expect(log.failure?.code).toBe("stopped");
    const ended = logOf([]);
    ended.fail(new Error("late"));
    expect(ended.failure).toBeUndefined();
  });

  it("tells when it has ended, and when nobody reads it any more", async () => {
    const log = new ReplyLog();
    const told: string[] = [];
    void log.ended().then(() => told.push("ended"));
    void log.drained().then(() => told.push("drained"));
    const reader = log.read();
    log.push(text("a"));
    await reader.next();
    log.end();
    await settled();
    expect(told).toEqual(["ended"]);
    await reader.return(undefined);
    await settled();
    expect(told).toEqual(["ended", "drained"]);
  });

  it("follows another one to its end, or its failure", async () => {
    const [first, second] = [new ReplyLog(), new ReplyLog()];
    const following = second.follow(first.read());
    first.push(text("a"));
    const failure = new AparteError("backend-quota", "Used up.");
    first.fail(failure);
    await following;
    const reply = new Reply(second, Promise.resolve(true), () => {});
    await expect(reply.text()).rejects.toBe(failure);
    const third = new ReplyLog();
    await third.follow(logOf([message("one")]).read());
    expect(await all(third.read())).toEqual([message("one")]);
  });

  it("is stored without drafts, statuses and costs, with what it failed with, and comes back as it was", async () => {
    const failure = new AparteError("backend-stream-cut", "Broke off.");
    const log = logOf(
      [
        ...[text("o"), message("one"), { type: "status", text: "thinks" } as const],
        ...[{ type: "suggestions", items: ["a"] } as const, { type: "usage", total: 7 } as const],
        ...[text("tw"), text("o")],
      ],
      failure,
    );
    const stored = log.stored(1_000);
    expect(JSON.parse(JSON.stringify(stored))).toEqual({
      events: [message("one"), { type: "suggestions", items: ["a"] }, message("two")],
      failure: { code: "backend-stream-cut", message: "Broke off.", reference: failure.reference },
      at: 1_000,
    });
    const again = ReplyLog.of(stored, plainTexts);
    expect(again.hasEnded).toBe(true);
    expect(again.failure).toMatchObject({
      ...{ code: "backend-stream-cut", message: "Broke off.", reference: failure.reference },
    });
    expect(again.stored(1_000)).toEqual(stored);
  });

  it("is stored as it is where nothing failed", () => {
    const stored = logOf([message("one")]).stored(5);
    expect(stored).toEqual({ events: [message("one")], at: 5 });
    expect(ReplyLog.of(stored, plainTexts).failure).toBeUndefined();
    expect(logOf([text("dra"), message("one")]).stored(5).events).toEqual([message("one")]);
  });
});

describe("Leaving the scope of a reply", () => {
  it("stops a turn that runs, and none that has ended", async () => {
    let stops = 0;
    const log = new ReplyLog();
    const stop = () => {
      stops += 1;
      log.end();
    };
    const reply = new Reply(log, Promise.resolve(true), stop);
    await reply[Symbol.asyncDispose]();
    await reply[Symbol.asyncDispose]();
    expect(stops).toBe(1);
  });

  it("waits for the turn's end", async () => {
    const log = new ReplyLog();
    let isLeft = false;
    const left = new Reply(log, Promise.resolve(true), () => {})[Symbol.asyncDispose]().then(() => {
      isLeft = true;
    });
    await settled();
    expect(isLeft).toBe(false);
    log.end();
    await left;
  });
});
