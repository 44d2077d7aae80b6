import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { statusAs } from "../support/ask-as.ts";
import { folder, say, start } from "../support/program.ts";

describe("The program", () => {
  it("does not show its page where others reach it, unless it is asked for by name", async () => {
    const shut = await start({ HOST: "0.0.0.0" });
    const { port } = new URL(shut.url);
    const local = `http://127.0.0.1:${port}`;
    expect((await fetch(`${local}/healthz`)).status).toBe(200);
    for (const path of ["/", "/people", "/history?person=Ada"]) {
      for (const host of ["localhost", `127.0.0.1:${port}`])
        expect(await statusAs(host, local + path, { "x-aparte": "1" })).toBe(404);
    }
    expect(shut.output()).toMatch(/^page: off, since others reach this address/m);
    expect(shut.output()).toMatch(/^reachable: from wherever 0\.0\.0\.0 is: \/healthz, \/readyz$/m);
    await shut.stop("SIGTERM");

    const open = await start({ HOST: "0.0.0.0" }, "--page");
    const there = `http://127.0.0.1:${new URL(open.url).port}`;
    expect((await fetch(`${there}/people`)).status).toBe(401);
    expect((await fetch(`${there}/people`, open)).status).toBe(200);
    await open.stop("SIGTERM");
  });

  it("leaves nothing of a person who is removed in its folder, and at the end no words in any log", async () => {
    const program = await start();
    const { url, headers } = program;
    await fetch(`${url}/people?name=Person-canary`, { method: "POST", headers });
    await say(program, "Person-canary", "event-canary", "word-canary");
    await say(program, "Ben", "1", "Ben's words");
    const traces = (canary: RegExp) =>
      readdirSync(join(folder, ".aparte")).filter((file) =>
        canary.test(readFileSync(join(folder, ".aparte", file), "latin1")),
      );
    expect(traces(/word-canary/)).not.toEqual([]);
    expect((await fetch(`${url}/people?person=Person-canary`, { method: "DELETE", headers })).status).toBe(
      204,
    );
    expect(traces(/-canary/)).toEqual([]);
    expect(await program.stop("SIGTERM")).toBe(0);
    expect(traces(/-canary/)).toEqual([]);
    // The stand-in's own memory of Ben, and nothing else.
    expect(traces(/Ben's words/)).toEqual(["coze-emulator.db"]);
  });
});
