import { setTimeout as sleep } from "node:timers/promises";
import { type Person as DiscordPerson, DiscordServer } from "../../test/fakes/discord-server.ts";
import type { BotSettings } from "../bot.ts";
import type { Person } from "../ledger.ts";
import { copies, type Platform, patienceMs, type Surroundings } from "./platform.ts";

export interface Discord extends Platform {
  readonly settings: BotSettings["discord"];
}

/**
 * Discord: each process has a gateway session of its own and gets all events. Nobody tells the platform that a
 * message was received, so the bots themselves are asked.
 */
export async function startDiscord({ bots, ledger, random, outage }: Surroundings): Promise<Discord> {
  const server = await DiscordServer.start();
  server.faultOf = ({ method, path }) => {
    if (!path.startsWith("/channels/")) return undefined;
    const failure = outage.next();
    if (failure === undefined) return undefined;
    const { is, isCarriedOut: after } = failure;
    return { method, path: /./, after, ...(is === "reset" ? { drop: true } : { status: is }) };
  };
  server.onCall = ({ method, path, process, status = 0 }, message) => {
    server.calls.length = 0; // It need not be remembered here.
    const id = /\/messages\/(\d+)$/.exec(path)?.[1];
    if (method === "DELETE" && id !== undefined && !server.messages.has(id)) ledger.deleted("discord", id);
    if (message === undefined || method === "GET") return;
    const { channel_id, content, nonce, message_reference } = message;
    const marked = /\d{15,}/.exec(nonce ?? "")?.[0];
    const about = [message_reference?.message_id, marked].filter((name) => name !== undefined);
    const isLost = status < 200 || status >= 300;
    const shown = { id: message.id, place: channel_id, text: content, bot: Number(process) };
    ledger.shown({ platform: "discord", ...shown, isLost, about });
  };
  const people = new Map<Person, DiscordPerson>();
  return {
    outage,
    settings: { token: server.bot.token, api: server.rest.api, version: server.rest.version },
    async say(said) {
      const { person, text } = said;
      const author = people.get(person) ?? server.person(`person-${person.number}`);
      people.set(person, author);
      // Named before the first process can have heard of it: events are sent at the end of this turn of the loop.
      const id = person.isDirect
        ? server.sayDirectly(author, text)
        : server.say(author, `<@${server.bot.id}> ${text}`);
      ledger.name(said, id);
      const heard = bots().heardOf(id, patienceMs);
      void (async () => {
        for (let again = copies(random); again > 1; again -= 1) {
          await sleep(random.pick([0, 300, 5_000]));
          server.redeliver(id);
        }
      })();
      // A process that could not take it may be the first to say so.
      if (!(await heard)) await bots().heardOf(id, patienceMs);
    },
    close: () => server.close(),
  };
}
