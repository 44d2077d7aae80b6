import { SessionMapper } from "aparte";
import { type DiscordOptions, discord } from "aparte/discord";
import { Client, type ClientOptions, Partials } from "discord.js";
import { describe, expect, it } from "vitest";
import { deliveryOf } from "../../support/delivery.ts";
import { backend, remembering } from "../agent.ts";
import { allIntents, DirectMessages, endings, GuildMessages, Guilds, secret } from "./bot.ts";

describe("discord refuses", () => {
  const mapper = () => {
    const made = new SessionMapper({ agents: { helper: backend(remembering) }, secret });
    endings.push(() => made.close());
    return made;
  };

  it("options that do not exist or have no sense, by name", () => {
    const wrong: [string, unknown][] = [
      ["respnd", "all"],
      ["respond", "sometimes"],
      ["respond", ["#general"]],
      ["answer", "heard"],
      ["openThreads", 1],
      ["embeds", "none"],
      ["guilds", "one"],
      ["commands", "all"],
      ["buttons", true],
      ["buttons", ["stopp"]],
      ["onFeedback", "log"],
      ["privacy", ""],
      ["maxMessages", 0],
      ["lookBack", -1],
      ["directMessages", "yes"],
      ["editInterval", 0],
      ["maxFileBytes", Number.NaN],
      ["attachFrom", "127.0.0.1"],
      ["attachFrom", ["https://127.0.0.1/"]],
      ["fileHosts", "127.0.0.1"],
      ["fileHosts", ["https://127.0.0.1/"]],
    ];
    for (const [field, value] of wrong) {
      const options = { [field]: value } as DiscordOptions;
      expect(() => discord(mapper(), options)).toThrow(
        expect.objectContaining({ code: "option-invalid", field }),
      );
    }
  });

  it("what is no function, and says which it should be", () => {
    expect(() => discord(mapper(), { onFeedback: "log" } as unknown as DiscordOptions)).toThrow(
      "must be a function: (feedback) => …",
    );
  });

  it("a client that would not hear its people, and says what to add", () => {
    const attach = (client: Partial<ClientOptions>, options?: DiscordOptions) => () =>
      discord(mapper(), options).attach(
        new Client({ intents: allIntents, partials: [Partials.Channel], ...client }),
      );
    const refused: [Partial<ClientOptions>, DiscordOptions, string][] = [
      [{ intents: [Guilds, GuildMessages] }, {}, "GatewayIntentBits.DirectMessages"],
      [{ intents: [DirectMessages] }, {}, "GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages"],
      [{ partials: [] }, {}, "Partials.Channel"],
      [
        { intents: [Guilds, GuildMessages, DirectMessages] },
        { respond: "all" },
        "GatewayIntentBits.MessageContent",
      ],
    ];
    for (const [client, options, missing] of refused) {
      expect(attach(client, options)).toThrow(expect.objectContaining({ code: "option-invalid" }));
      expect(attach(client, options)).toThrow(missing);
    }
    expect(
      attach({ intents: [Guilds, GuildMessages], partials: [] }, { directMessages: false }),
    ).not.toThrow();
    expect(attach({ intents: [DirectMessages] }, { respond: "never" })).not.toThrow();
  });

  it("a second client, and to deliver without one", async () => {
    const adapter = discord(mapper());
    const { delivery } = deliveryOf();
    const message = { platform: "discord", tenant: "dm", user: "1", id: "2", text: "?" };
    await expect(adapter.deliver(message, delivery)).rejects.toMatchObject({ field: "client" });
    const client = () => new Client({ intents: allIntents, partials: [Partials.Channel] });
    adapter.attach(client());
    expect(() => adapter.attach(client())).toThrow(expect.objectContaining({ field: "client" }));
  });
});
