import type { AppOptions, Installation } from "@slack/bolt";
import { slackInstallations } from "aparte/slack";
import { describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { endings, mention, secret, settled, shows, startBot, startServer } from "./bot.ts";

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

const installation = (token: string, expiresAt?: number): Installation => ({
  ...{ team: { id: "T1" }, enterprise: undefined, isEnterpriseInstall: false },
  user: { id: "U1", token: undefined, scopes: undefined },
  bot: {
    ...{ token, scopes: ["chat:write"], id: "B1", userId: "UBOT" },
    ...(expiresAt === undefined ? {} : { expiresAt, refreshToken: `refresh ${token}` }),
  },
});
const query = { teamId: "T1", enterpriseId: undefined, isEnterpriseInstall: false } as const;
const organisation = { teamId: undefined, enterpriseId: "E1", isEnterpriseInstall: true } as const;

describe("slackInstallations", () => {
  it("keeps what was installed, encrypted, until it is removed", async () => {
    const store = memoryStore();
    const installations = slackInstallations(store, secret);
    await installations.storeInstallation(installation("xoxb-of-T1"));
    const ofAll = {
      ...installation("xoxb-of-E1"),
      team: undefined,
      enterprise: { id: "E1" },
      isEnterpriseInstall: true,
    };
    await installations.storeInstallation(ofAll as Installation<"v2", true>);
    expect(await installations.fetchInstallation(query)).toEqual(
      JSON.parse(JSON.stringify(installation("xoxb-of-T1"))),
    );
    expect(await installations.fetchInstallation(organisation)).toMatchObject({
      bot: { token: "xoxb-of-E1" },
    });
    for await (const [, value] of store.records.entries("")) {
      expect(JSON.stringify(value)).not.toContain("xoxb-of");
    }
    await installations.deleteInstallation?.(query);
    await expect(installations.fetchInstallation(query)).rejects.toThrow("not installed");
    expect(await installations.fetchInstallation(organisation)).toMatchObject({
      bot: { token: "xoxb-of-E1" },
    });
  });

  it("takes what does not say that it is an organization's for a workspace's", async () => {
    const installations = slackInstallations(memoryStore(), secret);
    const { isEnterpriseInstall: _, ...older } = { ...installation("xoxb-T1"), enterprise: { id: "E1" } };
    await installations.storeInstallation(older as Installation);
    expect(await installations.fetchInstallation(query)).toMatchObject({ bot: { token: "xoxb-T1" } });
    await expect(installations.fetchInstallation(organisation)).rejects.toThrow("not installed");
  });

  it("has stored a renewed token when the next process may renew it", async () => {
    const store = memoryStore();
    const { records } = store;
    const done: string[] = [];
    const slow =
      (name: "set" | "delete") =>
      async (...call: unknown[]) => {
        await new Promise(setImmediate);
        await (records[name] as (...call: unknown[]) => Promise<unknown>)(...call);
        done.push(name);
      };
    const slowly = { ...records, set: slow("set"), delete: slow("delete") } as typeof records;
    await slackInstallations({ records: slowly }, secret).storeInstallation(installation("xoxb-1"));
    expect(done).toEqual(["set", "delete"]);
  });

  it("reads nothing with another secret, and takes no short one", async () => {
    const store = memoryStore();
    await slackInstallations(store, secret).storeInstallation(installation("xoxb-1"));
    const other = slackInstallations(store, "another secret of the tests");
    await expect(other.fetchInstallation(query)).rejects.toThrow();
    expect(() => slackInstallations(store, "x".repeat(15))).toThrow(
      expect.objectContaining({ field: "secret" }),
    );
    expect(() => slackInstallations(store, "x".repeat(16))).not.toThrow();
  });

  it("lets one process renew a token, and the others go on with the old one meanwhile", async () => {
    const store = memoryStore();
    const copies = [1, 2, 3].map(() => slackInstallations(store, secret));
    await copies[0]?.storeInstallation(installation("xoxb-1", inSeconds(3_600)));
    const found = await Promise.all(copies.map((copy) => copy.fetchInstallation(query)));
    expect(found.map(({ bot }) => bot?.token)).toEqual(["xoxb-1", "xoxb-1", "xoxb-1"]);
    expect(found.filter(({ bot }) => bot?.expiresAt !== undefined)).toHaveLength(1);
    await copies[0]?.storeInstallation(installation("xoxb-2", inSeconds(43_200)));
    const renewed = await Promise.all(copies.map((copy) => copy.fetchInstallation(query)));
    expect(renewed.map(({ bot }) => [bot?.token, bot?.expiresAt !== undefined])).toEqual([
      ["xoxb-2", true],
      ["xoxb-2", true],
      ["xoxb-2", true],
    ]);
  });

  it.each([
    [1, 1],
    [7_200, 1],
    [7_201, 2],
  ])("lets one renew a token that has %i s left, as Bolt does, and no longer", async (left, renewing) => {
    const now = vi.spyOn(Date, "now").mockReturnValue(1_790_000_000_000);
    endings.push(() => now.mockRestore());
    const store = memoryStore();
    const copies = [1, 2].map(() => slackInstallations(store, secret));
    await copies[0]?.storeInstallation(installation("xoxb-1", inSeconds(left)));
    const found: (number | undefined)[] = [];
    for (const copy of copies) found.push((await copy.fetchInstallation(query)).bot?.expiresAt);
    expect(found.filter((expiresAt) => expiresAt !== undefined)).toHaveLength(renewing);
  });

  it("lets the others wait where the old token serves no more", async () => {
    const now = vi.spyOn(Date, "now").mockReturnValue(1_790_000_000_000);
    endings.push(() => now.mockRestore());
    const store = memoryStore();
    const [one, two] = [slackInstallations(store, secret), slackInstallations(store, secret)];
    await one.storeInstallation(installation("xoxb-1", inSeconds(0)));
    expect(await one.fetchInstallation(query)).toMatchObject({ bot: { token: "xoxb-1" } });
    const setIfAbsent = store.records.setIfAbsent.bind(store.records);
    const looked = new Promise<void>((resolve) => {
      store.records.setIfAbsent = (...mark) => setIfAbsent(...mark).finally(resolve);
    });
    const waiting = two.fetchInstallation(query);
    await looked;
    await one.storeInstallation(installation("xoxb-2", inSeconds(43_200)));
    expect(await waiting).toMatchObject({ bot: { token: "xoxb-2" } });
  });

  it("serves Bolt, and forgets who removes the app", async () => {
    const server = await startServer();
    const store = memoryStore();
    const installations = slackInstallations(store, secret);
    await installations.storeInstallation(installation(server.token));
    const app = {
      ...{ token: undefined, clientId: "1", clientSecret: "2", stateSecret: "3", scopes: ["chat:write"] },
      installationStore: installations,
    } as unknown as AppOptions;
    const bot = await startBot(server, { app, slack: { installations } });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    for (const tokens of [{ oauth: ["U1"] }, { oauth: ["U1"], bot: [] }])
      await server.happen({ type: "tokens_revoked", tokens });
    expect(await installations.fetchInstallation(query)).toMatchObject({ bot: { token: server.token } });
    await server.happen({ type: "tokens_revoked", tokens: { bot: ["UBOT"] } });
    await expect(installations.fetchInstallation(query)).rejects.toThrow("not installed");
    await installations.storeInstallation(installation(server.token));
    await server.happen({ type: "app_uninstalled" });
    await expect(installations.fetchInstallation(query)).rejects.toThrow("not installed");
    await settled(bot);
  });

  it("forgets an organization that removes the app, whichever workspace Slack names with it", async () => {
    const server = await startServer();
    const installations = slackInstallations(memoryStore(), secret);
    await installations.storeInstallation(installation("xoxb-T1"));
    for (const [team_id, authorizations] of [
      ["T1", [{ team_id: "T1", enterprise_id: "E1", is_enterprise_install: true }]],
      [undefined, []],
    ] as const) {
      const { team: _, ...whole } = installation(server.token);
      await installations.storeInstallation({
        ...whole,
        ...{ enterprise: { id: "E1" }, isEnterpriseInstall: true },
      } as never);
      const authorize = async () => ({ botToken: server.token, botUserId: server.botUserId, botId: "B1" });
      const app = { token: undefined, authorize } as unknown as AppOptions;
      await startBot(server, { app, slack: { installations } });
      await server.happen({ type: "app_uninstalled" }, { team_id, enterprise_id: "E1", authorizations });
      await expect(installations.fetchInstallation(organisation)).rejects.toThrow("not installed");
      // Its own installation is another one.
      expect(await installations.fetchInstallation(query)).toMatchObject({ bot: { token: "xoxb-T1" } });
    }
  });

  it.each([
    [true, {}, ["T2"]],
    [true, { bot: "A1" }, ["T2"]],
    [false, {}, ["T1", "T1", "T1", "T2"]],
  ])(
    "erases what is kept of the workspace's people if it is told to (%s, %o)",
    async (eraseRemoved, named, tenants) => {
      const server = await startServer();
      const authorize = async () => ({ botToken: server.token, botUserId: server.botUserId, botId: "B1" });
      const app = { token: undefined, authorize } as unknown as AppOptions;
      const bot = await startBot(server, {
        app,
        slack: { ...named, eraseRemoved, installations: slackInstallations(memoryStore(), secret) },
        mapper: { scope: "user-in-channel" },
      });
      const other = { team_id: "T2", authorizations: [{ team_id: "T2", is_enterprise_install: false }] };
      await server.say("U1", "hi", { channel: server.direct });
      await server.say("U1", `${mention(server)} hi`);
      await server.say("U2", `${mention(server)} hi`);
      await server.say("U1", `${mention(server)} hi`, { event: { team: "T2" }, envelope: other });
      await server.until(() => server.shown().length === 4);
      await server.happen({ type: "tokens_revoked", tokens: { bot: ["U1"] } });
      await server.happen({ type: "app_uninstalled" });
      await settled(bot);
      const left: (string | undefined)[] = [];
      for await (const { speaker } of bot.mapper.sessions()) left.push(speaker.tenant);
      expect(left.sort()).toEqual(tenants);
      expect(bot.log.join()).not.toContain("U1");
    },
  );

  it("erases no session that the application itself names, which may be that of others, too", async () => {
    const server = await startServer();
    const bot = await startBot(server, {
      slack: { eraseRemoved: true, installations: slackInstallations(memoryStore(), secret) },
      mapper: { scope: () => "ours" },
    });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    await server.happen({ type: "app_uninstalled" });
    const left: (string | undefined)[] = [];
    for await (const { speaker } of bot.mapper.sessions()) left.push(speaker.key);
    expect(left).toEqual(["ours"]);
  });
});
