import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Emulator } from "../emulator.ts";
import { Faults } from "../kit/faults.ts";
import { startServer } from "../kit/server.ts";
import { createAuth, type DialogflowCxCredentials, type DialogflowCxUser } from "./auth.ts";
import { type DialogflowCxFault, faultRules } from "./faults.ts";
import { type DialogflowCxEmulatorOptions, readOptions } from "./options.ts";
import { type DialogflowCxRequest, entryOf, serviceOf } from "./server.ts";
import { DialogflowCxService, type DialogflowCxTurn } from "./service.ts";

export type { DialogflowCxCredentials, DialogflowCxUser } from "./auth.ts";
export type { DialogflowCxFault } from "./faults.ts";
export type { DialogflowCxEmulatorOptions } from "./options.ts";
export type { GrpcStatus } from "./refusal.ts";
export type { DialogflowCxRequest } from "./server.ts";
export type { DialogflowCxTurn } from "./service.ts";

/** A local stand-in for Dialogflow CX's sessions over REST v3, with an agent and a service account of its own. */
export interface DialogflowCxEmulator extends Emulator<DialogflowCxRequest, DialogflowCxFault> {
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

  /** The turns that ran, oldest first; the last 10,000. */
  turns(): readonly DialogflowCxTurn[];
  /** Resolves with the next turn, before it is answered. */
  nextTurn(): Promise<DialogflowCxTurn>;
  /** The whole names of the sessions that live. */
  sessions(): readonly string[];
}

/**
 * Starts a Dialogflow CX stand-in on 127.0.0.1. It is as strict as the service is known to be. Its agent takes orders
 * for pizza, and does on request what agents do now and then: docs/dialogflow-cx.md lists it.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong or the port is taken.
 */
export async function startDialogflowCxEmulator(
  options: DialogflowCxEmulatorOptions = {},
): Promise<DialogflowCxEmulator> {
  const settings = readOptions(options);
  let moved = 0;
  const now = (): number => settings.now() + moved;
  const auth = await createAuth(settings.project, options.privateKey, now);
  const service = new DialogflowCxService(settings, now);
  const folders: string[] = [];
  const server = await startServer({
    port: settings.port,
    faults: new Faults(faultRules, options.hostile),
    entryOf,
    service: () => serviceOf(service, auth),
  });
  return {
    ...server,
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
    turns: () => service.turns.last,
    nextTurn: () => service.turns.next(),
    sessions: () => service.sessions.names,
    async close() {
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
