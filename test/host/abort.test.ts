// Signals for any number of listeners.
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { anySignal, longLivedController } from "../../src/host/abort.ts";

describe("anySignal", () => {
  it("aborts with the first of its signals and for its reason", () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const signal = anySignal(first.signal, second.signal);
    second.abort(new Error("second"));
    first.abort(new Error("first"));
    expect(signal.reason).toEqual(new Error("second"));
  });

  it("takes any number of listeners without the warning that other signals give", async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => void warnings.push(name);
    const warningsOf = async (signal: AbortSignal) => {
      for (let count = 0; count < 20; count++) signal.addEventListener("abort", () => {});
      await nextTurn();
      return warnings.splice(0);
    };
    process.on("warning", note);
    try {
      const controller = longLivedController();
      expect(await warningsOf(controller.signal)).toEqual([]);
      expect(await warningsOf(anySignal(controller.signal))).toEqual([]);
      expect(await warningsOf(AbortSignal.any([controller.signal]))).toEqual(["MaxListenersExceededWarning"]);
    } finally {
      process.off("warning", note);
    }
  });
});
