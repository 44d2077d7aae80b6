import type { Logger } from "aparte";

/** A logger whose lines can be read. */
export class LogLines implements Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[] = [];

  info(message: string, fields: object = {}): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields: object = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields: object = {}): void {
    this.lines.push({ level: "error", message, fields });
  }

  /** `"error: a turn failed"` … */
  get said(): string[] {
    return this.lines.map(({ level, message }) => `${level}: ${message}`);
  }
}
