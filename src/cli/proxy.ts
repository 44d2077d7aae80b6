import { AparteError } from "../errors.ts";
import type { Environment } from "./variables.ts";

/** Named in capitals, or not. */
const variables = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] as const;

/**
 * Has the agents' services called through the proxy that the environment names. Node's fetch does not look at these
 * variables by itself.
 * @throws {AparteError} `option-invalid` where the package that does it is missing, or the address is none.
 */
export async function useProxy(env: Environment): Promise<void> {
  const [httpsProxy, httpProxy, noProxy] = variables.map(
    (name) => env[name.toLowerCase()] || env[name] || undefined,
  );
  if ((httpsProxy ?? httpProxy) === undefined) return;
  const { EnvHttpProxyAgent, setGlobalDispatcher } = await import("undici").catch((cause: unknown) => {
    const problem = "HTTPS_PROXY and HTTP_PROXY need the package undici: run `npm install undici@7`.";
    throw new AparteError("option-invalid", problem, { field: "HTTPS_PROXY", cause });
  });
  // A stand-in, or a gateway, on this machine is nothing that a proxy could reach.
  const direct = [noProxy, "127.0.0.1", "localhost", "::1"].filter((each) => each !== undefined).join(",");
  try {
    setGlobalDispatcher(
      new EnvHttpProxyAgent({
        noProxy: direct,
        ...(httpProxy === undefined ? {} : { httpProxy }),
        ...(httpsProxy === undefined ? {} : { httpsProxy }),
      }),
    );
  } catch {
    // The cause would show the address, which may hold a password.
    const problem = "HTTPS_PROXY and HTTP_PROXY must be addresses such as http://proxy.example.com:3128.";
    throw new AparteError("option-invalid", problem, { field: "HTTPS_PROXY" });
  }
}
