import { describe, expect, it } from "vitest";
import { AparteError } from "../../src/errors.ts";
import { checkSpeaker, deliveryPlace, isFrom, type Speaker, speakerOf } from "../../src/speaker/speaker.ts";

const whole: Speaker = {
  platform: "slack",
  bot: "A1",
  tenant: "T1",
  user: "U1",
  channel: "C1",
  thread: "1.2",
  direct: false,
  external: true,
  locale: "de",
  scope: "user-in-thread",
};

describe("A speaker", () => {
  it("needs a platform and a user, and no more", () => {
    expect(() => checkSpeaker({ platform: "web", user: "u" })).not.toThrow();
    expect(() => checkSpeaker(whole)).not.toThrow();
    expect(() =>
      checkSpeaker({ platform: " ", user: "\0", bot: "", tenant: "", channel: "", thread: "" }),
    ).not.toThrow();
  });

  it.each([
    ["platform", undefined, "must be a string"],
    ["platform", 1, "must be a string"],
    ["platform", "", "must not be empty"],
    ["user", undefined, "must be a string"],
    ["user", null, "must be a string"],
    ["user", 7, "must be a string"],
    ["user", "", "must not be empty: without it people would share a session"],
    ["bot", 1, "must be a string"],
    ["bot", null, "must be a string"],
    ["tenant", {}, "must be a string"],
    ["channel", 5, "must be a string"],
    ["thread", 1_700_000_000.1, "must be a string"],
    ["thread", null, "must be a string"],
    ["direct", "true", "must be true or false"],
    ["direct", null, "must be true or false"],
    ["external", 1, "must be true or false"],
    ["locale", 7, "must be a string"],
    ["scope", "user", 'must be "user-in-thread" or left out'],
  ])("is refused with its field %s as %j", (field, value, problem) => {
    const refused = refusal({ ...whole, [field]: value });
    expect(refused).toMatchObject({ code: "input-invalid", message: `Speaker field "${field}" ${problem}.` });
    expect(refused.field).toBe(field);
  });

  it.each([undefined, null, "U1", 1])("is refused as %j", (value) => {
    expect(refusal(value)).toMatchObject({
      code: "input-invalid",
      message:
        'Speaker field "speaker" must be an object { platform, bot?, tenant?, user, channel?, thread?, direct? }.',
    });
  });

  it("is taken from a message with all of its fields and none of the message's", () => {
    const message = { ...whole, id: "e1", text: "Hello", files: [] };
    expect(speakerOf(message)).toStrictEqual(whole);
    const least = { platform: "web", user: "u", id: "e1", text: "Hello", thread: undefined };
    expect(speakerOf(least as unknown as Speaker)).toStrictEqual({ platform: "web", user: "u" });
    const falsy = {
      platform: "web",
      user: "u",
      bot: "",
      tenant: "",
      channel: "",
      thread: "",
      direct: false,
      external: false,
    };
    expect(speakerOf(falsy)).toStrictEqual(falsy);
  });

  it("is answered by the adapter of its platform and bot", () => {
    expect(deliveryPlace({ platform: "slack" })).toBe('["slack"]');
    expect(deliveryPlace({ platform: "slack", bot: "A1" })).toBe('["slack","A1"]');
    expect(deliveryPlace({ platform: "slack", bot: "" })).toBe('["slack",""]');
    expect(deliveryPlace({ platform: "a b" })).not.toBe(deliveryPlace({ platform: "a", bot: "b" }));
    // Of an error of whoever calls without types, until it is told.
    expect(deliveryPlace({})).toBe('[""]');
  });
});

describe("What was said", () => {
  const said: Speaker = {
    platform: "slack",
    bot: "A1",
    tenant: "T1",
    user: "U1",
    channel: "C1",
    thread: "1.2",
  };
  const { thread: _, ...inChannel } = said;
  const { channel: __, ...anywhere } = inChannel;

  it.each([
    ["where it was said", said],
    ["in any thread of the channel", inChannel],
    ["anywhere", anywhere],
    ["not in private", { ...said, direct: false }],
    ["with what says nothing of the place", { ...said, locale: "de", external: true }],
  ])("is a person's own %s", (_where, who) => {
    expect(isFrom(said, who)).toBe(true);
  });

  it.each([
    ["platform", { ...anywhere, platform: "discord" }],
    ["bot", { ...anywhere, bot: "A2" }],
    ["tenant", { ...anywhere, tenant: "T2" }],
    ["person", { ...anywhere, user: "U2" }],
    ["channel", { ...said, channel: "C2" }],
    ["thread", { ...said, thread: "1.3" }],
    ["direct message", { ...anywhere, direct: true }],
  ])("is nobody's of another %s", (_what, who) => {
    expect(isFrom(said, who)).toBe(false);
  });

  it("in private is found in private alone", () => {
    const inPrivate = { ...said, direct: true };
    expect([isFrom(inPrivate, inPrivate), isFrom(inPrivate, said)]).toEqual([true, false]);
  });
});

function refusal(speaker: unknown): AparteError {
  try {
    checkSpeaker(speaker as Speaker);
  } catch (error) {
    if (error instanceof AparteError) return error;
  }
  throw new Error("It was not refused.");
}
