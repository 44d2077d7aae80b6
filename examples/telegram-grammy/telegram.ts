// An adapter: what Telegram can do, and what its failures mean. All else is the kit's and the mapper's.
import { type Adapter, type DeliveryFailure, deliverPosts } from "aparte/adapter";
import { type Api, GrammyError } from "grammy";

/** Where a reply goes. It is kept with the message, so that another process can deliver it. */
export type TelegramPlace = { readonly chat: number; readonly thread?: number };

export function telegram(api: Api): Adapter<TelegramPlace> {
  return {
    platform: "telegram",
    deliver: ({ replyTo: { chat, thread } }, delivery) =>
      deliverPosts<number>(delivery, {
        maxLength: 4096,
        editInterval: 1500,
        post: async (text) => {
          const place = thread === undefined ? {} : { message_thread_id: thread };
          return (await api.sendMessage(chat, text, place)).message_id;
        },
        edit: async (id, text) => {
          await api.editMessageText(chat, id, text).catch((error) => {
            // An earlier process may have made this very edit.
            if (!String(error).includes("not modified")) throw error;
          });
        },
        remove: async (id) => void (await api.deleteMessage(chat, id)),
        failure,
      }),
    failure,
  };
}

/** Telegram says how long to wait, in seconds; other refusals of its own are final, and the network's pass. */
function failure(error: unknown): DeliveryFailure {
  if (!(error instanceof GrammyError)) return { passes: true };
  const { error_code: code, parameters } = error;
  const wait = parameters.retry_after;
  return {
    passes: code === 429 || code >= 500,
    ...(wait === undefined ? {} : { retryAfterMs: wait * 1000 }),
  };
}
