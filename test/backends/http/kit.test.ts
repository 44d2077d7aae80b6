import { getEventListeners } from "node:events";
import {
  aborted,
  Deadline,
  inDoubt,
  isEventStream,
  lost,
  noAnswer,
  openEvents,
  pause,
  ranPerhaps,
  refusedForGood,
  refusedForNow,
  repeating,
  retryAfterOf,
  type ServerEvent,
  ServiceFailure,
  serviceWords,
} from "aparte/backend";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fieldsOf, listOf, numberOf, parsed, textOf } from "../../../src/backends/http/json.ts";
import { AparteError } from "../../../src/errors.ts";

const { signal } = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 27) });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("A request's repeats", () => {
  const certainties = { refusedForGood, refusedForNow, inDoubt, ranPerhaps };

  it.each([
    ["refusedForGood", 1, 1],
    ["refusedForNow", 4, 4],
    ["inDoubt", 1, 4],
    ["ranPerhaps", 1, 1],
  ] as const)(
    "%s: sent %i times, or where a repeat does no harm %i times",
    async (certainty, once, harmless) => {
      for (const [isHarmless, times] of [
        [false, once],
        [true, harmless],
      ] as const) {
        const failure = new ServiceFailure("backend-failed", "It failed", certainties[certainty]);
        const send = vi.fn(() => Promise.reject(failure));
        const sending = expect(repeating(send, { isHarmless, retryDelay: 1, signal })).rejects.toBe(failure);
        await vi.runAllTimersAsync();
        await sending;
        expect(send).toHaveBeenCalledTimes(times);
      }
    },
  );

  it("are none for other errors, and end with the first success", async () => {
    const other = new AparteError("backend-unavailable", "It failed.");
    const fails = vi.fn(() => Promise.reject(other));
    await expect(repeating(fails, { isHarmless: true, retryDelay: 1, signal })).rejects.toBe(other);
    expect(fails).toHaveBeenCalledTimes(1);
    let count = 0;
    const works = async () => {
      count += 1;
      if (count < 3) throw new ServiceFailure("backend-failed", "It failed", refusedForNow);
      return count;
    };
    expect(await repeating(works, { isHarmless: false, retryDelay: 1, signal, repeats: 2 })).toBe(3);
  });

  it("wait as long as the service says, and are none where that is too long", async () => {
    for (const [retryAfterMs, times, longest] of [
      [8001, 1, {}],
      [20, 2, { longestPause: 20 }],
      [21, 1, { longestPause: 20 }],
    ] as const) {
      const failure = new ServiceFailure("backend-failed", "It failed", refusedForNow, { retryAfterMs });
      const send = vi.fn(() => Promise.reject(failure));
      const options = { isHarmless: false, retryDelay: 1, signal, repeats: 1, ...longest };
      await expect(repeating(send, options)).rejects.toBe(failure);
      expect(send).toHaveBeenCalledTimes(times);
    }
  });

  it.each([
    [undefined, undefined],
    ["5", 5000],
    ["0", 0],
    ["Fri, 27 Nov 2026 00:00:30 GMT", 30_000],
    ["Thu, 26 Nov 2026 23:59:59 GMT", undefined],
    ["soon", undefined],
    ["5s", undefined],
  ])("read Retry-After %j as %j", (value, ms) => {
    const response = new Response("", { headers: value === undefined ? {} : { "retry-after": value } });
    expect(retryAfterOf(response)).toBe(ms);
  });
});

describe("A deadline", () => {
  it("aborts when its time is over, counted from its last restart", async () => {
    const deadline = new Deadline(signal, 1000);
    await vi.advanceTimersByTimeAsync(999);
    deadline.restart();
    await vi.advanceTimersByTimeAsync(999);
    expect([deadline.isOver, deadline.signal.aborted]).toEqual([false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect([deadline.isOver, deadline.signal.aborted]).toEqual([true, true]);
    expect(deadline.signal.reason).toMatchObject({ name: "TimeoutError", message: "The time ran out." });
    expect(aborted(deadline.signal).code).toBe("turn-timeout");
    deadline.end();
  });

  it("follows its caller, also one that has left before, and lets go of it when it ends", async () => {
    for (const isBefore of [true, false]) {
      const caller = new AbortController();
      if (isBefore) caller.abort("left");
      const deadline = new Deadline(caller.signal, 1000);
      if (!isBefore) caller.abort("left");
      expect([deadline.signal.aborted, deadline.signal.reason, deadline.isOver]).toEqual([
        true,
        "left",
        false,
      ]);
      deadline.end();
    }
    const [ended, stopped] = [new Deadline(signal, 1000), new Deadline(signal, 1000)];
    ended.end();
    stopped.abort();
    await vi.advanceTimersByTimeAsync(2000);
    expect([ended.signal.aborted, ended.isOver]).toEqual([false, false]);
    expect([stopped.signal.aborted, stopped.isOver]).toEqual([true, false]);
    expect([vi.getTimerCount(), getEventListeners(signal, "abort")]).toEqual([0, []]);
  });

  it("makes of what a caller said the error of the call", async () => {
    const own = new AparteError("lease-lost", "Another process goes on with the turn.");
    const timeout = new DOMException("x", "TimeoutError");
    for (const [reason, code, message] of [
      [own, "lease-lost", own.message],
      [timeout, "turn-timeout", "The call was not done when its time ran out."],
      [new Error("x"), "stopped", "The call was cancelled."],
      ["TimeoutError", "stopped", "The call was cancelled."],
    ] as const) {
      const error = aborted(AbortSignal.abort(reason));
      expect([error.code, error.message]).toEqual([code, message]);
      expect(error === own ? own : error.cause).toBe(reason);
      await expect(pause(1000, AbortSignal.abort(reason))).rejects.toMatchObject({ code });
    }
  });
});

describe("A request that threw", () => {
  const broken = (code: string) =>
    new TypeError("fetch failed", { cause: Object.assign(new Error(), { code }) });

  it.each([
    ...[
      "ECONNREFUSED",
      "ENOTFOUND",
      "EAI_AGAIN",
      "EHOSTUNREACH",
      "ENETUNREACH",
      "UND_ERR_CONNECT_TIMEOUT",
    ].map(
      (code) =>
        [
          code,
          broken(code),
          "Parrot: the service cannot be reached; check the network and baseURL.",
        ] as const,
    ),
    ...["ECONNRESET", "UND_ERR_SOCKET"].map(
      (code) => [code, broken(code), "Parrot: the connection broke before the answer was whole."] as const,
    ),
    ["no cause", new Error("x"), "Parrot: the connection broke before the answer was whole."] as const,
  ])("for %s tells what became of it", (_, cause, message) => {
    const deadline = new Deadline(signal, 1000);
    const isUnsent = message.includes("reached");
    for (const code of [undefined, "backend-stream-cut"] as const) {
      const error = lost(cause, signal, deadline, "Parrot", code);
      expect(error).toMatchObject({
        ...(isUnsent ? refusedForNow : inDoubt),
        code: isUnsent ? "backend-unavailable" : (code ?? "backend-unavailable"),
        message,
        cause,
      });
    }
    deadline.end();
  });

  it.each([
    ...[
      "CERT_HAS_EXPIRED",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "ERR_SSL_WRONG_VERSION_NUMBER",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ].map((code) => [code, () => broken(code), "certificate"] as const),
    ["a port that fetch refuses", () => fetch("http://127.0.0.1:9").catch((error) => error), "port"] as const,
  ])("for %s was never sent, and would not be the next time", async (_, thrown, word) => {
    const deadline = new Deadline(signal, 1000);
    const error = lost(await thrown(), signal, deadline, "Parrot", "backend-stream-cut");
    expect(error).toMatchObject({
      ...refusedForGood,
      code: "backend-unavailable",
      message: expect.stringMatching(new RegExp(`^Parrot: .*\\b${word}\\b.*check .*baseURL`)),
    });
    deadline.end();
  });

  it("was given up by its caller, came too late, or is an error already", async () => {
    const deadline = new Deadline(signal, 1000);
    const known = new AparteError("backend-quota", "It is used up.");
    const left = AbortSignal.abort();
    expect(lost(known, left, deadline, "Parrot")).toBe(known);
    await vi.advanceTimersByTimeAsync(1000);
    expect(lost(new Error("x"), left, deadline, "Parrot").code).toBe("stopped");
    const cause = new Error("x");
    expect(lost(cause, signal, deadline, "Parrot")).toMatchObject({
      ...{ ...ranPerhaps, code: "backend-timeout", message: "Parrot: no answer came in time.", cause },
    });
  });

  it("keeps the service's words apart from its error", () => {
    const facts = {
      words: "you said: secret",
      traceId: "t1",
      retryAfterMs: 7,
      cause: new Error("x"),
      field: "f",
    };
    const failure = new ServiceFailure("backend-failed", "It failed", inDoubt, facts);
    expect(failure).toMatchObject({ message: "It failed.", traceId: "t1", retryAfterMs: 7, field: "f" });
    expect(JSON.stringify(failure) + failure.stack).not.toContain("secret");
    expect(serviceWords(new Error("outer", { cause: failure }))).toBe("you said: secret");
    for (const without of [
      new ServiceFailure("backend-failed", "It failed", inDoubt, { words: "" }),
      "x",
      undefined,
    ]) {
      expect(serviceWords(without)).toBeUndefined();
    }
    expect(
      serviceWords(new ServiceFailure("backend-failed", "x", inDoubt, { words: "", cause: failure })),
    ).toBe("you said: secret");
  });
});

describe("A stream of events", () => {
  const body = (...pieces: (string | Uint8Array)[]) => {
    let isCancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(typeof piece === "string" ? Buffer.from(piece) : piece);
      },
      cancel() {
        isCancelled = true;
      },
    });
    return { stream, wasCancelled: () => isCancelled };
  };
  const read = async (...pieces: (string | Uint8Array)[]) => {
    let signs = 0;
    const events = await openEvents(body(...pieces).stream, "Parrot", () => {
      signs += 1;
    });
    if (typeof events === "string") return [events, signs];
    const list: ServerEvent[] = [];
    for await (const event of events) list.push(event);
    return [list, signs];
  };

  it("is read wherever its bytes are cut, each piece a sign of life", async () => {
    const bytes = Buffer.from("event: a\ndata: 你\n\n");
    const torn = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await read(...torn)).toEqual([[{ event: "a", data: "你" }], bytes.length]);
    expect(await read(" ", "\n", "data: 1\n\n: ping\n\n", "data: 2")).toEqual([
      [
        { event: "", data: "1" },
        { event: "", data: "2" },
      ],
      4,
    ]);
    expect(await read()).toEqual([[], 0]);
    expect(await read("data: x\n\n", Uint8Array.of(0xe4))).toMatchObject([[{ data: "x" }], 2]);
  });

  it("gives the same events in pieces of 1 to 997 bytes, with and without its last blank line", async () => {
    // As Coze writes them: no space behind the colon, ids that are too long for numbers, an end that is a JSON string.
    const events = [
      {
        event: "conversation.chat.created",
        data: '{"id":"7433026852011450402","conversation_id":"7433026852011434018","bot_id":"7381473525342978089","created_at":1730713302,"last_error":{"code":0,"msg":""},"status":"created","usage":{"token_count":0,"output_count":0,"input_count":0},"required_action":{"type":"","submit_tool_outputs":{"tool_calls":[]}}}',
      },
      {
        event: "conversation.message.delta",
        data: '{"id":"7433026855467606016","role":"assistant","type":"answer","content":"李雷 👩‍👩‍👧 é","content_type":"text","chat_id":"7433026852011450402"}',
      },
      {
        event: "conversation.message.completed",
        data: '{"id":"7433026855467606016","role":"assistant","type":"verbose","content":"{\\"msg_type\\":\\"generate_answer_finish\\",\\"data\\":\\"\\"}","content_type":"text"}',
      },
      { event: "conversation.chat.completed", data: '{"id":"7433026852011450402","status":"completed"}' },
      { event: "done", data: '"[DONE]"' },
    ];
    const written = events.map(({ event, data }) => `event:${event}\ndata:${data}`).join("\n\n");
    for (const end of ["", "\n\n"]) {
      const bytes = Buffer.from(written + end);
      for (let size = 1; size <= 997; size += size < 100 ? 1 : 13) {
        const count = Math.ceil(bytes.length / size);
        const pieces = Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
        expect(await read(...pieces)).toEqual([events, count]);
      }
    }
  });

  it("is a refusal where it begins like JSON", async () => {
    expect(await read("\uFEFF \n", '{"code":', "7}")).toEqual(['\uFEFF \n{"code":7}', 2]);
  });

  it("lets go of its connection when its reader leaves", async () => {
    const { stream, wasCancelled } = body("data: 1\n\n", "data: 2\n\n", "data: 3\n\n");
    const events = await openEvents(stream, "Parrot", () => {});
    for await (const _ of events as AsyncIterable<ServerEvent>) break;
    expect(wasCancelled()).toBe(true);
  });

  it("has no event above 16 million characters", async () => {
    const most = 16 * 1024 * 1024;
    const [events] = await read(`data: ${"x".repeat(most - 1000)}`, "\n\n");
    expect(events).toHaveLength(1);
    await expect(read("data: ", "x".repeat(most), "x")).rejects.toMatchObject({
      ...{ ...ranPerhaps, code: "backend-protocol" },
      message: "Parrot: an event of the stream is too large.",
    });
  });

  it.each([
    ["text/event-stream", true],
    ["Text/Event-Stream ; charset=UTF-8", true],
    ["text/plain;charset=utf-8", true],
    ["text/html", false],
    ["application/json", false],
    ["x-text/plain", false],
    [undefined, false],
  ])("is of the type %s: %j", (type, isStream) => {
    const headers = new Headers(type === undefined ? {} : { "content-type": type });
    expect(isEventStream({ headers } as Response)).toBe(isStream);
  });

  it("without a word is told to the person", () => {
    expect(noAnswer({})).toEqual({
      type: "notice",
      code: "no-answer",
      text: "The agent had nothing to say to that.",
    });
  });
});

it("takes a service's JSON for no more than it is", () => {
  const none = [undefined, null, 7, "x", true];
  for (const value of none) expect([fieldsOf(value), listOf(value)]).toEqual([{}, []]);
  expect([fieldsOf({ a: 1 }), listOf([1]), listOf({ length: 1 })]).toEqual([{ a: 1 }, [1], []]);
  expect([textOf(""), textOf("a"), textOf(7), textOf(null)]).toEqual(["", "a", undefined, undefined]);
  const numbers = [7, "7", " -1.5 ", "0", "", "1e3", "7x", "x7", "7.", Number.NaN, Infinity, null, true];
  expect(numbers.map(numberOf)).toEqual([7, 7, -1.5, 0, ...Array(9).fill(undefined)]);
  expect([parsed('{"a":1}'), parsed("{"), parsed("null")]).toEqual([{ a: 1 }, undefined, null]);
});
