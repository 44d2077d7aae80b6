import { describe, expect, it } from "vitest";
import { type BotkitOptions, checkOptions } from "../../../adapters/botkit/options.ts";

describe("Botkit's options", () => {
  it("are, where nothing is given, what their documentation says", () => {
    expect(checkOptions({})).toEqual({
      ...{ answer: "unheard", trustedChannels: [], maxFileBytes: 20_971_520, fileHosts: [] },
      ...{ maxLength: 4_000, editInterval: 1_500, onError: expect.any(Function) },
    });
  });

  it("are what is given, down to the least and with nothing in it", () => {
    const least: BotkitOptions = {
      ...{ answer: "none", authenticate: () => "ada", speaker: () => undefined, bot: "b", drafts: false },
      ...{ trustedChannels: ["directline", "webchat", "emulator"], maxFileBytes: 1 },
      ...{ fileHosts: ["files.example", "127.0.0.1:80"], maxLength: 100, editInterval: 1, onError() {} },
    };
    expect(checkOptions(least)).toEqual(least);
    for (const other of [
      { answer: "all" },
      { answer: "unheard" },
      { drafts: true },
      { fileHosts: [] },
    ] as const)
      expect(checkOptions(other)).toMatchObject(other);
  });

  it.each<[string, ...unknown[]]>([
    ["answer", "", "All", true],
    ["authenticate", "ada", null],
    ["speaker", {}, null],
    ["bot", "", 1],
    ["drafts", 1, "true"],
    ["trustedChannels", "emulator", ["msteams"], ["webchat", ""]],
    ["maxFileBytes", 0, 0.5, "1", Number.POSITIVE_INFINITY],
    ["fileHosts", "files.example", [""], ["https://files.example"], ["files.example/a"]],
    ["maxLength", 99, 100.5, "100"],
    ["editInterval", 0, 0.5, "1"],
    ["onError", "log", null],
    ["anything", 1],
  ])("are refused where they are wrong: %s", (field, ...values) => {
    for (const value of values)
      expect(() => checkOptions({ [field]: value })).toThrow(
        expect.objectContaining({ code: "option-invalid", field }),
      );
  });
});
