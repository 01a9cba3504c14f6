// A broker whose stores fall silent: every start and every stop comes to its end, and leaves no timer behind.
import { describe, expect, it } from "vitest";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { BrokerWorld } from "../kafka/broker-world.ts";
import { MemoryTransport } from "../kafka/memory-transport.ts";
import { batchOf } from "../log/log-world.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const signal = new AbortController().signal;
const LEASE_MS = 10_000;
const { stopTimeoutMs } = embeddedBrokerSettings;

/** Lets a number of calls through; the later ones get no answer, and do not even hear that they are given up. */
class Silence {
  callsLeft = Number.POSITIVE_INFINITY;

  over<T extends object>(store: T): T {
    return new Proxy(store, {
      get: (target, name) => {
        const member = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name === "watch") return member.bind(target);
        return (...args: unknown[]) => (--this.callsLeft < 0 ? new Promise(() => {}) : member.apply(target, args));
      },
    });
  }
}

describe("a start in an outage", () => {
  /** Starts, waits, and tells it to stop: how long that takes, and what is left. */
  async function interruptedStart(silence: { readonly kv?: number; readonly store?: number }, waitMs: number) {
    const clock = new SimClock({ seed: "outage" });
    const [kv, store] = [new Silence(), new Silence()];
    kv.callsLeft = silence.kv ?? Number.POSITIVE_INFINITY;
    store.callsLeft = silence.store ?? Number.POSITIVE_INFINITY;
    const parts = {
      clock,
      random: new SimRandom("outage"),
      log: silentLog,
      metrics: new UnexportedMetrics(),
      transport: new MemoryTransport(),
      store: store.over(new MemoryObjectStore()),
      kv: kv.over(new MemoryKeyValueStore({ clock })),
    };
    const address = { host: "127.0.0.1", port: 9092 };
    const settings = { ...embeddedBrokerSettings, listener: address, advertised: address };
    const stop = new AbortController();
    const starting = Broker.start(settings, parts, { signal: stop.signal });
    const outcome = starting.then(
      () => "serves",
      (error: Error) => error.message,
    );
    await clock.advance(waitMs);
    const toldMs = clock.monotonicMs();
    stop.abort(new Error("told to stop"));
    const how = await clock.complete(outcome);
    const tookMs = clock.monotonicMs() - toldMs;
    await clock.advance(LEASE_MS);
    return { how, tookMs, timersLeft: clock.pendingCount };
  }

  it("ends within seconds of its signal, wherever the metadata store fell silent", async () => {
    let calls = 0;
    for (; ; calls++) {
      const { how, tookMs, timersLeft } = await interruptedStart({ kv: calls }, 20_000);
      const where = `silent after ${calls} calls`;
      // It has a session: the claims come later.
      if (how === "serves") break;
      expect(how, where).toBe("told to stop");
      expect(tookMs, where).toBeLessThan(5_000);
      expect(timersLeft, where).toBe(0);
    }
    expect(calls).toBeGreaterThan(6);
  });

  it("ends within seconds of its signal, wherever the object store fell silent", async () => {
    for (let calls = 0; calls < 4; calls++) {
      const { how, tookMs, timersLeft } = await interruptedStart({ store: calls }, 5_000);
      const where = `silent after ${calls} calls`;
      expect(how, where).toBe("told to stop");
      expect(tookMs, where).toBeLessThan(5_000);
      expect(timersLeft, where).toBe(0);
    }
  });
});

describe("a stop in an outage", () => {
  const keys = new ClusterKeys(embeddedBrokerSettings.clusterName);

  class OutageWorld {
    readonly kvSilence = new Silence();
    readonly storeSilence = new Silence();
    kv!: MemoryKeyValueStore;
    world!: BrokerWorld;
    #partition: PartitionLog | undefined;

    static async start(): Promise<OutageWorld> {
      const made = new OutageWorld();
      const store = made.storeSilence.over(new MemoryObjectStore());
      const kv = (clock: SimClock) => {
        made.kv = new MemoryKeyValueStore({ clock });
        return made.kvSilence.over(made.kv);
      };
      made.world = await BrokerWorld.start({}, { store, kv });
      return made;
    }

    /** One batch is committed; {@link leavePending} then appends another, for whose commit nobody waits. */
    async append(): Promise<void> {
      const client = await this.world.connect();
      const topicId = await client.createTopic("orders");
      const partition = this.world.broker.brokerLog.partition(topicId, 0);
      await this.world.clock.complete(partition.append(batchOf(["committed"])));
      this.#partition = partition;
    }

    leavePending(): void {
      this.#partition?.append(batchOf(["pending"])).catch(() => {});
    }

    async stopMs(): Promise<number> {
      const { clock } = this.world;
      const startedMs = clock.monotonicMs();
      await this.world.stop();
      return clock.monotonicMs() - startedMs;
    }

    async sessionCount(): Promise<number> {
      return (await this.kv.range(keys.sessions, { signal })).entries.length;
    }

    /** Timers once the lease of what was not deregistered has run out. */
    async timersLeft(): Promise<number> {
      await this.world.clock.advance(LEASE_MS);
      return this.world.clock.pendingCount;
    }
  }

  it("is short once the metadata store has been silent for long: the lease runs out by itself", async () => {
    const outage = await OutageWorld.start();
    await outage.append();
    outage.kvSilence.callsLeft = 0;
    await outage.world.clock.advance(6_000);
    outage.leavePending();
    expect(await outage.stopMs()).toBeLessThan(5_000);
    expect(await outage.timersLeft()).toBe(0);
    expect(await outage.sessionCount()).toBe(0);
  });

  it("needs less than its whole time when the metadata store falls silent with it", async () => {
    const outage = await OutageWorld.start();
    await outage.append();
    outage.kvSilence.callsLeft = 0;
    outage.leavePending();
    expect(await outage.stopMs()).toBeLessThan(stopTimeoutMs);
    expect(await outage.timersLeft()).toBe(0);
  });

  it("deregisters although the object store is silent", async () => {
    const outage = await OutageWorld.start();
    await outage.append();
    outage.storeSilence.callsLeft = 0;
    outage.leavePending();
    expect(await outage.stopMs()).toBeLessThan(stopTimeoutMs);
    expect(await outage.sessionCount()).toBe(0);
    expect(await outage.timersLeft()).toBe(0);
  });

  it("is short while a session that died is being replaced, however far that came", async () => {
    for (let calls = 0; calls < 12; calls++) {
      const outage = await OutageWorld.start();
      await outage.append();
      const [entry] = (await outage.kv.range(keys.sessions, { signal })).entries;
      outage.kvSilence.callsLeft = calls;
      await outage.kv.txn({ compare: [], then: [{ type: "delete", key: entry?.key ?? "" }] }, { signal });
      await outage.world.clock.advance(8_000);
      const where = `silent after ${calls} calls`;
      expect(outage.world.broker.isReady, where).toBe(false);
      expect(await outage.stopMs(), where).toBeLessThan(5_000);
      expect(await outage.timersLeft(), where).toBe(0);
    }
  });
});
