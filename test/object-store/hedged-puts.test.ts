// Slow puts that are sent twice: when, how often at most, and what counts as the outcome.
import { describe, expect, it } from "vitest";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { HedgedPuts } from "../../src/object-store/hedged-puts.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { ObjectStoreError, type ObjectStoreErrorKind, type PutOptions } from "../../src/object-store/object-store.ts";
import { ManualClock, quiet } from "../kafka/manual-clock.ts";
import { describeObjectStore } from "./object-store-contract.ts";

describeObjectStore("a store with hedged puts", () => {
  const parts = { clock: new ManualClock(), metrics: new UnexportedMetrics() };
  return Promise.resolve({ store: new HedgedPuts(new MemoryObjectStore(), parts), close: () => Promise.resolve() });
});

/** One sending of a put that a test decides. */
interface Sending {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly succeed: () => void;
  readonly fail: (error: unknown) => void;
}

class ManualStore extends MemoryObjectStore {
  readonly sendings: Sending[] = [];

  override put(key: string, _parts: readonly Uint8Array[], { signal }: PutOptions): Promise<void> {
    return new Promise((succeed, fail) => {
      this.sendings.push({ key, signal, succeed, fail });
      signal.addEventListener("abort", () => fail(failure("unknown")));
    });
  }
}

function failure(kind: ObjectStoreErrorKind): ObjectStoreError {
  return new ObjectStoreError(kind, "of the test");
}

const { signal } = new AbortController();
const final = { signal, ifAbsent: true, areFinal: true };

async function world() {
  const store = new ManualStore();
  const clock = new ManualClock();
  const hedged = new HedgedPuts(store, { clock, metrics: new UnexportedMetrics() });
  /** Puts that take 10 ms each, but for the last 5 %, which take 100. */
  for (let put = 0; put < 100; put++) {
    const done = hedged.put(`history/${put}`, [], final);
    await clock.advance(put < 95 ? 10 : 100);
    store.sendings.at(-1)?.succeed();
    await done;
  }
  store.sendings.length = 0;
  return { store, clock, hedged };
}

describe("a put that takes longer than 95 % of the last ones", () => {
  it("is sent again, and is done with the first success, which ends the other sending", async () => {
    const { store, clock, hedged } = await world();
    const done = hedged.put("a", [], final);
    await clock.advance(99);
    expect(store.sendings).toHaveLength(1);
    await clock.advance(1);
    expect(store.sendings.map(({ key }) => key)).toEqual(["a", "a"]);
    store.sendings[1]?.succeed();
    await done;
    expect(store.sendings[0]?.signal.aborted).toBe(true);
    expect(clock.timerCount).toBe(0);
  });

  it("waits for the other sending when one fails", async () => {
    const { store, clock, hedged } = await world();
    const done = hedged.put("a", [], final);
    await clock.advance(100);
    store.sendings[0]?.fail(failure("unknown"));
    await quiet();
    store.sendings[1]?.succeed();
    await expect(done).resolves.toBeUndefined();
  });

  it.each([
    ["unavailable", "unknown", "unknown"],
    ["unknown", "unavailable", "unknown"],
    ["unknown", "already-exists", "already-exists"],
    ["denied", "unavailable", "denied"],
  ] as const)("that fails as %s and as %s has failed as %s", async (first, second, told) => {
    const { store, clock, hedged } = await world();
    const done = hedged.put("a", [], final).catch((error: unknown) => error);
    await clock.advance(100);
    store.sendings[0]?.fail(failure(first));
    store.sendings[1]?.fail(failure(second));
    expect(await done).toMatchObject({ kind: told });
  });

  it("ends both sendings when its caller gives up", async () => {
    const { store, clock, hedged } = await world();
    const caller = new AbortController();
    const done = hedged.put("a", [], { ...final, signal: caller.signal }).catch((error: unknown) => error);
    await clock.advance(100);
    caller.abort();
    expect(await done).toMatchObject({ kind: "unknown" });
    expect(store.sendings.every((sending) => sending.signal.aborted)).toBe(true);
  });

  it("is sent again only while few are: a store that is slow as a whole gets a tenth more", async () => {
    const { store, clock, hedged } = await world();
    const puts = Array.from({ length: 200 }, (_, put) => hedged.put(`slow/${put}`, [], final));
    await clock.advance(1_000);
    expect(store.sendings).toHaveLength(200 + 10);
    for (const sending of store.sendings) sending.succeed();
    await Promise.all(puts);
  });
});

describe("a put", () => {
  it("that fails before it is late has failed, without a second sending", async () => {
    const { store, clock, hedged } = await world();
    const done = hedged.put("a", [], final).catch((error: unknown) => error);
    store.sendings[0]?.fail(failure("unavailable"));
    expect(await done).toMatchObject({ kind: "unavailable" });
    await clock.advance(1_000);
    expect(store.sendings).toHaveLength(1);
  });

  it("is never sent again when it replaces, when its bytes may change, or when nobody waits for it", async () => {
    const { store, clock, hedged } = await world();
    const puts = [
      hedged.put("a", [], { ...final, ifAbsent: false }),
      hedged.put("b", [], { signal, ifAbsent: true }),
      hedged.put("c", [], { ...final, isBackground: true }),
    ];
    await clock.advance(10_000);
    expect(store.sendings).toHaveLength(3);
    for (const sending of store.sendings) sending.succeed();
    await Promise.all(puts);
  });

  it("is not sent again before there is anything to compare it with, large ones apart from small ones", async () => {
    const { store, clock, hedged } = await world();
    const done = hedged.put("large", [new Uint8Array(1024 * 1024)], final);
    await clock.advance(60_000);
    expect(store.sendings).toHaveLength(1);
    store.sendings[0]?.succeed();
    await done;
  });
});
