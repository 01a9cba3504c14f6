// Repeated calls: what is repeated, what is not, and when it ends.
import { describe, expect, it } from "vitest";
import {
  CALL_TIMEOUT_MS,
  callOnce,
  isTransient,
  isUnknownOutcome,
  txnUntilAnswered,
  untilAnswered,
} from "../../src/cluster/attempts.ts";
import { DeadlineError } from "../../src/host/clock.ts";
import { KvError } from "../../src/kv/key-value-store.ts";
import { World } from "./world.ts";

describe("a call to the store", () => {
  it("counts as unknown when its deadline passes, and is tried again", async () => {
    const world = new World();
    const never = () => new Promise<never>(() => {});
    const once = callOnce(world.components, { what: "test", signal: world.signal }, never);
    await expect(world.settled(once)).rejects.toThrow(DeadlineError);
    expect(world.clock.monotonicMs()).toBe(CALL_TIMEOUT_MS);
    const failures: unknown[] = [];
    let calls = 0;
    const attempt = { what: "test", signal: world.signal, onFailure: (error: unknown) => failures.push(error) };
    const answer = untilAnswered(world.components, attempt, () => {
      calls += 1;
      return calls < 3 ? never() : Promise.resolve(calls);
    });
    expect(await world.settled(answer)).toBe(3);
    expect(failures.map(isUnknownOutcome)).toEqual([true, true]);
  });

  it.each(["denied", "too-large", "lease-not-found", "compacted"] as const)(
    "is not repeated after %s",
    async (kind) => {
      const world = new World();
      let calls = 0;
      const attempt = { what: "test", signal: world.signal };
      const call = untilAnswered(world.components, attempt, () => {
        calls += 1;
        return Promise.reject(new KvError(kind, "by the test"));
      });
      await expect(world.settled(call)).rejects.toMatchObject({ kind });
      expect(calls).toBe(1);
      expect(isTransient(new KvError(kind, ""))).toBe(false);
    },
  );

  it("ends with the caller's reason, also in the pause between two tries", async () => {
    const world = new World();
    world.store.faults.push(...Array.from({ length: 50 }, () => "unavailable" as const));
    const giveUp = new AbortController();
    const call = txnUntilAnswered(
      world.components,
      { what: "test", signal: giveUp.signal },
      { compare: [], then: [{ type: "delete", key: "k" }] },
    );
    await world.pass(5);
    giveUp.abort(new Error("gave up"));
    await expect(world.settled(call)).rejects.toThrow("gave up");
    expect(world.store.sent).toEqual([]);
  });
});
