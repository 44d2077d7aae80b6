import { AparteError, SessionMapper } from "aparte";
import { afterEach, describe, expect, it } from "vitest";
import { chinese } from "../../src/texts/chinese.ts";
import { english, type TextCode } from "../../src/texts/english.ts";
import { LogLines } from "../support/log-lines.ts";

const secret = "a secret of the tests, long enough";
const ann = { platform: "chat", tenant: "acme", user: "ann" };
const codes = Object.keys(english) as TextCode[];

let mapper: SessionMapper | undefined;
afterEach(async () => {
  await mapper?.close();
});

/** One for all people, as a backend may keep it. */
const quota = new AparteError("backend-quota", "The quota is used up.");

function mapperWith(options: Partial<ConstructorParameters<typeof SessionMapper>[0]>): SessionMapper {
  const helper = {
    name: "test",
    open: async () => "c1",
    // biome-ignore lint/correctness/useYield: this agent fails.
    async *ask() {
      throw quota;
    },
  };
  mapper = new SessionMapper({ agents: { helper }, secret, logger: new LogLines(), ...options });
  return mapper;
}

const factsIn = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe("Our sentences", () => {
  it.each(codes)("have %s in both languages, with the same facts", (code) => {
    expect(english[code]).toMatch(/\S/);
    expect(factsIn(chinese[code])).toEqual(factsIn(english[code]));
    expect(chinese[code]).not.toBe(english[code]);
    // Nothing was left in English.
    if (code !== "with-reference") expect(chinese[code]).toMatch(/\p{Script=Han}/u);
  });

  it("have no code in one language alone", () => {
    expect(Object.keys(chinese)).toEqual(codes);
  });

  it("come in the person's language, else in the one that is given, else in English", () => {
    const inEnglish = mapperWith({});
    expect(inEnglish.texts(ann)("busy")).toBe(english.busy);
    expect(inEnglish.texts({ ...ann, locale: "zh-CN" })("busy")).toBe(chinese.busy);
    expect(inEnglish.texts({ ...ann, locale: "zhx" })("busy")).toBe(english.busy);
    const inChinese = mapperWith({ locale: "zh" });
    expect(inChinese.texts(ann)("busy")).toBe(chinese.busy);
    expect(inChinese.texts({ ...ann, locale: "en-GB" })("busy")).toBe(english.busy);
  });

  it("take each fact once, also one that looks like a place for another", () => {
    const texts = mapperWith({}).texts(ann);
    expect(texts("agents-listed", { agent: "{agents}", agents: "$&, b" })).toBe(
      "You talk to {agents}. There are: $&, b. Say: !use NAME",
    );
  });
});

describe("The option texts", () => {
  it("takes a table, for people of every language", () => {
    const { texts } = { texts: mapperWith({ texts: { limited: "Wait {seconds}!", busy: "" } }) };
    for (const locale of ["en", "zh-CN"]) {
      expect(texts.texts({ ...ann, locale })("limited", { seconds: 7 })).toBe("Wait 7!");
      expect(texts.texts({ ...ann, locale })("busy")).toBe("");
    }
    expect(texts.texts(ann)("full")).toBe(english.full);
  });

  it("takes a function of code, facts and speaker, whose words stand as they are", () => {
    const texts = mapperWith({
      texts: (code, facts, speaker) =>
        code === "agent-chosen" ? `${speaker.user} has {agent} ${facts.agent}` : undefined,
    }).texts(ann);
    expect(texts("agent-chosen", { agent: "b" })).toBe("ann has {agent} b");
    expect(texts("busy")).toBe(english.busy);
  });

  it("says our own words where that function throws, and logs why", () => {
    const logger = new LogLines();
    const texts = mapperWith({
      logger,
      texts: () => {
        throw new TypeError("mistaken");
      },
    }).texts(ann);
    expect(texts("busy")).toBe(english.busy);
    expect(JSON.stringify(logger.lines)).toContain("mistaken");
  });

  it.each<[string, object]>([
    ["texts.bussy", { texts: { bussy: "…" } }],
    ["texts.busy", { texts: { busy: 7 } }],
    ["texts", { texts: "zh" }],
    ["locale", { locale: "chinese language" }],
    ["locale", { locale: 7 }],
  ])("is refused at start where it is wrong: %s", (field, options) => {
    expect(() => mapperWith(options)).toThrow(expect.objectContaining({ code: "option-invalid", field }));
  });

  it("is what a failed reply says to its person, and to no other", async () => {
    const texts = (code: string, _: unknown, { user }: { user?: string }) =>
      code === "backend-quota" ? `Sorry, ${user}` : undefined;
    const failing = mapperWith({ texts });
    for (const user of ["ann", "bob"]) {
      const error: unknown = await failing
        .handle({ ...ann, user, id: "1", text: "hello" })
        .text()
        .catch((thrown) => thrown);
      expect(error).toMatchObject({ code: "backend-quota", message: "The quota is used up." });
      const { say, reference } = error as AparteError;
      expect(say).toBe(`Sorry, ${user} (ref ${reference})`);
      expect(reference).toBe(quota.reference);
    }
    expect(quota.say).toContain(english["backend-quota"]);
  });

  it("says a failure in the person's language", async () => {
    const reply = mapperWith({}).handle({ ...ann, locale: "zh-TW", id: "1", text: "hello" });
    await expect(reply.text()).rejects.toThrow(
      expect.objectContaining({ say: expect.stringContaining(chinese["backend-quota"]) }),
    );
  });
});
