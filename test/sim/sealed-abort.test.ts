import { describe, expect, it } from "vitest";
import { SealedAbortController } from "./sealed-abort.ts";

/** What a signal tells whom, in order, however it is made. */
function story(controller: AbortController | SealedAbortController): unknown[] {
  const told: unknown[] = [];
  const signal = controller.signal as AbortSignal;
  const once = { once: true };
  const twice = () => told.push("added twice");
  const late = () => told.push("removed by another listener");
  const never = () => told.push("removed before");
  signal.addEventListener("abort", () => told.push(signal.aborted, signal.reason), once);
  signal.addEventListener("abort", twice, once);
  signal.addEventListener("abort", twice, once);
  signal.addEventListener("abort", () => signal.removeEventListener("abort", late), once);
  signal.addEventListener("abort", late, once);
  signal.addEventListener("abort", never, once);
  signal.removeEventListener("abort", never);
  signal.throwIfAborted();
  controller.abort("why");
  controller.abort("again");
  signal.addEventListener("abort", () => told.push("too late"), once);
  try {
    signal.throwIfAborted();
  } catch (error) {
    told.push(error, signal.reason);
  }
  return told;
}

describe("a signal of a sealed world", () => {
  it("tells the same listeners in the same order as Node's", () => {
    const told = story(new SealedAbortController());
    expect(told).toEqual([true, "why", "added twice", "why", "why"]);
    expect(told).toEqual(story(new AbortController()));
  });

  it("aborts with an AbortError where no reason is given", () => {
    const controller = new SealedAbortController();
    controller.abort();
    expect(controller.signal.reason).toMatchObject({ name: "AbortError" });
  });
});
