import { randomBytes, randomUUID } from "node:crypto";
import type { Emulator } from "../emulator.ts";
import { chanceOf } from "../kit/chance.ts";
import { Auth } from "./auth.ts";
import { createFaults, hostileFaults, type SonaopsFault, type SonaopsFaultHandle } from "./faults.ts";
import { checkOptions, type SonaopsEmulatorOptions } from "./options.ts";
import { type SonaopsRequest, startServer } from "./server.ts";
import { Service, type SonaopsConversation, type SonaopsTurn } from "./service.ts";

export type { SonaopsFault, SonaopsFaultHandle } from "./faults.ts";
export type { SonaopsEmulatorOptions } from "./options.ts";
export type { SonaopsRefusalKind } from "./refusal.ts";
export type { SonaopsRequest } from "./server.ts";
export type { SonaopsConversation, SonaopsMessage, SonaopsTurn } from "./service.ts";

/** A local stand-in for the Sonaops Open API, with a key and agents of its own. */
export interface SonaopsEmulator extends Emulator {
  readonly apiKey: string;
  readonly apiSecret: string;
  /** The first agent. */
  readonly agentId: string;
  readonly agentIds: readonly string[];
  readonly profile: "A" | "B";

  /** How many conversations were opened, those that were deleted included. */
  readonly conversationsOpened: number;
  /** How many turns were taken. */
  readonly turnsTaken: number;
  /** The requests, oldest first; the last 10,000. */
  requests(): readonly SonaopsRequest[];
  /** All conversations, oldest first. */
  conversations(): readonly SonaopsConversation[];
  /** Resolves with the next turn that is taken, before it is answered. */
  nextTurn(): Promise<SonaopsTurn>;

  /**
   * Makes the next request that fits go wrong. Several wait in line; each request meets one.
   * @throws {AparteError} `option-invalid` for a member that does not exist.
   */
  fail(fault: SonaopsFault): SonaopsFaultHandle;
  /** Deletes a conversation behind its owner's back; false when there is none. */
  deleteConversation(id: string): boolean;
}

const keptEntries = 10_000;

/**
 * Starts a Sonaops stand-in on 127.0.0.1. It recomputes every signature, and is stricter than the service is known to
 * be where that makes mistakes show: a conversation answers only the user and agent it was opened for, and a request
 * id is taken once. Its agent is the one of the Coze stand-in.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong or the port is taken.
 */
export async function startSonaopsEmulator(options: SonaopsEmulatorOptions = {}): Promise<SonaopsEmulator> {
  checkOptions(options);
  const { port = 0, profile = "B", agents = [randomUUID()], wordDelayMs = 0, now = Date.now } = options;
  const apiKey = `sk-${randomBytes(16).toString("hex")}`;
  const apiSecret = randomBytes(32).toString("hex");
  const service = new Service([...agents], options.hyphens ?? profile === "B");
  const { hostile } = options;
  const faults = createFaults(hostile && chanceOf(hostile.seed, hostile.share ?? 0.3, hostileFaults));
  const closing = new AbortController();
  const requests: SonaopsRequest[] = [];
  const waiting: ((turn: SonaopsTurn) => void)[] = [];
  const server = await startServer({
    port,
    profile,
    service,
    auth: new Auth({ profile, apiKey, apiSecret, now }),
    faults,
    wordDelayMs,
    closing: closing.signal,
    now,
    onRequest(request) {
      requests.push(request);
      if (requests.length > 2 * keptEntries) requests.splice(0, requests.length - keptEntries);
    },
    onTurn(turn) {
      for (const resolve of waiting.splice(0)) resolve(turn);
    },
  });
  return {
    baseURL: `http://127.0.0.1:${server.port}`,
    apiKey,
    apiSecret,
    agentId: service.agents[0] ?? "",
    agentIds: service.agents,
    profile,
    get conversationsOpened() {
      return service.opened;
    },
    get turnsTaken() {
      return service.taken;
    },
    requests: () => requests.slice(-keptEntries).map((request) => ({ ...request })),
    conversations: () => service.conversations,
    nextTurn: () => new Promise((resolve) => waiting.push(resolve)),
    fail: (fault) => faults.add(fault),
    deleteConversation: (id) => service.delete(id),
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      await server.close();
    },
  };
}
