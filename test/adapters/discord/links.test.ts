import { describe, expect, it } from "vitest";
import { discloseLinks } from "../../../adapters/discord/links.ts";
import { ended, mention, shows, startBot, startServer } from "./bot.ts";

describe("discord shows the address of a link", () => {
  it.each([
    [
      "[https://bank.example](https://evil.example/login)",
      "[https://bank.example] (https://evil.example/login)",
    ],
    ["see [bank.example](<https://evil.example>) now", "see [bank.example] (<https://evil.example>) now"],
    [
      '[**www.bank.example**](http://evil.example "a title")',
      '[**www.bank.example**] (http://evil.example "a title")',
    ],
    ["[ban\u200bk.example](https://evil.example)", "[ban\u200bk.example] (https://evil.example)"],
    [
      "[bank\u202e.exa\u034fmple\ufe0f](https://evil.example)",
      "[bank\u202e.exa\u034fmple\ufe0f] (https://evil.example)",
    ],
    ["[bank．example](https://evil.example)", "[bank．example] (https://evil.example)"],
    ["[`bank.example`](https://evil.example)", "[`bank.example`] (https://evil.example)"],
    ["[go [to] bank.example](https://evil.example)", "[go [to] bank.example] (https://evil.example)"],
    [
      "[bank.example](https://bank.example@evil.example)",
      "[bank.example] (https://bank.example@evil.example)",
    ],
    ["[win.bingo](https://evil.example)", "[win.bingo] (https://evil.example)"],
    ["[my.mdomain](https://evil.example)", "[my.mdomain] (https://evil.example)"],
    ["` [bank.example](https://evil.example)", "` [bank.example] (https://evil.example)"],
    ["`a` [bank.example](https://evil.example) `b`", "`a` [bank.example] (https://evil.example) `b`"],
    ["\\`[bank.example](https://evil.example)\\`", "\\`[bank.example] (https://evil.example)\\`"],
    ["`\\` [bank.example](https://evil.example) `", "`\\` [bank.example] (https://evil.example) `"],
    [
      `[bank.example${" ".repeat(600)}](https://evil.example)`,
      `[bank.example${" ".repeat(600)}] (https://evil.example)`,
    ],
    ["[bank.example ] more](https://evil.example)", "[bank.example ] more] (https://evil.example)"],
    ["[bank.example](https:/evil.example)", "[bank.example] (https:/evil.example)"],
    [
      "[bank.example](https://bank.example\\@evil.example)",
      "[bank.example] (https://bank.example\\@evil.example)",
    ],
    [
      "[bank.example](https://bank.example<>@evil.example)",
      "[bank.example] (https://bank.example<>@evil.example)",
    ],
    ["[https://198.51.100.1](https://evil.example)", "[https://198.51.100.1] (https://evil.example)"],
  ])("that names another: %j", (text, expected) => {
    expect(discloseLinks(text)).toBe(expected);
  });

  it.each([
    "[https://bank.example/a](https://bank.example/b)",
    "[www.bank.example](https://bank.example)",
    "[my.docs.bank.example](https://my.docs.bank.example)",
    "[the docs](https://docs.example)",
    "[version 1.2 of Node.js](https://docs.example)",
    "[version 1.2](https://docs.example)",
    "[Bücher.example](<https://bücher.example>)",
    "bank.example [] [here](https://docs.example)",
    `[the docs](https://docs.example)${" and so on".repeat(60)} [more](https://docs.example)`,
    "``\\`[bank.example](https://evil.example)``",
    "`[bank.example](https://evil.example)`",
    "``a ` [bank.example](https://evil.example)``",
    "```md\n[bank.example](https://evil.example)\n```",
    "bank.example](https://evil.example)",
  ])("and leaves others as they are: %j", (text) => {
    expect(discloseLinks(text)).toBe(text);
  });

  it("in an answer", async () => {
    const server = await startServer();
    const text = "[bank.example](https://evil.example)";
    await startBot(server, { answer: ended({ type: "message", text }) });
    server.say(server.person("ann"), `${mention(server)} where?`);
    expect((await shows(server, /./)).content).toBe("[bank.example] (https://evil.example)");
  });
});
