// The log: what a line holds, and which lines there are.
import { expect, it } from "vitest";
import { createPinoLog, type LogLevel } from "../../src/host/pino-log.ts";

function logTo(lines: Record<string, unknown>[], level?: LogLevel) {
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  return createPinoLog({ destination, ...(level === undefined ? {} : { level }) });
}

it("writes warnings and errors unless told otherwise", () => {
  const lines: Record<string, unknown>[] = [];
  const log = logTo(lines);
  log.debug("one");
  log.info("two");
  log.warn("three");
  log.error("four");
  expect(lines.map((line) => [line["level"], line["msg"]])).toEqual([
    ["warn", "three"],
    ["error", "four"],
  ]);
});

it("writes the fields of a line and of its parents, and an error with its cause", () => {
  const lines: Record<string, unknown>[] = [];
  const error = new Error("outer", { cause: new Error("inner") });
  logTo(lines, "debug").child({ session: "7" }).debug("put failed", { flush: 3, error });
  expect(lines[0]).toMatchObject({ level: "debug", msg: "put failed", session: "7", flush: 3 });
  expect(JSON.stringify(lines[0]?.["error"])).toMatch(/outer.*inner/);
});
