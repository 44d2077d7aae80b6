// What every adapter, backend and store promises, as suites for your own

// Emulators of the agent services, for your own tests
export {
  type CozeBot,
  type CozeChat,
  type CozeConversation,
  type CozeEmulator,
  type CozeEmulatorOptions,
  type CozeEvents,
  type CozeFault,
  type CozeJwt,
  type CozeMessage,
  type CozeRequest,
  startCozeEmulator,
} from "../emulators/coze/index.ts";
export {
  type DialogflowCxCredentials,
  type DialogflowCxEmulator,
  type DialogflowCxEmulatorOptions,
  type DialogflowCxFault,
  type DialogflowCxRequest,
  type DialogflowCxTurn,
  type DialogflowCxUser,
  type GrpcStatus,
  startDialogflowCxEmulator,
} from "../emulators/dialogflow-cx/index.ts";
export type { Emulator, EmulatorOptions } from "../emulators/emulator.ts";
export type { FaultHandle } from "../emulators/kit/faults.ts";
export {
  type SonaopsConversation,
  type SonaopsEmulator,
  type SonaopsEmulatorOptions,
  type SonaopsFault,
  type SonaopsMessage,
  type SonaopsRefusalKind,
  type SonaopsRequest,
  type SonaopsTurn,
  startSonaopsEmulator,
} from "../emulators/sonaops/index.ts";
export {
  type AdapterContractOptions,
  adapterContract,
  type PlatformUnderTest,
} from "./adapter.ts";
export {
  type BackendContractOptions,
  type BackendUnderTest,
  backendContract,
} from "./backend.ts";
export type { OpenedStore, StoreContractOptions } from "./opened-store.ts";
export type { ContractRunner } from "./runner.ts";
export type { Violation, ViolationKind } from "./simulator/judge.ts";
export type { CallFault, Server as SimulatedServer } from "./simulator/link.ts";
export { type Outcome as SimulationOutcome, runSchedule } from "./simulator/run.ts";
export type { Schedule, Setting as SimulationSetting, Step as SimulationStep } from "./simulator/schedule.ts";
export {
  replay,
  type SimulateOptions,
  type Simulation,
  type SimulationFailure,
  simulate,
} from "./simulator/simulate.ts";
export { storeContract } from "./store.ts";
export { type ComparedCommit, compareWithMemory, type StoreCommand } from "./store-comparison.ts";
