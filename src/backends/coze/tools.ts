import type { AskCall, JsonValue } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { parsed } from "../http/json.ts";
import type { CozeSettings } from "./options.ts";
import type { CozeCall } from "./wire.ts";

/** Runs the tool. A failure is told to the agent, which can say it in its own words, and to the log. */
export async function outputOf(settings: CozeSettings, call: CozeCall, turn: AskCall): Promise<string> {
  const { tools, toolTimeout, logger } = settings;
  const tool = Object.hasOwn(tools, call.name) ? tools[call.name] : undefined;
  if (tool === undefined) {
    logger.warn("Coze: the agent asks for a tool that is not among the tools.", { tool: call.name });
    return JSON.stringify({ error: "There is no such tool." });
  }
  const deadline = new Deadline(turn.signal, toolTimeout);
  try {
    const { sessionName, agent, text, context = {} } = turn;
    const ended = new Promise<never>((_, reject) => {
      deadline.signal.addEventListener("abort", () => reject(deadline.signal.reason), { once: true });
    });
    const args = parsed(call.arguments) as JsonValue | undefined;
    const work = Promise.resolve(tool(args, { sessionName, agent, text, context, signal: deadline.signal }));
    const result = await Promise.race([work, ended]);
    return typeof result === "string" ? result : JSON.stringify(result ?? null);
  } catch (error) {
    if (turn.signal.aborted) throw error;
    const what = deadline.isOver ? "took too long" : "failed";
    logger.error(`Coze: a tool ${what}.`, {
      tool: call.name,
      error: error instanceof Error ? error.name : "unknown",
    });
    return JSON.stringify({ error: `The tool ${what}.` });
  } finally {
    deadline.end();
  }
}
