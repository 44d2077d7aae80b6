import { Showing, type ShowingStep } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { deliveryOf } from "../support/delivery.ts";
import { settled } from "../support/test-clock.ts";

class Failed extends Error {
  readonly passes: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(passes: boolean, retryAfterMs?: number) {
    super("failed");
    this.passes = passes;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Shows a text, which a test may change, on a board that fails as often as it is told to. */
function startShowing(room?: ShowingStep["room"]) {
  const board = { wanted: "", shown: "", sent: [] as string[], failures: [] as Failed[] };
  const { delivery, lose } = deliveryOf();
  const showing = new Showing({
    delivery,
    failure: (error) => (error instanceof Failed ? error : { passes: true }),
    next: () => {
      const { wanted } = board;
      if (wanted === board.shown) return undefined;
      return {
        room,
        call: async () => {
          board.sent.push(wanted);
          const failure = board.failures.shift();
          if (failure !== undefined) throw failure;
          board.shown = wanted;
        },
      };
    },
  });
  const want = (text: string) => {
    board.wanted = text;
    showing.changed();
  };
  return { board, showing, want, lose };
}

describe("Showing", () => {
  it("makes one call at a time, and none for a text that was overtaken", async () => {
    const { board, showing, want } = startShowing();
    for (const text of ["a", "ab", "abc"]) want(text);
    await showing.finish();
    expect(board.sent).toEqual(["a", "abc"]);
  });

  it("looks again at what there is to show when there is room for a call", async () => {
    let give = (_: boolean): void => {};
    const room = () => new Promise<boolean>((resolve) => (give = resolve));
    const { board, showing, want } = startShowing(room);
    want("a");
    give(false);
    await settled();
    expect(board.sent).toEqual([]);
    board.wanted = "ab";
    const finished = showing.finish();
    await settled();
    give(true);
    await finished;
    expect(board.sent).toEqual(["ab"]);
  });

  it("makes a call again that was one too many, when the platform says", async () => {
    const { board, showing, want } = startShowing();
    board.failures.push(new Failed(false, 1));
    want("a");
    await showing.finish();
    expect(board.sent).toEqual(["a", "a"]);
  });

  it.each([
    ["passes", new Failed(true), ["a", "ab"]],
    ["is to wait for longer than here", new Failed(true, 15_001), ["a", "ab"]],
  ])("leaves a draft whose failure %s to the complete reply", async (_, failure, sent) => {
    const { board, showing, want } = startShowing();
    board.failures.push(failure);
    want("a");
    await expect.poll(() => board.sent).toEqual(["a"]);
    want("ab");
    await showing.finish();
    expect(board.sent).toEqual(sent);
  });

  it("throws what it fails with for good, and tries once", async () => {
    const { board, showing, want } = startShowing();
    const failure = new Failed(false);
    board.failures.push(failure);
    want("a");
    await expect(showing.finish()).rejects.toBe(failure);
    expect(board.sent).toEqual(["a"]);
  });

  it("sends nothing once another process has the reply", async () => {
    const { board, showing, want, lose } = startShowing();
    lose();
    want("a");
    await expect(showing.finish()).rejects.toMatchObject({ code: "lease-lost" });
    expect(board.sent).toEqual([]);
  });
});
