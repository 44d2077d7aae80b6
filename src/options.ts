import { AparteError } from "./errors.ts";

/** An option is wrong: the error names it. */
export function optionInvalid(field: string, problem: string, cause?: unknown): AparteError {
  return new AparteError("option-invalid", `Option "${field}" ${problem}.`, { field, cause });
}

/**
 * Refuses option names that do not exist, so that a slip of the pen is found at start.
 * @param prefix stands before the name in the error's field, e.g. `"coze."`.
 */
export function refuseUnknown(options: object, known: readonly string[], prefix = ""): void {
  if (typeof options !== "object" || options === null) {
    throw optionInvalid(prefix === "" ? "options" : prefix.slice(0, -1), "must be an object");
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw optionInvalid(`${prefix}${name}`, `does not exist. There are: ${known.join(", ")}`);
    }
  }
}
