import { setTimeout as pause } from "node:timers/promises";
import type { FileInput, SessionMapper, Speaker } from "aparte";
import { failureOf, type Texts } from "aparte/adapter";
import type {
  AutocompleteInteraction,
  ButtonInteraction,
  ChatInputCommandInteraction,
  Interaction,
  MessageContextMenuCommandInteraction,
  RepliableInteraction,
} from "discord.js";
import { readPress } from "./buttons.ts";
import { aboutThis } from "./commands.ts";
import { withEvent } from "./event.ts";
import type { AttachmentFiles } from "./files.ts";
import { platform } from "./message.ts";
import type { DiscordSettings } from "./options.ts";
import { directTenant, guildTenant, placeIn } from "./place.ts";
import { quoteOf } from "./words.ts";

/** MessageFlags.Ephemeral: only the person sees it. */
const ephemeral = "Ephemeral";
/** InteractionContextType.BotDM. */
const botDirect = 1;
/** How long Discord waits for the first response, in milliseconds. */
const firstResponseMs = 3_000;
/** The most choices that Discord shows. */
const maxChoices = 25;

/** Answers the commands and buttons of the adapter; those of others are left alone. */
export class Interactions {
  readonly #mapper: SessionMapper;
  readonly #settings: DiscordSettings;
  readonly #files: AttachmentFiles;
  readonly #acknowledging = new Set<Promise<unknown>>();

  constructor(mapper: SessionMapper, settings: DiscordSettings, files: AttachmentFiles) {
    this.#mapper = mapper;
    this.#settings = settings;
    this.#files = files;
  }

  async take(interaction: Interaction): Promise<void> {
    if (interaction.isAutocomplete()) await this.#complete(interaction);
    else if (interaction.isChatInputCommand()) await this.#command(interaction);
    else if (interaction.isMessageContextMenuCommand()) await this.#askAbout(interaction);
    else if (interaction.isButton()) await this.#press(interaction);
  }

  #texts({ user, locale }: Interaction): Texts {
    return this.#mapper.texts({ platform, user: user.id, locale });
  }

  async #complete(interaction: AutocompleteInteraction): Promise<void> {
    if (interaction.commandName !== "agent") return;
    const begun = interaction.options.getFocused().toLowerCase();
    const speaker = await speakerOf(interaction, this.#settings, false);
    const fitting = (await this.#mapper.agents(speaker)).filter((agent) =>
      agent.toLowerCase().includes(begun),
    );
    await interaction.respond(fitting.slice(0, maxChoices).map((name) => ({ name, value: name })));
  }

  async #command(interaction: ChatInputCommandInteraction): Promise<void> {
    const { options } = interaction;
    const mapper = this.#mapper;
    const texts = this.#texts(interaction);
    switch (interaction.commandName) {
      case "ask":
        return this.#ask(
          interaction,
          options.getString("question", true),
          [],
          options.getBoolean("private") === true,
        );
      case "new":
        return this.#operate(interaction, texts("begun-anew"), (speaker) => mapper.reset(speaker));
      case "title": {
        const title = options.getString("title", true);
        return this.#operate(interaction, texts("conversation-named"), (speaker) =>
          mapper.rename(speaker, title),
        );
      }
      case "agent": {
        const agent = options.getString("agent", true);
        return this.#operate(interaction, texts("agent-chosen", { agent }), (speaker) =>
          mapper.select(speaker, agent),
        );
      }
      case "forget": {
        let isAllErased = true;
        const forget = async (speaker: Speaker) => {
          const { conversations } = await mapper.forget(speaker);
          isAllErased &&= Object.values(conversations).every((outcome) => outcome === "erased");
        };
        return this.#operate(interaction, () => texts(isAllErased ? "erased" : "erased-here"), forget);
      }
      case "privacy":
        return answer(interaction, texts("privacy"));
      case "stop":
        return this.#tell(interaction, async () =>
          texts((await this.#stop(interaction)) ? "stopped" : "nothing-runs"),
        );
    }
  }

  async #askAbout(interaction: MessageContextMenuCommandInteraction): Promise<void> {
    if (interaction.commandName !== aboutThis(this.#mapper)) return;
    const { targetMessage } = interaction;
    const text = quoteOf(targetMessage);
    const files = this.#files.of(targetMessage);
    if (text === "" && files.length === 0)
      return answer(interaction, this.#texts(interaction)("nothing-to-read"));
    await this.#ask(interaction, text, files, true);
  }

  async #press(interaction: ButtonInteraction): Promise<void> {
    const press = readPress(interaction.customId);
    if (press === undefined) return;
    const { user, channelId, component, message } = interaction;
    const texts = this.#texts(interaction);
    if (press.userId !== user.id) return answer(interaction, texts("not-yours"));
    const isPrivate = message.flags.has(ephemeral);
    switch (press.action) {
      case "new":
        return this.#operate(interaction, texts("begun-anew"), (speaker) => this.#mapper.reset(speaker));
      case "ask":
        return this.#ask(interaction, "label" in component ? (component.label ?? "") : "", [], isPrivate);
      case "stop": {
        // That it was stopped stands below the answer.
        const stop = async () => ((await this.#stop(interaction)) ? undefined : texts("nothing-runs"));
        return this.#tell(interaction, stop, interaction);
      }
      case "good":
      case "bad":
        return this.#tell(interaction, async () => {
          const isPositive = press.action === "good";
          const speaker = await speakerOf(interaction, this.#settings, isPrivate);
          if (press.answer !== undefined)
            await this.#mapper.feedback(speaker, press.answer, isPositive ? "up" : "down");
          await this.#settings.onFeedback?.({ speaker, channelId, messageId: message.id, isPositive });
          return texts("feedback-thanks");
        });
    }
  }

  /** @param isPrivate whether the person alone sees the answer, in a place that others read */
  async #ask(
    interaction: RepliableInteraction,
    text: string,
    files: readonly FileInput[],
    isPrivate: boolean,
  ): Promise<void> {
    await this.#acknowledge(interaction.deferReply(isPrivate ? { flags: ephemeral } : {}));
    const { id, applicationId, token } = interaction;
    const channelId = interaction.channelId ?? id;
    const canPost = !isPrivate && mayPost(interaction);
    const replyTo = { channelId, messageId: id, interaction: { applicationId, token, isPrivate, canPost } };
    const speaker = await speakerOf(interaction, this.#settings, isPrivate);
    const message = withEvent({ ...speaker, id, text, files, replyTo }, interaction);
    await this.#mapper.receive(message).catch(() => {}); // Told through `deliver`, and logged by the mapper.
  }

  /** @returns whether there was anything of the person's here, in private or not */
  async #stop(interaction: Interaction): Promise<boolean> {
    const here = await speakerOf(interaction, this.#settings, false);
    const places = [here, { ...here, direct: true }];
    return (await Promise.all(places.map((place) => this.#mapper.stop(place)))).includes(true);
  }

  /** Does something with the person's sessions here, the private one too, and says so to them alone. */
  async #operate(
    interaction: RepliableInteraction,
    done: string | (() => string),
    run: (speaker: Speaker) => Promise<unknown>,
  ): Promise<void> {
    await this.#tell(interaction, async () => {
      const shared = await speakerOf(interaction, this.#settings, false);
      await run(shared);
      if (shared.direct !== true) await run({ ...shared, direct: true });
      return typeof done === "string" ? done : done();
    });
  }

  /**
   * Tells the person alone what came of some work, or that it failed.
   * @param button the interaction, where there may be nothing to tell
   */
  async #tell(
    interaction: RepliableInteraction,
    work: () => Promise<string | undefined>,
    button?: ButtonInteraction,
  ): Promise<void> {
    await this.#acknowledge(button?.deferUpdate() ?? interaction.deferReply({ flags: ephemeral }));
    const content = await work().catch((error: unknown) => {
      const { user, locale } = interaction;
      return failureOf(this.#mapper, { platform, user: user.id, locale }, error);
    });
    if (content === undefined) return;
    const told = { content, allowedMentions: { parse: [] } };
    if (button === undefined) await interaction.editReply(told);
    else await button.followUp({ ...told, flags: ephemeral });
  }

  /** Discord waits for three seconds: where many come at once, all are acknowledged before the first one is answered. */
  async #acknowledge(acknowledged: Promise<unknown>): Promise<void> {
    this.#acknowledging.add(acknowledged);
    try {
      await acknowledged;
    } finally {
      this.#acknowledging.delete(acknowledged);
    }
    const late = pause(firstResponseMs, undefined, { ref: false });
    await Promise.race([Promise.allSettled(this.#acknowledging), late]);
  }
}

/**
 * Who uses a command, and where. What is said in private is apart, also in a guild. Where only the person has
 * installed the app, no one else of the place is part of the session, whatever its scope.
 */
export async function speakerOf(
  interaction: Interaction,
  settings: DiscordSettings,
  isPrivate: boolean,
): Promise<Speaker> {
  const { guildId, user, client, channel } = interaction;
  const channelId = interaction.channelId ?? "";
  const { isDirect, isMember } = placeOf(interaction);
  const place = guildId ?? channelId;
  const shared = guildId === null ? directTenant : guildTenant(guildId, settings);
  return {
    platform,
    bot: client.user.id,
    user: user.id,
    locale: interaction.locale,
    tenant: isMember ? shared : `of ${user.id} in ${place}`,
    ...(isDirect || isPrivate ? { direct: true } : {}),
    ...(await placeIn(channelId, channel)),
  };
}

/** Whether it is a direct message, and whether the bot is part of the place. */
function placeOf({ context, guildId, authorizingIntegrationOwners: owners }: Interaction) {
  const isDirect = context === botDirect || (context === null && guildId === null);
  return { isDirect, isMember: isDirect || owners.guildId !== null };
}

/** Whether the bot can post where an interaction is used also without its token. */
function mayPost(interaction: Interaction): boolean {
  const { isDirect, isMember } = placeOf(interaction);
  const write = interaction.channel?.isThread() === true ? "SendMessagesInThreads" : "SendMessages";
  return isDirect || (isMember && interaction.appPermissions.has(["ViewChannel", write]));
}

async function answer(interaction: RepliableInteraction, content: string): Promise<void> {
  await interaction.reply({ content, flags: ephemeral, allowedMentions: { parse: [] } });
}
