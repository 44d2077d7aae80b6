import { type Delivery, ReplyText } from "aparte";
import type { ReplyAddress } from "./address.ts";
import { SlackApi } from "./api.ts";
import { Posts } from "./posts.ts";
import { Status } from "./status.ts";
import { messageTexts } from "./text.ts";
import type { Workspaces } from "./workspaces.ts";

/** Shows a reply as it comes, and resolves when all of it is on Slack. */
export async function deliver(
  workspaces: Workspaces,
  address: ReplyAddress,
  delivery: Delivery,
): Promise<void> {
  const text = new ReplyText();
  const workspace = workspaces.get(address.workspace);
  const api = new SlackApi(await workspaces.client(address.workspace), address, workspace);
  const texts = () => messageTexts(text.text);
  const posts = new Posts({ api, workspace, thread: address.thread, delivery, texts });
  const status = new Status(api, delivery);
  try {
    for await (const event of delivery) {
      text.add(event);
      if (text.text === "") status.doing(text.status);
      posts.changed();
    }
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
