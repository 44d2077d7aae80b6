import { AparteError, type Message } from "aparte";
import { type Delivery, ReplyText, silentNotices } from "aparte/adapter";
import type { ReplyAddress } from "./address.ts";
import { SlackApi } from "./api.ts";
import { answerBlocks, draftBlocks, fitButtons } from "./buttons.ts";
import type { Clients } from "./clients.ts";
import { Images } from "./images.ts";
import type { SlackSettings } from "./options.ts";
import { Posts } from "./posts.ts";
import { Status } from "./status.ts";
import { messageTexts } from "./text.ts";
import type { Workspace } from "./workspaces.ts";

export interface DeliverOptions {
  readonly clients: Clients;
  readonly workspace: Workspace;
  readonly delivery: Delivery;
  readonly message: Message;
  readonly address: ReplyAddress;
  readonly settings: SlackSettings;
  readonly warn: (message: string, error: unknown) => void;
}

/** Shows a reply as it comes, and resolves when all of it is on Slack. */
export async function deliver(options: DeliverOptions): Promise<void> {
  const { clients, workspace, delivery, message, address, settings } = options;
  const { buttons } = settings;
  const text = new ReplyText(delivery.texts);
  const api = new SlackApi(clients, address, message.id);
  const images = new Images();
  const questions: string[] = [];
  let answer: string | undefined;
  let isOver = false;
  /** Plain posts have no blocks: there the questions stand among the words. */
  const texts = (isPlain: boolean) => {
    const listed = isPlain ? questions.map((question) => `\n- ${question}`).join("") : "";
    const isBare = isOver && text.text === "";
    const asked =
      questions.length > 0 && (isPlain || isBare) ? [`${delivery.texts("you-could-ask")}${listed}`] : [];
    const parts = [text.text, ...images.words(isPlain, isBare), ...asked];
    return messageTexts(parts.filter((part) => part !== "").join("\n\n"), isPlain);
  };
  const below = (isWhole: boolean) =>
    isWhole
      ? [...images.blocks, ...answerBlocks(settings, message.user, questions, answer, delivery.texts)]
      : draftBlocks(buttons, delivery.texts);
  const posts = new Posts({ ...options, api, texts, below, dropImages: () => images.drop() });
  const status = new Status(api, options);
  let isSilent = false;
  try {
    for await (const event of delivery) {
      if (event.type === "notice" && silentNotices.has(event.code)) isSilent = true;
      if (event.type === "suggestions" && fitButtons(buttons, [...questions, ...event.items]))
        questions.push(...event.items);
      else if (!images.add(event)) text.add(event);
      // What feedback is given on.
      if (event.type === "message") answer = event.id;
      if (text.text === "") status.doing(text.status);
      posts.changed();
    }
    // Nobody is left without a word.
    if (text.text === "" && questions.length === 0 && images.size === 0 && !isSilent)
      text.fail(new AparteError("no-answer", "The agent said nothing.", { texts: delivery.texts }));
  } catch (error) {
    // A mention that is not taken comes twice, as two events of one message: of one of them the person is told.
    const isTaken = await delivery.taken.catch(() => false);
    if (isTaken || workspace.told.isFirst(message.id)) text.fail(error);
  }
  isOver = true;
  try {
    await posts.finish();
  } finally {
    await status.end();
  }
}
