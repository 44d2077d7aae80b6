/** What Slack refuses a call for, as its reference has it: arguments that are missing, blocks that are none of its own. */

/** Methods that the adapter calls, with what Slack wants of each. */
const required: Readonly<Record<string, readonly string[]>> = {
  "chat.postMessage": ["channel", "text"],
  "chat.update": ["channel", "ts", "text"],
  "chat.delete": ["channel", "ts"],
  "chat.postEphemeral": ["channel", "user", "text"],
  "chat.startStream": ["channel", "thread_ts"],
  "chat.appendStream": ["channel", "ts", "markdown_text"],
  "chat.stopStream": ["channel", "ts"],
  "conversations.replies": ["channel", "ts"],
  "conversations.history": ["channel"],
  "conversations.info": ["channel"],
  "users.info": ["user"],
  "files.info": ["file"],
  "assistant.threads.setStatus": ["channel_id", "thread_ts", "status"],
  "assistant.threads.setSuggestedPrompts": ["channel_id", "prompts"],
  "agents.sessions.setStatus": ["channel_id", "thread_ts", "status", "initiator_user_id", "title"],
  "agents.sessions.rename": ["channel_id", "thread_ts", "title"],
};

/** The first argument that a call lacks. */
export function missingArgument(method: string, body: object): string | undefined {
  const given = body as Readonly<Record<string, unknown>>;
  return (required[method] ?? []).find((name) => given[name] === undefined);
}

/** What is wrong with the blocks of a message; undefined where Slack takes them. */
export function wrongBlock(blocks: readonly unknown[]): string | undefined {
  if (blocks.length > 50) return "more than 50 blocks";
  const ids = new Set<unknown>();
  for (const block of blocks as readonly Part[]) {
    const { type, text, image_url, alt_text, elements = [] } = block;
    if (type === "markdown") {
      if (typeof text !== "string" || text === "") return "a markdown block without text";
      continue;
    }
    if (type === "image") {
      if (!isText(image_url, 3_000)) return `the image_url ${image_url}`;
      if (!isText(alt_text, 2_000)) return `the alt_text ${alt_text}`;
      continue;
    }
    if (type !== "actions" && type !== "context_actions") return `a block of type ${type}`;
    const most = type === "actions" ? 25 : 5;
    if (elements.length === 0 || elements.length > most) return `${elements.length} elements in ${type}`;
    for (const element of elements) {
      const wrong = type === "actions" ? wrongButton(element) : wrongFeedback(element);
      if (wrong !== undefined) return wrong;
      const { action_id } = element;
      if (typeof action_id !== "string" || action_id.length > 255 || ids.has(action_id)) {
        return `the action_id ${action_id}`;
      }
      ids.add(action_id);
    }
  }
  return undefined;
}

function isText(value: unknown, most: number): boolean {
  return typeof value === "string" && value !== "" && value.length <= most;
}

interface Part {
  readonly type?: unknown;
  readonly text?: unknown;
  readonly image_url?: unknown;
  readonly alt_text?: unknown;
  readonly value?: unknown;
  readonly action_id?: unknown;
  readonly elements?: readonly Part[];
  readonly positive_button?: Part;
  readonly negative_button?: Part;
}

function wrongButton({ type, text, value }: Part): string | undefined {
  if (type !== "button") return `an action of type ${type}`;
  return wrongLabel(text, value);
}

function wrongFeedback({ type, positive_button, negative_button }: Part): string | undefined {
  if (type !== "feedback_buttons") return `a context action of type ${type}`;
  for (const { text, value } of [positive_button ?? {}, negative_button ?? {}]) {
    const wrong = wrongLabel(text, value);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function wrongLabel(text: unknown, value: unknown): string | undefined {
  const { type, text: words } = (text ?? {}) as Part;
  if (type !== "plain_text") return `a label of type ${type}`;
  if (!isText(words, 75)) return `the label ${words}`;
  if (!isText(value, 2_000)) return `the value ${value}`;
  return undefined;
}
