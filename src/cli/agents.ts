import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Backend } from "../backends/backend.ts";
import { coze } from "../backends/coze/index.ts";
import { AparteError } from "../errors.ts";
import { consoleLogger, describeError } from "../logger.ts";
import { inFolder, lockFolder } from "./folder-lock.ts";
import type { ProgramSettings } from "./settings.ts";
import { hasSqlite } from "./sqlite.ts";
import { rethrowOf } from "./variables.ts";

/** The variables of each agent's options. */
const variablesOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  helper: {
    ...{ appId: "COZE_APP_ID", keyId: "COZE_KEY_ID", botId: "COZE_BOT_ID", baseURL: "COZE_BASE_URL" },
    privateKey: "COZE_PRIVATE_KEY or COZE_PRIVATE_KEY_FILE",
    ...{ accountId: "COZE_ACCOUNT_ID", enterpriseId: "COZE_ENTERPRISE_ID", connectorId: "COZE_CONNECTOR_ID" },
  },
  sonaops: {
    ...{ baseURL: "SONAOPS_BASE_URL", apiKey: "SONAOPS_API_KEY", apiSecret: "SONAOPS_API_SECRET" },
    ...{ agentId: "SONAOPS_AGENT_ID", agentName: "SONAOPS_AGENT_NAME" },
  },
  dialogflow: {
    ...{ agent: "DIALOGFLOW_AGENT", baseURL: "DIALOGFLOW_BASE_URL", environment: "DIALOGFLOW_ENVIRONMENT" },
    ...{ languageCode: "DIALOGFLOW_LANGUAGE", credentials: "DIALOGFLOW_CREDENTIALS_FILE" },
  },
};

/** How long a key is tried at start, in milliseconds. */
const probeTimeout = 15_000;

export interface Agents {
  /** By name; the names stay the same whatever else is set, since conversations are kept under them. */
  readonly backends: Readonly<Record<string, Backend>>;
  /** Whether it is the one on this machine, for trying things out. */
  readonly isStandIn: boolean;
  close(): Promise<void>;
}

/**
 * The agents that the settings name, or a stand-in on this machine.
 * @throws {AparteError} `backend-auth` when a service refuses its key; `option-invalid`.
 */
export async function startAgents(settings: ProgramSettings): Promise<Agents> {
  const backends = await backendsOf(settings);
  if (Object.keys(backends).length === 0) return standIn(settings.folder);
  const probes = Object.entries(backends).map(([name, backend]) =>
    probe(backend).catch(rethrowOf(variablesOf[name])),
  );
  await Promise.all(probes);
  return { backends, isStandIn: false, close: async () => {} };
}

/** The agents that the settings name, by name; no service is asked yet. */
export async function backendsOf(settings: ProgramSettings): Promise<Agents["backends"]> {
  const backends: Record<string, Backend> = {};
  const add = async (name: string, make: () => Promise<Backend>) => {
    backends[name] = await make().catch(rethrowOf(variablesOf[name]));
  };
  const { coze: ofCoze, sonaops: ofSonaops, dialogflow: ofDialogflow } = settings;
  if (ofCoze !== undefined) await add("helper", async () => coze(ofCoze));
  if (ofSonaops !== undefined) {
    await add("sonaops", async () => (await import("../backends/sonaops/index.ts")).sonaops(ofSonaops));
  }
  if (ofDialogflow !== undefined) {
    const load = () => import("../backends/dialogflow-cx/index.ts");
    await add("dialogflow", async () => (await load()).dialogflowCx(ofDialogflow));
  }
  return backends;
}

async function standIn(folder: string): Promise<Agents> {
  const { startCozeEmulator } = await import("../emulators/coze/index.ts");
  await inFolder(folder, mkdir(folder, { recursive: true }));
  // What a stand-in in memory was told is nobody else's to see.
  const canKeep = await hasSqlite();
  const unlock = canKeep ? await lockFolder(join(folder, "stand-in.lock")) : () => {};
  const persist = canKeep ? { persist: join(folder, "coze-emulator.db") } : {};
  const emulator = await startCozeEmulator({ ...persist, wordDelayMs: 40 });
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  return {
    backends: { helper: coze({ appId, keyId, privateKey, botId, baseURL }) },
    isStandIn: true,
    async close() {
      await emulator.close();
      unlock();
    },
  };
}

/** A refused key ends the program; a service that is away does not: turns fail clearly until it is back. */
async function probe(backend: Backend): Promise<void> {
  try {
    await backend.probe?.(AbortSignal.timeout(probeTimeout));
  } catch (error) {
    if (error instanceof AparteError && (error.code === "backend-auth" || error.code === "option-invalid"))
      throw error;
    consoleLogger.warn("an agent cannot be reached yet", { backend: backend.name, ...describeError(error) });
  }
}
