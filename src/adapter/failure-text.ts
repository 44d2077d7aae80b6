import { asAparteError, inWords } from "../errors.ts";
import { describeError } from "../logger.ts";
import type { SessionMapper } from "../mapper.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { Texts } from "../texts/texts.ts";

/** What a person is told of a failure, in their language. Of a foreign error, no more than that something failed. */
export function failureText(error: unknown, texts: Texts): string {
  return inWords(asAparteError(error, "hook-failed", "A listener of the application failed."), texts).say;
}

/** Logs that something a person wanted failed, and returns what to tell them. */
export function failureOf(
  mapper: Pick<SessionMapper, "logger" | "texts">,
  speaker: Partial<Speaker>,
  error: unknown,
): string {
  const failure = asAparteError(error, "hook-failed", "A listener of the application failed.");
  mapper.logger.error("a command failed", describeError(failure));
  return failureText(failure, mapper.texts(speaker));
}
