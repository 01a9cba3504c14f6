// The text after the start: commands as they can be pasted.
import { expect, it } from "vitest";
import { addressText, exampleText } from "../../src/main/examples.ts";

const facts = {
  version: "1.2.3",
  bootstrap: { host: "127.0.0.1", port: 39_092 },
  metrics: { host: "127.0.0.1", port: 39_093 },
  dataDir: undefined,
  readyMs: 420,
};

it("names the broker's real address in every command", () => {
  const commands = exampleText(facts)
    .split("\n")
    .filter((line) => line.startsWith("  "));
  expect(commands).toHaveLength(5);
  expect(commands.filter((line) => !line.includes("127.0.0.1:39092"))).toEqual([]);
});

it("says where records are", () => {
  expect(exampleText(facts)).toContain("Records in memory: they end with this process (--data-dir keeps them)\n");
  expect(exampleText({ ...facts, dataDir: "/d" })).toContain("Records in /d\n");
  expect(exampleText({ ...facts, dataDir: "/d", bucket: "prod" })).toContain("Records in bucket prod\n");
});

it("puts an address with colons into brackets", () => {
  expect(addressText({ host: "::1", port: 9092 })).toBe("[::1]:9092");
});
