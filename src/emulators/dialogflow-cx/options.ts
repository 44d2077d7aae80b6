import type { EmulatorOptions } from "../emulator.ts";
import { type Check, checkOptions, commonChecks, rsaKey, wholeNumber } from "../kit/options.ts";

/** What `startDialogflowCxEmulator` takes. */
export interface DialogflowCxEmulatorOptions extends EmulatorOptions {
  /** @default "aparte-emulator" */
  readonly project?: string;
  /** Where the agent lives. @default "global" */
  readonly location?: string;
  /** @default "7c0f6a3e-0a51-4d0c-9a43-5a1d0a2f4c10" */
  readonly agentId?: string;
  /** The service account's RSA key as PKCS#8 PEM. @default one that all emulators of this process share */
  readonly privateKey?: string;
  /** The most characters of a text. @default 500 */
  readonly maxTextLength?: number;
}

export type Settings = Required<Omit<DialogflowCxEmulatorOptions, "privateKey" | "hostile">>;

const id: Check = {
  holds: (value) => typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(value),
  expected: "letters, digits, dots and dashes",
};

export function readOptions(options: DialogflowCxEmulatorOptions): Settings {
  checkOptions(options, {
    ...commonChecks,
    project: id,
    location: id,
    agentId: id,
    privateKey: rsaKey,
    maxTextLength: wholeNumber(1, 1_000_000_000),
  });
  return {
    port: options.port ?? 0,
    project: options.project ?? "aparte-emulator",
    location: options.location ?? "global",
    agentId: options.agentId ?? "7c0f6a3e-0a51-4d0c-9a43-5a1d0a2f4c10",
    maxTextLength: options.maxTextLength ?? 500,
    now: options.now ?? Date.now,
  };
}
