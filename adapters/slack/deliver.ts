import { AparteError, type Delivery, ReplyText, silentNotices } from "aparte";
import type { ReplyAddress } from "./address.ts";
import { SlackApi } from "./api.ts";
import type { Clients } from "./clients.ts";
import { Posts } from "./posts.ts";
import { Status } from "./status.ts";
import { messageTexts } from "./text.ts";
import type { Workspace } from "./workspaces.ts";

export interface DeliverOptions {
  readonly clients: Clients;
  readonly workspace: Workspace;
  readonly address: ReplyAddress;
  readonly firstWait: number;
  readonly warn: (message: string, error: unknown) => void;
}

/** Shows a reply as it comes, and resolves when all of it is on Slack. */
export async function deliver(delivery: Delivery, options: DeliverOptions): Promise<void> {
  const { clients, workspace, address, firstWait, warn } = options;
  const text = new ReplyText();
  const api = new SlackApi(clients, address);
  const texts = (isPlain: boolean) => messageTexts(text.text, isPlain);
  const posts = new Posts({ api, workspace, delivery, firstWait, texts, warn });
  const status = new Status(api, delivery);
  let isSilent = false;
  try {
    for await (const event of delivery) {
      if (event.type === "notice" && silentNotices.has(event.code)) isSilent = true;
      text.add(event);
      if (text.text === "") status.doing(text.status);
      posts.changed();
    }
    // Nobody is left without a word.
    if (text.text === "" && !isSilent) text.fail(new AparteError("no-answer", "The agent said nothing."));
  } catch (error) {
    const isTaken = await delivery.taken.catch(() => false);
    if (isTaken || workspace.told.isFirst(`${address.channel}:${address.ts}`)) text.fail(error);
  }
  try {
    await posts.finish();
  } finally {
    await status.end();
  }
}
