import { expect, it } from "vitest";
import {
  asFields,
  asList,
  customVariablesOf,
  metaDataOf,
  nameOf,
  optionalFlag,
  optionalInteger,
  optionalText,
  readBody,
  requiredQuery,
  requiredText,
} from "../../../src/emulators/coze/fields.ts";
import { Refusal } from "../../../src/emulators/coze/protocol.ts";

const said = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [error.code, error.message];
  }
};

const post = (body: string, type = "application/json") =>
  new Request("http://x.example/", { method: "POST", body, headers: { "content-type": type } });

async function refusalOf(request: Request): Promise<unknown> {
  const error: unknown = await readBody(request).catch((reason: unknown) => reason);
  if (!(error instanceof Refusal)) throw error;
  return [error.code, error.status, error.message];
}

it("reads a body of JSON, and none at all as an empty one", async () => {
  expect(await readBody(post('{"a":1}'))).toEqual({ a: 1 });
  expect(await readBody(post('{"a":1}', "Application/JSON ; charset=utf-8"))).toEqual({ a: 1 });
  expect(await readBody(post(" \n", "text/plain"))).toEqual({});
});

it("refuses a body that is no object of JSON, or too long", async () => {
  const type = [4000, 200, "Content-Type must be application/json"];
  expect(await refusalOf(post("{}", "text/plain"))).toEqual(type);
  expect(await refusalOf(post("{}", "application/jsonp"))).toEqual(type);
  expect(await refusalOf(post("{}", "x-application/json"))).toEqual(type);
  expect(await refusalOf(post("{"))).toEqual([4000, 200, "The request body is not valid JSON"]);
  for (const body of ["[]", "null", '"a"', "7"]) {
    const message = "Invalid parameter request body: an object is expected";
    expect(await refusalOf(post(body))).toEqual([4000, 200, message]);
  }
  const megabytes = 15 * 1024 * 1024;
  const blank = (length: number) => ({ text: async () => " ".repeat(length) }) as Request;
  expect(await refusalOf(blank(megabytes + 1))).toEqual([4000, 413, "The request body exceeds 15 MB"]);
  expect(await readBody(blank(megabytes))).toEqual({});
});

it("takes a missing field and null for absent, and says which one is of another kind", () => {
  expect(asList(undefined, "l")).toEqual([]);
  expect(asList(null, "l")).toEqual([]);
  expect(asList([1], "l")).toEqual([1]);
  expect(said(() => asList({}, "l"))).toEqual([4000, "Invalid parameter l: an array is expected"]);
  expect(said(() => asFields([], "o"))).toEqual([4000, "Invalid parameter o: an object is expected"]);

  expect(optionalText({}, "t")).toBeUndefined();
  expect(optionalText({ t: null }, "t")).toBeUndefined();
  expect(optionalText({ t: "" }, "t")).toBe("");
  // An id that comes as a number has lost its last digits.
  expect(said(() => optionalText({ t: 7 }, "t"))).toEqual([
    4000,
    "Invalid parameter t: a string is expected",
  ]);
  expect(requiredText({ t: "a" }, "t")).toBe("a");
  for (const fields of [{}, { t: "" }, { t: null }])
    expect(said(() => requiredText(fields, "t"))).toEqual([4000, "The field t is required"]);

  const query = new URLSearchParams("a=1&b=");
  expect(requiredQuery(query, "a")).toBe("1");
  for (const name of ["b", "c"])
    expect(said(() => requiredQuery(query, name))).toEqual([4000, `The parameter ${name} is required`]);

  expect([optionalFlag({}, "f", true), optionalFlag({ f: null }, "f", false)]).toEqual([true, false]);
  expect([optionalFlag({ f: false }, "f", true), optionalFlag({ f: true }, "f", false)]).toEqual([
    false,
    true,
  ]);
  expect(said(() => optionalFlag({ f: 1 }, "f", true))).toEqual([
    4000,
    "Invalid parameter f: a boolean is expected",
  ]);
});

it("reads a whole number within its bounds, from a body and from a query", () => {
  const bounds = { min: 1, max: 50, otherwise: 20 };
  const read = (value: unknown) => said(() => optionalInteger(value, "n", bounds));
  expect([undefined, null, 1, 50, "1", "50"].map(read)).toEqual([20, 20, 1, 50, 1, 50]);
  for (const value of [0, 51, 1.5, "0", "51", "1.5", " 1", "x1", "1x", "", true, {}])
    expect([value, read(value)]).toEqual([value, [4000, "Invalid parameter n: an integer from 1 to 50"]]);
});

it("holds names, meta data and variables to the service's limits, counted as people count", () => {
  expect(nameOf("😀".repeat(100))).toBe("😀".repeat(100));
  expect(said(() => nameOf("😀".repeat(101)))).toEqual([
    4000,
    "Invalid parameter name: at most 100 characters",
  ]);

  const meta = (meta_data: unknown) => said(() => metaDataOf({ meta_data }));
  const pairs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
  expect([meta(undefined), meta(null), said(() => metaDataOf({}))]).toEqual([{}, {}, {}]);
  const widest = { ["😀".repeat(64)]: "😀".repeat(512), k: "v" };
  expect(meta(widest)).toEqual(widest);
  expect(meta(pairs(16))).toEqual(pairs(16));
  expect(meta(pairs(17))).toEqual([4003, "meta_data exceeds 16 pairs"]);
  for (const key of ["", "k".repeat(65)])
    expect(meta({ [key]: "v" })).toEqual([4003, "meta_data key: 1 to 64 characters"]);
  for (const value of ["", "v".repeat(513), 7, null])
    expect(meta({ k: value })).toEqual([4003, "meta_data value: a string of 1 to 512 characters"]);
  expect(meta([])).toEqual([4000, "Invalid parameter meta_data: an object is expected"]);

  const variables = (custom_variables: unknown) => said(() => customVariablesOf({ custom_variables }));
  expect([variables(undefined), variables({ user_Name: "" })]).toEqual([{}, { user_Name: "" }]);
  for (const wrong of [{ a1: "v" }, { "": "v" }, { "a b": "v" }, { a: 7 }]) {
    const message = "Invalid parameter custom_variables: texts by names of letters and _";
    expect(variables(wrong)).toEqual([4000, message]);
  }
  expect(variables("x")).toEqual([4000, "Invalid parameter custom_variables: an object is expected"]);
});
