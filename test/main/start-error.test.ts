// What a person reads when a start failed: one line, with the way out where there is one.
import { describe, expect, it } from "vitest";
import { SettingsError } from "../../src/main/settings-error.ts";
import { readServeSettings } from "../../src/main/settings-from-env.ts";
import { startErrorLine } from "../../src/main/start-error.ts";

const settings = readServeSettings({}, {});

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

describe("line of a failed start", () => {
  it("names the flag of the listener whose port is taken", () => {
    const error = (port: number) =>
      new Error(`cannot listen on 127.0.0.1:${port}: in use`, { cause: systemError("EADDRINUSE", "in use") });
    expect(startErrorLine(error(9092), settings)).toBe(
      "cannot listen on 127.0.0.1:9092: in use. Stop what listens there, or choose another one with --kafka-addr (KAFSCALE_BROKER_ADDR)",
    );
    expect(startErrorLine(error(9093), settings)).toMatch(/another one with --metrics-addr \(KAFSCALE_METRICS_ADDR\)$/);
  });

  it("says what to do about a folder that cannot be written", () => {
    const line = startErrorLine(systemError("EACCES", "EACCES: permission denied, mkdir '/d/objects'"), settings);
    expect(line).toBe(
      "EACCES: permission denied, mkdir '/d/objects': give the user of this process the right to it, or name another one",
    );
  });

  it("gives a refused setting as it is", () => {
    expect(startErrorLine(new SettingsError("KAFSCALE_X is wrong"), undefined)).toBe("KAFSCALE_X is wrong");
  });

  it("names causes once, on one line", () => {
    const cause = new Error("disk\n gone");
    expect(startErrorLine(new Error("journal closed", { cause }), settings)).toBe("journal closed: disk gone");
    expect(startErrorLine(new Error("journal closed: disk\n gone", { cause }), settings)).toBe(
      "journal closed: disk gone",
    );
    expect(startErrorLine("text", settings)).toBe('"text"');
  });
});
