import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { getGlobalDispatcher, setGlobalDispatcher } from "undici";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useProxy } from "../../src/cli/proxy.ts";
import { aparte } from "../support/command.ts";

const before = getGlobalDispatcher();
let emulator: CozeEmulator;
let proxy: Awaited<ReturnType<typeof startProxy>>;
let agent: Record<string, string>;

beforeEach(async () => {
  emulator = await startCozeEmulator();
  const { port, hostname } = new URL(emulator.baseURL);
  proxy = await startProxy(Number(port), hostname);
  const { appId, keyId, privateKey, botId } = emulator;
  agent = {
    ...{ COZE_APP_ID: appId, COZE_KEY_ID: keyId, COZE_BOT_ID: botId, COZE_PRIVATE_KEY: privateKey },
    ...{ PORT: "0", APARTE_SECRET: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp" },
  };
});

afterEach(async () => {
  setGlobalDispatcher(before);
  vi.restoreAllMocks();
  proxy.close();
  await emulator.close();
});

/** Whatever host is asked for is the emulator; the hosts are kept. */
async function startProxy(port: number, host: string) {
  const hosts: string[] = [];
  const server = createServer();
  server.on("connect", ({ url = "" }, client) => {
    hosts.push(url);
    const there = connect({ port, host }, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      there.pipe(client).pipe(there);
    });
    there.on("error", () => client.destroy());
    client.on("error", () => there.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    hosts,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe("The program behind a proxy", () => {
  it.each(["HTTP_PROXY", "http_proxy"])(
    "calls the agent through %s, and nothing on this machine",
    async (name) => {
      const through = aparte([], { ...agent, COZE_BASE_URL: "http://api.coze.cn", [name]: proxy.url });
      await through.line;
      expect(new Set(proxy.hosts)).toEqual(new Set(["api.coze.cn:80"]));
      expect(emulator.signatures).toBe(1);
      await through.stop();
      const seen = proxy.hosts.length;
      const { port } = new URL(emulator.baseURL);
      for (const host of ["127.0.0.1", "localhost"]) {
        const direct = aparte([], {
          ...agent,
          COZE_BASE_URL: `http://${host}:${port}`,
          [name]: proxy.url,
          NO_PROXY: "elsewhere.example",
        });
        await direct.line;
        await direct.stop();
      }
      expect(emulator.signatures).toBe(3);
      expect(proxy.hosts).toHaveLength(seen);
    },
  );

  it("goes past the proxy where NO_PROXY says so", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const COZE_BASE_URL = "http://service.invalid";
    await aparte([], { ...agent, COZE_BASE_URL, HTTP_PROXY: proxy.url, NO_PROXY: ".invalid" }).line;
    expect(warn.mock.calls.join()).toContain("an agent cannot be reached yet");
    expect(proxy.hosts).toEqual([]);
  });

  it("calls over TLS through HTTPS_PROXY, and without it through HTTP_PROXY", async () => {
    await useProxy({ HTTPS_PROXY: proxy.url });
    // The emulator has no TLS.
    await expect(fetch("https://service.invalid")).rejects.toThrow();
    expect(proxy.hosts).toEqual(["service.invalid:443"]);
    await useProxy({ HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: proxy.url });
    await fetch("http://service.invalid/");
    expect(proxy.hosts).toEqual(["service.invalid:443", "service.invalid:80"]);
  });

  it("takes the name in small letters first, and one that is empty for none", async () => {
    await useProxy({ HTTP_PROXY: "http://127.0.0.1:9", http_proxy: proxy.url });
    await fetch("http://service.invalid/");
    expect(proxy.hosts).toEqual(["service.invalid:80"]);
    setGlobalDispatcher(before);
    await useProxy({ HTTP_PROXY: "", http_proxy: "" });
    expect(getGlobalDispatcher()).toBe(before);
  });

  it("ends with 2 where the proxy's address is none, or the package is missing", async () => {
    const wrong = aparte([], { ...agent, HTTPS_PROXY: "my secret:proxy" });
    expect(await wrong.ended).toBe(2);
    expect(wrong.err()).toBe(
      "aparte: HTTPS_PROXY and HTTP_PROXY must be addresses such as http://proxy.example.com:3128.\n",
    );
    vi.doMock("undici", () => {
      throw new Error("Cannot find package");
    });
    try {
      const field = "HTTPS_PROXY";
      const message = "HTTPS_PROXY and HTTP_PROXY need the package undici: run `npm install undici@7`.";
      await expect(useProxy({ HTTP_PROXY: proxy.url })).rejects.toMatchObject({ field, message });
    } finally {
      vi.doUnmock("undici");
    }
  });
});
