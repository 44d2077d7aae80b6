import type { Statement } from "libsql";

/** What SQLite keeps in a column. Text must not hold U+0000: reading stops there. */
export type SqlValue = string | number | null | Uint8Array;

export type Row = readonly SqlValue[];

/**
 * A prepared statement. Rows are arrays, in the order of the columns.
 *
 * Those that write are used within a transaction only: one that met a locked file cannot be reset with libsql, and no
 * transaction of this process could be committed any more.
 */
export class Query {
  readonly #prepare: () => Statement;
  readonly #checked: <T>(run: () => T) => T;
  #statement: Statement | undefined;

  constructor(prepare: () => Statement, checked: <T>(run: () => T) => T) {
    this.#prepare = () => {
      const statement = prepare();
      return statement.reader ? statement.raw() : statement;
    };
    this.#checked = checked;
    this.#statement = checked(this.#prepare);
  }

  /** The first row; undefined if there is none. */
  first(...values: SqlValue[]): Row | undefined {
    // An array of values, since libsql takes a single object for named ones.
    return this.#use((statement) => statement.get(values)) as Row | undefined;
  }

  all(...values: SqlValue[]): readonly Row[] {
    return this.#use((statement) => statement.all(values)) as readonly Row[];
  }

  /** For its effect. In libsql this is faster than its own `run`, which counts. */
  run(...values: SqlValue[]): void {
    this.#use((statement) => statement.get(values));
  }

  /** For its effect. @returns how many rows were changed */
  change(...values: SqlValue[]): number {
    return this.#use((statement) => statement.run(values)).changes;
  }

  #use<T>(run: (statement: Statement) => T): T {
    return this.#checked(() => {
      const statement = this.#statement ?? this.#prepare();
      // Kept only if it succeeds: libsql does not reset a statement that failed, and the next use would silently run
      // with the values of this one.
      this.#statement = undefined;
      const result = run(statement);
      this.#statement = statement;
      return result;
    });
  }
}
