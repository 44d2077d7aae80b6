import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { receive } from "../../test/fakes/receive.ts";
import type { BotSettings } from "../bot.ts";
import type { ChatPost } from "../chat-adapter.ts";
import type { Said } from "../ledger.ts";
import { copies, maxDeliveries, type Platform, patienceMs, type Surroundings } from "./platform.ts";

export interface Chat extends Platform {
  readonly settings: BotSettings["chats"][number];
}

/** A small platform of the program's own. Without nonces nobody can find out whether a post was stored. */
export async function startChat(
  platform: string,
  hasNonces: boolean,
  { bots, ledger, random, outage }: Surroundings,
): Promise<Chat> {
  const nonces = new Map<string, string>();
  let count = 0;
  const store = ({ id, nonce }: ChatPost): string => {
    count += 1;
    const stored = id ?? nonces.get(nonce ?? "") ?? `p${count}`;
    if (nonce !== undefined) nonces.set(nonce, stored);
    return stored;
  };
  const server = createServer(async (request, response) => {
    const received = await receive(request);
    if (received === undefined) return;
    const failure = outage.next();
    const fail = () => {
      if (failure?.is === "reset") request.socket.destroy();
      else response.writeHead(failure?.is ?? 500).end();
    };
    if (failure?.isCarriedOut === false) return fail();
    const post = JSON.parse(received.toString()) as ChatPost;
    const isKnown = post.id === undefined && nonces.has(post.nonce ?? "");
    const id = store(post);
    if (!isKnown) {
      const bot = Number(request.headers["x-process"]);
      const { user: place, text, about } = post;
      ledger.shown({ platform, id, place, text, bot, isLost: failure !== undefined, about: [about] });
    }
    if (failure === undefined) response.end(id);
    else fail();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const messageOf = ({ person, text, word }: Said) => ({
    ...{ platform, tenant: "t", user: `u${person.number}`, id: word, text },
  });
  return {
    outage,
    settings: { platform, hasNonces, url: `http://127.0.0.1:${port}` },
    async say(said) {
      ledger.name(said, said.word);
      const message = messageOf(said);
      const order = random.shuffled([...Array(bots().count).keys()]);
      for (const bot of order.slice(1, copies(random))) {
        void sleep(random.pick([0, 0, 300, 5_000])).then(() => bots().deliver(bot, message, patienceMs));
      }
      for (let again = 0; again < maxDeliveries; again += 1) {
        const bot = order[again % order.length] ?? 0;
        if ((await bots().deliver(bot, message, patienceMs)) || said.acceptedAt !== undefined) return;
        await sleep(300);
      }
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
