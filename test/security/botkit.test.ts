import { describe, expect, it } from "vitest";
import { teamsBot } from "../adapters/botkit/teams.ts";

describe("Botkit, where the client says who it is", () => {
  it("takes no words, unless it is told to trust the channel, or who speaks is proved", async () => {
    const refusing = await teamsBot();
    for (const channelId of ["directline", "webchat", "emulator"])
      await refusing.says("hello", { channelId });
    expect(refusing.errors).toHaveLength(3);
    expect(String(refusing.errors[0])).toContain('trustedChannels: ["directline"]');
    expect(refusing.messages).toEqual([]);
    const trusting = await teamsBot({ trustedChannels: ["emulator"] });
    await trusting.says("hello", { channelId: "emulator" });
    await trusting.connector.until(() => trusting.messages.length === 1);
    const speaker = () => ({ platform: "botkit", user: "proved" });
    const proving = await teamsBot({ speaker });
    await proving.says("hello", { channelId: "webchat" });
    await proving.connector.until(() => proving.messages[0]?.user === "proved");
  });
});
