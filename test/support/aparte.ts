// The package as the tests get it by its public name: the real one, of which all is searched that it logs, keeps in files
// and tells the application as an error.
import {
  type Erasure,
  SessionMapper as Mapper,
  type MapperOptions,
  type Message,
  openStore as open,
  type Reply,
  type Speaker,
} from "../../src/index.ts";
import { look, lookInFiles, plantPerson, plantSecret } from "./search.ts";

export * from "../../src/index.ts";

export class SessionMapper<Agent extends string = string> extends Mapper<Agent> {
  constructor(options: MapperOptions<Agent>) {
    super(watched(options));
  }

  override handle(message: Message<Agent>): Reply {
    plantMessage(message);
    return super.handle(message);
  }

  override receive(message: Message, options?: { readonly comesAgain?: boolean }): Promise<boolean> {
    plantMessage(message);
    return super.receive(message, options);
  }

  override forget(who: Speaker | string, agent?: string): Promise<Erasure> {
    const erased = super.forget(who, agent);
    erased.then(
      (erasure) => look("what forget tells", erasure),
      () => {},
    );
    return erased;
  }
}

export const openStore: typeof open = async (target, options) => {
  const store = await open(target, options);
  const path = typeof target === "string" && /^sqlite:(.*)$/.exec(target)?.[1];
  if (!path) return store;
  const { close } = store;
  return Object.assign(store, {
    close: async () => {
      lookAtSqlite(path);
      await close.call(store);
      lookAtSqlite(path);
    },
  });
};

function lookAtSqlite(path: string): void {
  for (const end of ["", "-wal", "-shm"]) lookInFiles("a SQLite file", path + end);
}

function plantMessage(message: Message | undefined): void {
  plantPerson(message?.user, message?.text);
}

function watched<Options extends MapperOptions | undefined>(options: Options): Options {
  if (typeof options !== "object" || options === null) return options;
  const { secret, logger, onError } = options;
  for (const each of [secret].flat()) plantSecret(each);
  return {
    ...options,
    ...(typeof logger === "object" && logger !== null ? { logger: watchedLogger(logger) } : {}),
    onError:
      onError === undefined || typeof onError === "function"
        ? (error: unknown, failure: never) => {
            look("an error", error);
            return onError?.(error, failure);
          }
        : onError,
  };
}

function watchedLogger<Any extends object>(logger: Any): Any {
  return new Proxy(logger, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || !["info", "warn", "error"].includes(String(name))) return member;
      return (...args: unknown[]) => {
        look("the log", args);
        return member.apply(target, args);
      };
    },
  });
}
