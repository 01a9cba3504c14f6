// Signals for any number of listeners.
import { defaultMaxListeners, setMaxListeners } from "node:events";
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
    const warned = new Set<unknown>();
    // The process may warn of something else meanwhile.
    const note = (warning: Error) => void warned.add("target" in warning ? warning.target : undefined);
    const isWarnedOf = async (signal: AbortSignal) => {
      for (let count = 0; count < 20; count++) signal.addEventListener("abort", () => {});
      await nextTurn();
      return warned.has(signal);
    };
    // Another test of this process may have switched the warning off.
    const before = defaultMaxListeners;
    setMaxListeners(10);
    process.on("warning", note);
    try {
      const controller = longLivedController();
      expect(await isWarnedOf(controller.signal)).toBe(false);
      expect(await isWarnedOf(anySignal(controller.signal))).toBe(false);
      expect(await isWarnedOf(AbortSignal.any([controller.signal]))).toBe(true);
    } finally {
      process.off("warning", note);
      setMaxListeners(before);
    }
  });
});
