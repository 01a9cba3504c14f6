// A broker's log on memory stores under a virtual clock: what the tests of this room share. Processes come and go, the
// stores stay.
import type { ClusterComponents } from "../../src/cluster/cluster-components.ts";
import { ensureClusterIdentity } from "../../src/cluster/cluster-identity.ts";
import type { ImageCollection } from "../../src/cluster/image.ts";
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
import { type PeerEndpoint, PeerError, type Peers } from "../../src/cluster/peers.ts";
import type { Topic } from "../../src/cluster/topic.ts";
import { Topics } from "../../src/cluster/topics.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { type Log, silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import type { KeyValueStore } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { BrokerLog } from "../../src/log/broker-log.ts";
import { embeddedLogSettings, type LogSettings } from "../../src/log/log-settings.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { StoreReach } from "../../src/log/store-reach.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { ObjectKeys } from "../../src/objects/object-keys.ts";
import { type BatchOptions, encodeBatch } from "../../src/records/encode-batch.ts";
import { iterateBatches, RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";

const neverAborts = longLivedController().signal;

/** Settings of the log, and which broker it is: 1 unless told. */
type ProcessSettings = Partial<LogSettings> & { readonly brokerId?: number };

/** Stores and clock that outlive processes. */
export class LogWorld {
  readonly clock = new SimClock({ seed: "log" });
  readonly random = new SimRandom("log");
  readonly memoryStore = new MemoryObjectStore();
  readonly memoryKv = new MemoryKeyValueStore({ clock: this.clock });
  /** What processes are given: tests put something in between here. */
  store: ObjectStore = this.memoryStore;
  kv: KeyValueStore = this.memoryKv;
  log: Log = silentLog;
  readonly keys = new ClusterKeys("test");
  readonly objectKeys = new ObjectKeys("test");
  /** By broker id. */
  readonly running = new Map<number, LogProcess>();

  /** Runs virtual time until `work` has settled. */
  complete<T>(work: Promise<T>): Promise<T> {
    return this.clock.complete(work);
  }

  /** Starts a process and waits until it serves. */
  async start(settings: ProcessSettings = {}): Promise<LogProcess> {
    const process = this.#newProcess(settings);
    await this.complete(process.open());
    return process;
  }

  /** Starts a process that may not come to serve; who asks for it lets time pass. */
  begin(): LogProcess {
    const process = this.#newProcess({});
    void process.open();
    return process;
  }

  #newProcess(settings: ProcessSettings): LogProcess {
    const cluster = { kv: this.kv, clock: this.clock, random: this.random, log: this.log, keys: this.keys };
    return new LogProcess(this, cluster, { ...embeddedLogSettings, ...settings });
  }

  /** Lets `ms` of virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.monotonicMs() + ms });
  }

  /** Lets virtual time pass until `isDone`, a minute at most. */
  async until(isDone: () => boolean): Promise<void> {
    for (let turns = 0; !isDone(); turns++) {
      if (turns === 1200) throw new Error("what was waited for did not happen within a minute");
      await this.pass(50);
    }
  }
}

/** Calls between the processes of a world, without a network: who runs answers. */
class WorldPeers implements Peers {
  readonly #world: LogWorld;

  constructor(world: LogWorld) {
    this.#world = world;
  }

  probe(peer: PeerEndpoint): Promise<{ readonly process: string }> {
    return Promise.resolve({ process: this.#running(peer).processId });
  }

  async waitForImage(
    peer: PeerEndpoint,
    { collection, revision }: { readonly collection: ImageCollection; readonly revision: number },
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#running(peer).feed.waitFor(collection, revision, options);
  }

  probeStore(peer: PeerEndpoint): Promise<boolean> {
    return this.#running(peer).reach.isAnswering();
  }

  #running({ brokerId }: PeerEndpoint): LogProcess {
    const process = this.#world.running.get(brokerId);
    if (!process) throw new PeerError("refused", `broker ${brokerId} does not run`);
    return process;
  }
}

/** One process: from its start to its stop or crash. */
export class LogProcess {
  readonly world: LogWorld;
  readonly cluster: ClusterComponents;
  readonly feed: ImageFeed;
  readonly topics: Topics;
  readonly brokerLog: BrokerLog;
  /** Every bug the log told of. */
  readonly bugs: unknown[] = [];
  readonly brokerId: number;
  readonly processId: string;
  readonly reach: StoreReach;
  readonly metrics = new UnexportedMetrics();
  readonly #stop = new AbortController();
  #run: Promise<void> = Promise.resolve();

  constructor(
    world: LogWorld,
    cluster: ClusterComponents,
    { brokerId = 1, ...settings }: LogSettings & { readonly brokerId?: number },
  ) {
    this.world = world;
    this.brokerId = brokerId;
    this.processId = Buffer.from(world.random.bytes(8)).toString("hex");
    this.cluster = cluster;
    this.feed = new ImageFeed(cluster, {
      clusterId: "test",
      onFailure: (error) => {
        throw error;
      },
    });
    this.topics = new Topics(cluster, this.feed);
    const registration = {
      brokerId,
      process: this.processId,
      host: "localhost",
      port: 9090 + brokerId,
      controlHost: "localhost",
      controlPort: 9190 + brokerId,
      rack: "",
      version: "test",
    };
    const { objectKeys, clock, random } = world;
    const key = objectKeys.reach(brokerId);
    this.reach = new StoreReach({ store: world.store, clock, random, key, signal: this.#stop.signal });
    const store = this.reach;
    const { metrics } = this;
    const onBug = (error: unknown) => void this.bugs.push(error);
    const peers = new WorldPeers(world);
    const confirmCluster = () => Promise.resolve();
    const shared = { cluster, feed: this.feed, store, objectKeys, metrics, settings };
    const parts = { ...shared, registration, peers, onBug, confirmCluster };
    this.brokerLog = new BrokerLog(parts);
  }

  /** Settles when the broker log has run to its end. */
  get ended(): Promise<void> {
    return this.#run;
  }

  async open(): Promise<void> {
    await ensureClusterIdentity(this.cluster, { signal: neverAborts });
    await this.feed.start({ signal: neverAborts });
    const serving = new Promise<void>((resolve) => {
      this.brokerLog.onServing(resolve);
    });
    this.#run = this.brokerLog.run(this.#stop.signal);
    this.world.running.set(this.brokerId, this);
    await serving;
  }

  /** Ends in order: flush, checkpoint, deregistration. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.world.running.delete(this.brokerId);
    await this.world.complete(this.#run);
    await this.feed.stop();
  }

  /** Ends without a word. */
  async crash(): Promise<void> {
    this.brokerLog.abandon();
    this.#stop.abort();
    this.world.running.delete(this.brokerId);
    await this.world.complete(this.#run);
    await this.feed.stop();
  }

  createTopic(name: string, partitionCount = 1): Promise<Topic> {
    return this.world.complete(
      this.topics.create({ name, partitionCount, configs: new Map() }, { signal: neverAborts }),
    );
  }

  partition(name: string, index = 0): PartitionLog {
    const topic = this.feed.current.topic(name);
    if (!topic) throw new Error(`no topic ${name}`);
    return this.brokerLog.partition(topic.topicId, index);
  }

  /** Appends one batch of `values` and waits for its commit; the offset it got. */
  async append(name: string, values: readonly string[], options: BatchOptions = {}, index = 0): Promise<number> {
    const { baseOffset } = await this.world.complete(this.partition(name, index).append(batchOf(values, options)));
    return baseOffset;
  }

  /** Every value from an offset to the end, as `offset:value`. */
  async values(name: string, from = 0, index = 0): Promise<string[]> {
    const partition = this.partition(name, index);
    const found: string[] = [];
    let next = from;
    while (next < partition.highWatermark) {
      const options = { maxBytes: 1000, atLeastOneBatch: true, signal: neverAborts };
      for (const bytes of await this.world.complete(partition.read(next, options))) {
        for (const batch of iterateBatches(bytes)) {
          for (const record of iterateRecords(batch)) {
            if (record.offset >= from) found.push(`${record.offset}:${text(record.value)}`);
          }
          next = batch.nextOffset;
        }
      }
    }
    return found;
  }
}

function text(bytes: Uint8Array | null): string {
  return bytes === null ? "null" : new TextDecoder().decode(bytes);
}

/** A batch as a producer sends it, a millisecond between its records. */
export function batchOf(
  values: readonly string[],
  options: BatchOptions = {},
  firstTimestampMs = 1000,
): RecordBatchView {
  const encoder = new TextEncoder();
  const records = values.map((value, index) => ({
    timestampMs: firstTimestampMs + index,
    key: encoder.encode(`key-${value}`),
    value: encoder.encode(value),
  }));
  return new RecordBatchView(encodeBatch(records, options));
}
