// Emulators of the agent services, for your own tests
export type { Emulator } from "./emulators/emulator.ts";
