// How long an acknowledgement takes beside the two calls it cannot do without: at a low load on a near store, and at 50
// requests a second on one as far away as S3. The bare calls are made in turns with the requests, on the same servers.
import { silentLog } from "../src/host/log.ts";
import { SystemClock } from "../src/host/system-clock.ts";
import { SystemRandom } from "../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../src/kv/etcd.ts";
import { openS3 } from "../src/main/s3-adapter.ts";
import { readS3Settings } from "../src/main/s3-settings.ts";
import { longTailedMs } from "./bucket-front.ts";
import { dial, produceOne, runOpenLoad, valueOf } from "./open-load.ts";
import { aimed, print, quantile, type RealStores, spreadOf, withStores } from "./real-stores.ts";

const VALUE_BYTES = 1_024;
const low = { turns: 300, warmUpTurns: 50, turnMs: 100, overheadMsAim: 5 } as const;
const slow = { p50: 30, p99: 150, requestsPerSecond: 50, warmUpSeconds: 5, seconds: 30, p50MsAim: 46 } as const;

const { signal } = new AbortController();

async function timed(call: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await call();
  return performance.now() - startedMs;
}

/** The calls that a broker makes for a flush, by the same clients and without a broker. */
interface BareCalls {
  /** Milliseconds of a put of `body` under a new key. */
  put(body: Uint8Array): Promise<number>;
  /** Milliseconds of a transaction like that of a head. */
  commit(): Promise<number>;
  /** Size of the first object that a broker wrote ahead. */
  walBytes(): Promise<number>;
  close(): void;
}

async function bareCalls({ etcd, s3 }: RealStores): Promise<BareCalls> {
  const parts = { clock: new SystemClock(), random: new SystemRandom(), log: silentLog };
  const settings = readS3Settings(s3.brokerEnv);
  if (!settings) throw new Error("the bucket is not set");
  const objects = await openS3(settings, parts);
  const kv = new EtcdKeyValueStore({ endpoints: [etcd.endpoint], ...parts });
  const key = "/bench/head";
  let revision = 0;
  let number = 0;
  return {
    put: (body) => timed(() => objects.put(`bare/${++number}`, [body], { ifAbsent: true, areFinal: true, signal })),
    commit: () =>
      timed(async () => {
        const value = Buffer.from(String(number).padStart(16, "0"));
        const compare = [
          { key: "/bench/session", target: "create", equals: 0 },
          { key, target: "mod", equals: revision },
        ] as const;
        const result = await kv.txn({ compare, then: [{ type: "put", key, value }] }, { signal });
        if (!result.succeeded) throw new Error("a bare transaction was refused");
        revision = result.revision;
      }),
    walBytes: async () => (await objects.list("kafscale/wal/", { signal, limit: 1 })).objects[0]?.bytes ?? 0,
    close: () => {
      objects.close();
      kv.close();
    },
  };
}

/** Ten requests a second without a wait for company, each beside a put of its object's size and a transaction. */
async function lowLoad(stores: RealStores): Promise<void> {
  // Straight to the server: what the front costs would be in both, but not alike.
  const broker = await stores.startBroker({ ...stores.brokerEnv(0), ...stores.s3.brokerEnv });
  const bare = await bareCalls(stores);
  const client = await dial(broker.kafkaPort);
  const place = { topic: "low", partition: 0 };
  if ((await client.createTopic(place.topic)) !== 0) throw new Error("the topic was not created");
  await produceOne(client, place, valueOf(VALUE_BYTES));
  const body = valueOf(await bare.walBytes());
  const times = { acknowledged: [] as number[], put: [] as number[], commit: [] as number[] };
  const startedMs = performance.now();
  for (let turn = 0; turn < low.warmUpTurns + low.turns; turn++) {
    await new Promise((resolve) => setTimeout(resolve, startedMs + turn * low.turnMs - performance.now()));
    const { errorCode, ms } = await produceOne(client, place, valueOf(VALUE_BYTES));
    if (errorCode !== 0) throw new Error(`the broker answered error ${errorCode}`);
    const putMs = await bare.put(body);
    const commitMs = await bare.commit();
    if (turn < low.warmUpTurns) continue;
    times.acknowledged.push(ms);
    times.put.push(putMs);
    times.commit.push(commitMs);
  }
  client.socket.destroy();
  bare.close();
  const overheadMs = quantile(times.acknowledged, 0.5) - quantile(times.put, 0.5) - quantile(times.commit, 0.5);
  const aim = `aim ${low.overheadMsAim} ms, ${aimed(overheadMs, low.overheadMsAim)}`;
  print(`low load: ${1_000 / low.turnMs} requests/s of ${VALUE_BYTES} bytes, ${low.turns} turns, PUT budget: none`);
  print(`  acknowledged:             ${spreadOf(times.acknowledged)}`);
  print(`  bare put of ${body.length} bytes:   ${spreadOf(times.put)}`);
  print(`  bare etcd transaction:    ${spreadOf(times.commit)}`);
  print(`  the broker's own share of p50: ${overheadMs.toFixed(1)} ms (${aim})`);
}

/** Fifty requests a second on a store that takes its time for each put, as far as the broker sees. */
async function slowStore(stores: RealStores): Promise<void> {
  const broker = await stores.startBroker({ ...stores.brokerEnv(0), KAFSCALE_CLUSTER_NAME: "slow" });
  const client = await dial(broker.kafkaPort);
  if ((await client.createTopic("slow", 4)) !== 0) throw new Error("the topic was not created");
  client.socket.destroy();
  const delays: number[] = [];
  const delayMs = longTailedMs(slow.p50, slow.p99);
  stores.front.putDelayMs = () => {
    const ms = delayMs();
    delays.push(ms);
    return ms;
  };
  const { requestsPerSecond } = slow;
  const load = {
    port: broker.kafkaPort,
    topic: "slow",
    partitionCount: 4,
    connectionCount: 4,
    valueBytes: VALUE_BYTES,
  };
  await runOpenLoad({ ...load, requestsPerSecond }, slow.warmUpSeconds);
  delays.length = 0;
  const fromMs = performance.now();
  const acknowledged = await runOpenLoad({ ...load, requestsPerSecond }, slow.seconds);
  const puts = stores.front.count({ fromMs, toMs: performance.now() }).get("put WAL") ?? 0;
  const p50 = quantile(acknowledged, 0.5);
  print(`slow store: ${requestsPerSecond} requests/s for ${slow.seconds} s, each put held back, PUT budget: none`);
  print(`  held back:    ${spreadOf(delays)}`);
  print(`  acknowledged: ${spreadOf(acknowledged)} (aim for p50 ${slow.p50MsAim} ms, ${aimed(p50, slow.p50MsAim)})`);
  const inOrderMs = quantile(inOrder(delays, 1_000 / requestsPerSecond), 0.5);
  print(`  the same delays in order, without any broker: p50 ${inOrderMs.toFixed(1)} ms`);
  print(`  ${(puts / slow.seconds).toFixed(1)} WAL puts/s, hedges among them`);
}

/** When calls that begin `everyMs` are done at best, if none may be done before an earlier one: as flushes are committed. */
function inOrder(delaysMs: readonly number[], everyMs: number): readonly number[] {
  let latestMs = 0;
  return delaysMs.map((delayMs, index) => {
    latestMs = Math.max(latestMs, index * everyMs + delayMs);
    return latestMs - index * everyMs;
  });
}

await withStores("Acknowledgements beside bare calls", ["versitygw", "etcd"], async (stores) => {
  await lowLoad(stores);
  await slowStore(stores);
});
process.exit();
