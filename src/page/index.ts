import { failureResponse, hostOf, isForeign, ownHeader, Refusal, type WebHandler, web } from "aparte/web";
import { optionInvalid, refuseUnknown } from "../check.ts";
import { AparteError } from "../errors.ts";
import { consoleLogger, type Logger } from "../logger.ts";
import type { SessionMapper } from "../mapper.ts";
import type { Store } from "../stores/store.ts";
import { PageAccess } from "./access.ts";
import { pageFile } from "./page.ts";
import { People, speakerOf } from "./people.ts";

export interface PlaygroundOptions {
  /** Whoever has it may do all that the page can. It stands in the page's address and is moved into a cookie. */
  readonly token: string;
  /**
   * Whether the page may be opened under another name than those of this machine, from wherever it is reachable.
   * @default false
   */
  readonly anyHost?: boolean;
  /** The mapper's agents by name, the first one first. With several, each person chooses. */
  readonly agents: readonly string[];
  /** The mapper's store: keeps the people's names, and those who have not spoken yet. @default this process's memory */
  readonly store?: Pick<Store, "records">;
  /** Who is there on the first start. @default Ada and Ben */
  readonly people?: readonly string[];
  /** @default errors to the console */
  readonly logger?: Logger;
}

const known = [
  "token",
  "anyHost",
  "agents",
  "store",
  "people",
  "logger",
] as const satisfies readonly (keyof PlaygroundOptions)[];

/**
 * A page where several people talk side by side with the agent, each in their own conversation. Whoever opens the
 * page may speak as everybody on it. So every request needs the token, as a cookie or as `Authorization: Bearer`, and
 * those of other sites' pages are refused; as are, without `anyHost`, those for other hosts than `127.0.0.1`,
 * `localhost` and `[::1]`.
 *
 * - `GET /?token=…`: the page, which gives the token to the browser as a cookie; then `GET /` is enough.
 * - `GET /page.css`, `GET /page.js`, `GET /markdown.js`: what the page loads.
 * - `/messages?person=…`: the web handler, for that person.
 * - `GET /people`, `POST /people?name=…`, `PATCH /people?person=…&name=…`, `DELETE /people?person=…` (erases).
 * - `GET /history?person=…`: what was said, by agent.
 * - `POST /reset?person=…&agent=…`, `POST /select?person=…&agent=…`.
 *
 * All but `GET` need the header `x-aparte: 1`. Failures are told as the web handler tells them.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function playground(mapper: SessionMapper, options: PlaygroundOptions): WebHandler {
  refuseUnknown(options, known, "playground.");
  const { token, anyHost = false, agents, store } = options;
  const { people: preset = ["Ada", "Ben"], logger = consoleLogger } = options;
  const access = new PageAccess(token);
  if (!isNames(agents)) throw optionInvalid("playground.agents", "must be a list of the agents' names");
  if (!isNames(preset)) throw optionInvalid("playground.people", "must be a list of names");
  const people = new People({ mapper, records: store?.records, preset, firstAgent: agents[0] ?? "" });

  const messages = web(mapper, {
    logger,
    authenticate: async (request) => {
      const id = new URL(request.url).searchParams.get("person") ?? "";
      return (await people.has(id)) ? speakerOf(id) : undefined;
    },
  });

  /** The person that the query names. */
  async function personOf(query: URLSearchParams): Promise<string> {
    const id = query.get("person") ?? "";
    if (await people.has(id)) return id;
    throw new Refusal("not-found", "That person is not here any more. Reload the page.");
  }

  function agentOf(query: URLSearchParams): string {
    const agent = query.get("agent") ?? "";
    if (agents.includes(agent)) return agent;
    throw new AparteError(
      "agent-unknown",
      `There is no agent of that name. There are: ${agents.join(", ")}.`,
      {
        field: "agent",
      },
    );
  }

  const routes: Readonly<Record<string, (query: URLSearchParams) => Promise<unknown>>> = {
    "GET /people": async () => ({ agents, people: await people.list() }),
    "POST /people": (query) => people.add(query.get("name") ?? ""),
    "PATCH /people": async (query) => people.rename(await personOf(query), query.get("name") ?? ""),
    "DELETE /people": async (query) => people.remove(await personOf(query)),
    "GET /history": async (query) => (await mapper.export(speakerOf(await personOf(query))))?.messages ?? {},
    "POST /reset": async (query) => people.reset(await personOf(query), agentOf(query)),
    "POST /select": async (query) => mapper.select(speakerOf(await personOf(query)), agentOf(query)),
  };

  async function answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!anyHost) refuseOtherHosts(request);
    const file = pageFile(request);
    if (file !== undefined && pathname === "/") {
      for (const [name, value] of Object.entries(access.admit(request))) file.headers.set(name, value);
      return file;
    }
    access.check(request);
    if (file !== undefined) return file;
    if (pathname === "/messages") return messages(request);
    if (isForeign(request)) throw new Refusal("foreign-origin", "Pages of other sites may not speak here.");
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) throw new Refusal("not-found", "There is nothing here.");
    if (request.method !== "GET" && !request.headers.has(ownHeader)) {
      throw new Refusal("forbidden", `A change needs the header "${ownHeader}: 1".`);
    }
    const result = await route(searchParams);
    return result === undefined ? new Response(null, { status: 204 }) : Response.json(result);
  }

  return async (request) => {
    try {
      const response = await answer(request);
      response.headers.set("cache-control", "no-store, no-transform");
      return response;
    } catch (error) {
      return failureResponse(error, logger, mapper.texts({}));
    }
  };
}

/** A name of another site may point to this machine (DNS rebinding); the browser then takes that site for ours. */
function refuseOtherHosts(request: Request): void {
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(hostOf(request))) {
    throw new Refusal("forbidden", "The playground is for this machine alone: open it as http://127.0.0.1.");
  }
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string" && name !== "")
  );
}
