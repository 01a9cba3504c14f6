// How long the partitions of a killed broker take to be writable again: three brokers, ten kills in turn, each when about
// forty flushes have followed the last checkpoint, timed from the kill to the first acknowledgement of each partition
// that the broker led.
import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import { eventually } from "../test/e2e/wait.ts";
import type { SocketClient } from "../test/integration/socket-world.ts";
import { BucketFront } from "./bucket-front.ts";
import { dial, produceOne, valueOf } from "./open-load.ts";
import { aimed, print, quantile, type RealStores, withStores } from "./real-stores.ts";

const BROKERS = 3;
const KILLS = 10;
const PARTITIONS = 60;
/** As many that forty flushes fit between two checkpoints, which are five seconds apart. */
const PUTS_PER_SECOND = 10;
const FLUSHES_TO_RECOVER = 40;
const VALUE_BYTES = 256;
/** Between two tries of a writer that was refused: how exactly a partition's pause is known. */
const RETRY_PAUSE_MS = 20;
const P99_MS_AIM = 3_000;
const TOPIC = "recovery";

/** Writes to one partition, one record after the other, to whichever broker takes them. */
class Lane {
  /** The broker that acknowledged last. */
  leader = -1;
  /** When that was. */
  acknowledgedMs = 0;
  readonly #partition: number;
  readonly #brokers: readonly BrokerProcess[];
  readonly #clients = new Map<number, SocketClient>();
  #isEnding = false;
  readonly #done: Promise<void>;

  constructor(partition: number, brokers: readonly BrokerProcess[]) {
    this.#partition = partition;
    this.#brokers = brokers;
    this.#done = this.#run();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#done;
    for (const { socket } of this.#clients.values()) socket.destroy();
  }

  async #run(): Promise<void> {
    const value = valueOf(VALUE_BYTES);
    for (let broker = this.#partition % BROKERS; !this.#isEnding; ) {
      if (await this.#isAcknowledged(broker, value)) {
        this.leader = broker;
        this.acknowledgedMs = performance.now();
        continue;
      }
      broker = (broker + 1) % BROKERS;
      await sleep(RETRY_PAUSE_MS);
    }
  }

  async #isAcknowledged(broker: number, value: Uint8Array): Promise<boolean> {
    try {
      const client = this.#clients.get(broker) ?? (await dial(this.#brokers[broker]?.kafkaPort ?? 0));
      this.#clients.set(broker, client);
      const { errorCode } = await produceOne(client, { topic: TOPIC, partition: this.#partition }, value);
      return errorCode === 0;
    } catch {
      this.#clients.delete(broker);
      return false;
    }
  }
}

/** Flushes that a broker has put since its last checkpoint. */
function flushesToRecover({ requests }: BucketFront): number {
  const last = requests.findLastIndex(({ kind }) => kind === "put checkpoint");
  return requests.slice(last + 1).filter(({ kind }) => kind === "put WAL").length;
}

/** Kills a broker, and starts it again when others serve what it led; gives the pause of each of those partitions. */
async function kill(broker: BrokerProcess, lanes: readonly Lane[]): Promise<readonly number[]> {
  await broker.killHard();
  const killedMs = performance.now();
  const isBack = ({ acknowledgedMs }: Lane) => acknowledgedMs > killedMs;
  const firstMs = new Map<Lane, number>();
  const look = () => {
    for (const lane of lanes) if (isBack(lane) && !firstMs.has(lane)) firstMs.set(lane, lane.acknowledgedMs);
    return firstMs.size === lanes.length;
  };
  await eventually(look, () => `${firstMs.size} of ${lanes.length} partitions are writable again`);
  await broker.restart();
  return [...firstMs.values()].map((ms) => ms - killedMs);
}

async function measure(stores: RealStores): Promise<void> {
  const fronts: BucketFront[] = [];
  const brokers: BrokerProcess[] = [];
  for (let id = 0; id < BROKERS; id++) {
    const front = await BucketFront.open(stores.s3.endpoint);
    fronts.push(front);
    const env = { ...stores.brokerEnv(PUTS_PER_SECOND), KAFSCALE_S3_ENDPOINT: front.endpoint };
    brokers.push(await stores.startBroker({ ...env, KAFSCALE_BROKER_ID: String(id) }));
  }
  const client = await dial(brokers[0]?.kafkaPort ?? 0);
  if ((await client.createTopic(TOPIC, PARTITIONS)) !== 0) throw new Error("the topic was not created");
  client.socket.destroy();
  const lanes = Array.from({ length: PARTITIONS }, (_, partition) => new Lane(partition, brokers));
  const ledBy = (id: number) => lanes.filter(({ leader }) => leader === id);
  const pausesMs: number[] = [];
  const worstMs: number[] = [];
  const recovered: number[] = [];
  for (let round = 0; round < KILLS; round++) {
    const victim = round % BROKERS;
    const [front, broker] = [fronts[victim], brokers[victim]];
    if (!front || !broker) throw new Error("there is no such broker");
    const isSpread = () => brokers.every((_, id) => ledBy(id).length >= PARTITIONS / BROKERS / 2);
    await eventually(isSpread, () => `leaders ${lanes.map(({ leader }) => leader).join()}`);
    // A hand-over makes checkpoints of its own: it counts only what has followed them.
    await sleep(3_000);
    const isFull = () => flushesToRecover(front) >= FLUSHES_TO_RECOVER;
    await eventually(isFull, () => `${flushesToRecover(front)} flushes to recover`);
    recovered.push(flushesToRecover(front));
    const pauses = await kill(broker, ledBy(victim));
    pausesMs.push(...pauses);
    worstMs.push(Math.max(...pauses));
  }
  await Promise.all(lanes.map((lane) => lane.end()));
  await Promise.all(fronts.map((front) => front.close()));
  const p99 = quantile(pausesMs, 0.99);
  print(
    `  ${KILLS} kills of one of ${BROKERS} brokers, ${PARTITIONS} partitions, PUT budget: ${PUTS_PER_SECOND}/s each`,
  );
  print(
    `  flushes to recover: ${Math.min(...recovered)} to ${Math.max(...recovered)}; partitions that moved: ${pausesMs.length}`,
  );
  print(
    `  from the kill to the first acknowledgement: p50 ${quantile(pausesMs, 0.5).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms (aim ${P99_MS_AIM}, ${aimed(p99, P99_MS_AIM)})`,
  );
  print(`  the last partition of each kill: ${worstMs.map((ms) => ms.toFixed(0)).join(", ")} ms`);
}

await withStores("Recovery of a killed broker's partitions", ["versitygw", "etcd"], measure);
process.exit();
