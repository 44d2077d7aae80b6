import { AparteError } from "aparte";
import { describe, expect, it } from "vitest";
import { asAparteError, inWords } from "../src/errors.ts";
import { chinese } from "../src/texts/chinese.ts";
import { textsFor } from "../src/texts/texts.ts";

describe("An error of aparte", () => {
  it("has a name, a code, what happened, and what is known besides", () => {
    const cause = new TypeError("words");
    const options = { cause, field: "text", retryAfterMs: 1_500, traceId: "t1", reference: "ABCD2345" };
    const error = new AparteError("limited", "Too many turns.", options);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "AparteError",
      code: "limited",
      message: "Too many turns.",
      ...options,
    });
    expect(String(error)).toBe("AparteError: Too many turns.");
    const bare = new AparteError("closed", "It is closed.");
    expect(bare).toMatchObject({ field: undefined, retryAfterMs: undefined, traceId: undefined });
    expect("cause" in bare).toBe(false);
  });

  it("has a reference of its own that people can type", () => {
    const references = Array.from({ length: 200 }, () => new AparteError("closed", "").reference);
    for (const reference of references) expect(reference).toMatch(/^[2-9A-HJKMNP-Z]{8}$/);
    expect(new Set(references).size).toBe(200);
  });

  it("tells the person when to come back, a minute where nobody knows", () => {
    const say = (retryAfterMs?: number) =>
      new AparteError("limited", "", retryAfterMs === undefined ? {} : { retryAfterMs }).say;
    expect(say(1_001)).toContain(" 2 s.");
    expect(say(29_000)).toContain(" 29 s.");
    expect(say()).toContain(" 60 s.");
  });

  it("is told in the person's language, and is the same error otherwise", () => {
    const texts = textsFor({ locale: "zh-CN" }, { failed: () => {} });
    const error = new AparteError("closed", "It is closed.", { cause: "words", field: "x", traceId: "t" });
    const told = inWords(error, texts);
    expect(told.say).toContain(chinese.closed);
    expect(told.say).toContain(error.reference);
    const { code, message, stack, cause, field, traceId, reference } = error;
    expect(told).toMatchObject({ code, message, stack, cause, field, traceId, reference });
    expect(inWords(told, texts)).toBe(told);
  });

  it("takes the place of others, and of none of its own kind", () => {
    const own = new AparteError("closed", "It is closed.");
    expect(asAparteError(own, "store-failed", "x")).toBe(own);
    const foreign = new RangeError("words");
    const message = "The store failed.";
    expect(asAparteError(foreign, "store-failed", message)).toMatchObject({
      ...{ code: "store-failed", message, cause: foreign },
    });
  });
});
