import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Stryker has no public way to add a mutator: its list, which it reads anew for each file, is reached by its path.
const instrumenter = createRequire(import.meta.url).resolve("@stryker-mutator/instrumenter");
const { allMutators } = await import(new URL("mutators/mutate.js", pathToFileURL(instrumenter)).href);

/** Seconds read as milliseconds, or a count that is off by one. */
const numberLiteral = {
  name: "NumericLiteral",
  *mutate(path) {
    if (!path.isNumericLiteral() || path.key === "key") return;
    const { value } = path.node;
    yield { type: "NumericLiteral", value: value >= 1_000 ? value / 1_000 : value + 1 };
    if (value > 0 && value < 1_000) yield { type: "NumericLiteral", value: value - 1 };
  },
};

/** A call or an assignment that was forgotten. */
const statementRemoval = {
  name: "StatementRemoval",
  *mutate(path) {
    if (!path.isExpressionStatement()) return;
    if (path.get("expression").isCallExpression() && path.get("expression.callee").isSuper()) return;
    yield { type: "EmptyStatement" };
  },
};

/** A header, a field or an option that was forgotten. The only property of an object is Stryker's `ObjectLiteral`. */
const propertyRemoval = {
  name: "PropertyRemoval",
  *mutate(path) {
    if (!path.isObjectExpression()) return;
    const { properties } = path.node;
    if (properties.length < 2) return;
    for (const one of properties) {
      yield { ...path.node, properties: properties.filter((other) => other !== one) };
    }
  },
};

/** Something that is not waited for. */
const awaitRemoval = {
  name: "AwaitRemoval",
  *mutate(path) {
    if (path.isAwaitExpression()) yield path.node.argument;
  },
};

allMutators.push(numberLiteral, statementRemoval, propertyRemoval, awaitRemoval);

/** All kinds of faults, Stryker's and these: each has `mutate(path)`, which yields the faulty nodes for one node. */
export { allMutators as faults };
