import { type Logger, type MapperOptions, type Message, SessionMapper, type Store } from "aparte";
import { afterEach } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { type Answer, backend, remembering } from "./agent.ts";

export const secret = "a secret of the tests, long enough";

/** What ends with the test, the last first. */
export const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** A platform's server that ends with the test. */
export async function started<Server extends { close(): unknown }>(
  starting: Promise<Server>,
): Promise<Server> {
  const server = await starting;
  endings.push(() => server.close());
  return server;
}

/** What bots of all platforms are started with. */
export interface MapperInTestOptions {
  readonly answer?: Answer;
  readonly mapper?: Partial<MapperOptions>;
  readonly store?: Store;
}

export interface MapperInTest {
  readonly mapper: SessionMapper;
  /** The messages whose turns ran. */
  readonly messages: Message[];
  readonly log: string[];
}

export function startMapper({
  answer = remembering,
  store = memoryStore(),
  mapper: more,
}: MapperInTestOptions): MapperInTest {
  const log: string[] = [];
  const note = (message: string, fields?: unknown) => log.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => {}, warn: note, error: note };
  const mapper = new SessionMapper({
    agents: { helper: backend(answer) },
    ...{ secret, logger, store },
    ...more,
  });
  const messages: Message[] = [];
  mapper.use(async (turn, next) => {
    messages.push(turn.message);
    await next();
  });
  return { mapper, messages, log };
}

/** Resolves when all turns that were taken have ended. */
export async function settled({ mapper }: MapperInTest): Promise<void> {
  await mapper.close();
}

/** Whether a text is the one that is looked for. */
export function isText(text: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? text === wanted : wanted.test(text);
}
