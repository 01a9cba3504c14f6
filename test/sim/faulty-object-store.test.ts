// The faults of an object store's calls: what each leaves behind and what the caller learns.
import { describe, expect, it } from "vitest";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { describeObjectStore } from "../object-store/object-store-contract.ts";
import type { Fault } from "./faulty-calls.ts";
import { FaultyObjectStore } from "./faulty-object-store.ts";
import { SimClock } from "./sim-clock.ts";
import { SimRandom } from "./sim-random.ts";

const { signal } = new AbortController();
const create = { signal, ifAbsent: true };

function newWorld(rates: Partial<Record<Fault, number>> = {}, seed = 1) {
  const world = new SimClock({ seed });
  const node = world.node();
  const inner = new MemoryObjectStore();
  const trace: string[] = [];
  const random = new SimRandom(seed).split("objects");
  const store = new FaultyObjectStore(inner, {
    world,
    node,
    random,
    rates: { put: rates },
    trace: (line) => trace.push(line),
  });
  return { world, node, inner, store, trace, random };
}

/** The kind of the failure of `promise`, "ok" if it resolves, and "pending" if nothing more happens to it. */
async function outcomeOf(world: SimClock, promise: Promise<unknown>): Promise<string> {
  let outcome = "pending";
  promise.then(
    () => {
      outcome = "ok";
    },
    (error: ObjectStoreError) => {
      outcome = error.kind;
    },
  );
  await world.run();
  return outcome;
}

describeObjectStore("a store over a network without faults", async () => {
  const { world, store } = newWorld();
  let isOpen = true;
  void (async () => {
    while (isOpen) await world.run();
  })();
  return {
    store,
    close: async () => {
      isOpen = false;
    },
  };
});

describe("FaultyObjectStore", () => {
  it.each([
    ["refused", "unavailable", 0],
    ["unreachable", "unavailable", 0],
  ] as const)("does nothing and says so for a call that is %s", async (fault, kind, count) => {
    const { world, store, inner } = newWorld({ [fault]: 1 });
    expect(await outcomeOf(world, store.put("a", [], create))).toBe(kind);
    expect(inner.objectCount).toBe(count);
    expect(store.calls.counts[fault]).toBe(1);
  });

  it.each([
    ["lost-request", 0],
    ["lost-reply", 1],
    ["late", 1],
  ] as const)("leaves the caller of a %s put not knowing, and %i objects", async (fault, count) => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const { world, store, inner } = newWorld({ [fault]: 1 }, seed);
      outcomes.add(await outcomeOf(world, store.put("a", [], create)));
      expect(inner.objectCount).toBe(count);
    }
    expect([...outcomes].sort()).toEqual(["pending", "unknown"]);
  });

  it("applies a late put after its caller gave up, with the bytes of the time it was sent", async () => {
    const { world, store, inner } = newWorld({ late: 1 });
    const controller = new AbortController();
    const bytes = new Uint8Array([1]);
    const putting = store.put("a", [bytes], { signal: controller.signal, ifAbsent: true });
    controller.abort(new Error("deadline"));
    await expect(putting).rejects.toMatchObject({ kind: "unknown" });
    bytes.fill(9);
    expect(inner.objectCount).toBe(0);
    await world.run();
    expect([...(await inner.get("a", { signal }))]).toEqual([1]);
  });

  it("applies what a node sent before it was killed, and never answers it", async () => {
    const { world, node, store, inner } = newWorld();
    const putting = store.put("a", [], create);
    node.kill();
    expect(await outcomeOf(world, putting)).toBe("pending");
    expect(inner.objectCount).toBe(1);
    expect(store.calls.counts["applied-after-death"]).toBe(1);
    expect(await outcomeOf(world, store.put("b", [], create))).toBe("pending");
    expect(inner.objectCount).toBe(1);
  });

  it("answers a paused node when it resumes", async () => {
    const { world, node, store } = newWorld();
    const putting = store.put("a", [], create);
    node.pause();
    expect(await outcomeOf(world, putting)).toBe("pending");
    node.resume();
    expect(await outcomeOf(world, putting)).toBe("ok");
  });

  it("refuses or swallows every call of an outage, and none after it", async () => {
    const { world, store, inner } = newWorld();
    store.calls.addOutage({ fromMs: 0, toMs: 1000, effect: "refuse" });
    expect(await outcomeOf(world, store.put("a", [], create))).toBe("unavailable");
    await world.advance(1000);
    expect(await outcomeOf(world, store.put("a", [], create))).toBe("ok");
    expect([inner.objectCount, store.calls.counts.outage]).toEqual([1, 1]);
  });

  it("deals each fault about as often as its rate says, and the same ones under the same seed", async () => {
    const run = async (seed: number) => {
      const { world, store, trace, random } = newWorld({ refused: 0.2, "lost-reply": 0.1 }, seed);
      for (let index = 0; index < 1000; index++) {
        const controller = new AbortController();
        const cancel = world.setTimer(100, () => controller.abort(new Error("deadline")));
        const putting = store.put(`k/${index}`, [], { signal: controller.signal, ifAbsent: true });
        await world.complete(putting.catch(() => undefined));
        cancel();
      }
      return { counts: { ...store.calls.counts }, hash: `${trace.join("\n")} ${random.drawnCount}` };
    };
    const [first, second] = [await run(5), await run(5)];
    expect(first.hash).toBe(second.hash);
    expect(first.counts.refused).toBeGreaterThan(150);
    expect(first.counts.refused).toBeLessThan(250);
    expect(first.counts["lost-reply"]).toBeGreaterThan(60);
    expect(first.counts.late).toBe(0);
  });
});
