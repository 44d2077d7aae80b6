import { AparteError } from "aparte";
import { describe, expect, it, vi } from "vitest";
import { consoleLogger, describeError, messageFirst } from "../src/logger.ts";

describe("A logger", () => {
  it("that takes the fields first is given them first, and an empty object for none", () => {
    const told: unknown[] = [];
    const tell = (level: string) => (fields: object, message: string) => told.push([level, fields, message]);
    const logger = messageFirst({
      ...{ info: tell("info"), warn: tell("warn"), error: tell("error") },
      bindings: () => ({}),
    });
    logger.info("one", { a: 1 });
    logger.warn("two");
    logger.error("three", { b: 2 });
    expect(told).toEqual([
      ["info", { a: 1 }, "one"],
      ["warn", {}, "two"],
      ["error", { b: 2 }, "three"],
    ]);
  });

  it.each(["info", "warn", "error"] as const)("writes to the console where none is given: %s", (level) => {
    const said = vi.spyOn(console, level).mockReturnValue();
    consoleLogger[level]("one", { a: 1 });
    expect(said.mock.calls).toEqual([["aparte: one { a: 1 }"]]);
    said.mockRestore();
  });

  it("that takes the message first is given what there is, and the console stays what it is", () => {
    const told: unknown[][] = [];
    const tell = (...args: unknown[]) => void told.push(args);
    const logger = messageFirst({ info: tell, warn: tell, error: tell });
    logger.info("one", { a: 1 });
    logger.warn("two");
    expect(told).toEqual([["one", { a: 1 }], ["two"]]);
    expect(messageFirst(consoleLogger)).toBe(consoleLogger);
  });

  it("that throws harms nothing, and the console is told of it", () => {
    const said = vi.spyOn(console, "error").mockReturnValue();
    const fails = () => {
      throw new TypeError("no disk");
    };
    const logger = messageFirst({ info: fails, warn: fails, error: fails });
    logger.error("one", { a: 1 });
    expect(said.mock.calls).toEqual([["aparte: the option logger failed { error: 'TypeError' }"]]);
    said.mockRestore();
  });
});

describe("What is logged of an error", () => {
  it("is of ours the code, the message and the reference, with the class and the code of its causes", () => {
    const cause = Object.assign(new TypeError("hunter2", { cause: "words" }), { code: "ECONNRESET" });
    const error = new AparteError("store-failed", "The store failed.", { cause });
    expect(describeError(error)).toEqual({
      ...{ code: "store-failed", message: "The store failed.", reference: error.reference },
      cause: { error: "TypeError", code: "ECONNRESET", cause: { error: "string" } },
    });
  });

  it("is of the application's own code where it failed, too", () => {
    const cause = new Error("no such channel");
    const error = new AparteError("hook-failed", "The option route failed.", { cause });
    expect(describeError(error).cause).toEqual({ error: "Error", stack: cause.stack });
  });

  it.each([
    ["a text", "words", { error: "string" }],
    ["nothing", undefined, { error: "undefined" }],
    ["a code that is no text", Object.assign(new Error("words"), { code: 7 }), { error: "Error" }],
    ["no code", new RangeError("words"), { error: "RangeError" }],
  ])("is of %s no word of its own", (_, error, logged) => {
    expect(describeError(error)).toEqual(logged);
  });
});
