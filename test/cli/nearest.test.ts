import { describe, expect, it } from "vitest";
import { nearest } from "../../src/cli/nearest.ts";

describe("The name that was meant", () => {
  it.each([
    // Put in, taken out, replaced; at the beginning, in the middle, at the end.
    ...[
      ["xport", "port"],
      ["poxrt", "port"],
      ["portx", "port"],
      ["ort", "port"],
      ["pot", "port"],
    ],
    ...[
      ["por", "port"],
      ["xort", "port"],
      ["poxt", "port"],
      ["porx", "port"],
      ["porxy", "port"],
      ["PORT", "port"],
    ],
    // Two characters, or a quarter of them.
    ...[
      ["poxx", "port"],
      ["axxdef", "abcdef"],
      ["abcdefghixxx", "abcdefghijkl"],
    ],
    ...[
      ["a", "abc"],
      ["", "ab"],
    ],
    // Whole words of it, or more than those.
    ...[
      ["discord-bot-token", "DISCORD_TOKEN"],
      ["SLACK_TOKEN", "SLACK_BOT_TOKEN"],
      ["TOKEN_DISCORD", "DISCORD_TOKEN"],
    ],
  ])("%s is %s", (name, meant) => {
    expect(nearest(name, [meant])).toBe(meant);
  });

  it.each([
    ...[
      ["pxxx", "port"],
      ["portxxx", "port"],
      ["p", "port"],
      ["abcdefghxxxx", "abcdefghijkl"],
    ],
    ...[
      ["axxxefg", "abcdefg"],
      ["abcdefgxxxx", "abcdefghijk"],
    ],
    // One word is not enough, on either side, and all of them are to be there.
    ...[
      ["APARTE_TOKEN_OF_DISCORD", "TOKEN"],
      ["TOKEN", "SLACK_BOT_TOKEN"],
      ["SLACK_WEBHOOK_URL", "SLACK_API_URL"],
    ],
    ...[["DISCORDTOKENOFMINE", "DISCORD_TOKEN"]],
  ])("%s is not %s", (name, other) => {
    expect(nearest(name, [other])).toBeUndefined();
  });

  it("is the one with the fewest slips, and of several the first", () => {
    expect(nearest("pot", ["post-it", "xport", "port", "pots"])).toBe("port");
    expect(nearest("hst", ["port", "cost", "host"])).toBe("host");
    expect(nearest("host", [])).toBeUndefined();
  });
});
