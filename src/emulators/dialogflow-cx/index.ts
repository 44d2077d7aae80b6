import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Emulator } from "../emulator.ts";
import { chanceOf } from "../kit/chance.ts";
import { createAuth, type DialogflowCxCredentials, type DialogflowCxUser } from "./auth.ts";
import {
  createFaults,
  type DialogflowCxFault,
  type DialogflowCxFaultHandle,
  hostileFaults,
} from "./faults.ts";
import { log } from "./log.ts";
import { type DialogflowCxEmulatorOptions, readOptions } from "./options.ts";
import { type DialogflowCxRequest, startServer } from "./server.ts";
import { type DialogflowCxTurn, Service } from "./service.ts";

export type { DialogflowCxCredentials, DialogflowCxUser } from "./auth.ts";
export type { DialogflowCxFault, DialogflowCxFaultHandle } from "./faults.ts";
export type { DialogflowCxEmulatorOptions } from "./options.ts";
export type { GrpcStatus } from "./refusal.ts";
export type { DialogflowCxRequest } from "./server.ts";
export type { DialogflowCxTurn } from "./service.ts";

/** A local stand-in for Dialogflow CX's sessions over REST v3, with an agent and a service account of its own. */
export interface DialogflowCxEmulator extends Emulator {
  /** The agent's resource name: `projects/…/locations/…/agents/…`. */
  readonly agent: string;
  /** The service account's key. */
  readonly credentials: DialogflowCxCredentials;
  /** A person's credentials, as gcloud writes them; exchanged at `/token`. */
  readonly user: DialogflowCxUser;
  /** Writes the service account's key into a file (a temporary one, gone with the emulator) and returns its path. */
  writeCredentials(path?: string): Promise<string>;
  /** A new access token, as an application would fetch it. It lives for an hour. */
  accessToken(): string;
  /** Makes every access token given out so far worthless. */
  expireTokens(): void;

  /** The emulator's clock, in Unix milliseconds. */
  now(): number;
  /** Moves the clock: sessions lapse, tokens end. */
  advance(milliseconds: number): void;

  /** The requests, oldest first; the last 10,000. */
  requests(): readonly DialogflowCxRequest[];
  /** The turns that ran, oldest first; the last 10,000. */
  turns(): readonly DialogflowCxTurn[];
  /** Resolves with the next turn, before it is answered. */
  nextTurn(): Promise<DialogflowCxTurn>;
  /** The whole names of the sessions that live. */
  sessions(): readonly string[];

  /**
   * Makes the next request that fits go wrong. Several wait in line; each request meets one.
   * @throws {AparteError} `option-invalid` for a member that does not exist.
   */
  fail(fault: DialogflowCxFault): DialogflowCxFaultHandle;
}

/**
 * Starts a Dialogflow CX stand-in on 127.0.0.1. It is as strict as the service is known to be; its agent is
 * described in `agent.ts`.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong or the port is taken.
 */
export async function startDialogflowCxEmulator(
  options: DialogflowCxEmulatorOptions = {},
): Promise<DialogflowCxEmulator> {
  const settings = readOptions(options);
  let moved = 0;
  const now = (): number => settings.now() + moved;
  const auth = await createAuth(settings.project, settings.privateKey, now);
  const service = new Service(settings, now);
  const { hostile } = options;
  const faults = createFaults(hostile && chanceOf(hostile.seed, hostile.share ?? 0.3, hostileFaults));
  const closing = new AbortController();
  const requests: DialogflowCxRequest[] = [];
  const folders: string[] = [];
  const waiting: ((turn: DialogflowCxTurn) => void)[] = [];
  service.onTurn = (turn) => {
    for (const resolve of waiting.splice(0)) resolve(turn);
  };
  const server = await startServer({
    port: settings.port,
    service,
    auth,
    faults,
    closing: closing.signal,
    onRequest: (request) => log(requests, request),
  });
  return {
    baseURL: `http://127.0.0.1:${server.port}`,
    agent: service.agent,
    credentials: auth.credentials,
    user: auth.user,
    async writeCredentials(path) {
      const file = path ?? join(await temporaryFolder(folders), "service-account.json");
      await writeFile(file, JSON.stringify(auth.credentials, undefined, 2), { mode: 0o600 });
      return file;
    },
    accessToken: auth.newToken,
    expireTokens: auth.expireTokens,
    now,
    advance(milliseconds) {
      moved += milliseconds;
    },
    requests: () => [...requests],
    turns: () => [...service.turns],
    nextTurn: () => new Promise((resolve) => waiting.push(resolve)),
    sessions: () => service.sessions.names,
    fail: (fault) => faults.add(fault),
    async close() {
      closing.abort();
      await server.close();
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    },
  };
}

async function temporaryFolder(folders: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aparte-dialogflow-"));
  folders.push(folder);
  return folder;
}
