import { setImmediate } from "node:timers/promises";
import { AparteError, type SessionMapper } from "aparte";
import {
  type Adapter,
  describeError,
  optionInvalid,
  type PersonSession,
  personSession,
} from "aparte/adapter";
import type { Client, Message as DiscordMessage, Interaction } from "discord.js";
import { addressOf, replyAddress } from "./address.ts";
import { DiscordApi } from "./api.ts";
import { Channels } from "./channels.ts";
import { allCommands, register } from "./commands.ts";
import { deliver } from "./deliver.ts";
import { withEvent } from "./event.ts";
import { codeOf, isForbidden, readFailure } from "./failures.ts";
import { AttachmentFiles } from "./files.ts";
import { checkClient } from "./intents.ts";
import { Interactions, speakerOf } from "./interactions.ts";
import { inviteLink } from "./invite.ts";
import { inThread, isToAnswer, platform, readMessage, rereadMessage } from "./message.ts";
import { missedMessages } from "./missed.ts";
import { checkOptions, type DiscordOptions } from "./options.ts";
import { tellMissing } from "./permissions.ts";
import { isUnreadable } from "./words.ts";

export type { DiscordCommand } from "./commands.ts";
export { eventOf } from "./event.ts";
export type { DiscordFeedback, DiscordOptions } from "./options.ts";

/** Answers people on Discord. */
export interface DiscordAdapter extends Required<Adapter> {
  readonly platform: "discord";
  /**
   * Listens to a discord.js client, before or after its login. It needs the intents Guilds, GuildMessages and
   * DirectMessages and the partial Channel; also MessageContent where `respond` is `"all"`. End it in this
   * order: `await mapper.close()`, then `client.destroy()`.
   * @throws {AparteError} `option-invalid` when an intent or partial is missing, or a client is attached already.
   */
  attach(client: Client): void;
  /**
   * The session of the person who sent a message or used a command, for listeners of your own. What is asked for here
   * before your listener first waits is yours with `answer: "unheard"`.
   */
  session(event: DiscordMessage | Interaction): Promise<PersonSession>;
}

/** How old a message may be that is answered because it was edited, in milliseconds. */
const editableMs = 3_600_000;

/** What an attached client lends. */
interface Attached {
  readonly client: Client;
  readonly api: DiscordApi;
  readonly channels: Channels;
  readonly files: AttachmentFiles;
}

/**
 * Hands the messages that people send to a bot on Discord to the mapper, and shows the replies as they come.
 *
 * A speaker's tenant is the guild's id, in direct messages `"dm"`. Its channel is the channel's id, and in a thread
 * that of the channel in which the thread is; its thread is the thread's own id.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function discord(mapper: SessionMapper, options: DiscordOptions = {}): DiscordAdapter {
  const settings = checkOptions(options);
  let attached: Attached | undefined;
  const client = (): Attached => {
    if (attached !== undefined) return attached;
    throw optionInvalid("client", "is missing: call attach(client) first");
  };
  const claimed = new WeakSet<object>();
  const isClaimed = async (event: object) => {
    // All listeners of the event have begun by then.
    await setImmediate();
    return claimed.has(event);
  };
  const adapter: DiscordAdapter = {
    platform,
    async session(event) {
      claimed.add(event);
      if (!("author" in event)) {
        const speaker = await speakerOf(event, settings, false);
        return personSession(mapper, speaker, { id: event.id, text: "" });
      }
      const message = await readMessage(event, settings, client().files);
      const { id, text, files = [], replyTo: _, ...speaker } = message;
      return personSession(mapper, speaker, { id, text, files });
    },
    get bot() {
      return client().client.user?.id ?? "";
    },
    attach(discordClient) {
      if (attached !== undefined)
        throw optionInvalid("client", "is set already: one adapter serves one client");
      const intents = checkClient(discordClient, settings, mapper.logger);
      const api = new DiscordApi(discordClient.rest, settings);
      const files = new AttachmentFiles(api, settings);
      attached = {
        client: discordClient,
        api,
        files,
        channels: new Channels((channelId) => api.type(channelId), settings.editInterval),
      };
      // Connecting may bring in turns whose process died: they can be answered only once the client has logged in.
      const connect = () => {
        try {
          mapper.connect(adapter);
        } catch (error) {
          mapper.logger.error("two clients of one bot: answers go by the first", describeError(error));
        }
      };
      if (discordClient.isReady()) connect();
      else discordClient.once("shardReady", connect);
      const take = async (event: DiscordMessage) => {
        if (!isToAnswer(event, settings)) return;
        if (settings.answer === "unheard" && (await isClaimed(event))) return;
        if (isUnreadable(event))
          return api.tell(event, mapper.texts({ platform, user: event.author.id })("words-unreadable"));
        const message = await readMessage(event, settings, files);
        const isBareMention = message.text === "" && message.files?.length === 0;
        if (isBareMention) return api.tell(event, mapper.texts(message)("bare-mention"));
        // A next process knows the channels of guilds from its start, and those of direct messages not.
        const comesAgain = settings.lookBack > 0 && event.inGuild();
        const placed = withEvent(await inThread(event, message, api, settings), event);
        await mapper.receive(placed, { comesAgain }).catch(() => {}); // Told through `deliver`, and logged.
      };
      /** The mapper logs what fails once it has the message; what fails before that is logged here. */
      const attempt = (problem: string, work: Promise<void>) =>
        work.catch((error: unknown) => {
          if (!(error instanceof AparteError))
            mapper.logger.error(problem, { code: codeOf(error), ...describeError(error) });
        });
      const tellSetup = ({ application }: Client<true>) =>
        mapper.logger.info("people add the bot to their guild by this link", {
          link: inviteLink(application.id, settings.openThreads),
          intents,
        });
      const unread = "a message could not be read";
      const lookBack = async (shardId: number) => {
        const ready = discordClient as Client<true>;
        for await (const event of missedMessages(ready, shardId, settings.lookBack))
          await attempt(unread, take(event));
      };
      const whenReady = (run: (ready: Client<true>) => void) => {
        if (discordClient.isReady()) run(discordClient);
        else discordClient.once("clientReady", run);
      };
      whenReady(tellSetup);
      if (settings.answer === "none") return;
      const interactions = new Interactions(mapper, settings, files);
      const { commands } = settings;
      if (commands !== false || settings.buttons.length > 0) {
        discordClient.on("interactionCreate", (event) =>
          attempt("a command could not be answered", interactions.take(event)),
        );
      }
      if (commands !== false) {
        const all = allCommands(mapper);
        const wanted = typeof commands === "function" ? commands(all) : all;
        whenReady(({ application }) =>
          register(application, wanted).catch((error: unknown) =>
            mapper.logger.error("the commands could not be registered", { error: String(error) }),
          ),
        );
      }
      if (settings.lookBack > 0) {
        discordClient.on("shardReady", (id) => attempt("missed messages could not be read", lookBack(id)));
      }
      discordClient.on("messageCreate", (event) => attempt(unread, take(event)));
      // A mention may come with an edit. What was answered before is known to the mapper, for a day.
      discordClient.on("messageUpdate", (_, event) => {
        const isEdit = event.editedTimestamp !== null && Date.now() - event.createdTimestamp < editableMs;
        if (isEdit) void attempt(unread, take(event));
      });
    },
    deliver: async (message, delivery) => {
      const { client: discordClient, api, channels } = client();
      const address = replyAddress(message);
      try {
        const people = { botId: discordClient.user?.id ?? "", userId: message.user };
        await deliver({ api, channels, address, delivery, settings, ...people });
      } catch (error) {
        if (isForbidden(error))
          await tellMissing(discordClient, api, message, { logger: mapper.logger, texts: delivery.texts });
        throw error;
      }
    },
    address: addressOf,
    failure: readFailure,
    reread: async (message) => {
      const { client: discordClient, files } = client();
      return rereadMessage(discordClient, message, files);
    },
    loadFile: async (ref, signal) => client().files.load(ref, signal),
  };
  return adapter;
}
