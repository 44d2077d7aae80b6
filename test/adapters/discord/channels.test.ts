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
});
