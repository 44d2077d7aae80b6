import { Agent, request } from "node:http";
import { type Adapter, ReplyText } from "aparte/adapter";

/** What the adapter sends to its platform: a new post, or another text of one. */
export interface ChatPost {
  readonly user: string;
  /** The message that is answered. */
  readonly about: string;
  readonly text: string;
  /** Of the post to change. */
  readonly id?: string;
  /** The platform answers a second post with the same nonce with the first one. */
  readonly nonce?: string;
}

export interface ChatOptions {
  readonly platform: string;
  readonly url: string;
  readonly hasNonces: boolean;
  readonly headers: { readonly [name: string]: string };
}

/**
 * The smallest adapter that shows a draft: one post with the first words, one edit with all of them. What fails is
 * thrown, for the core to try again.
 */
export function chatAdapter({ platform, url, hasNonces, headers }: ChatOptions): Adapter {
  const agent = new Agent({ keepAlive: true });

  const send = (post: ChatPost) =>
    new Promise<string>((resolve, reject) => {
      const sent = request(url, { method: "POST", agent, headers }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part) => {
          text += part;
        });
        answer.on("error", reject);
        answer.on("end", () => {
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`The platform answered ${answer.statusCode}.`));
        });
      });
      sent.setTimeout(10_000, () => sent.destroy(new Error("The platform did not answer.")));
      sent.on("error", reject);
      sent.end(JSON.stringify(post));
    });

  return {
    platform,
    async deliver({ id: about, user }, delivery) {
      const text = new ReplyText(delivery.texts);
      let id: string | undefined;
      /** Whether the first post may stand there: then its nonce brings it, and not what it shows now. */
      let mayStand = delivery.isRepeated;
      const show = async () => {
        if (text.text === "") return;
        if (typeof delivery.posts === "string") id ??= delivery.posts;
        if (id === undefined) {
          const isKnown = hasNonces && mayStand;
          mayStand = true;
          await delivery.permit();
          id = await send({ user, about, text: text.text, ...(hasNonces ? { nonce: about } : {}) });
          delivery.posted(id);
          // What is said in place of an answer does not cover one that another process gave.
          if (!isKnown || !(await delivery.taken.catch(() => false))) return;
        }
        await delivery.permit();
        await send({ user, about, text: text.text, id });
      };
      try {
        for await (const event of delivery) {
          text.add(event);
          // A draft that cannot be shown now is shown with the whole.
          if (id === undefined) await show().catch(() => {});
        }
      } catch (error) {
        text.fail(error);
      }
      await show();
    },
  };
}
