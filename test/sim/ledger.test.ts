import { describe, expect, it } from "vitest";
import { addCounts, Ledger } from "./ledger.ts";

describe("a ledger", () => {
  it("counts each question, and keeps those whose answer was no with their time", () => {
    const ledger = new Ledger(() => 42);
    ledger.check("b", true, () => "never asked for");
    ledger.check("a", false, () => "why");
    ledger.check("b", true, () => "never asked for");
    expect([...ledger.evaluations]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(ledger.violations).toEqual([{ rule: "a", text: "why", atMs: 42 }]);
  });

  it("adds up with others", () => {
    const sum = new Map([["a", 1]]);
    addCounts(sum, [
      ["a", 2],
      ["b", 3],
    ]);
    expect([...sum]).toEqual([
      ["a", 3],
      ["b", 3],
    ]);
  });
});
