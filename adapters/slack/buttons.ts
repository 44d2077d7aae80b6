import { oneLine, type Texts } from "aparte/adapter";
import type { SlackSettings } from "./options.ts";

/** A button that an answer may have. */
export type SlackButton = "stop" | "questions" | "new" | "feedback";

/** What the buttons' actions are called. */
export const actions = { stop: "aparte_stop", new: "aparte_new", feedback: "aparte_feedback" } as const;

/** Several of one kind in a block need names of their own. */
export const questionAction: RegExp = /^aparte_question_\d+$/;

/** Slack's bounds: buttons of a row, characters on a button and behind it. */
const rowLength = 25;
const labelLength = 75;
const valueLength = 2_000;

/** The longest name of an answer that a feedback button has room for, in characters. */
const nameLength = 1_900;

/** What stands below an answer that grows. */
export function draftBlocks(buttons: readonly SlackButton[], texts: Texts): object[] {
  return buttons.includes("stop") ? [row([button(actions.stop, texts("button-stop"), "stop")])] : [];
}

/**
 * What stands below a whole answer: its follow-up questions, and what can be done about it.
 * @param user the speaker's, who asked
 * @param answer its name at the agent's service. Feedback is asked for where somebody is to be told
 */
export function answerBlocks(
  { buttons, onFeedback }: Pick<SlackSettings, "buttons" | "onFeedback">,
  user: string,
  questions: readonly string[],
  answer: string | undefined,
  texts: Texts,
): object[] {
  const name = answer !== undefined && answer.length <= nameLength ? answer : undefined;
  const isRated = buttons.includes("feedback") && (name !== undefined || onFeedback !== undefined);
  const asked = questions.map((question, index) =>
    button(`aparte_question_${index}`, oneLine(question, labelLength), question),
  );
  return [
    ...(asked.length > 0 ? [row(asked)] : []),
    ...(buttons.includes("new") ? [row([button(actions.new, texts("button-new"), "new")])] : []),
    ...(isRated ? [feedback({ user, answer: name }, texts)] : []),
  ];
}

/** Whether all questions can be buttons; one that is cut would ask something else. */
export function fitButtons(buttons: readonly SlackButton[], questions: readonly string[]): boolean {
  return (
    buttons.includes("questions") &&
    questions.length <= rowLength &&
    questions.every(({ length }) => length > 0 && length <= valueLength)
  );
}

/** Whose answer it is that feedback is asked for. */
interface Rated {
  /** The speaker's user. */
  readonly user: string;
  /** The answer's name at its service, where that takes feedback. */
  readonly answer: string | undefined;
}

/** What somebody pressed below an answer; undefined for what is no feedback. */
export function readFeedback(value: unknown): ({ readonly isPositive: boolean } & Rated) | undefined {
  const [, verdict, user, answer] = /^(good|bad) (\S+)(?: (.+))?$/s.exec(String(value)) ?? [];
  return user === undefined ? undefined : { isPositive: verdict === "good", user, answer };
}

function feedback({ user, answer }: Rated, texts: Texts): object {
  const verdict = (text: string, value: string) => ({
    text: { type: "plain_text", text },
    value: [value, user, answer].filter((part) => part !== undefined).join(" "),
  });
  return {
    type: "context_actions",
    elements: [
      {
        type: "feedback_buttons",
        action_id: actions.feedback,
        positive_button: verdict(texts("button-good"), "good"),
        negative_button: verdict(texts("button-bad"), "bad"),
      },
    ],
  };
}

function row(elements: readonly object[]): object {
  return { type: "actions", elements };
}

function button(action_id: string, text: string, value: string): object {
  return { type: "button", action_id, text: { type: "plain_text", text }, value };
}
