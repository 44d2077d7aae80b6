import type { App, RespondFn } from "@slack/bolt";
import { AparteError, type Message, type SessionMapper, type Speaker } from "aparte";
import { failureOf, oneLine, plainTexts, type Texts } from "aparte/adapter";
import { soon } from "./acknowledge.ts";
import { titleLength } from "./api.ts";
import type { SlackClients } from "./clients.ts";
import { readFailure } from "./failures.ts";
import { keptLine, keptOf, sessionsOf } from "./kept.ts";
import { type Heard, isEcho } from "./message.ts";
import { escapeText, unescapeText } from "./text.ts";
import { Told } from "./told.ts";

/** What a person may command: as a slash command's first word, as a word behind "!", and of some by a shortcut. */
const usages = {
  new: "usage-new",
  "name TITLE": "usage-name",
  "use NAME": "usage-use",
  stop: "usage-stop",
  kept: "usage-kept",
  forget: "usage-forget",
} as const;

type Usage = keyof typeof usages;

function usage(of: Usage, lead: string, texts: Texts): string {
  return texts(usages[of], { command: `${lead}${of}` });
}

/** How all of them are written, for the slash command's hint. */
export const usageHint: string = Object.keys(usages).join(" | ");

/** The shortcuts that messages may have, since a slash command cannot be used in a thread. */
export const shortcuts = [
  { callback_id: "aparte_new", name: "New conversation", command: "new" },
  { callback_id: "aparte_stop", name: "Stop", command: "stop" },
  { callback_id: "aparte_kept", name: "What is kept of me", command: "kept" },
] as const;

/** What a command does, as one sentence's rest: "begins a new conversation …". */
export function purposeOf(command: (typeof shortcuts)[number]["command"]): string {
  return plainTexts(usages[command], { command: "" }).replace("`` ", "");
}

const word = /^!(new|name|use|stop|kept|forget|help)(?:\s+([\s\S]*))?$/i;

interface Command {
  readonly name: string;
  readonly argument: string;
}

/** Which command a message is; undefined for what is said to the agent. */
function commandIn(text: string): Command | undefined {
  const [, name, argument = ""] = word.exec(text.trim()) ?? [];
  return name === undefined ? undefined : { name: name.toLowerCase(), argument: argument.trim() };
}

/** What Bolt hands to the listener of a command, a shortcut or a button. */
interface Asked {
  readonly body: object;
  readonly respond: RespondFn;
  readonly ack: () => Promise<void>;
}

export interface CommandsOptions {
  readonly mapper: SessionMapper;
  readonly clients: SlackClients;
  readonly agentView: boolean;
  readonly speakerOf: (body: object) => Promise<Speaker | undefined>;
}

/** What people can do about their conversations, and about what is kept of them. */
export class Commands {
  readonly #options: CommandsOptions;
  readonly #told = new Told();
  /** Who is behind a body. */
  readonly speakerOf: CommandsOptions["speakerOf"];

  constructor(options: CommandsOptions) {
    this.#options = options;
    this.speakerOf = options.speakerOf;
  }

  /** Answers the app's slash command, and its shortcuts. */
  listen(app: App, command: string): void {
    app.command(command, (asked) => {
      const help = { name: "help", argument: "" };
      const { name, argument } = commandIn(`!${unescapeText(asked.body.text)}`) ?? help;
      return this.answer(asked, (speaker) => this.run(speaker, name, argument, `${command} `));
    });
    for (const { callback_id, command: name } of shortcuts) {
      app.shortcut({ callback_id, type: "message_action" }, (asked) =>
        this.answer(asked, (speaker) => this.run(speaker, name)),
      );
    }
  }

  /** Does something for whoever asked, and tells them alone what came of it, in Slack's markup; nothing for undefined. */
  async answer(
    { ack, body, respond }: Asked,
    run: (speaker: Speaker) => Promise<string | undefined>,
  ): Promise<void> {
    const speaker = await this.speakerOf(body);
    const work = (async () => {
      const text = speaker && (await this.#tried(speaker, () => run(speaker)));
      if (text !== undefined) await respond({ text, response_type: "ephemeral", replace_original: false });
    })();
    await soon(work);
    await ack();
    await work;
  }

  /**
   * Runs the command that a message holds, and confirms it to its author: in a direct message by a post, elsewhere by
   * an ephemeral message, which only the author sees.
   * @returns until it is done; undefined for a message that commands nothing
   */
  obey(message: Message, heard: Heard): Promise<void> | undefined {
    const command = commandIn(message.text);
    if (command === undefined) return undefined;
    // Slack may send an event again.
    if (isEcho(heard) || !this.#told.isFirst(`${message.tenant} ${message.id}`)) return Promise.resolve();
    return this.#answer(message, command, heard);
  }

  async #answer(speaker: Speaker, { name, argument }: Command, { event, place }: Heard): Promise<void> {
    const text = await this.run(speaker, name, argument);
    const { channel, thread_ts } = event;
    const { installation, user, thread, isDirect } = place;
    // What only one person sees is shown in threads that exist, and in the channel otherwise.
    const at = isDirect ? thread : thread_ts;
    const content = { channel, text, ...(at === undefined ? {} : { thread_ts: at }) };
    try {
      const { calls, side } = await this.#options.clients.of(installation);
      if (isDirect) await calls.apiCall("chat.postMessage", content);
      else await calls.apiCall("chat.postEphemeral", { ...content, user });
      if (name === "name" && argument !== "" && isDirect && this.#options.agentView) {
        const session = { channel_id: channel, thread_ts: thread, title: oneLine(argument, titleLength) };
        await side.apiCall("agents.sessions.rename", session);
      }
    } catch (error) {
      const { reason } = readFailure(error);
      this.#options.mapper.logger.warn("a command could not be confirmed", { command: name, reason });
    }
  }

  /**
   * Does what somebody commands, where they are.
   * @param lead what stands before a command's name: "!" for words
   * @returns what the person alone is told, in Slack's markup
   */
  run(speaker: Speaker, name: string, argument = "", lead = "!"): Promise<string> {
    return this.#tried(speaker, () => this.#run(speaker, name, argument, lead));
  }

  /** What comes of some work for a person, or that it failed, in Slack's markup. */
  #tried<T extends string | undefined>(speaker: Speaker, work: () => Promise<T>): Promise<T | string> {
    return work().catch((error: unknown) => escapeText(failureOf(this.#options.mapper, speaker, error)));
  }

  async #run(speaker: Speaker, name: string, argument: string, lead: string): Promise<string> {
    const { mapper } = this.#options;
    const texts = mapper.texts(speaker);
    const isAboveThreads = this.#options.agentView && speaker.direct === true && speaker.thread === undefined;
    if (isAboveThreads && name === "new") return texts("anew-each-message");
    if (isAboveThreads && (name === "name" || name === "use")) {
      return texts("in-a-thread", { command: escapeText(`!${name} ${argument}`.trim()) });
    }
    switch (name) {
      case "new":
        await mapper.reset(speaker);
        return texts("begun-anew");
      case "name":
        if (argument === "") return usage("name TITLE", lead, texts);
        await this.#name(speaker, argument);
        return texts("conversation-named");
      case "use":
        return this.#use(speaker, argument, lead);
      case "stop":
        return texts((await this.#stop(speaker)) ? "stopped" : "nothing-runs");
      case "kept":
        return this.#kept(speaker, lead);
      case "forget":
        return this.#forget(speaker);
      default:
        return (Object.keys(usages) as Usage[]).map((one) => usage(one, lead, texts)).join("\n");
    }
  }

  /** Where threads are conversations, who is in none stops all of them. */
  async #stop(speaker: Speaker): Promise<boolean> {
    const { mapper } = this.#options;
    const places = [speaker];
    if (speaker.thread === undefined) {
      for await (const { speaker: found } of sessionsOf(mapper, speaker, { user: speaker.user })) {
        const { channel, thread, scope } = found;
        const own = scope === "user-in-thread" ? ({ scope } as const) : {};
        if (channel === speaker.channel && thread !== undefined) places.push({ ...speaker, thread, ...own });
      }
    }
    return (await Promise.all(places.map((place) => mapper.stop(place)))).includes(true);
  }

  async #name(speaker: Speaker, title: string): Promise<void> {
    try {
      await this.#options.mapper.rename(speaker, title);
    } catch (error) {
      // A thread of the agent view has a title at Slack, whatever the service knows.
      const isTitled = speaker.scope !== undefined && speaker.direct === true;
      if (!isTitled || !(error instanceof AparteError) || error.code !== "backend-unsupported") throw error;
    }
  }

  async #use(speaker: Speaker, agent: string, lead: string): Promise<string> {
    const { mapper } = this.#options;
    if (agent === "") {
      const names = (await mapper.agents(speaker)).map(escapeText).join(", ");
      return mapper.texts(speaker)("agents-offered", { agents: names, command: `${lead}use NAME` });
    }
    await mapper.select(speaker, agent);
    return mapper.texts(speaker)("agent-chosen", { agent: escapeText(agent) });
  }

  async #kept(speaker: Speaker, lead: string): Promise<string> {
    const { mapper } = this.#options;
    const texts = mapper.texts(speaker);
    const exported = await Promise.all((await keptOf(mapper, speaker)).map((who) => mapper.export(who)));
    // Several may be one session.
    const kept = new Map(
      exported.flatMap((one) => (one === undefined ? [] : [[one.sessionName, keptLine(one, texts)]])),
    );
    const lines = [...kept.values()];
    const end = texts("kept-where", { command: `${lead}forget` });
    return lines.length === 0
      ? `${texts("kept-nothing")} ${end}`
      : [texts("kept-this"), ...lines, "", end].join("\n");
  }

  async #forget(speaker: Speaker): Promise<string> {
    const { mapper } = this.#options;
    const erasures = await Promise.all((await keptOf(mapper, speaker)).map((who) => mapper.forget(who)));
    const outcomes = erasures.flatMap(({ conversations }) => Object.values(conversations));
    return mapper.texts(speaker)(
      outcomes.every((outcome) => outcome === "erased") ? "erased" : "erased-here",
    );
  }
}
