import { describe, expect, it } from "vitest";
import { teamsBot } from "../adapters/botkit/teams.ts";

describe("Botkit, where the client says who it is", () => {
  it("takes the conversation for the person, unless it is told to trust the channel, or who speaks is proved", async () => {
    const open = await teamsBot();
    for (const channelId of ["directline", "webchat", "emulator"]) {
      for (const own of ["of Ada", "of Mallory"]) {
        // The one who is not Ada names herself as Ada.
        const words = { channelId, from: { id: "ada" }, conversation: { id: `${channelId} ${own}` } };
        await open.says(own === "of Ada" ? "my name is Ada" : "what is my name?", words);
      }
      await open.says("nobody vouches for this one", { channelId, conversation: {} });
    }
    await open.connector.until(() => open.messages.length === 6);
    expect(open.messages.map(({ user }) => user)).toEqual(
      ["directline", "webchat", "emulator"].flatMap((name) => [`${name} of Ada`, `${name} of Mallory`]),
    );
    const names = await Promise.all(
      open.messages.map(async (message) => (await open.mapper.resolve(message)).sessionName),
    );
    expect(new Set(names).size).toBe(6);

    const trusting = await teamsBot({ trustedChannels: ["emulator"] });
    await trusting.says("hello", { channelId: "emulator" });
    await trusting.connector.until(() => trusting.messages[0]?.user === "ada");
    const speaker = () => ({ platform: "botkit", user: "proved" });
    const proving = await teamsBot({ speaker });
    await proving.says("hello", { channelId: "webchat" });
    await proving.connector.until(() => proving.messages[0]?.user === "proved");
  });
});
