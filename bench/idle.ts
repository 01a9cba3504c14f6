// What a cluster costs that nobody uses: three brokers, a topic with 12 partitions, and a consumer group that is connected
// and waits. Prints what each broker takes of the processor, and the calls of S3 and etcd in a minute.
import { setTimeout as sleep } from "node:timers/promises";
import { Kafka, logLevel } from "kafkajs";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import { eventually } from "../test/e2e/wait.ts";
import { dial } from "./open-load.ts";
import { aimed, cpuSeconds, print, quantile, type RealStores, withStores } from "./real-stores.ts";

const BROKERS = 3;
const PARTITIONS = 12;
const PUTS_PER_SECOND = 4;
/** What begins with the brokers and ends soon: shards that move, first checkpoints. */
const SETTLE_MS = 20_000;
const MINUTE_MS = 60_000;
const TOPIC = "idle";
const aims = { cpuShare: 0.005, s3Calls: 0, etcdCalls: 20 } as const;

/** Calls that etcd has been sent so far; a stream is one. */
function etcdCalls(stores: RealStores): Promise<number> {
  return stores.etcdMetric("grpc_server_started_total");
}

/** A group that has read what is there, and waits. */
async function joinGroup(brokers: readonly BrokerProcess[]): Promise<{ readonly leave: () => Promise<void> }> {
  const kafka = new Kafka({ brokers: brokers.map(({ bootstrap }) => bootstrap), logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: TOPIC });
  let hasJoined = false;
  consumer.on("consumer.group_join", () => {
    hasJoined = true;
  });
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC });
  await consumer.run({ eachMessage: () => Promise.resolve() });
  await eventually(
    () => hasJoined,
    () => "the group has a member",
  );
  return { leave: () => consumer.disconnect() };
}

/** One quiet minute. */
async function measureMinute(stores: RealStores, brokers: readonly BrokerProcess[], who: string): Promise<void> {
  await sleep(SETTLE_MS);
  const pids = brokers.map(({ program }) => program.pid);
  const cpuBefore = pids.map(cpuSeconds);
  const etcdBefore = await etcdCalls(stores);
  const fromMs = performance.now();
  await sleep(MINUTE_MS);
  const toMs = performance.now();
  const shares = pids.map((pid, index) => ((cpuSeconds(pid) - (cpuBefore[index] ?? 0)) * 1_000) / (toMs - fromMs));
  const etcd = (((await etcdCalls(stores)) - etcdBefore) / BROKERS) * (MINUTE_MS / (toMs - fromMs));
  const s3 = stores.front.requests.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
  const median = quantile(shares, 0.5);
  const texts = shares.map((share) => (share * 100).toFixed(2)).join(", ");
  print(`  ${who}: ${texts} % of a core (aim ${aims.cpuShare * 100}, ${aimed(median, aims.cpuShare)})`);
  print(
    `    calls a minute: S3 ${s3} (aim ${aims.s3Calls}, ${aimed(s3, aims.s3Calls)}), etcd ${etcd.toFixed(1)} per broker (aim ${aims.etcdCalls}, ${aimed(etcd, aims.etcdCalls)})`,
  );
}

async function measure(stores: RealStores): Promise<void> {
  const brokers: BrokerProcess[] = [];
  for (let id = 0; id < BROKERS; id++) {
    const env = { ...stores.brokerEnv(PUTS_PER_SECOND), KAFSCALE_BROKER_ID: String(id) };
    brokers.push(await stores.startBroker(env));
  }
  const client = await dial(brokers[0]?.kafkaPort ?? 0);
  if ((await client.createTopic(TOPIC, PARTITIONS)) !== 0) throw new Error("the topic was not created");
  client.socket.destroy();
  print(`  ${BROKERS} brokers, ${PARTITIONS} partitions, PUT budget: ${PUTS_PER_SECOND}/s each`);
  await measureMinute(stores, brokers, "no client");
  const group = await joinGroup(brokers);
  await measureMinute(stores, brokers, "a group of one member that waits");
  await group.leave();
}

await withStores("An idle cluster", ["versitygw", "etcd"], measure);
process.exit();
