// What a broker tells others of the store: only what it has just tried, and never more often than the store bears.
import { describe, expect, it } from "vitest";
import { StoreReach } from "../../src/log/store-reach.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { FaultyObjectStore } from "../sim/faulty-object-store.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const { signal } = new AbortController();

function newWorld() {
  const clock = new SimClock({ seed: "reach" });
  const random = new SimRandom("reach");
  const inner = new MemoryObjectStore();
  const link = new FaultyObjectStore(inner, { world: clock, node: clock.node(), random, latencyMs: [10, 10] });
  const life = new AbortController();
  const reach = new StoreReach({ store: link, clock, random, key: "probe/1-reach", signal: life.signal });
  const cutFor = (ms: number, effect: "silence" | "refuse" = "silence") => {
    const fromMs = clock.monotonicMs();
    link.calls.addOutage({ fromMs, toMs: fromMs + ms, effect });
  };
  return { clock, inner, link, life, reach, cutFor };
}

describe("whether the store answers", () => {
  it("is found out by a put and a get, also when it was known a moment ago", async () => {
    const { clock, link, reach, cutFor } = newWorld();
    expect(await clock.complete(reach.isAnswering())).toBe(true);
    expect(link.calls.callCount).toBe(2);
    await clock.advance(5_000);
    cutFor(60_000);
    expect(await clock.complete(reach.isAnswering())).toBe(false);
  });

  it("is never told from a call that began before the question", async () => {
    const { clock, reach, cutFor } = newWorld();
    const early = reach.isAnswering();
    await clock.advance(35);
    // The get of the first probe has arrived when the store goes silent.
    cutFor(1_000);
    const late = reach.isAnswering();
    expect(await clock.complete(early)).toBe(true);
    expect(await clock.complete(late)).toBe(false);
  });

  it("is known after three seconds at most, while the store is silent", async () => {
    const { clock, reach, cutFor } = newWorld();
    cutFor(60_000);
    void reach.isAnswering();
    await clock.advance(1);
    const startedMs = clock.monotonicMs();
    expect(await clock.complete(reach.isAnswering())).toBe(false);
    expect(clock.monotonicMs() - startedMs).toBeLessThanOrEqual(3_000);
  });

  it("costs four calls a second at most, however many ask", async () => {
    const { clock, link, reach } = newWorld();
    let answers = 0;
    for (let turn = 0; turn < 100; turn++) {
      for (let asker = 0; asker < 20; asker++)
        void reach.isAnswering().then((isAnswering) => (answers += Number(isAnswering)));
      await clock.advance(100);
    }
    await clock.advance(1_000);
    expect(answers).toBe(2_000);
    expect(link.calls.callCount).toBeLessThanOrEqual(44);
  });

  it("leaves no timer behind when the broker ends, and is then denied", async () => {
    const { clock, life, reach, cutFor } = newWorld();
    cutFor(60_000);
    const asked = [reach.isAnswering()];
    await clock.advance(1);
    asked.push(reach.isAnswering());
    await clock.advance(1);
    life.abort(new Error("the broker ends"));
    expect(await Promise.all(asked)).toEqual([false, false]);
    expect(clock.pendingCount).toBe(0);
    expect(await reach.isAnswering()).toBe(false);
  });
});

describe("the last answer", () => {
  it("is any call that is done, or refused for what lies there or for rights", async () => {
    const { clock, inner, reach } = newWorld();
    expect(reach.answeredMs).toBe(Number.NEGATIVE_INFINITY);
    const atEnd = async (call: () => Promise<unknown>) => {
      await clock.advance(1_000);
      await clock.complete(call().catch(() => {}));
      return reach.answeredMs === clock.monotonicMs();
    };
    const put = () => reach.put("a", [new Uint8Array(1)], { ifAbsent: true, signal });
    expect(await atEnd(put)).toBe(true);
    expect(await atEnd(put)).toBe(true);
    expect(await atEnd(() => reach.get("a", { signal }))).toBe(true);
    expect(await atEnd(() => reach.head("absent", { signal }))).toBe(true);
    expect(await atEnd(() => reach.list("", { limit: 1, signal }))).toBe(true);
    expect(await atEnd(() => reach.delete(["a"], { signal }))).toBe(true);
    inner.head = () => Promise.reject(new ObjectStoreError("denied", "no rights"));
    expect(await atEnd(() => reach.head("a", { signal }))).toBe(true);
  });

  it("is no refusal of the moment and no silence", async () => {
    const { clock, reach, cutFor } = newWorld();
    cutFor(60_000, "refuse");
    await expect(clock.complete(reach.get("a", { signal }))).rejects.toMatchObject({ kind: "unavailable" });
    const impatient = new AbortController();
    const call = reach.get("a", { signal: impatient.signal }).catch(() => {});
    impatient.abort(new Error("enough"));
    await clock.complete(call);
    expect(reach.answeredMs).toBe(Number.NEGATIVE_INFINITY);
  });
});
