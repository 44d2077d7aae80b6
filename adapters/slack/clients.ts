import type { App } from "@slack/bolt";
import { optionInvalid } from "aparte/adapter";
import type { Installation } from "./address.ts";
import type { SlackClient, SlackSettings } from "./options.ts";

/** The longest that one call may take, in milliseconds. What is only told along must keep nobody waiting. */
const callTimeout = 30_000;
const sideTimeout = 3_000;

/** What is known of a workspace's installation: Bolt's `authorize` takes it, and gives the token. */
type Authorize = (source: object, body?: object) => Promise<{ botToken?: string; userToken?: string }>;

/** A workspace's clients. Neither repeats a call, nor waits for a rate limit: both are decided by what is to be shown. */
export interface Clients {
  readonly token: string;
  readonly calls: SlackClient;
  /** For what is only told along: the status, names. */
  readonly side: SlackClient;
}

/**
 * The clients of all workspaces in which the app is installed. They are the adapter's own: Slack has no idempotency
 * key, and the app's client may repeat a post whose answer was lost, and stops all calls while one is limited.
 */
export class SlackClients {
  readonly #app: App;
  readonly #settings: SlackSettings;
  readonly #known = new Map<string, Clients>();

  /** @throws {AparteError} `option-invalid` when nothing here tells the tokens of an app with several workspaces. */
  constructor(app: App, settings: SlackSettings) {
    this.#app = app;
    this.#settings = settings;
    if (settings.client === undefined && app.client.token === undefined && this.#authorize === undefined) {
      throw noClient();
    }
  }

  async of(installation: Installation): Promise<Clients> {
    const { workspace, team } = installation;
    const { token, slackApiUrl } = await this.#given(installation);
    if (token === undefined) throw noClient();
    const key = `${workspace} ${team ?? ""}`;
    const known = this.#known.get(key);
    if (known?.token === token) return known;
    const WebClient = this.#app.client.constructor as new (token: string, options: object) => SlackClient;
    const client = (timeout: number) =>
      new WebClient(token, {
        ...this.#app.webClientOptions,
        slackApiUrl,
        timeout,
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        ...(team === undefined ? {} : { teamId: team }),
      });
    const clients = { token, calls: client(callTimeout), side: client(sideTimeout) };
    this.#known.set(key, clients);
    return clients;
  }

  /** Asked each time: tokens are rotated. */
  async #given(installation: Installation): Promise<{ token?: string; slackApiUrl: string }> {
    const { client } = this.#app;
    const { workspace, team, enterprise } = installation;
    const own = await this.#settings.client?.(workspace);
    if (own !== undefined) return own;
    if (client.token !== undefined) return client;
    const source = { teamId: team, enterpriseId: enterprise, isEnterpriseInstall: workspace === enterprise };
    const { botToken, userToken } = (await this.#authorize?.(source, {})) ?? {};
    const token = botToken ?? userToken;
    return { slackApiUrl: client.slackApiUrl, ...(token === undefined ? {} : { token }) };
  }

  /** The app's own `authorize`, or that of its installation store. Bolt tells it to nobody. */
  get #authorize(): Authorize | undefined {
    const authorize: unknown = Reflect.get(this.#app, "authorize");
    return typeof authorize === "function" ? (authorize as Authorize) : undefined;
  }
}

function noClient(): Error {
  const problem =
    "is needed by an app with several workspaces whose `authorize` is not known here: (tenant) => WebClient";
  return optionInvalid("client", problem);
}
