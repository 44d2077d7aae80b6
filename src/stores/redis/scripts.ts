import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { RedisClient } from "./client.ts";

const names = ["commit", "beat", "bury", "dead"] as const;

/** The scripts, each in a file of its own beside this one. */
export type Script = (typeof names)[number];

interface Loaded {
  readonly source: string;
  readonly digest: string;
}

const scripts = Object.fromEntries(
  names.map((name) => {
    const source = readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");
    return [name, { source, digest: hash("sha1", source) }];
  }),
) as Record<Script, Loaded>;

/** Loads the scripts whenever the client is connected, so that no command carries one. */
export function loadScripts(client: RedisClient): void {
  const load = () => {
    // A cluster has no one server to load them into: there, the first call of each server brings the script.
    for (const { source } of Object.values(scripts)) client.scriptLoad?.(source).catch(() => {});
  };
  client.on("ready", load);
  if (client.isReady) load();
}

export async function runScript(
  client: RedisClient,
  script: Script,
  keys: string[],
  args: string[],
): Promise<unknown> {
  const { source, digest } = scripts[script];
  const call = { keys, arguments: args };
  try {
    return await client.evalSha(digest, call);
  } catch (error) {
    // Another server of a cluster, or somebody has flushed the server's scripts.
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return await client.eval(source, call);
  }
}
