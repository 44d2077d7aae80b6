import { consoleLogger } from "../logger.ts";
import { SessionMapper } from "../mapper.ts";
import { openStore } from "../stores/open.ts";
import { backendsOf } from "./agents.ts";
import { storeOf } from "./program.ts";
import type { ProgramSettings } from "./settings.ts";
import { rethrowOf, wrong } from "./variables.ts";

/**
 * Ends a rotation of secrets, with the variables that the program itself is started with. It may run beside it.
 * @returns what is printed
 * @throws {AparteError} `option-invalid` where nothing is to be rekeyed
 */
export async function rekey(settings: ProgramSettings): Promise<string> {
  const { secret = [], encrypt } = settings;
  if (secret.length < 2) {
    throw wrong("APARTE_OTHER_SECRETS", "is missing: the secrets that are to be needed no more.");
  }
  const agents = await backendsOf(settings);
  if (Object.keys(agents).length === 0) {
    throw wrong("COZE_APP_ID", "is missing: set the variables with which the program runs.");
  }
  const { url } = await storeOf(settings);
  if (url === "memory:") throw wrong("APARTE_STORE", "is missing: nothing is kept in memory.");
  const mapper = new SessionMapper({
    agents,
    secret,
    store: await openStore(url).catch(rethrowOf({ store: "APARTE_STORE" })),
    // How far the rotation was is told at the program's own start.
    logger: { info() {}, warn() {}, error: consoleLogger.error },
    ...(encrypt === undefined ? {} : { encrypt }),
  });
  try {
    const { rekeyed, left } = await mapper.rekey();
    return [
      `Sessions that are found without the other secrets from now on: ${rekeyed}`,
      `Sessions that are not, since their person has another one by now: ${left}`,
      "Drop APARTE_OTHER_SECRETS everywhere.\n",
    ].join("\n");
  } finally {
    await mapper.close();
  }
}
