// The listener by itself: limits of connections, the pace of accepts, and its end.
import { beforeEach, describe, expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import type { Answer } from "../../src/kafka/answer-queue.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { KafkaServer } from "../../src/kafka/server.ts";
import { ManualClock, quiet } from "./manual-clock.ts";
import { MemoryTransport } from "./memory-transport.ts";
import { RawClient, rawFrame } from "./raw-client.ts";

let clock: ManualClock;
let transport: MemoryTransport;
let metrics: UnexportedMetrics;
let server: KafkaServer;
let pending: ((answer: Answer) => void)[];

async function listen(settings: Partial<KafkaSettings> = {}): Promise<void> {
  clock = new ManualClock();
  transport = new MemoryTransport();
  metrics = new UnexportedMetrics();
  pending = [];
  const parts = {
    transport,
    clock,
    log: silentLog,
    metrics,
    settings: { ...defaultKafkaSettings, ...settings },
    budget: new ByteBudget(1 << 20),
    start: () => new Promise<Answer>((resolve) => pending.push(resolve)),
    onBug: (error: unknown) => {
      throw error;
    },
  };
  server = await KafkaServer.listen(parts, { host: "127.0.0.1", port: 9092 });
}

beforeEach(() => listen());

function endedCount(reason: string): number {
  return metrics.counter("kafscale_connections_ended_total", "", { reason }).value;
}

describe("the listener", () => {
  it("serves exactly as many connections as allowed, and one more after one has ended", async () => {
    await listen({ connectionsMax: 3 });
    const clients = [1, 2, 3].map((host) => new RawClient(transport, `192.0.2.${host}`));
    const refused = new RawClient(transport, "192.0.2.4");
    await quiet();
    expect(clients.map(({ isEnded }) => isEnded)).toEqual([false, false, false]);
    expect(refused.isEnded).toBe(true);
    expect(endedCount("limit")).toBe(1);
    clients[0]?.connection.end();
    await quiet();
    const next = new RawClient(transport, "192.0.2.4");
    await quiet();
    expect(next.isEnded).toBe(false);
    expect(server.connectionCount).toBe(3);
  });

  it("serves exactly as many connections of one address as allowed", async () => {
    await listen({ connectionsPerAddressMax: 2 });
    const same = [1, 2, 3].map(() => new RawClient(transport, "192.0.2.1"));
    const other = new RawClient(transport, "192.0.2.2");
    await quiet();
    expect(same.map(({ isEnded }) => isEnded)).toEqual([false, false, true]);
    expect(other.isEnded).toBe(false);
  });

  it("closes connections that come too fast after a pause, and takes them again a second later", async () => {
    await listen({ acceptsPerSecondMax: 3, acceptsPerSecondPerAddressMax: 2, acceptDelayMs: 400 });
    const same = [1, 2, 3].map(() => new RawClient(transport, "192.0.2.1"));
    const others = [2, 3].map((host) => new RawClient(transport, `192.0.2.${host}`));
    await clock.advance(399);
    expect([...same, ...others].map(({ isEnded }) => isEnded)).toEqual([false, false, false, false, false]);
    expect(server.connectionCount).toBe(3);
    await clock.advance(1);
    expect([...same, ...others].map(({ isEnded }) => isEnded)).toEqual([false, false, true, false, true]);
    await clock.advance(600);
    const later = new RawClient(transport, "192.0.2.1");
    await clock.advance(400);
    expect(later.isEnded).toBe(false);
  });

  it("answers what was asked before it closes, and closes the rest when the grace is over", async () => {
    const quick = new RawClient(transport, "192.0.2.1");
    const slow = new RawClient(transport, "192.0.2.2");
    const idle = new RawClient(transport, "192.0.2.3");
    quick.send(rawFrame(18, 0, 1));
    await quiet();
    slow.send(rawFrame(18, 0, 2));
    await quiet();
    const closed = server.close(1_000);
    await quiet();
    expect(idle.isEnded).toBe(true);
    pending[0]?.({ parts: [Uint8Array.from([0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0])], bytes: 12 });
    await quiet();
    expect([quick.frames.length, quick.isEnded, slow.isEnded]).toEqual([1, true, false]);
    await clock.advance(1_000);
    await closed;
    expect(slow.isEnded).toBe(true);
    expect(clock.timerCount).toBe(0);
    expect(() => new RawClient(transport)).toThrow("refused");
  });
});
