import type { App } from "@slack/bolt";
import { oneLine } from "aparte/adapter";

/** Slack shows no longer titles, in characters. */
const titleLength = 75;

export function promptOf(message: string): { readonly title: string; readonly message: string } {
  return { title: oneLine(message, titleLength), message };
}

/** Offers what to ask to somebody who opens the agent's messages, or a thread of the older Assistant container. */
export function offerPrompts(app: App, texts: readonly string[]): void {
  const prompts = texts.map(promptOf);
  app.event("app_home_opened", async ({ event, client }) => {
    if (event.tab !== "messages") return;
    await client
      .apiCall("assistant.threads.setSuggestedPrompts", { channel_id: event.channel, prompts })
      .catch(() => {}); // Answers need no prompts.
  });
  app.event("assistant_thread_started", async ({ event, client }) => {
    const { channel_id, thread_ts } = event.assistant_thread;
    await client.assistant.threads
      .setSuggestedPrompts({ channel_id, thread_ts, prompts: [...prompts] as never })
      .catch(() => {}); // Answers need no prompts.
  });
}
