// What a thousand partitions with a record a second each cost: puts by kind as the bucket sees them, head transactions
// and bytes as etcd counts them, and how long an acknowledgement takes. Then what 10,000 partitions hold in etcd. With
// KAFSCALE_BENCH_CYCLE=true all puts over a whole cycle of reconciling instead, some 20 minutes.
import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerProcess } from "../test/e2e/broker-process.ts";
import type { RequestKind } from "./bucket-front.ts";
import { dial, runOpenLoad } from "./open-load.ts";
import { aimed, cpuSeconds, memoryOf, print, quantile, type RealStores, spreadOf, withStores } from "./real-stores.ts";

const PUTS_PER_SECOND = 4;
const WARM_UP_SECONDS = 20;
const SECONDS = 60;
const trickle = { topic: "trickle", partitionCount: 1_000, requestsPerSecond: 1_000, valueBytes: 100 } as const;
const aims = { walAndCheckpoints: 4.2, allPuts: 5, p50Ms: 250, p99Ms: 500, etcdBytesPerFlush: 200 } as const;
const MANY_TOPICS = 10;
const METADATA_PREFIX = "/kafscale/kafscale/";

/** What etcd says of a key. */
interface StoredKey {
  readonly key: string;
  readonly value: string;
  readonly version: number;
}

async function keysOf({ etcd }: RealStores, prefix: string): Promise<readonly StoredKey[]> {
  const { kvs = [] } = JSON.parse(await etcd.control("get", prefix, "--prefix", "--write-out=json")) as {
    readonly kvs?: readonly StoredKey[];
  };
  return kvs.map(({ key, value, version }) => ({ key: Buffer.from(key, "base64").toString(), value, version }));
}

/** Transactions that have moved the heads of all sessions, by the versions of their keys: the first one creates. */
async function headTransactions(stores: RealStores): Promise<number> {
  const heads = await keysOf(stores, `${METADATA_PREFIX}h/`);
  return heads.reduce((sum, { version }) => sum + version - 1, 0);
}

/** What was counted at one moment. */
async function countsOf(stores: RealStores, broker: BrokerProcess) {
  return {
    atMs: performance.now(),
    heads: await headTransactions(stores),
    walBytes: await stores.etcdMetric("etcd_disk_wal_write_bytes_total"),
    putBytes: await stores.etcdMetric("etcd_debugging_mvcc_total_put_size_in_bytes"),
    storedBytes: await stores.etcdMetric("etcd_mvcc_db_total_size_in_use_in_bytes"),
    cpu: cpuSeconds(broker.program.pid),
  };
}

async function createTopic(broker: BrokerProcess, name: string, partitionCount: number): Promise<void> {
  const client = await dial(broker.kafkaPort);
  const errorCode = await client.createTopic(name, partitionCount);
  client.socket.destroy();
  if (errorCode !== 0) throw new Error(`${name} was not created: error ${errorCode}`);
}

async function trickling(stores: RealStores, broker: BrokerProcess): Promise<void> {
  await createTopic(broker, trickle.topic, trickle.partitionCount);
  const load = { ...trickle, port: broker.kafkaPort, connectionCount: 20 };
  // Spends what an idle broker has saved up.
  const acknowledged = runOpenLoad(load, WARM_UP_SECONDS + SECONDS);
  await sleep(WARM_UP_SECONDS * 1_000);
  const before = await countsOf(stores, broker);
  await sleep(SECONDS * 1_000);
  const after = await countsOf(stores, broker);
  const answersMs = (await acknowledged).slice(WARM_UP_SECONDS * trickle.requestsPerSecond);
  const counts = stores.front.count({ fromMs: before.atMs, toMs: after.atMs });
  const seconds = (after.atMs - before.atMs) / 1_000;
  const each = (kind: RequestKind) => counts.get(kind) ?? 0;
  const walAndCheckpoints = (each("put WAL") + each("put checkpoint")) / seconds;
  const kinds = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const puts = [...counts].reduce((sum, [kind, count]) => sum + (kind.startsWith("put") ? count : 0), 0) / seconds;
  const heads = after.heads - before.heads;
  const [p50, p99] = [quantile(answersMs, 0.5), quantile(answersMs, 0.99)];
  const isQuick = p50 <= aims.p50Ms && p99 <= aims.p99Ms;
  print(
    `${trickle.partitionCount} partitions with a record a second each, ${SECONDS} s, PUT budget: ${PUTS_PER_SECOND}/s`,
  );
  print(
    `  WAL and checkpoints: ${walAndCheckpoints.toFixed(2)} PUT/s (aim ${aims.walAndCheckpoints}, ${aimed(walAndCheckpoints, aims.walAndCheckpoints)})`,
  );
  print(`  all puts: ${puts.toFixed(2)} PUT/s (aim ${aims.allPuts}, ${aimed(puts, aims.allPuts)}); ${kinds}`);
  print(`  head transactions: ${heads} beside ${each("put WAL")} flushes (aim: not more)`);
  print(
    `  acknowledged: ${spreadOf(answersMs)} (aim ${aims.p50Ms} and ${aims.p99Ms} ms, ${isQuick ? "met" : "MISSED"})`,
  );
  const perFlush = (name: "walBytes" | "putBytes" | "storedBytes") => (after[name] - before[name]) / heads;
  const putBytes = perFlush("putBytes");
  const aim = `aim ${aims.etcdBytesPerFlush}, ${aimed(putBytes, aims.etcdBytesPerFlush)}`;
  print(
    `  etcd, per flush: ${putBytes.toFixed(0)} bytes of keys and values (${aim}), all else written meanwhile included`,
  );
  const others = `${perFlush("storedBytes").toFixed(0)} in its store, ${perFlush("walBytes").toFixed(0)} in its own log`;
  print(`  etcd, per flush: ${others}`);
  print(`  broker: ${(((after.cpu - before.cpu) / seconds) * 100).toFixed(0)} % of a core`);
}

async function liveBytes(stores: RealStores, broker: BrokerProcess): Promise<void> {
  for (let index = 1; index < MANY_TOPICS; index++) await createTopic(broker, `many-${index}`, trickle.partitionCount);
  const bytesByKind = new Map<string, number>();
  let bytes = 0;
  for (const { key, value } of await keysOf(stores, METADATA_PREFIX)) {
    const kind = `${key.slice(METADATA_PREFIX.length).split("/")[0]}/`;
    const size = key.length + Buffer.from(value, "base64").length;
    bytesByKind.set(kind, (bytesByKind.get(kind) ?? 0) + size);
    bytes += size;
  }
  const kinds = [...bytesByKind].map(([kind, size]) => `${kind} ${size}`).join(", ");
  print(
    `${MANY_TOPICS * trickle.partitionCount} partitions in ${MANY_TOPICS} topics: ${bytes} bytes of keys and values in etcd (${kinds})`,
  );
}

/** Records are reconciled at this age in place of ten minutes. */
const CYCLE_AGE_SECONDS = 120;
/** The puts of one pass follow each other closely; passes are minutes apart. */
const PASS_PAUSE_MS = 60_000;

/** When passes of reconciling began, as far as they are seen by now. */
function passesOf({ front }: RealStores): readonly number[] {
  const atMs = front.requests.filter(({ kind }) => kind === "put segment").map((request) => request.atMs);
  return atMs.filter((ms, index) => ms - (atMs[index - 1] ?? Number.NEGATIVE_INFINITY) > PASS_PAUSE_MS);
}

async function cycle(stores: RealStores, broker: BrokerProcess): Promise<void> {
  await createTopic(broker, trickle.topic, trickle.partitionCount);
  const load = { ...trickle, port: broker.kafkaPort, connectionCount: 20 };
  while (passesOf(stores).length < 2) await runOpenLoad(load, 30);
  const [fromMs = 0, toMs = 0] = passesOf(stores);
  const counts = stores.front.count({ fromMs, toMs });
  const seconds = (toMs - fromMs) / 1_000;
  const puts = [...counts].reduce((sum, [kind, count]) => sum + (kind.startsWith("put") ? count : 0), 0) / seconds;
  const kinds = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  print(
    `${trickle.partitionCount} partitions with a record a second each, from one pass of reconciling to the next, ${seconds.toFixed(0)} s, age lowered to ${CYCLE_AGE_SECONDS} s, PUT budget: ${PUTS_PER_SECOND}/s`,
  );
  print(`  all puts: ${puts.toFixed(2)} PUT/s (aim ${aims.allPuts}, ${aimed(puts, aims.allPuts)}); ${kinds}`);
  const { nowMib, peakMib } = memoryOf(broker.program.pid);
  print(`  broker: ${nowMib.toFixed(0)} MiB RSS, ${peakMib.toFixed(0)} MiB at most`);
}

await withStores("A thousand partitions", ["versitygw", "etcd"], async (stores) => {
  const env = stores.brokerEnv(PUTS_PER_SECOND);
  if (process.env["KAFSCALE_BENCH_CYCLE"] === "true") {
    const age = { KAFSCALE_RECONCILE_AGE_SECONDS: String(CYCLE_AGE_SECONDS) };
    await cycle(stores, await stores.startBroker({ ...env, ...age }));
    return;
  }
  const broker = await stores.startBroker(env);
  await trickling(stores, broker);
  await liveBytes(stores, broker);
});
process.exit();
