import { type Backend, type Message, SessionMapper } from "aparte";
import { afterEach, describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function agent(name: string): Backend {
  return {
    name,
    open: async () => name,
    async *ask() {
      yield { type: "message", text: `${name} speaks` };
    },
  };
}

/** Guests may talk to the helper alone, nobody to nobody, staff to all. */
function mapperWith(options: Partial<ConstructorParameters<typeof SessionMapper>[0]> = {}): SessionMapper {
  const mapper = new SessionMapper({
    agents: { books: agent("books"), helper: agent("helper"), sales: agent("sales") },
    secret: crypto.randomUUID(),
    logger: { info() {}, warn() {}, error() {} },
    allow: async ({ user }) => ({ guest: ["helper", "unknown"], nobody: [] })[user],
    ...options,
  });
  closers.push(() => mapper.close());
  return mapper.use(commands(mapper));
}

let lastId = 0;
const says = (user: string, text: string, more: Partial<Message> = {}): Message => ({
  ...{ id: `m${++lastId}`, platform: "web", tenant: "acme", user, text },
  ...more,
});

describe("allow", () => {
  it("holds choices, routes and wishes to the agents that a person may talk to", async () => {
    const mapper = mapperWith();
    const guest = says("guest", "");
    const unknown = expect.objectContaining({ code: "agent-unknown", field: "agent" });
    expect(await mapper.agents(guest)).toEqual(["helper"]);
    expect(await mapper.handle(says("guest", "hello")).text()).toBe("helper speaks");
    await expect(mapper.handle(says("guest", "hello", { agent: "books" })).text()).rejects.toThrow(unknown);
    await expect(mapper.select(guest, "books")).rejects.toThrow(unknown);
    await expect(mapper.resolve(guest, "books")).rejects.toThrow(unknown);
    expect((await mapper.resolve(guest)).conversationId).toBe("helper");
    expect(await mapper.handle(says("guest", "!use books")).text()).toContain("no agent of that name");
    expect(await mapper.handle(says("guest", "!agents")).text()).toBe(
      "You talk to helper. There are: helper. Say: !use NAME",
    );
    const routed = mapperWith({ route: () => "sales" });
    await expect(routed.handle(says("guest", "hello")).text()).rejects.toThrow(unknown);
    await expect(mapper.handle(says("nobody", "hello")).text()).rejects.toThrow(unknown);
  });

  it("lets the default agent answer who may talk to it, and others the first of theirs", async () => {
    const mapper = mapperWith({ defaultAgent: "sales" });
    expect(await mapper.handle(says("staff", "hello")).text()).toBe("sales speaks");
    expect(await mapper.handle(says("guest", "hello")).text()).toBe("helper speaks");
    expect((await mapper.resolve(says("staff", ""))).conversationId).toBe("sales");
  });

  it("lets everybody else talk to all, and the first one answers", async () => {
    const mapper = mapperWith();
    expect(await mapper.handle(says("staff", "hello")).text()).toBe("books speaks");
    expect(await mapper.handle(says("staff", "!use sales")).text()).toBe("You talk to sales now.");
    expect(await mapper.handle(says("staff", "hello")).text()).toBe("sales speaks");
  });

  it("counts a choice for none that is no longer allowed", async () => {
    let names: string[] | undefined;
    const mapper = mapperWith({ allow: () => names });
    await mapper.select(says("ada", ""), "sales");
    expect(await mapper.handle(says("ada", "hello")).text()).toBe("sales speaks");
    names = ["helper"];
    expect(await mapper.handle(says("ada", "hello")).text()).toBe("helper speaks");
  });

  it("lets nobody through when it fails", async () => {
    const mapper = mapperWith({
      allow: () => {
        throw new Error("no directory");
      },
    });
    await expect(mapper.handle(says("ada", "hello")).text()).rejects.toMatchObject({ code: "hook-failed" });
    await expect(mapper.select(says("ada", ""), "sales")).rejects.toMatchObject({ code: "hook-failed" });
  });
});
