import {
  areHosts,
  checkOptions,
  isAboveZero,
  isFlag,
  isFunction,
  isListOf,
  isOneOf,
  isText,
  isWhole,
  type OptionCheck,
} from "aparte/adapter";
import { describe, expect, it } from "vitest";

const cases: [string, OptionCheck, readonly unknown[], readonly unknown[], string][] = [
  ["isText", isText, ["a", " "], ["", 1, undefined], "must be a text that is not empty"],
  ["isFlag", isFlag, [true, false], [1, "true", undefined], "must be true or false"],
  ["isAboveZero", isAboveZero, [0.1, 7], [0, -1, Number.NaN, Infinity, "7"], "must be a number above 0"],
  ["isWhole", isWhole(2), [2, 3], [1, 2.5, "2", Infinity], "must be a whole number of at least 2"],
  ["isOneOf", isOneOf("a", "b"), ["a", "b"], ["c", "", ["a"]], 'must be one of "a", "b"'],
  ["isFunction", isFunction("() => …"), [() => 1], ["f", {}, undefined], "must be a function: () => …"],
  [
    "isListOf",
    isListOf(isFlag),
    [[], [true, false]],
    [true, [1], [true, 1], { length: 0 }],
    "must be a list, of which each must be true or false",
  ],
  [
    "areHosts",
    areHosts,
    [[], ["files.example.com", "127.0.0.1:8080"]],
    ["a.example", [""], [7], ["https://a.example"], ["a.example/b"], ["a b"], ["A.example"]],
    'must be a list, of which each must be a host, e.g. "files.example.com" or "127.0.0.1:8080"',
  ],
];

describe("An adapter's option", () => {
  it.each(cases)("is right or wrong: %s", (_, [isRight, problem], right, wrong, said) => {
    expect(right.map(isRight)).toEqual(right.map(() => true));
    expect(wrong.map(isRight)).toEqual(wrong.map(() => false));
    expect(problem).toBe(said);
  });

  it("is as it was given, or else its default", () => {
    interface Settings {
      readonly name: string | undefined;
      readonly loud: boolean;
      readonly times: number;
    }
    const check = (options: object) =>
      checkOptions<Settings>(options, { name: [isText], loud: [isFlag, false], times: [isWhole(1), 3] });
    expect(check({})).toEqual({ loud: false, times: 3 });
    expect(check({ loud: true, times: undefined })).toEqual({ loud: true, times: 3 });
    expect(check({ name: "Ada" })).toEqual({ name: "Ada", loud: false, times: 3 });
    expect(() => check({ name: null })).toThrow('Option "name" must be a text that is not empty.');
    expect(() => check({ times: 0 })).toThrow('Option "times" must be a whole number of at least 1.');
    expect(() => check({ times: 0 })).toThrow(
      expect.objectContaining({ code: "option-invalid", field: "times" }),
    );
    expect(() => check({ tmes: 1 })).toThrow('Option "tmes" does not exist. There are: name, loud, times.');
  });
});
