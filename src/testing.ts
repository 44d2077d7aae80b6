// What every adapter, backend and store promises, as suites for your own
export {
  type AdapterContractOptions,
  adapterContract,
  type PlatformUnderTest,
} from "./contracts/adapter.ts";
export {
  type BackendContractOptions,
  type BackendUnderTest,
  backendContract,
} from "./contracts/backend.ts";
export type { OpenedStore, StoreContractOptions } from "./contracts/opened-store.ts";
export type { ContractRunner } from "./contracts/runner.ts";
export { storeContract } from "./contracts/store.ts";

// Emulators of the agent services, for your own tests
export {
  type CozeBot,
  type CozeChat,
  type CozeConversation,
  type CozeEmulator,
  type CozeEmulatorOptions,
  type CozeEvents,
  type CozeFault,
  type CozeFaultHandle,
  type CozeJwt,
  type CozeMessage,
  type CozeRequest,
  startCozeEmulator,
} from "./emulators/coze/index.ts";
export {
  type DialogflowCxCredentials,
  type DialogflowCxEmulator,
  type DialogflowCxEmulatorOptions,
  type DialogflowCxFault,
  type DialogflowCxFaultHandle,
  type DialogflowCxRequest,
  type DialogflowCxTurn,
  type DialogflowCxUser,
  type GrpcStatus,
  startDialogflowCxEmulator,
} from "./emulators/dialogflow-cx/index.ts";
export type { Emulator } from "./emulators/emulator.ts";
export {
  type SonaopsConversation,
  type SonaopsEmulator,
  type SonaopsEmulatorOptions,
  type SonaopsFault,
  type SonaopsFaultHandle,
  type SonaopsMessage,
  type SonaopsRefusalKind,
  type SonaopsRequest,
  type SonaopsTurn,
  startSonaopsEmulator,
} from "./emulators/sonaops/index.ts";
