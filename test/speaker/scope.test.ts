import { describe, expect, it } from "vitest";
import { encodeSpeaker, type Scope, scoped, scopes } from "../../src/speaker/scope.ts";
import type { Speaker } from "../../src/speaker/speaker.ts";

const whole: Speaker = {
  ...{ platform: "slack", bot: "A1", tenant: "T1", user: "U1", channel: "C1", thread: "7" },
  ...{ direct: true, external: true },
};
const home = { platform: "slack", bot: "A1", tenant: "T1" };

describe("A scope", () => {
  it.each<[Scope, object]>([
    ["user", { user: "U1", direct: "direct" }],
    ["user-everywhere", { user: "U1" }],
    ["user-in-channel", { user: "U1", channel: "C1", direct: "direct" }],
    ["user-in-thread", { user: "U1", channel: "C1", thread: "7", direct: "direct" }],
    ["channel", { channel: "C1", direct: "direct" }],
    ["thread", { channel: "C1", thread: "7", direct: "direct" }],
  ])("%s keeps the home and its own parts", (scope, parts) => {
    expect(scoped(whole, scope)).toStrictEqual({ scope, ...home, ...parts });
  });

  it("has the names that the options know", () => {
    expect(scopes).toEqual([
      "user",
      "user-everywhere",
      "user-in-channel",
      "user-in-thread",
      "channel",
      "thread",
    ]);
  });

  it("keeps a shared place apart from a private one, and from nothing else", () => {
    const { direct: _, ...shared } = whole;
    expect(scoped(shared, "user")).toStrictEqual({ scope: "user", ...home, user: "U1" });
    expect(scoped({ ...whole, direct: false }, "user")).toStrictEqual(scoped(shared, "user"));
    expect(scoped(shared, "user-everywhere")).toStrictEqual(scoped(whole, "user-everywhere"));
  });

  it("leaves out what the speaker has not, and keeps what is empty", () => {
    expect(scoped({ platform: "web", user: "u" }, "user")).toStrictEqual({
      ...{ scope: "user", platform: "web", user: "u" },
    });
    expect(
      scoped({ platform: "web", user: "u", tenant: "", bot: "", channel: "" }, "user-in-thread"),
    ).toStrictEqual({
      ...{ scope: "user-in-thread", platform: "web", bot: "", tenant: "", user: "u", channel: "" },
    });
  });

  it.each(["user-in-channel", "user-in-thread", "channel", "thread"] as const)(
    "%s needs a channel",
    (scope) => {
      const { channel: _, ...nowhere } = whole;
      expect(() => scoped(nowhere, scope)).toThrow(
        expect.objectContaining({
          ...{ code: "input-invalid", field: "channel" },
          message: `Speaker field "channel" is needed by the scope "${scope}".`,
        }),
      );
    },
  );

  it("of the application's own is its key, with the home and whether it is private", () => {
    const scope = ({ channel }: Speaker) => `team of ${channel}`;
    expect(scoped(whole, scope)).toStrictEqual({
      ...{ scope: "custom", ...home, key: "team of C1", direct: "direct" },
    });
    expect(scoped({ ...whole, direct: false }, scope)).toStrictEqual({
      ...{ scope: "custom", ...home, key: "team of C1" },
    });
    expect(scoped(whole, scope, "ada")).toStrictEqual(scoped(whole, scope));
    expect(() => scoped(whole, () => 7 as unknown as string)).toThrow(
      expect.objectContaining({
        ...{ field: "scope", message: 'Speaker field "scope" the scope function must return a string.' },
      }),
    );
    expect(scoped(whole, () => "").key).toBe("");
  });

  it("has the application's own id for the person in the place of platform, bot, tenant and user", () => {
    expect(scoped(whole, "user", "ada")).toStrictEqual({ scope: "user", identity: "ada", direct: "direct" });
    expect(scoped(whole, "user-everywhere", "ada")).toStrictEqual({
      scope: "user-everywhere",
      identity: "ada",
    });
    expect(scoped(whole, "user-in-channel", "ada")).toStrictEqual({
      ...{ scope: "user-in-channel", ...home, identity: "ada", channel: "C1", direct: "direct" },
    });
    expect(scoped(whole, "channel", "ada")).toStrictEqual(scoped(whole, "channel"));
  });
});

describe("The encoding of a speaker", () => {
  it("has each field with its length, in one order", () => {
    expect(encodeSpeaker(scoped(whole, "user-in-thread"))).toBe(
      "14:user-in-thread;5:slack;2:A1;2:T1;2:U1;2:C1;1:7;6:direct;-;-;",
    );
    expect(encodeSpeaker(scoped(whole, () => "k"))).toBe("6:custom;5:slack;2:A1;2:T1;-;-;-;6:direct;1:k;-;");
    expect(encodeSpeaker(scoped(whole, "user", "ada"))).toBe("4:user;-;-;-;-;-;-;6:direct;-;3:ada;");
  });
});
