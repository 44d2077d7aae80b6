import { expect, it } from "vitest";
import { type Entry, enteredMessages, saidIn } from "../../../src/emulators/coze/content.ts";
import { Refusal } from "../../../src/emulators/coze/protocol.ts";
import { CozeState } from "../../../src/emulators/coze/state.ts";

const state = new CozeState(undefined, () => 0);
state.addFile({ id: "1", accountId: "7", name: "a.png", bytes: 3 });
const sender = { state, identity: { accountId: "7" } };

const hello = { role: "user", content: "hello", content_type: "text" };
const objects = (...items: unknown[]) => ({
  ...hello,
  content_type: "object_string",
  content: JSON.stringify(items),
});
const words = { type: "text", text: "look" };
const file = { type: "image", file_id: "1" };

function entered(list: readonly unknown[], entry: Entry = "chat"): unknown {
  try {
    return enteredMessages(list, entry, sender);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [error.code, error.message];
  }
}

it("takes a message with what it leaves out", () => {
  const plain = { role: "user", type: "question", content: "hello", contentType: "text", metaData: {} };
  expect(entered([hello])).toEqual([plain]);
  const answer = { ...hello, role: "assistant", type: "", meta_data: { a: "b" } };
  expect(entered([answer])).toEqual([{ ...plain, role: "assistant", type: "answer", metaData: { a: "b" } }]);
  // Only a chat takes a type at all.
  expect(entered([{ ...hello, type: "answer" }])).toMatchObject([{ type: "answer" }]);
  expect(entered([{ ...hello, type: "answer" }], "conversation")).toMatchObject([{ type: "question" }]);
  const types = ["question", "answer", "function_call", "tool_response", "tool_output"];
  expect(types.map((type) => entered([{ ...hello, type }], "unsaved-chat"))).toMatchObject(
    ["question", "answer", "function_call", "tool_response", "tool_response"].map((type) => [{ type }]),
  );
});

it.each([
  [7, 4000, "Invalid parameter message: an object is expected"],
  [{ ...hello, role: "system" }, 4000, "message role must be user or assistant"],
  [{ ...hello, role: undefined }, 4000, "message role must be user or assistant"],
  [{ ...hello, role: "assistant", type: "question" }, 4000, "type=question needs role=user"],
  [{ ...hello, type: "function_call" }, 4000, "message type function_call is not allowed here"],
  [{ ...hello, content: undefined }, 4005, "message content is empty"],
  [{ ...hello, content_type: "card" }, 4000, "content_type must be text or object_string"],
  [{ ...objects(), content: "{" }, 4005, "object_string content is not valid JSON"],
  [{ ...objects(), content: "{}" }, 4005, "object_string content must be an array"],
  [objects(), 4005, "object_string content must be an array"],
  [objects(7), 4000, "Invalid parameter content: an object is expected"],
  [objects(words, words, file), 4000, "object_string takes at most one text item"],
  [objects(words), 4000, "object_string text needs an image or a file with it"],
  [objects({ type: "text" }, file), 4000, "object_string text item has no text"],
  [objects(words, { type: "video" }), 4000, "object_string item type must be text, file, image or audio"],
  [objects(words, { type: "file" }), 4000, "file_id or file_url is required"],
  [
    objects(words, { type: "file", file_id: "2" }),
    4000,
    "file_id is invalid, or the file belongs to another account",
  ],
  [{ ...hello, type: "other" }, 4000, "message type other is not allowed here"],
])("refuses %j", (message, code, reason) => {
  expect(entered([message])).toEqual([code, reason]);
});

it("refuses another account's file, and files alone unless words stand next to them", () => {
  const theirs = { state, identity: { accountId: "8" } };
  expect(() => enteredMessages([objects(words, file)], "chat", theirs)).toThrow("another account");
  const lonely = [4000, "a message of files alone must be next to a text message"];
  const [alone, both] = [objects(file), objects(words, file)];
  expect(entered([alone])).toEqual(lonely);
  expect(entered([hello, alone, alone, alone, hello])).toEqual(lonely);
  for (const list of [
    [hello, alone],
    [alone, hello],
    [both, alone],
    [alone, both],
  ])
    expect(entered(list)).toHaveLength(2);
  expect(entered([alone], "conversation")).toHaveLength(1);
});

it("tells the words and the files of a message", () => {
  expect(saidIn({ content: "[]", contentType: "text" }, state)).toEqual({ text: "[]", attachments: [] });
  const address = "https://x.example/n.wav";
  const { content } = objects(
    file,
    words,
    { type: "audio", file_url: address },
    { type: "file", file_id: "1" },
  );
  expect(saidIn({ content, contentType: "object_string" }, state)).toEqual({
    text: "look",
    attachments: [
      { kind: "image", name: "a.png", bytes: 3 },
      { kind: "audio", name: address },
      { kind: "file", name: "a.png", bytes: 3 },
    ],
  });
});

it("forgets used JWTs and tokens whose time is over, now and then", () => {
  let now = 1_000_000;
  const state = new CozeState(undefined, () => now);
  state.addToken("short", { accountId: "7", expiresAt: 1000 });
  state.addToken("long", { accountId: "7", expiresAt: 1001 });
  state.addToken("for ever", { accountId: "7" });
  for (let each = 1; each < 1000; each += 1) state.addUsedJwt(`j${each}`, 999 + (each % 3));
  now = 1_000_000;
  expect([state.usedJwts.size, state.tokens.size]).toEqual([999, 3]);
  state.addUsedJwt("last", 1000);
  expect(state.usedJwts.size).toBe(333);
  expect(new Set(state.usedJwts.values())).toEqual(new Set([1001]));
  expect([...state.tokens.keys()]).toEqual(["long", "for ever"]);
});
