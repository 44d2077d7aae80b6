import type { Texts } from "aparte/adapter";

/** A row of buttons, as Discord takes it. */
export type ButtonRow = object;

/** The longest label of a button, in characters, and how many buttons a row has at most. */
const labelLength = 80;
const rowLength = 5;

const style = { primary: 1, secondary: 2, danger: 4 };

/** What a button does, for whom. */
export interface Press {
  readonly action: "stop" | "new" | "ask";
  /** The person whose answer it stands below: nobody else may press it. */
  readonly userId: string;
}

export function stopRow(userId: string, texts: Texts): ButtonRow {
  return row([button("stop", userId, texts("button-stop"), style.danger)]);
}

/** Follow-up questions, and a new conversation. */
export function doneRows(userId: string, questions: readonly string[], texts: Texts): ButtonRow[] {
  const asked = questions
    .slice(0, rowLength)
    .map((question, index) => button("ask", userId, question, style.primary, index));
  const further = row([button("new", userId, texts("button-new"), style.secondary)]);
  return asked.length === 0 ? [further] : [row(asked), further];
}

/** Whether all questions can be buttons; a label that is cut would ask something else. */
export function fitButtons(questions: readonly string[]): boolean {
  return (
    questions.length <= rowLength && questions.every(({ length }) => length > 0 && length <= labelLength)
  );
}

/** Undefined for a button that is not the adapter's. */
export function readPress(customId: string): Press | undefined {
  const [, action, userId = ""] = /^aparte:(stop|new|ask):(\d+)(?::\d)?$/.exec(customId) ?? [];
  return action === undefined ? undefined : { action: action as Press["action"], userId };
}

function row(components: readonly object[]): ButtonRow {
  return { type: 1, components };
}

function button(
  action: Press["action"],
  userId: string,
  label: string,
  kind: number,
  index?: number,
): object {
  const custom_id = `aparte:${action}:${userId}${index === undefined ? "" : `:${index}`}`;
  return { type: 2, style: kind, label, custom_id };
}
