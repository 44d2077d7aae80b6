import type { IncomingMessage, ServerResponse } from "node:http";
import type { Activity } from "botbuilder";
import type { Botkit, BotkitMessage, BotWorker } from "botkit";

/** What the plugin uses of a controller beyond its public types. Botkit 4.15 is the last of its line. */
export interface Controller
  extends Pick<Botkit, "ready" | "spawn" | "plugins" | "addPluginExtension" | "saveState"> {
  readonly adapter: BotkitAdapter;
  readonly middleware: {
    readonly send: {
      run(
        bot: BotWorker,
        activity: Partial<Activity>,
        done: (error: unknown, bot: BotWorker, activity: Partial<Activity>) => void,
      ): unknown;
    };
  };
  readonly _events: { readonly [type: string]: readonly unknown[] | undefined };
  listenForInterrupts(bot: BotWorker, message: BotkitMessage): Promise<unknown>;
  listenForTriggers(bot: BotWorker, message: BotkitMessage): Promise<unknown>;
  processTriggersAndEvents(bot: BotWorker, message: BotkitMessage): Promise<unknown>;
  trigger(event: string, bot?: BotWorker, message?: BotkitMessage): Promise<unknown>;
}

/** An adapter of Botkit or Bot Framework. */
export interface BotkitAdapter {
  readonly name?: string;
  processActivity?(request: Request, response: Response, logic: unknown): Promise<unknown>;
  /** The Web adapter's: whether a person has a socket in this process. */
  isConnected?(user: string): boolean;
  /** The Web adapter's web sockets, when the controller is ready. */
  readonly wss?: {
    on(event: "connection", listener: (socket: Socket, request: IncomingMessage) => void): unknown;
  };
}

/** Of Express. */
export type Request = IncomingMessage & { body?: unknown };
export type Response = ServerResponse;

/** Of ws 7. */
export interface Socket {
  listeners(event: "message"): ((payload: unknown) => void)[];
  removeAllListeners(event: "message"): unknown;
  on(event: "message", listener: (payload: unknown) => void): unknown;
  close(code: number, reason: string): void;
}

export function isWebAdapter(adapter: BotkitAdapter | undefined): boolean {
  return adapter?.name === "Web Adapter";
}
