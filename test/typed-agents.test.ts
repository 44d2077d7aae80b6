import { type MapperOptions, SessionMapper } from "aparte";
import { expect, it } from "vitest";
import { secret, TestAgent } from "./support/bot.ts";
import { LogLines } from "./support/log-lines.ts";

const ann = { platform: "chat", user: "ann" };

/** An agent that answers with its own name. */
function named(name: string): TestAgent {
  return Object.assign(new TestAgent(), { reply: () => name });
}

function agents<Name extends string>(...names: Name[]): { [Each in Name]: TestAgent } {
  return Object.fromEntries(names.map((name) => [name, named(name)])) as { [Each in Name]: TestAgent };
}

it("Names of agents that do not exist do not compile, and are refused where they come all the same", async () => {
  await using mapper = new SessionMapper({
    agents: agents("helper", "sales"),
    secret,
    logger: new LogLines(),
    // @ts-expect-error: no agent of that name
    route: ({ text }) => (text === "buy" ? "slaes" : undefined),
  });
  const refused = { code: "agent-unknown" };
  // @ts-expect-error: no agent of that name
  await expect(mapper.select(ann, "helprr")).rejects.toMatchObject(refused);
  // @ts-expect-error: no agent of that name
  await expect(mapper.resolve(ann, "helprr")).rejects.toMatchObject(refused);
  // @ts-expect-error: no agent of that name
  await expect(mapper.reset(ann, "helprr")).rejects.toMatchObject(refused);
  // @ts-expect-error: no agent of that name
  await expect(mapper.rename(ann, "Title", "helprr")).rejects.toMatchObject(refused);
  // @ts-expect-error: no agent of that name
  await expect(mapper.inLane(ann, "helprr", () => 1)).rejects.toMatchObject(refused);
  // @ts-expect-error: no agent of that name
  const misspelt = mapper.handle({ ...ann, id: "1", text: "hello", agent: "helprr" });
  await expect(misspelt.text()).rejects.toMatchObject(refused);
  await expect(mapper.handle({ ...ann, id: "2", text: "buy" }).text()).rejects.toMatchObject(refused);
  mapper.use((turn, next) => {
    // @ts-expect-error: no agent of that name
    if (turn.text === "wrong") turn.agent = "helprr";
    turn.agent = turn.text === "sell" ? "sales" : turn.agent;
    return next();
  });
  await expect(mapper.handle({ ...ann, id: "3", text: "wrong" }).text()).rejects.toMatchObject(refused);
  expect(await mapper.handle({ ...ann, id: "4", text: "sell" }).text()).toBe("sales");
  await mapper.select(ann, "sales");
  expect(await mapper.handle({ ...ann, id: "5", text: "hello" }).text()).toBe("sales");
  // Of an agent that is no longer configured something may be kept.
  await expect(mapper.forget(ann, "gone")).rejects.toMatchObject(refused);
});

it("Agents whose names are known at run time only are of any name", async () => {
  const options: MapperOptions = { agents: agents<string>("helper"), secret, route: () => "helper" };
  await using mapper = new SessionMapper(options);
  const name: string = mapper.agentNames[0] ?? "";
  await mapper.select(ann, name);
  const typed = new SessionMapper({ agents: agents("helper"), secret });
  // What takes any mapper takes one whose agents are known.
  const any: SessionMapper = typed;
  expect(await any.agents(ann)).toEqual(["helper"]);
  await any.close();
});

it("The default agent answers where none was chosen, and is the first one unless another is named", async () => {
  const answers = async (options: Pick<MapperOptions, "agents" | "defaultAgent" | "allow" | "route">) => {
    await using mapper = new SessionMapper({ ...options, secret });
    return [await mapper.handle({ ...ann, id: "1", text: "hello" }).text(), ...mapper.agentNames];
  };
  const both = agents("helper", "sales");
  expect(await answers({ agents: both })).toEqual(["helper", "helper", "sales"]);
  expect(await answers({ agents: both, defaultAgent: "sales" })).toEqual(["sales", "sales", "helper"]);
  const others = { agents: agents("a", "b", "c"), defaultAgent: "c" };
  expect((await answers({ ...others, allow: () => ["b", "c"] }))[0]).toBe("c");
  expect((await answers({ ...others, allow: () => ["a", "b"] }))[0]).toBe("a");
  expect((await answers({ ...others, route: () => "b" }))[0]).toBe("b");
});

it("Names that look like numbers do not decide who answers", async () => {
  const wrong = { code: "option-invalid", field: "defaultAgent" };
  for (const number of ["0", "7", "4294967294"]) {
    const numbered = { agents: agents("helper", number), secret };
    expect(Object.keys(numbered.agents)[0]).toBe(number);
    expect(() => new SessionMapper(numbered)).toThrow(expect.objectContaining(wrong));
    await using mapper = new SessionMapper({ ...numbered, defaultAgent: "helper" });
    expect(mapper.agentNames).toEqual(["helper", number]);
    expect(await mapper.handle({ ...ann, id: "1", text: "hello" }).text()).toBe("helper");
  }
  for (const name of ["01", "-1", "1.5", "1a"]) {
    await using mapper = new SessionMapper({ agents: agents("helper", name), secret });
    expect(mapper.agentNames).toEqual(["helper", name]);
  }
  // @ts-expect-error: no agent of that name
  const unknown = () => new SessionMapper({ agents: agents("helper"), defaultAgent: "helprr", secret });
  expect(unknown).toThrow(expect.objectContaining(wrong));
  const inherited = { agents: agents<string>("helper"), defaultAgent: "toString", secret };
  expect(() => new SessionMapper(inherited)).toThrow(expect.objectContaining(wrong));
});
