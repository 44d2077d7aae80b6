import type { Texts } from "aparte/adapter";
import type { DiscordSettings } from "./options.ts";

/** The buttons that an answer may have. */
export type Button = "stop" | "questions" | "new" | "feedback";

/** A row of buttons, as Discord takes it. */
export type ButtonRow = object;

/** The longest label of a button, in characters, and how many buttons a row has at most. */
const labelLength = 80;
const rowLength = 5;

/** The longest name of an answer that a button's id has room for, in characters. */
const nameLength = 60;

const style = { primary: 1, secondary: 2, danger: 4 };

/** What a button does, for whom. */
export interface Press {
  readonly action: "stop" | "new" | "ask" | "good" | "bad";
  /** The person whose answer it stands below: nobody else may press it. */
  readonly userId: string;
  /** Of feedback: the answer's name at its service, where that takes any. */
  readonly answer?: string;
}

/** What stands below an answer that grows. */
export function draftRows(buttons: readonly Button[], userId: string, texts: Texts): ButtonRow[] {
  return rows([buttons.includes("stop") ? [button("stop", userId, texts("button-stop"), style.danger)] : []]);
}

/**
 * What stands below a whole answer: its follow-up questions, and what can be done about it.
 * @param answer its name at the agent's service. Feedback is asked for where somebody is to be told
 */
export function answerRows(
  { buttons, onFeedback }: Pick<DiscordSettings, "buttons" | "onFeedback">,
  userId: string,
  questions: readonly string[],
  answer: string | undefined,
  texts: Texts,
): ButtonRow[] {
  const name = answer !== undefined && answer.length <= nameLength ? answer : undefined;
  const isRated = buttons.includes("feedback") && (name !== undefined || onFeedback !== undefined);
  const asked = questions.map((question, index) => button("ask", userId, question, style.primary, index));
  const further = [
    ...(buttons.includes("new") ? [button("new", userId, texts("button-new"), style.secondary)] : []),
    ...(isRated
      ? [
          button("good", userId, texts("button-good"), style.secondary, name),
          button("bad", userId, texts("button-bad"), style.secondary, name),
        ]
      : []),
  ];
  return rows([asked, further]);
}

/** Whether all questions can be buttons; a label that is cut would ask something else. */
export function fitButtons(buttons: readonly Button[], questions: readonly string[]): boolean {
  return (
    buttons.includes("questions") &&
    questions.length <= rowLength &&
    questions.every(({ length }) => length > 0 && length <= labelLength)
  );
}

/** Undefined for a button that is not the adapter's. */
export function readPress(customId: string): Press | undefined {
  const [, action, userId = "", name] =
    /^aparte:(stop|new|ask|good|bad):(\d+)(?::(.+))?$/s.exec(customId) ?? [];
  if (action === undefined) return undefined;
  const isNamed = name !== undefined && action !== "ask";
  return { action: action as Press["action"], userId, ...(isNamed ? { answer: name } : {}) };
}

function rows(all: readonly (readonly object[])[]): ButtonRow[] {
  return all.filter(({ length }) => length > 0).map((components) => ({ type: 1, components }));
}

function button(
  action: Press["action"],
  userId: string,
  label: string,
  kind: number,
  name?: string | number,
): object {
  const custom_id = `aparte:${action}:${userId}${name === undefined ? "" : `:${name}`}`;
  return { type: 2, style: kind, label, custom_id };
}
