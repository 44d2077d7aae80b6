import { describe, expect, it } from "vitest";
import { readArguments } from "../../src/cli/arguments.ts";
import { readSettings } from "../../src/cli/settings.ts";

describe("The program's arguments", () => {
  it("say what the variables say", () => {
    expect(readArguments([])).toEqual({ command: "start", variables: {} });
    expect(readArguments(["--port", "0", "--host=127.0.0.1", "--store", "memory:", "--page"])).toEqual({
      command: "start",
      variables: { PORT: "0", HOST: "127.0.0.1", APARTE_STORE: "memory:", APARTE_PAGE: "on" },
    });
    expect(readArguments(["rekey", "--store", "sqlite:x.db"])).toEqual({
      command: "rekey",
      variables: { APARTE_STORE: "sqlite:x.db" },
    });
    expect(readArguments(["--help"])).toEqual({ command: "help" });
    expect(readArguments(["rekey", "--help"])).toEqual({ command: "help" });
    expect(readArguments(["--port", "0", "-h"])).toEqual({ command: "help" });
    expect(readArguments(["--version"])).toEqual({ command: "version" });
    expect(readArguments(["-v"])).toEqual({ command: "version" });
  });

  const wrong: [string[], string][] = [
    [["--prot", "0"], "--prot is no option. Did you mean --port?"],
    [["--stroe=memory:"], "--stroe is no option. Did you mean --store?"],
    [["--everything"], "--everything is no option. See: aparte --help"],
    [["emulater"], "emulater is no command. Did you mean emulator?"],
    [["rekeey"], "rekeey is no command. Did you mean rekey?"],
    [["start"], "start is no command. See: aparte --help"],
    [["slack", "manfest"], "slack has one command, which takes no arguments: aparte slack manifest"],
    [
      ["--port", "0", "slack", "manifest"],
      "slack has one command, which takes no arguments: aparte slack manifest",
    ],
    [["--port"], "--port needs a value: --port=…"],
    [["--port", "--page"], "--port needs a value: --port=…"],
    [["--page=no"], "--page takes no value."],
  ];
  for (const [args, message] of wrong) {
    it(`are told when they are wrong: ${args.join(" ")}`, () => {
      expect(() => readArguments(args)).toThrow(message);
      expect(() => readArguments(args)).toThrow(expect.objectContaining({ code: "option-invalid" }));
    });
  }
});

describe("A variable that is not there", () => {
  const slips: [string, string][] = [
    ["DISCORD_BOT_TOKEN", "DISCORD_TOKEN"],
    ["COZE_APPID", "COZE_APP_ID"],
    ["COZE_PRIVATEKEY", "COZE_PRIVATE_KEY"],
    ["SLACK_TOKEN", "SLACK_BOT_TOKEN"],
    ["SONAOPS_APIKEY", "SONAOPS_API_KEY"],
    ["DIALOGFLOW_AGENT_NAME", "DIALOGFLOW_AGENT"],
    ["APARTE_STOER", "APARTE_STORE"],
    ["aparte_store", "APARTE_STORE"],
    ["APARTE_PORT", "PORT"],
  ];
  for (const [name, meant] of slips) {
    it(`is told with the one that was meant: ${name}`, () => {
      const read = () => readSettings({ [name]: "a-value" });
      expect(read).toThrow(expect.objectContaining({ code: "option-invalid", field: name }));
      expect(read).toThrow(`Did you mean ${meant}?`);
      expect(read).not.toThrow(/a-value/);
    });
  }

  it("may be another program's", () => {
    for (const name of [
      "SLACK_WEBHOOK_URL",
      "DISCORD_GUILD",
      "COZE_WORKFLOW",
      "PATH",
      "PORTER",
      "SLACK_TOKEN_X",
    ]) {
      expect(() => readSettings({ [name]: "" })).not.toThrow();
    }
    expect(() => readSettings({ SLACK_WEBHOOK_URL: "1", DISCORD_GUILD: "1", PORTER: "1" })).not.toThrow();
    // One word of ours in it is not enough: HOST and PORT are ours.
    expect(() => readSettings({ DISCORD_HOST: "1", SONAOPS_PORT: "1" })).not.toThrow();
  });

  it("is told in general where nothing is like it", () => {
    expect(() => readSettings({ APARTE_EVERYTHING: "1" })).toThrow(/There are: APARTE_SECRET, /);
  });
});
