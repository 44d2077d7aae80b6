import { hkdfSync } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Installation, InstallationQuery, InstallationStore } from "@slack/bolt";
import { AparteError, type Store } from "aparte";
import { CompactEncrypt, compactDecrypt } from "jose";

/** Bolt renews a token that has less than this left, in seconds. */
const renewedBefore = 7_200;

/** How long one process may take to renew a token, and how often the others look whether it has, in milliseconds. */
const renewalTime = 10_000;
const lookInterval = 200;

type AnyInstallation = Installation<"v1" | "v2", boolean>;

/**
 * Keeps the installations of an app with many workspaces, encrypted, in the mapper's store:
 * `new App({ …, installationStore: slackInstallations(store, secret) })`. Any number of processes may share it, also
 * with token rotation: one of them renews a token, since a refresh token serves once.
 *
 * @param store from `openStore(url)`
 * @param secret at least 16 characters, the same in all processes and for all time
 */
export function slackInstallations(store: Pick<Store, "records">, secret: string): InstallationStore {
  if (typeof secret !== "string" || secret.length < 16) {
    throw new AparteError("option-invalid", "The secret needs at least 16 characters.", { field: "secret" });
  }
  const { records } = store;
  const key = new Uint8Array(hkdfSync("sha256", secret, "", "aparte slack installations", 32));

  async function read(name: string): Promise<AnyInstallation> {
    const sealed = await records.get<string>(name);
    if (sealed === undefined) throw new Error("The Slack app is not installed there.");
    const { plaintext } = await compactDecrypt(sealed, key);
    return JSON.parse(new TextDecoder().decode(plaintext)) as AnyInstallation;
  }

  return {
    async storeInstallation(installation) {
      const { isEnterpriseInstall = false, team, enterprise } = installation;
      const name = nameOf(isEnterpriseInstall, team?.id, enterprise?.id);
      const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(installation)))
        .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
        .encrypt(key);
      await records.set(name, sealed);
      await records.delete(renewalOf(name));
    },
    async fetchInstallation(query) {
      const name = nameOfQuery(query);
      const until = Date.now() + renewalTime;
      for (;;) {
        const installation = (await read(name)) as never;
        const left = secondsLeft(installation);
        if (left > renewedBefore) return installation;
        if (await records.setIfAbsent(renewalOf(name), true, renewalTime)) {
          // Another process may have renewed it since it was read.
          const newest = (await read(name)) as never;
          if (secondsLeft(newest) > renewedBefore) await records.delete(renewalOf(name));
          return newest;
        }
        // Another process renews it. Until that is done the old one serves, if it still does.
        if (left > 0) return withoutExpiry(installation) as never;
        if (Date.now() > until) throw new Error("Slack's token was not renewed in time.");
        await pause(lookInterval);
      }
    },
    async deleteInstallation(query) {
      await records.delete(nameOfQuery(query));
    },
  };
}

function nameOfQuery({ isEnterpriseInstall, teamId, enterpriseId }: InstallationQuery<boolean>): string {
  return nameOf(isEnterpriseInstall, teamId, enterpriseId);
}

function nameOf(isEnterprise: boolean, team: string | undefined, enterprise: string | undefined): string {
  const id = isEnterprise ? enterprise : team;
  if (!id) throw new Error("Slack names no installation.");
  return `slack-installation:${id}`;
}

function renewalOf(name: string): string {
  return `${name}:renewal`;
}

function secondsLeft({ bot, user }: AnyInstallation): number {
  const times = [bot?.expiresAt, user?.expiresAt].filter((time) => time !== undefined);
  return Math.min(...times) - Date.now() / 1_000;
}

function withoutExpiry({ bot, user, ...installation }: AnyInstallation): object {
  const { expiresAt: _, ...lastingBot } = bot ?? {};
  const { expiresAt: __, ...lastingUser } = user ?? {};
  return { ...installation, ...(bot === undefined ? {} : { bot: lastingBot }), user: lastingUser };
}
