import { describe, expect, it } from "vitest";
import { readRecord } from "../../src/session/record.ts";

const speaker = { scope: "user", platform: "chat", user: "ann" };

describe("A session's record", () => {
  it.each([
    { v: 1, speaker, conversations: {} },
    { v: 1, speaker, conversations: { helper: {} } },
    { v: 1, speaker, conversations: { helper: { id: "c1", state: 7 } }, agent: "helper" },
  ])("is read as it is: %j", (record) => {
    expect(readRecord(record)).toBe(record);
  });

  it.each([null, undefined])("is none where the store has %s", (value) => {
    expect(readRecord(value)).toBeUndefined();
  });

  it.each([
    { v: 2, speaker, conversations: {} },
    { v: "1", speaker, conversations: {} },
    { speaker, conversations: {} },
    { v: 1, conversations: {} },
    { v: 1, speaker: null, conversations: {} },
    { v: 1, speaker: [], conversations: {} },
    { v: 1, speaker: "ann", conversations: {} },
    { v: 1, speaker },
    { v: 1, speaker, conversations: [] },
    { v: 1, speaker, conversations: { helper: null } },
    { v: 1, speaker, conversations: { helper: "c1" } },
    { v: 1, speaker, conversations: { helper: {}, other: [] } },
    {},
    [],
    "text",
    0,
    false,
    "",
  ])("is refused where it is of a newer version or damaged: %j", (value) => {
    expect(() => readRecord(value)).toThrow(expect.objectContaining({ code: "store-unreadable" }));
  });
});
