import { describe, expect, it } from "vitest";
import { fitButtons } from "../../../adapters/discord/buttons.ts";

describe("discord shows follow-up questions", () => {
  it.each([
    ["as five buttons", Array.from({ length: 5 }, (_, n) => `Question ${n}?`), true],
    ["as words where there are more", Array.from({ length: 6 }, (_, n) => `Question ${n}?`), false],
    ["as a button of 80 characters", ["x".repeat(80)], true],
    ["as words where one is longer", ["Why?", "x".repeat(81)], false],
    ["as words where one is empty", ["Why?", ""], false],
  ])("%s", (_, questions, fit) => {
    expect(fitButtons(["stop", "questions"], questions)).toBe(fit);
    expect(fitButtons(["stop"], questions)).toBe(false);
  });
});
