import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "srvx/node";
import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import { SessionMapper } from "../mapper.ts";
import { newPageToken } from "../page/access.ts";
import { playground } from "../page/index.ts";
import { openStore } from "../stores/open.ts";
import { loadLimiter } from "../stores/rates.ts";
import type { Store } from "../stores/store.ts";
import { startAgents } from "./agents.ts";
import { commands } from "./commands.ts";
import { inFolder } from "./folder-lock.ts";
import { type RunningBot, startDiscord, startSlack } from "./platforms.ts";
import type { ProgramSettings } from "./settings.ts";
import { hasSqlite } from "./sqlite.ts";
import { rethrowOf } from "./variables.ts";
import { version } from "./version.ts";

/** How long connections may take to send what is left of their replies, in milliseconds. */
const lastBytesTimeout = 2_000;

/** The program while it runs. */
export interface Program {
  readonly url: string;
  /** The page's address with its token, where the page is on. */
  readonly pageUrl?: string;
  /** What runs here, a line each: for whoever has started it, since the page's line has the token. */
  readonly facts: readonly string[];
  /** Takes nothing new, finishes the running turns, and ends. */
  close(): Promise<void>;
}

/**
 * Starts what the settings ask for: bots on Slack and Discord with an agent on Coze, or, with nothing set, a page on
 * this machine where several people talk to a stand-in agent.
 * @throws {AparteError} `option-invalid` or `backend-auth` when a setting is wrong.
 */
export async function startProgram(settings: ProgramSettings): Promise<Program> {
  const closers: (() => Promise<unknown>)[] = [];
  let isClosing = false;
  const close = async () => {
    isClosing = true;
    // In the opposite order of the start: first the messages stop, then the turns end, then the agent goes.
    for (const step of closers.splice(0).reverse()) {
      await step().catch((error) => consoleLogger.warn("something did not close", describeError(error)));
    }
  };
  const hasBots = settings.slack !== undefined || settings.discord !== undefined;
  try {
    if (settings.limits !== undefined || settings.coze?.qps !== undefined) await loadLimiter();
    const agents = await startAgents(settings);
    closers.push(agents.close);
    const kept = await storeOf(settings);
    const store = await openStore(kept.url).catch(rethrowOf({ store: "APARTE_STORE" }));
    const mapper = new SessionMapper({
      agents: agents.backends,
      store,
      secret: settings.secret ?? [await inFolder(settings.folder, ownSecret(settings.folder))],
      // The page's people have no channels.
      scope: hasBots ? settings.scope : "user",
      overlap: settings.overlap,
      ...(settings.limits === undefined ? {} : { limits: settings.limits }),
      ...(settings.linkHosts === undefined ? {} : { linkHosts: settings.linkHosts }),
      ...(settings.freshAfter === undefined ? {} : { freshAfter: settings.freshAfter }),
      ...(settings.retention === undefined ? {} : { retention: settings.retention }),
      ...(settings.encrypt === undefined ? {} : { encrypt: settings.encrypt }),
    });
    const names = Object.keys(agents.backends);
    mapper.use(commands(mapper));
    const bots: RunningBot[] = [];
    // The turns end before the connections on which their replies go out.
    let stopServer = async () => {};
    closers.push(
      () => Promise.all(bots.map((bot) => bot.close())),
      () => stopServer(),
      () => mapper.close(),
      () => Promise.all(bots.map((bot) => bot.stopListening())),
    );
    if (settings.slack !== undefined) bots.push(await startSlack(mapper, settings.slack));
    if (settings.discord !== undefined) bots.push(await startDiscord(mapper, settings.discord));
    const isPrivate = isLoopback(settings.host);
    // The page lets everybody be anybody, so it is there only where no real people are served, and others reach it only
    // where that was asked for.
    const hasPage = !hasBots && (settings.page ?? isPrivate);
    const token = newPageToken();
    const page = hasPage
      ? playground(mapper, { token, anyHost: !isPrivate, agents: names, store })
      : undefined;
    const isReady = async () => !isClosing && (await answers(store));
    const server = await listen(settings, { bots, isReady, page });
    stopServer = server.stop;
    const pageUrl = hasPage ? `${server.url}/?token=${token}` : undefined;
    const facts = [
      `aparte ${version} on Node ${process.versions.node}`,
      `agents: ${Object.entries(agents.backends)
        .map(
          ([name, backend]) => `${name} (${agents.isStandIn ? "a stand-in on this machine" : backend.name})`,
        )
        .join(", ")}`,
      `store: ${kept.told}`,
      `platforms: ${bots.map(({ platform, as }) => `${platform} as ${as}`).join(", ") || "none"}`,
      `scope: ${hasBots ? settings.scope : "user"}`,
      `reachable: ${isPrivate ? "from this machine" : `from wherever ${settings.host} is`}: /healthz, /readyz${hasPage ? ", and the page by its token" : ""}`,
      `page: ${pageUrl ?? whyPageIsOff(hasBots, settings)}`,
    ];
    return { url: server.url, ...(pageUrl === undefined ? {} : { pageUrl }), facts, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The key of the session names, made once: without it nobody would find their conversation after a restart. */
async function ownSecret(folder: string): Promise<string> {
  const file = join(folder, "secret");
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(file, randomBytes(32).toString("base64url"), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  return readFile(file, "utf8");
}

/** The store, and how it is told: without its password. */
export async function storeOf({ store, folder }: ProgramSettings): Promise<{ url: string; told: string }> {
  if (store?.startsWith("sqlite:") && !(await hasSqlite())) {
    const problem = "needs the package libsql, installed beside aparte: npm i aparte libsql";
    throw new AparteError("option-invalid", `APARTE_STORE ${problem}`, { field: "APARTE_STORE" });
  }
  if (store !== undefined) return { url: store, told: store.replace(/\/\/[^@/]*@/, "//") };
  const url = `sqlite:${folder}/aparte.db`;
  if (await hasSqlite()) return { url, told: url };
  return {
    url: "memory:",
    told: "memory: all is lost at the end, since the package libsql is missing. To keep it: npm i aparte libsql",
  };
}

function whyPageIsOff(hasBots: boolean, { page }: ProgramSettings): string {
  if (hasBots) return "off, where a bot runs";
  if (page === false) return "off";
  return "off, since others reach this address. Whoever has its token may speak as everybody on it; --page switches it on";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

interface Served {
  readonly bots: readonly RunningBot[];
  readonly isReady: () => Promise<boolean>;
  readonly page: ((request: Request) => Promise<Response>) | undefined;
}

async function listen(
  settings: ProgramSettings,
  { bots, isReady, page }: Served,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const status = () => ({ status: "ok", platforms: bots.map(({ platform }) => platform) });
  const server = serve({
    hostname: settings.host,
    port: settings.port,
    manual: true,
    silent: true,
    gracefulShutdown: false,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/healthz") return Response.json(status());
      if (pathname === "/readyz") {
        return (await isReady())
          ? Response.json(status())
          : Response.json({ status: "not ready" }, { status: 503 });
      }
      return page?.(request) ?? new Response("Not found", { status: 404 });
    },
  });
  try {
    await server.serve();
  } catch (cause) {
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const problem = isTaken
      ? "another program has it. Set PORT to another one."
      : "look whether HOST is an address of this machine, and whether the port needs more rights.";
    throw new AparteError(
      "option-invalid",
      `PORT ${settings.port} cannot be used on ${settings.host}: ${problem}`,
      { field: isTaken ? "PORT" : "HOST", cause },
    );
  }
  const url = (server.url ?? `http://${settings.host}:${settings.port}`).replace(/\/$/, "");
  return {
    url,
    async stop() {
      const timer = setTimeout(() => void server.close(true), lastBytesTimeout);
      await server.close();
      clearTimeout(timer);
    },
  };
}

function answers(store: Store): Promise<boolean> {
  return store.read("readyz").then(
    () => true,
    () => false,
  );
}
