// Waits and deadlines, in virtual time.
import { describe, expect, it } from "vitest";
import { DeadlineError, sleep, withDeadline } from "../../src/host/clock.ts";
import { SimClock } from "../sim/sim-clock.ts";

describe("sleep", () => {
  it("ends after its time, and leaves no timer when its signal aborts first", async () => {
    const clock = new SimClock();
    const controller = new AbortController();
    await clock.complete(sleep(clock, 250, controller.signal));
    expect(clock.monotonicMs()).toBe(250);
    const waiting = sleep(clock, 1000, controller.signal);
    controller.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow("stopped");
    await expect(sleep(clock, 1000, controller.signal)).rejects.toThrow("stopped");
    expect(clock.pendingCount).toBe(0);
  });
});

describe("withDeadline", () => {
  const { signal } = new AbortController();

  it("gives what the work gives in time, and cancels its timer", async () => {
    const clock = new SimClock();
    await expect(withDeadline(clock, 100, "a put", signal, async () => 7)).resolves.toBe(7);
    await expect(withDeadline(clock, 100, "a put", signal, () => Promise.reject(new Error("no")))).rejects.toThrow(
      "no",
    );
    expect(clock.pendingCount).toBe(0);
  });

  it("rejects at the deadline and aborts the work, also one that does not listen", async () => {
    const clock = new SimClock();
    let isAborted = false;
    const waiting = withDeadline(clock, 100, "a put", signal, (inner) => {
      inner.addEventListener("abort", () => {
        isAborted = true;
      });
      return new Promise<never>(() => {});
    });
    await expect(clock.complete(waiting)).rejects.toThrow(DeadlineError);
    expect([isAborted, clock.monotonicMs()]).toEqual([true, 100]);
  });

  it("rejects with the reason of the outer signal", async () => {
    const clock = new SimClock();
    const controller = new AbortController();
    const waiting = withDeadline(clock, 100, "a put", controller.signal, () => new Promise<never>(() => {}));
    controller.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow("stopped");
    expect(clock.pendingCount).toBe(0);
  });
});
