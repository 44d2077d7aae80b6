import { AparteError } from "aparte";
import { deliverPosts, type PostingPlatform } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { deliveryOf } from "../support/delivery.ts";
import { settled } from "../support/test-clock.ts";

class TooMany extends Error {
  readonly retryAfterMs = 5;
}

/** A platform whose messages can be edited; its calls can be made to fail. */
class Board implements PostingPlatform<number> {
  readonly shown: string[] = [];
  readonly calls: string[] = [];
  readonly maxLength: number = 20;
  readonly editInterval: number = 1;
  /** What the next calls fail with. */
  readonly failures: unknown[] = [];

  async post(text: string, part: number): Promise<number> {
    this.#call(`post ${part}`);
    return this.shown.push(text) - 1;
  }

  async edit(id: number, text: string): Promise<void> {
    this.#call(`edit ${id}`);
    this.shown[id] = text;
  }

  async remove(id: number): Promise<void> {
    this.#call(`remove ${id}`);
    this.shown.splice(id, 1);
  }

  failure(error: unknown) {
    return error instanceof TooMany ? { passes: true, retryAfterMs: error.retryAfterMs } : { passes: false };
  }

  #call(name: string): void {
    this.calls.push(name);
    if (this.failures.length > 0) throw this.failures.shift();
  }
}

describe("Posts that grow by edits", () => {
  it("show an answer as it comes, and whole at its end", async () => {
    const board = new Board();
    const { delivery, log, posted } = deliveryOf();
    const delivered = deliverPosts(delivery, board);
    log.push({ type: "text", delta: "Hello" });
    await expect.poll(() => board.shown).toEqual(["Hello"]);
    log.push({ type: "text", delta: ", Ann" });
    await expect.poll(() => board.shown).toEqual(["Hello, Ann"]);
    log.push({ type: "message", text: "Hello, Ann." });
    log.push({ type: "message", text: "And more." });
    log.end();
    await delivered;
    expect(board.shown).toEqual(["Hello, Ann.", "And more."]);
    expect(posted()).toEqual([0, 1]);
  });

  it("cut what is too long, and take back what a draft had too many of", async () => {
    const board = new Board();
    const { delivery, log } = deliveryOf();
    const delivered = deliverPosts(delivery, board);
    log.push({ type: "text", delta: "One sentence here. Another one there." });
    await expect.poll(() => board.shown).toEqual(["One sentence here.", "Another one there."]);
    log.push({ type: "message", text: "Short." });
    log.end();
    await delivered;
    expect(board.shown).toEqual(["Short."]);
  });

  it("pass over a draft that is one call too many, and show the whole answer when its pause is over", async () => {
    const board = new Board();
    board.failures.push(new TooMany());
    const { delivery, log } = deliveryOf();
    const delivered = deliverPosts(delivery, board);
    log.push({ type: "text", delta: "Hello" });
    await expect.poll(() => board.calls).toEqual(["post 0"]);
    log.push({ type: "message", text: "Hello." });
    log.end();
    await delivered;
    expect(board.shown).toEqual(["Hello."]);
  });

  it("throw what the platform fails with when the answer is whole", async () => {
    const board = new Board();
    const broken = new Error("no such channel");
    const { delivery, log } = deliveryOf();
    board.failures.push(broken);
    log.push({ type: "message", text: "Hello." });
    log.end();
    await expect(deliverPosts(delivery, board)).rejects.toBe(broken);
  });

  it("go on in the posts of a process that died", async () => {
    const board = new Board();
    board.shown.push("Hel");
    const { delivery, log } = deliveryOf({ posts: [0] });
    log.push({ type: "message", text: "Hello." });
    log.end();
    await deliverPosts(delivery, board);
    expect(board.shown).toEqual(["Hello."]);
    expect(board.calls).toEqual(["edit 0"]);
  });

  it("send nothing once another process has the reply", async () => {
    const board = new Board();
    const { delivery, log, lose } = deliveryOf();
    lose();
    log.push({ type: "message", text: "Hello." });
    log.end();
    await expect(deliverPosts(delivery, board)).rejects.toMatchObject({ code: "lease-lost" });
    expect(board.calls).toEqual([]);
  });

  it("say what a turn failed with, behind what has come of the answer", async () => {
    const board = new Board();
    const { delivery, log } = deliveryOf();
    log.push({ type: "text", delta: "Hel" });
    log.fail(new AparteError("backend-stream-cut", "Broke off."));
    await deliverPosts(delivery, board);
    expect(board.shown.join(" ")).toMatch(/^Hel\s+The answer broke/);
  });

  it("show each answer when it is whole where messages cannot be edited, and questions as the platform does", async () => {
    const shown: unknown[] = [];
    const { delivery, log, posted } = deliveryOf();
    const delivered = deliverPosts<string>(delivery, {
      maxLength: 100,
      post: async (text) => void shown.push(text),
      suggest: async (questions) => void shown.push(questions),
    });
    log.push({ type: "text", delta: "Hel" });
    await settled();
    expect(shown).toEqual([]);
    log.push({ type: "message", text: "Hello." });
    log.push({ type: "file", kind: "image", url: "https://x.example/a.png", name: "a.png" });
    log.push({ type: "suggestions", items: ["Who?"] });
    await expect.poll(() => shown).toEqual(["Hello."]);
    log.end();
    await delivered;
    expect(shown).toEqual(["Hello.", "a.png: https://x.example/a.png", ["Who?"]]);
    expect(posted()).toEqual([null, null, null]);
  });

  it("tell questions in words where the platform has no place for them", async () => {
    const board = new Board();
    const { delivery, log } = deliveryOf();
    log.push({ type: "message", text: "Hello." });
    log.push({ type: "suggestions", items: ["Who?"] });
    log.end();
    await deliverPosts(delivery, Object.assign(board, { maxLength: 100 }));
    expect(board.shown).toEqual(["Hello.", "You could ask:\n- Who?"]);
  });

  it("offer no questions again that a process offered which died, and keep them", async () => {
    const offered: unknown[] = [];
    const board = Object.assign(new Board(), {
      suggest: async (questions: unknown) => void offered.push(questions),
    });
    board.shown.push("Hello.", "(questions)");
    const { delivery, log } = deliveryOf({ posts: [0, 1] });
    log.push({ type: "message", text: "Hello." });
    log.push({ type: "suggestions", items: ["Who?"] });
    log.end();
    await deliverPosts(delivery, board);
    expect(offered).toEqual([]);
    expect(board.shown).toEqual(["Hello.", "(questions)"]);
  });

  it("show nothing for an answer without words, and nothing is left of its draft", async () => {
    const board = new Board();
    const { delivery, log } = deliveryOf();
    const delivered = deliverPosts(delivery, board);
    log.push({ type: "text", delta: "Hm" });
    await expect.poll(() => board.shown).toEqual(["Hm"]);
    log.push({ type: "message", text: " " });
    log.end();
    await delivered;
    expect(board.shown).toEqual([]);
    expect(board.calls).toEqual(["post 0", "remove 0"]);
  });
});
