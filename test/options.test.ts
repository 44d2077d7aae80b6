import { AparteError, type Backend, type MapperOptions, SessionMapper } from "aparte";
import { Keyv } from "keyv";
import { describe, expect, it } from "vitest";
import { checkOptions } from "../src/options.ts";

const helper: Backend = { name: "test", open: async () => "c1", async *ask() {} };
const right = { agents: { helper }, secret: "a secret of the tests of options" };

function refusal(options: object): { field: string | undefined; message: string } {
  try {
    new SessionMapper({ ...right, ...options } as MapperOptions);
  } catch (error) {
    if (error instanceof AparteError && error.code === "option-invalid") return error as never;
    throw error;
  }
  throw new Error("It was taken.");
}

describe("A mapper's options that have no sense", () => {
  const whole = "must be a whole number above 0";
  const hosts = 'must be a list of hosts, e.g. ["docs.example.com", "*.example.org"]';
  const backend = "must be a backend with name, open and ask";
  it.each([
    ["scope", { scope: "everybody" }, "must be a function or one of: user, user-everywhere"],
    ["scope", { scope: 7 }, "must be a function or one of"],
    ["overlap", { overlap: "drop" }, "must be one of: queue, merge, interrupt, reject"],
    ["recover", { recover: "never" }, 'must be "intent" or "always"'],
    ["encrypt", { encrypt: "yes" }, "must be true or false"],
    ["queueLimit", { queueLimit: 0 }, whole],
    ["queueLimit", { queueLimit: 1.5 }, whole],
    ["logger", { logger: { info() {} } }, "must have the functions info, warn and error"],
    ["logger", { logger: () => {} }, "must have the functions info, warn and error"],
    ["logger", { logger: "console" }, "must have the functions info, warn and error"],
    ["route", { route: "helper" }, "must be a function"],
    ["allow", { allow: ["helper"] }, "must be a function"],
    ["identify", { identify: true }, "must be a function"],
    ["title", { title: "Chat" }, "must be a function"],
    ["onError", { onError: "log" }, "must be a function"],
    ["linkHosts", { linkHosts: "example.com" }, hosts],
    ["linkHosts", { linkHosts: ["https://example.com"] }, hosts],
    ["freshAfter", { freshAfter: "soon" }, ""],
    ["retention", { retention: "90d" }, 'must be an object, e.g. { idle: "90d" }'],
    ["retention", { retention: null }, "must be an object"],
    ["retention.idle", { retention: { idle: "long" } }, ""],
    ["retention.idel", { retention: { idel: "90d" } }, "does not exist"],
    ["limits", { limits: 20 }, "must be an object, e.g. { person: 20 }"],
    ["limits", { limits: null }, "must be an object"],
    ["limits.persons", { limits: { persons: 20 } }, "does not exist"],
    ["limits.tenant", { limits: { tenant: 0 } }, "must be a whole number above 0: turns per minute"],
    ["limits.person", { limits: { person: "20" } }, "must be a whole number above 0"],
    ["storeTimeout", { storeTimeout: "5s" }, ""],
    ["leaseTime", { leaseTime: 0 }, ""],
    ["waitTimeout", { waitTimeout: -1 }, ""],
    ["turnTimeout", { turnTimeout: Number.NaN }, ""],
    ["undeliveredTime", { undeliveredTime: "1h" }, ""],
    ["texts.busy", { texts: { busy: 7 } }, "must be a text"],
    ["texts.bussy", { texts: { bussy: "Wait." } }, "does not exist"],
    ["locale", { locale: "english please" }, 'must be a language\'s tag, e.g. "en" or "zh-CN"'],
    ["locale", { locale: 7 }, "must be a language's tag"],
    ["agents", { agents: undefined }, "must be an object of backends by agent name"],
    ["agents", { agents: null }, "must be an object of backends by agent name"],
    ["agents", { agents: {} }, "must name at least one agent"],
    ["agents", { agents: { "": helper } }, "must not hold an agent without a name"],
    ["agents", { agents: { "\ud83d": helper } }, "must not hold a name with half a character"],
    ["agents.helper", { agents: { helper: null } }, backend],
    ["agents.helper", { agents: { helper: "coze" } }, backend],
    ["agents.helper", { agents: { helper: { ...helper, name: undefined } } }, backend],
    ["agents.helper", { agents: { helper: { ...helper, open: undefined } } }, backend],
    ["agents.helper", { agents: { helper: { ...helper, ask: undefined } } }, backend],
    ["defaultAgent", { agents: { 10: helper, 9: helper } }, 'is needed, since "9" looks like a number'],
    ["defaultAgent", { defaultAgent: "nobody" }, "must be one of the agents' names"],
    ["secret", { secret: undefined }, "must be a text, or a list of texts; set APARTE_SECRET"],
    ["secret", { secret: [right.secret, 7] }, "must be a text, or a list of texts"],
    [
      "secret",
      { secret: [right.secret, "short"] },
      "is too short: at least 16 characters. This makes a good",
    ],
    [
      "store",
      { store: "memory:" },
      "must be a Keyv, what openStore(url) returns (await it), or a Store of your own",
    ],
    ["store", { store: Promise.resolve() }, "must be a Keyv, what openStore(url) returns"],
    [
      "store",
      { store: { records: {}, commit: () => {} } },
      "lacks name, read, beat, bury, dead, listen, close",
    ],
    ["store", { store: { get: () => {}, set: () => {} } }, "must be a Keyv"],
    ["store", { store: null }, "must be a Keyv"],
    ["agent", { agent: helper }, "does not exist"],
  ])("are refused by name: %s of %j", (field, options, problem) => {
    const { field: named, message } = refusal(options);
    expect(named).toBe(field);
    expect(message).toContain(problem);
    expect(message).toMatch(/^Option "[\w.]+" .+\.$/s);
  });

  it("open no store", () => {
    let isAsked = false;
    const store = {
      get records() {
        isAsked = true;
        return {};
      },
      commit: () => {},
    };
    expect(refusal({ store, locale: "-" }).field).toBe("locale");
    expect(isAsked).toBe(false);
  });
});

describe("A mapper's options that are left out", () => {
  it("are what the README says", () => {
    const { agents, texts, clock, logger, store, onError, title, ...settings } = checkOptions(right);
    expect(settings).toEqual({
      ...{ defaultAgent: "helper", secrets: [right.secret], scope: "user", overlap: "queue" },
      ...{ queueLimit: 100, alwaysFind: false, freshAfter: Number.POSITIVE_INFINITY },
      ...{ storeTimeout: 5_000, leaseTime: 10_000, waitTimeout: 900_000, turnTimeout: 600_000 },
      undeliveredTime: 3_600_000,
    });
    expect([store.name, [...agents.keys()]]).toEqual(["memory", ["helper"]]);
    const files = [{ name: "plan.pdf", data: new Uint8Array() }];
    const titled = (message: object) => title?.(message as never);
    expect(titled({ text: " \n A trip \nto Rome" })).toBe("A trip");
    expect(titled({ text: " ", files })).toBe("plan.pdf");
    expect(titled({ text: "" })).toBeUndefined();
  });

  it("say who answers first: the default agent, then in the order in which they are written", () => {
    const others = { agents: { b: helper, a: helper, 7: helper }, defaultAgent: "a" };
    expect([...checkOptions({ ...right, ...others }).agents.keys()]).toEqual(["a", "7", "b"]);
    for (const name of ["agent7", "7up", "07", "7.0"]) {
      const agents = { first: helper, [name]: helper };
      expect([...checkOptions({ ...right, agents }).agents.keys()]).toEqual(["first", name]);
    }
    expect(checkOptions({ ...right, recover: "always" }).alwaysFind).toBe(true);
  });
});

describe("A store that is handed in", () => {
  it("may be a Keyv, also one of another copy of the package", () => {
    const keyv = new Keyv();
    const copy = new Proxy(keyv, { getPrototypeOf: () => Object.prototype });
    expect(copy).not.toBeInstanceOf(Keyv);
    for (const store of [keyv, copy]) {
      expect(checkOptions({ ...right, store }).store.name).toBe("keyv");
    }
  });
});
