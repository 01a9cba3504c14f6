// A caller who gave up before anything was begun.
import { expect, it } from "vitest";
import { refuseIfAborted } from "../../src/object-store/call-refusal.ts";

it("says that nothing was done, with the reason", () => {
  const reason = new Error("stopped");
  expect(() => refuseIfAborted(AbortSignal.abort(reason), "get a")).toThrow(
    expect.objectContaining({ kind: "unavailable", cause: reason }) as Error,
  );
  expect(() => refuseIfAborted(new AbortController().signal, "get a")).not.toThrow();
});
