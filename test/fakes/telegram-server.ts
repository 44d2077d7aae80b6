import { type Loopback, listen } from "./loopback.ts";
import { Watch } from "./watch.ts";

/** A message of the bot, as it is shown now. */
export interface ShownMessage {
  readonly id: number;
  readonly chat: number;
  text: string;
}

interface Update {
  readonly update_id: number;
  readonly message: object;
}

/** Telegram's Bot API in small: long polling, messages and edits. https://core.telegram.org/bots/api */
export class TelegramServer {
  readonly token = "100:a-bot-token";
  /** What the bot shows, oldest first. */
  readonly shown: ShownMessage[] = [];
  /** How many calls that were one too many it has refused, and those that came before they might again. */
  refused = 0;
  tooEarly = 0;
  #limited: { readonly method: string; readonly seconds: number }[] = [];
  #closedUntil = 0;
  #updates: Update[] = [];
  #count = 1000;
  readonly #watch = new Watch(() => this.shown.map(({ chat, text }) => `${chat}: ${text}`).join("\n"));
  #loopback: Loopback | undefined;

  static async start(): Promise<TelegramServer> {
    const server = new TelegramServer();
    server.#loopback = await listen((request) => server.#answer(request));
    return server;
  }

  get url(): string {
    return (this.#loopback?.url ?? "").replace(/\/$/, "");
  }

  /** A person says something to the bot, in private or in a group. */
  say(user: { readonly id: number; readonly name: string }, text: string, group?: number): void {
    this.#count += 1;
    const from = { id: user.id, is_bot: false, first_name: user.name, username: user.name };
    const chat =
      group === undefined
        ? { id: user.id, type: "private", first_name: user.name }
        : { id: group, type: "supergroup", title: "a group" };
    const command = /^\/\w+/.exec(text)?.[0];
    const mention = text.indexOf("@helper_bot");
    const entities = [
      ...(command === undefined ? [] : [{ type: "bot_command", offset: 0, length: command.length }]),
      ...(mention < 0 ? [] : [{ type: "mention", offset: mention, length: 11 }]),
    ];
    this.#updates.push({
      update_id: this.#count,
      message: { message_id: this.#count, date: 1_790_000_000, from, chat, text, entities },
    });
    this.#watch.happened();
  }

  /** The next call of a method is one too many: it is refused, and so is every call of the `seconds` after it. */
  limit(method: string, seconds: number): void {
    this.#limited.push({ method, seconds });
  }

  /** Resolves with what `look` finds; it looks again whenever something happened here. */
  until<T>(look: () => T | undefined | false): Promise<T> {
    return this.#watch.until(look);
  }

  /** What is shown in one chat, together. */
  textIn(chat: number): string {
    return this.shown
      .filter((message) => message.chat === chat)
      .map(({ text }) => text)
      .join("\n");
  }

  async #answer(request: Request): Promise<Response> {
    const [, token, method = ""] = /\/bot([^/]+)\/(\w+)$/.exec(new URL(request.url).pathname) ?? [];
    if (token !== this.token) return refusal(401, "Unauthorized");
    const text = await request.text();
    const early = /^(send|edit)/.test(method) ? this.#closedUntil - performance.now() : 0;
    if (early > 0) {
      this.tooEarly += 1;
      return tooMany(Math.ceil(early / 1_000));
    }
    const index = this.#limited.findIndex((limit) => limit.method === method);
    const [limit] = index < 0 ? [] : this.#limited.splice(index, 1);
    if (limit !== undefined) {
      this.refused += 1;
      this.#closedUntil = performance.now() + limit.seconds * 1_000;
      this.#watch.happened();
      return tooMany(limit.seconds);
    }
    const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    const result = await this.#call(method, body, request.signal);
    this.#watch.happened();
    return result instanceof Response ? result : Response.json({ ok: true, result });
  }

  async #call(method: string, body: Record<string, unknown>, signal: AbortSignal): Promise<unknown> {
    switch (method) {
      case "getMe":
        return { id: 100, is_bot: true, first_name: "helper", username: "helper_bot", can_join_groups: true };
      case "getWebhookInfo":
        return { url: "", has_custom_certificate: false, pending_update_count: 0 };
      case "getUpdates":
        return this.#poll(Number(body.offset ?? 0), Number(body.timeout ?? 0), signal);
      case "sendRichMessage":
      case "sendMessage": {
        this.#count += 1;
        const message = { id: this.#count, chat: Number(body.chat_id), text: textOf(body) };
        this.shown.push(message);
        return told(message);
      }
      case "editMessageText": {
        const message = this.shown.find(({ id }) => id === Number(body.message_id));
        if (message === undefined) return refusal(400, "Bad Request: message to edit not found");
        if (message.text === textOf(body)) return refusal(400, "Bad Request: message is not modified");
        message.text = textOf(body);
        return told(message);
      }
      default:
        return true;
    }
  }

  /** An update is given again until a later offset confirms it. */
  async #poll(offset: number, seconds: number, signal: AbortSignal): Promise<Update[]> {
    this.#updates = this.#updates.filter(({ update_id }) => update_id >= offset);
    if (this.#updates.length > 0 || seconds === 0) return this.#updates;
    const isAsked = () => signal.aborted || this.#updates.length > 0;
    await this.#watch.until(isAsked, Math.min(seconds, 1) * 1_000).catch(() => {});
    return this.#updates;
  }

  async close(): Promise<void> {
    this.#watch.happened();
    await this.#loopback?.close();
  }
}

/** Plain, or as Markdown in a rich message. */
function textOf({ text, rich_message }: Record<string, unknown>): string {
  const rich = rich_message as { readonly markdown?: string } | undefined;
  return String(rich?.markdown ?? text);
}

function told({ id, chat, text }: ShownMessage): object {
  return { message_id: id, date: 1_790_000_000, chat: { id: chat, type: "private" }, text };
}

function refusal(code: number, description: string): Response {
  return Response.json({ ok: false, error_code: code, description }, { status: code });
}

/** https://core.telegram.org/bots/api#responseparameters */
function tooMany(seconds: number): Response {
  return Response.json(
    {
      ok: false,
      error_code: 429,
      description: `Too Many Requests: retry after ${seconds}`,
      parameters: { retry_after: seconds },
    },
    { status: 429 },
  );
}
