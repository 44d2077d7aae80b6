import { describe, expect, it, vi } from "vitest";
import { Channels } from "../../../adapters/discord/channels.ts";
import { endings } from "./bot.ts";

describe("Channels", () => {
  it("shows typing every 8 seconds while a reply that is held runs, once a channel", async () => {
    vi.useFakeTimers();
    endings.push(() => vi.useRealTimers());
    const typed: string[] = [];
    const channels = new Channels(async (id) => {
      typed.push(id);
    }, 1_200);
    let isHeld = true;
    const first = channels.enter("c1", async () => {
      if (!isHeld) throw new Error("Another process holds it.");
    });
    const second = channels.enter("c1", async () => {
      throw new Error("Another process holds it.");
    });
    await vi.advanceTimersByTimeAsync(17_000);
    expect(typed).toEqual(["c1", "c1", "c1"]);
    isHeld = false;
    await vi.advanceTimersByTimeAsync(16_000);
    expect(typed).toHaveLength(3);
    first.leave();
    second.leave();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("keeps nothing of a channel that all replies have left, and all while one is there", async () => {
    vi.useFakeTimers();
    endings.push(() => vi.useRealTimers());
    const channels = new Channels(async () => {}, 1_200);
    const editedAt: number[] = [];
    const begun = performance.now();
    const edit = async () => {
      const stay = channels.enter("c1", async () => {});
      const turn = stay.editTurn().then(() => editedAt.push(performance.now() - begun));
      await vi.advanceTimersByTimeAsync(0);
      return { stay, turn };
    };
    const [one, two] = [await edit(), await edit()];
    one.stay.leave();
    const three = await edit();
    await vi.advanceTimersByTimeAsync(2_400);
    await Promise.all([two.turn, three.turn]);
    expect(editedAt).toEqual([0, 1_200, 2_400]);
    two.stay.leave();
    three.stay.leave();
    await edit();
    expect(editedAt).toEqual([0, 1_200, 2_400, 2_400]);
  });

  it("lets the replies of a channel edit in turn, less often than five times in five seconds", async () => {
    vi.useFakeTimers();
    endings.push(() => vi.useRealTimers());
    const channels = new Channels(async () => {}, 1_200);
    const begun = performance.now();
    const edits: [reply: string, at: number][] = [];
    const reply = async (name: string, channel: string) => {
      const stay = channels.enter(channel, async () => {});
      for (let edit = 0; edit < 3; edit += 1) {
        await stay.editTurn();
        edits.push([name, performance.now() - begun]);
      }
      stay.leave();
    };
    const all = Promise.all([reply("a", "c1"), reply("b", "c1"), reply("c", "c1"), reply("d", "c2")]);
    await vi.advanceTimersByTimeAsync(60_000);
    await all;
    const inFirst = edits.filter(([name]) => name !== "d");
    expect(inFirst.map(([name]) => name)).toEqual(["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
    expect(inFirst.map(([, at]) => at)).toEqual(inFirst.map((_, index) => index * 1_200));
    expect(edits.filter(([name]) => name === "d").map(([, at]) => at)).toEqual([0, 1_200, 2_400]);
  });
});
