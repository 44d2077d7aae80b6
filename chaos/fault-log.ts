import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { seconds, sinceStart } from "./clock.ts";

/** What was broken when, beside the bots' logs. */
export class FaultLog {
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, "faults.log");
  }

  note(what: string): void {
    appendFileSync(this.#file, `${seconds(sinceStart())} ${what}\n`);
  }
}
