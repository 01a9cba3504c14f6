// The error codes, asked of the classes themselves by a small Java program: names and retriable flags are nowhere in
// the schemas. Refuses output that is not code, name and flag.
import { execFileSync } from "node:child_process";
import { delimiter, join } from "node:path";

/** One error code of the protocol. */
export interface ErrorRow {
  readonly code: number;
  readonly name: string;
  readonly retriable: boolean;
}

/** Runs ErrorTable.java against the given jars. Needs a JDK of 11 or newer. */
export function readErrorTable(jars: readonly string[]): ErrorRow[] {
  const program = join(import.meta.dirname, "ErrorTable.java");
  const output = execFileSync("java", ["-cp", jars.join(delimiter), program], {
    encoding: "utf8",
    timeout: 120_000,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return output
    .trim()
    .split("\n")
    .map(parseRow)
    .toSorted((a, b) => a.code - b.code);
}

function parseRow(line: string): ErrorRow {
  const match = /^(-?\d+) ([A-Z0-9_]+) (true|false)$/.exec(line.trim());
  if (match === null) throw new Error(`ErrorTable.java printed "${line}"`);
  return { code: Number(match[1]), name: match[2] ?? "", retriable: match[3] === "true" };
}

/** The text of schemas/errors.json, one error a line. */
export function formatErrorTable(rows: readonly ErrorRow[]): string {
  const lines = rows.map((row) => `  { "code": ${row.code}, "name": "${row.name}", "retriable": ${row.retriable} }`);
  return `[\n${lines.join(",\n")}\n]\n`;
}
