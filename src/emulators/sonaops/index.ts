import { randomBytes, randomUUID } from "node:crypto";
import type { Emulator } from "../emulator.ts";
import { Faults } from "../kit/faults.ts";
import { Waiting } from "../kit/log.ts";
import { startServer } from "../kit/server.ts";
import { Auth } from "./auth.ts";
import { faultRules, type SonaopsFault } from "./faults.ts";
import { readOptions, type SonaopsEmulatorOptions } from "./options.ts";
import { type SonaopsRequest, serviceOf } from "./server.ts";
import { type SonaopsConversation, SonaopsService, type SonaopsTurn } from "./service.ts";

export type { SonaopsFault } from "./faults.ts";
export type { SonaopsEmulatorOptions } from "./options.ts";
export type { SonaopsRefusalKind } from "./refusal.ts";
export type { SonaopsRequest } from "./server.ts";
export type { SonaopsConversation, SonaopsMessage, SonaopsTurn } from "./service.ts";

/** A local stand-in for the Sonaops Open API, with a key and agents of its own. */
export interface SonaopsEmulator extends Emulator<SonaopsRequest, SonaopsFault> {
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
  /** All conversations, oldest first. */
  conversations(): readonly SonaopsConversation[];
  /** Resolves with the next turn that is taken, before it is answered. */
  nextTurn(): Promise<SonaopsTurn>;

  /** Deletes a conversation behind its owner's back; false when there is none. */
  deleteConversation(id: string): boolean;
}

/**
 * Starts a Sonaops stand-in on 127.0.0.1. It recomputes every signature, and is stricter than the service is known to
 * be where that makes mistakes show: a conversation answers only the user and agent it was opened for, and a request
 * id is taken once. Its agent is the one of the Coze stand-in.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong or the port is taken.
 */
export async function startSonaopsEmulator(options: SonaopsEmulatorOptions = {}): Promise<SonaopsEmulator> {
  const {
    port = 0,
    profile = "B",
    agents = [randomUUID()],
    wordDelayMs = 0,
    now = Date.now,
  } = readOptions(options);
  const apiKey = `sk-${randomBytes(16).toString("hex")}`;
  const apiSecret = randomBytes(32).toString("hex");
  const service = new SonaopsService([...agents], profile);
  const auth = new Auth({ profile, apiKey, apiSecret, now });
  const turns = new Waiting<SonaopsTurn>();
  const onTurn = (turn: SonaopsTurn): void => turns.happened(() => turn);
  const server = await startServer({
    port,
    faults: new Faults(faultRules, options.hostile),
    entryOf: ({ method }, { pathname }): SonaopsRequest => ({ method, path: pathname }),
    service: () => serviceOf({ profile, service, auth, wordDelayMs, now, onTurn }),
  });
  return {
    ...server,
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
    conversations: () => service.conversations,
    nextTurn: () => turns.next(),
    deleteConversation: (id) => service.delete(id),
  };
}
