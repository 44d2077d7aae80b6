import { describe, expect, it } from "vitest";
import {
  checkMessage,
  eventKey,
  type Message,
  mergeKey,
  restoreMessage,
  storeMessage,
} from "../../src/turn/message.ts";

const message: Message = { platform: "slack", tenant: "T1", user: "U1", id: "m1", text: "hello" };
const data = new Uint8Array([1]);

function fieldOf(value: unknown): string {
  try {
    checkMessage(value as Message);
    return "fine";
  } catch (error) {
    const { code, field } = error as { code: string; field: string };
    return `${code} ${field}`;
  }
}

/** An object in an object, so often. */
function deep(levels: number): object {
  return levels === 0 ? {} : { in: deep(levels - 1) };
}

const endless: { itself?: object } = {};
endless.itself = endless;

describe("checkMessage", () => {
  it.each<[string, Partial<Record<keyof Message, unknown>>]>([
    ["fine", {}],
    ["fine", { text: "", files: [{ name: "a", data }] }],
    ["fine", { text: "x", files: [] }],
    ["fine", { files: [{ name: "a", load: async () => data }] }],
    ["fine", { agent: "helper", signal: AbortSignal.abort() }],
    ["input-invalid id", { id: "" }],
    ["input-invalid id", { id: 7 }],
    ["input-invalid text", { text: undefined }],
    ["input-invalid text", { text: "" }],
    ["input-invalid text", { text: " \n\t" }],
    ["input-invalid text", { text: "", files: [] }],
    ["input-invalid agent", { agent: 7 }],
    ["input-invalid signal", { signal: {} }],
    ["fine", { replyTo: { room: "r1", thread: undefined } }],
    ["input-invalid replyTo", { replyTo: endless }],
    ["input-invalid replyTo", { replyTo: { post: 7n } }],
    ["input-invalid replyTo", { replyTo: () => {} }],
    ["input-invalid files[0].ref", { files: [{ name: "a", data, ref: 7n }] }],
    ["fine", { context: {} }],
    ["fine", { context: { name: "Ada", age: 0, isOld: false, plan: null, list: [{ a: 1.5 }] } }],
    ["fine", { context: Object.assign(Object.create(null), { name: "Ada" }) }],
    ["input-invalid context", { context: "Ada" }],
    ["input-invalid context", { context: null }],
    ["input-invalid context", { context: ["Ada"] }],
    ["input-invalid context", { context: new Date(0) }],
    ["input-invalid context.name", { context: { name: undefined } }],
    ["input-invalid context.age", { context: { age: Number.NaN } }],
    ["input-invalid context.age", { context: { age: 7n } }],
    ["input-invalid context.born", { context: { born: new Date(0) } }],
    ["input-invalid context.list[1].at", { context: { list: [1, { at: () => {} }] } }],
    // 16,384 bytes with the braces, quotes and the name around them; each of these characters has three.
    ["fine", { context: { name: `${"名".repeat(5457)}ab` } }],
    ["input-invalid context", { context: { name: `${"名".repeat(5457)}abc` } }],
    ["fine", { context: deep(20) }],
    ["input-invalid context", { context: deep(21) }],
    ["input-invalid context", { context: endless }],
    ["input-invalid files", { files: "a" }],
    ["input-invalid files[0].name", { files: [{ data }] }],
    ["input-invalid files[0].name", { files: [null] }],
    ["input-invalid files[0].name", { files: ["a"] }],
    [
      "input-invalid files[1].name",
      {
        files: [
          { name: "a", data },
          { name: "", data },
        ],
      },
    ],
    ["input-invalid files[0]", { files: [{ name: "a" }] }],
    ["input-invalid files[0]", { files: [{ name: "a", data: "bytes" }] }],
    ["input-invalid user", { user: "" }],
    ["input-invalid platform", { platform: 7 }],
  ])("calls it %s: %o", (expected, changed) => {
    expect(fieldOf({ ...message, ...changed })).toBe(expected);
  });

  it("takes nothing but an object", () => {
    expect([fieldOf(null), fieldOf("hello"), fieldOf(undefined)]).toEqual(
      Array.from({ length: 3 }, () => "input-invalid speaker"),
    );
  });

  it("says what is wrong in words", () => {
    expect(() => checkMessage({ ...message, id: "" })).toThrow(
      'Message field "id" must be a string that is not empty.',
    );
    expect(() => checkMessage({ ...message, files: {} as [] })).toThrow(
      'Message field "files" must be a list.',
    );
    expect(() => checkMessage({ ...message, text: "" })).toThrow(
      'Message field "text" is empty and there are no files.',
    );
    expect(() => checkMessage({ ...message, files: [{ name: "a" }] })).toThrow(
      'Message field "files[0]" needs `data` (bytes) or a `load` function.',
    );
  });
});

describe("eventKey", () => {
  it("differs wherever two events differ, and nowhere else", () => {
    const others: Partial<Message>[] = [
      { platform: "discord" },
      { bot: "B1" },
      { tenant: "T2" },
      { user: "U2" },
      { id: "m2" },
    ];
    const keys = [message, ...others.map((other) => ({ ...message, ...other }))].map(eventKey);
    expect(new Set(keys).size).toBe(6);
    expect(eventKey({ ...message, channel: "C", thread: "1", text: "other" })).toBe(eventKey(message));
    expect(eventKey(message)).toBe('["slack",null,"T1","U1","m1"]');
  });
});

describe("mergeKey", () => {
  it("is equal for one agent and one place only", () => {
    const others: Partial<Message>[] = [
      { platform: "discord" },
      { bot: "B1" },
      { tenant: "T2" },
      { agent: "helper" },
      { channel: "C" },
      { thread: "1" },
    ];
    const keys = [message, ...others.map((other) => ({ ...message, ...other }))].map(mergeKey);
    expect(new Set(keys).size).toBe(7);
    expect(mergeKey({ ...message, user: "U2", id: "m2", text: "other" })).toBe(mergeKey(message));
    expect(mergeKey(message)).not.toBe("");
  });
});

describe("A message in the store", () => {
  it("keeps all but bytes, loaders and signals", () => {
    const full: Message = {
      ...{ ...message, bot: "B", channel: "C", thread: "1", direct: true, external: false },
      ...{ agent: "helper", context: { plan: "pro" }, replyTo: { ts: "1" }, signal: AbortSignal.abort() },
      files: [
        { name: "a.png", type: "image/png", data, ref: { id: 7 } },
        { name: "b", load: async () => data },
      ],
    };
    expect(JSON.parse(JSON.stringify(storeMessage(full)))).toEqual({
      ...{ platform: "slack", bot: "B", tenant: "T1", user: "U1", channel: "C", thread: "1" },
      ...{ direct: true, external: false, id: "m1", text: "hello", agent: "helper", replyTo: { ts: "1" } },
      context: { plan: "pro" },
      files: [{ name: "a.png", type: "image/png", ref: { id: 7 } }, { name: "b" }],
    });
  });

  it("has no fields that the message has not", () => {
    expect(Object.keys(storeMessage({ ...message, files: [] })).sort()).toEqual([
      "id",
      "platform",
      "tenant",
      "text",
      "user",
    ]);
  });

  it("comes back as it was, and its files are loaded by the adapter", async () => {
    const loaded: unknown[] = [];
    const adapter = {
      platform: "slack",
      deliver: async () => {},
      loadFile: async (ref: unknown) => {
        loaded.push(ref);
        return data;
      },
    };
    const stored = storeMessage({ ...message, files: [{ name: "a", type: "t", ref: 7, data }] });
    const restored = restoreMessage(stored, adapter);
    expect(restored).toMatchObject({ ...message, files: [{ name: "a", type: "t", ref: 7 }] });
    expect(await restored?.files?.[0]?.load?.(AbortSignal.timeout(1_000))).toBe(data);
    expect(loaded).toEqual([7]);
    expect(restoreMessage(storeMessage(message), undefined)).toEqual(message);
  });

  it("does not come back without a file that nobody can load", () => {
    const loads = { platform: "slack", deliver: async () => {}, loadFile: async () => data };
    const deaf = { platform: "slack", deliver: async () => {} };
    const [noted, unnoted] = [
      { name: "a", ref: 7, data },
      { name: "b", data },
    ].map((file) => storeMessage({ ...message, files: [file] }));
    if (noted === undefined || unnoted === undefined) throw new Error("Two were stored.");
    expect(restoreMessage(unnoted, loads)).toBeUndefined();
    expect(restoreMessage(noted, deaf)).toBeUndefined();
    expect(restoreMessage(noted, undefined)).toBeUndefined();
  });
});
