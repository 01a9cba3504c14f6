// Produce whose flush is stuck: what the client is told, and what stays counted.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { MemoryObjectStore } from "../../../src/object-store/memory.ts";
import type { CallOptions } from "../../../src/object-store/object-store.ts";
import { apis, BrokerWorld, batchOf, produceOf } from "../broker-world.ts";

/** A store whose puts of WAL objects wait until they are let through. */
class StuckStore extends MemoryObjectStore {
  #release: (() => void) | undefined;
  #stuck: Promise<void> | undefined;

  stick(): void {
    this.#stuck = new Promise((resolve) => (this.#release = resolve));
  }

  release(): void {
    this.#stuck = undefined;
    this.#release?.();
  }

  override async put(
    key: string,
    parts: readonly Uint8Array[],
    options: CallOptions & { ifAbsent: boolean },
  ): Promise<void> {
    if (key.includes("/wal/")) await this.#stuck;
    return super.put(key, parts, options);
  }
}

describe("a produce whose flush is stuck", () => {
  it("is answered with REQUEST_TIMED_OUT after its time, and a repeat of it is not written twice", async () => {
    const store = new StuckStore();
    const world = await BrokerWorld.start({}, { store });
    const client = await world.connect();
    await client.createTopic("log");
    const batch = batchOf(["a"], { producerId: 7, producerEpoch: 0, baseSequence: 0 });
    store.stick();
    const startMs = world.clock.monotonicMs();
    const request = { ...produceOf([{ topic: "log", batch }], 9), timeoutMs: 1_500 };
    const late = await client.call(apis.produce, 9, request);
    expect(late.responses[0]?.partitionResponses[0]?.errorCode).toBe(ErrorCode.REQUEST_TIMED_OUT);
    const waitedMs = world.clock.monotonicMs() - startMs;
    expect(waitedMs).toBeGreaterThanOrEqual(1_500);
    expect(waitedMs).toBeLessThan(1_600);
    store.release();
    const again = await client.produce({ topic: "log" }, batch);
    expect(again).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect((await client.produce({ topic: "log" }, batchOf(["b"]))).baseOffset).toBe(1);
    await world.stop();
  });
});
