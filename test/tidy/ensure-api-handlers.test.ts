// One file per Kafka API, and the support table says exactly what the handlers serve.
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryFiles, textOf } from "./source-files.ts";

const handlerFiles = repositoryFiles().filter(
  (path) => path.startsWith("src/kafka/apis/") && /\/\d\d-[a-z-]+\.ts$/.test(path),
);

/** The comment lines at the top of a file. */
function headerOf(path: string): string {
  const lines = textOf(path).split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines.slice(0, end).join("\n");
}

function keyOf(path: string): number {
  return Number(posix.basename(path).slice(0, 2));
}

describe("api handlers", () => {
  it("say at their top which versions they serve, what they do and what they refuse", () => {
    const silent = handlerFiles.filter((path) => {
      const header = headerOf(path);
      return (
        header.split("\n").length < 2 ||
        !/version|v\d/i.test(header) ||
        !/refus|never|not |error|[A-Z]+_[A-Z]+/.test(header)
      );
    });
    expect(silent).toEqual([]);
  });

  it("all have a row in the support table, and no other api is shown as served", () => {
    const rows = [...textOf("docs/PROTOCOL.md").matchAll(/^\|\s*(\d+)\s*\|.*\|$/gm)];
    const served = rows.filter(([row]) => /\|\s*(yes|served|✓)/i.test(row)).map(([, key]) => Number(key));
    expect(served.toSorted((left, right) => left - right)).toEqual(
      handlerFiles.map(keyOf).toSorted((left, right) => left - right),
    );
  });
});
