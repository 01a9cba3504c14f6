// The ways in which a cluster of three brokers is broken under load, and what is promised of each. A short form for
// `make test-e2e`, where no fault takes longer than 45 s, and a full one for `make campaign`.
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { BrokerProcess } from "./broker-process.ts";
import type { BrokerLinks, Cluster } from "./cluster.ts";
import type { FaultReport, FaultScene, Scenario, ScenarioOutcome } from "./cluster-scenario.ts";
import type { FaultMode } from "./fault-proxy.ts";
import { s3Access } from "./s3-server.ts";
import { ShiftedClock } from "./shifted-clock.ts";
import { eventually } from "./wait.ts";

/** A scenario, and the sentence that it shows. */
export interface ClusterScenario extends Scenario {
  readonly promise: string;
  /** What has to hold of it besides, when the load has ended. */
  readonly expectAfter?: (outcome: ScenarioOutcome) => void;
}

/** After a crash, a graceful stop, and a freeze or a cut. */
const promisedMs = { crash: 3_000, stop: 1_000, cut: 13_000 } as const;

/** What every client says when a leader moves or a broker is not there for a moment, however gently that happens. */
const saidOfEveryRestart =
  /not the leader for that topic-partition|ECONNREFUSED|ECONNRESET|EPIPE|Closed connection|Connection refused|Disconnected/;

interface Member {
  readonly broker: BrokerProcess;
  readonly links: BrokerLinks;
}

function someMember({ cluster, form }: FaultScene): Member {
  const id = Math.floor(form.random() * cluster.brokers.length);
  const [broker, links] = [cluster.brokers[id], cluster.links[id]];
  if (!broker || !links) throw new Error(`there is no broker ${id}`);
  return { broker, links };
}

function pick<T>({ form }: FaultScene, short: T, full: T): T {
  return form.isFull ? full : short;
}

/** How many sessions each broker has registered in its lives so far. */
function sessionCounts(cluster: Cluster): readonly number[] {
  return cluster.brokers.map(({ output }) => output.split('"msg":"session serves"').length - 1);
}

/** Runs `work` and fails when a session ended in it or because of it. */
async function withoutEndOfSession<T>({ cluster }: FaultScene, work: () => Promise<T>): Promise<T> {
  const before = sessionCounts(cluster);
  const result = await work();
  expect(sessionCounts(cluster), "sessions of each broker").toEqual(before);
  return result;
}

/** Keeps a store from all brokers for a while, in which nothing may be acknowledged. */
async function outage(scene: FaultScene, ms: number, set: (isBroken: boolean) => void): Promise<FaultReport> {
  set(true);
  const fromMs = Date.now();
  await sleep(ms);
  const toMs = Date.now();
  set(false);
  await scene.untilWritable(60_000);
  return { outageMs: toMs - fromMs, silent: { fromMs, toMs } };
}

function setMode({ cluster }: FaultScene, kind: "s3" | "etcd" | "control", mode: FaultMode): void {
  for (const links of cluster.links) links[kind].mode = mode;
}

const processes: readonly ClusterScenario[] = [
  {
    name: "kill -9 of one",
    promise: "takes over from a broker that is killed within 3 s, and gives back when it returns",
    fault: async (scene) => {
      for (let kill = 0; kill < pick(scene, 1, 5); kill++) {
        const { broker } = someMember(scene);
        await broker.killHard();
        await scene.untilWritable(20_000);
        await broker.restart();
        await scene.untilBalanced();
      }
      return { promisedMs: promisedMs.crash };
    },
  },
  {
    name: "rolling restart",
    promise: "hands over within 1 s when its brokers are stopped and started one after the other, groups included",
    isGroupReading: true,
    fault: async ({ cluster, group, untilBalanced }) => {
      const assignmentCount = group?.assignmentCount;
      for (const broker of cluster.brokers) {
        expect(await broker.stop()).toBe(0);
        await broker.restart();
        await untilBalanced();
      }
      expect(group?.assignmentCount, "assignments of the group").toBe(assignmentCount);
      return { promisedMs: promisedMs.stop };
    },
    expectAfter: ({ streams, group }) => {
      const warnings = [...streams.flatMap((stream) => stream.warnings), ...(group?.warnings ?? [])];
      expect(warnings.filter((line) => !saidOfEveryRestart.test(line))).toEqual([]);
    },
  },
  {
    name: "a freeze beyond the lease",
    promise: "goes on within 13 s without a broker that is frozen, which acknowledges nothing when it wakes",
    fault: async (scene) => {
      const { broker } = someMember(scene);
      const { program } = broker;
      const wakeAtMs = Date.now() + pick(scene, 16_000, 60_000);
      program.signal("SIGSTOP");
      await scene.untilWritable(40_000);
      await sleep(wakeAtMs - Date.now());
      program.signal("SIGCONT");
      await scene.untilBalanced();
      expect(program.hasEnded, "the frozen process has ended").toBe(false);
      expect(program.stdout).toMatch(/"msg":"session ends"[^]*"msg":"session serves"/);
      return { promisedMs: promisedMs.cut };
    },
  },
  {
    name: "kill -9 of all",
    promise: "keeps everything when all brokers are killed at once",
    fault: async ({ cluster, untilWritable, untilBalanced }) => {
      await Promise.all(cluster.brokers.map((broker) => broker.killHard()));
      await Promise.all(cluster.brokers.map((broker) => broker.restart()));
      await untilWritable(20_000);
      await untilBalanced();
      return {};
    },
  },
  {
    name: "restart of etcd",
    promise: "waits for etcd when it is killed and started again, and ends no session",
    fault: (scene) =>
      withoutEndOfSession(scene, async () => {
        await scene.cluster.etcd.killHard();
        await scene.cluster.etcd.restart();
        await scene.untilWritable(20_000);
        return {};
      }),
  },
  {
    name: "S3 away for 10 s",
    promise: "waits for the bucket when its server is away for 10 s, and ends no session",
    fault: (scene) =>
      withoutEndOfSession(scene, async () => {
        const fromMs = Date.now();
        await scene.cluster.s3.killHard();
        await sleep(10_000);
        await scene.cluster.s3.restart();
        const outageMs = Date.now() - fromMs;
        await scene.untilWritable(30_000);
        return { outageMs, promisedMs: 2_000 };
      }),
  },
];

const networks: readonly ClusterScenario[] = [
  {
    name: "S3 503 storm",
    promise: "acknowledges nothing while the store answers 503 to everybody, and goes on when it stops",
    harms: "s3",
    fault: async (scene) => {
      const storm = () =>
        outage(scene, pick(scene, 10_000, 60_000), (isStorming) => {
          for (const { gate } of scene.cluster.links) gate.isStorming = isStorming;
        });
      // Beyond the 30 s for which a put is tried while others get no answer either, sessions end once.
      const report = scene.form.isFull ? await storm() : await withoutEndOfSession(scene, storm);
      return { ...report, promisedMs: pick(scene, 3_000, promisedMs.cut) };
    },
  },
  {
    name: "S3 black hole",
    promise: "acknowledges nothing while the store is silent, and goes on when it speaks",
    harms: "s3",
    fault: async (scene) => {
      const silence = () =>
        outage(scene, pick(scene, 10_000, 60_000), (isBroken) =>
          setMode(scene, "s3", isBroken ? "black-hole" : "pass"),
        );
      const report = scene.form.isFull ? await silence() : await withoutEndOfSession(scene, silence);
      return { ...report, promisedMs: pick(scene, 3_000, promisedMs.cut) };
    },
  },
  {
    name: "slow S3",
    requestTimeoutMs: 10_000,
    promise: "goes on acknowledging while each put takes 2 s, and ends no session",
    harms: "s3",
    fault: (scene) =>
      withoutEndOfSession(scene, async () => {
        for (const { gate } of scene.cluster.links) gate.putDelayMs = 2_000;
        await sleep(pick(scene, 15_000, 60_000));
        await scene.untilWritable(10_000);
        for (const { gate } of scene.cluster.links) gate.putDelayMs = 0;
        // A put that waits behind another one, and the company that it waits for.
        return { promisedMs: 3_000 };
      }),
  },
  {
    name: "etcd out of reach",
    promise: "acknowledges nothing while nobody reaches etcd for 30 s, and goes on within 13 s of its return",
    harms: "etcd",
    fault: async (scene) => {
      const report = await outage(scene, 30_000, (isBroken) =>
        setMode(scene, "etcd", isBroken ? "black-hole" : "pass"),
      );
      await scene.untilBalanced();
      return { ...report, promisedMs: promisedMs.cut };
    },
  },
  {
    name: "one cut from etcd",
    promise: "goes on within 13 s without a broker that is cut from etcd",
    harms: "etcd",
    fault: async (scene) => {
      const { links } = someMember(scene);
      const mendAtMs = Date.now() + pick(scene, 20_000, 60_000);
      links.etcd.mode = "black-hole";
      await scene.untilWritable(60_000);
      await sleep(mendAtMs - Date.now());
      links.etcd.mode = "pass";
      await scene.untilBalanced();
      return { promisedMs: promisedMs.cut };
    },
  },
  {
    name: "one cut from S3",
    promise: "goes on within 13 s without a broker that is cut from S3",
    harms: "s3",
    fault: async (scene) => {
      const { links } = someMember(scene);
      const mendAtMs = Date.now() + pick(scene, 20_000, 60_000);
      links.s3.mode = "black-hole";
      await scene.untilWritable(60_000);
      await sleep(mendAtMs - Date.now());
      links.s3.mode = "pass";
      await scene.untilBalanced();
      return { promisedMs: promisedMs.cut };
    },
  },
  {
    name: "brokers cut from each other",
    promise: "notices nothing when no broker reaches another one, and ends no session",
    harms: "control",
    fault: (scene) =>
      withoutEndOfSession(scene, async () => {
        setMode(scene, "control", "black-hole");
        await sleep(pick(scene, 20_000, 60_000));
        await scene.untilWritable(10_000);
        setMode(scene, "control", "pass");
        await sleep(2_000);
        return { promisedMs: promisedMs.stop };
      }),
  },
];

/** Replaces the brokers' keys; `isEarly`: before the store refuses the old ones, else a while after it. */
async function rotateKeys({ cluster, untilWritable }: FaultScene, isEarly: boolean): Promise<number> {
  const { s3, keys } = cluster;
  const old = keys.current;
  const next = { accessKeyId: `key${Date.now()}`, secretAccessKey: "another-secret" };
  await s3.addUser(next, "admin");
  const refusedCount = () => cluster.links.reduce((sum, { gate }) => sum + gate.refusedCount, 0);
  const before = refusedCount();
  const fromMs = Date.now();
  if (isEarly) {
    keys.put(next);
    // Files are looked at again within 10 s.
    await sleep(12_000);
  }
  if (old.accessKeyId !== s3Access.accessKeyId) await s3.removeUser(old.accessKeyId);
  if (isEarly) {
    await untilWritable(10_000);
    expect(refusedCount(), "calls that were refused although the old keys went late").toBe(before);
    return 0;
  }
  await eventually(
    () => refusedCount() > before,
    () => "a call that was refused",
    10_000,
  );
  await sleep(2_000);
  keys.put(next);
  const withoutKeysMs = Date.now() - fromMs;
  await untilWritable(20_000);
  return withoutKeysMs;
}

const surroundings: readonly ClusterScenario[] = [
  {
    name: "a clock wrong by an hour",
    promise: "goes on within 1 s while the clock of a broker jumps an hour ahead and two back",
    // The store refuses the first call that is signed with the wrong time.
    harms: "s3",
    fault: async (scene) => {
      const { broker } = someMember(scene);
      const clock = new ShiftedClock();
      await broker.stop();
      await broker.restart(clock.env);
      await scene.untilBalanced();
      await withoutEndOfSession(scene, async () => {
        for (const hours of [1, -1]) {
          clock.shift(hours * 3_600);
          await sleep(pick(scene, 8_000, 30_000));
          await scene.untilWritable(10_000);
          const skewSeconds = await broker.metric("kafscale_s3_clock_skew_seconds");
          expect(Math.abs(skewSeconds + hours * 3_600), `clock skew that the broker sees, ${skewSeconds}`).toBeLessThan(
            60,
          );
        }
      });
      await broker.stop();
      await broker.restart();
      await scene.untilBalanced();
      clock.remove();
      return { promisedMs: promisedMs.stop };
    },
  },
  {
    name: "keys replaced",
    promise: "goes on with new keys of the store, also when the old ones are refused before it has them",
    harms: "s3",
    fault: (scene) =>
      withoutEndOfSession(scene, async () => {
        await rotateKeys(scene, true);
        const outageMs = await rotateKeys(scene, false);
        return { outageMs, promisedMs: 3_000 };
      }),
  },
];

/** Every way. */
export const clusterScenarios: readonly ClusterScenario[] = [...processes, ...networks, ...surroundings];
