import { asAparteError, inWords } from "../errors.ts";
import type { Texts } from "../texts/texts.ts";

/** What a person is told of a failure, in their language. Of a foreign error, no more than that something failed. */
export function failureText(error: unknown, texts: Texts): string {
  return inWords(asAparteError(error, "hook-failed", "A listener of the application failed."), texts).say;
}
