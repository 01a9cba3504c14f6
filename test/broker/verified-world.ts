// A log world whose bucket is verified: what the tests of `kafscale verify` share.
import { guardCluster } from "../../src/broker/cluster-guard.ts";
import {
  type VerificationOptions,
  type VerificationReport,
  verificationParts,
  verifyCluster,
} from "../../src/broker/cluster-verification.ts";
import type { Finding } from "../../src/broker/findings.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { embeddedLogSettings, type LogSettings } from "../../src/log/log-settings.ts";
import { type LogProcess, LogWorld } from "../log/log-world.ts";

const { signal } = longLivedController();

/** Partitions of the topic of a {@link VerifiedWorld}. */
export const PARTITIONS = 4;

/** Reconciles what is a few seconds old, into segments or, with `groupBytes`, into groups. */
export function quickReconcile(reconcile: Partial<LogSettings["reconcile"]> = {}): Partial<LogSettings> {
  const settings = {
    ...embeddedLogSettings.reconcile,
    intervalMs: 500,
    pendingAgeMs: 4_000,
    groupBytes: 0,
    ...reconcile,
  };
  return { reconcile: settings, retentionIntervalMs: 1e9 };
}

/** Nothing leaves the write-ahead objects by itself. */
export const pendingOnly: Partial<LogSettings> = quickReconcile({ pendingAgeMs: 1e9 });

/** Brokers on memory stores, and the command that verifies them. */
export class VerifiedWorld extends LogWorld {
  /** What a verification was told of its way. */
  readonly progress: string[] = [];

  /** What the verification works with: the stores of the world, as a process of its own would. */
  get guarded() {
    const { kv, clock, random, log, keys, store, objectKeys } = this;
    return { cluster: { kv, clock, random, log, keys }, store, objectKeys, signal };
  }

  async identify(): Promise<void> {
    await this.complete(guardCluster(this.guarded));
  }

  /** A verification; who awaits it lets time pass. */
  verifying(asked: Partial<VerificationOptions> = {}): Promise<VerificationReport> {
    return verifyCluster(verificationParts(this.guarded, new UnexportedMetrics()), {
      isDeep: false,
      isRepairing: false,
      graceMs: embeddedLogSettings.removal.graceMs,
      onProgress: (text) => void this.progress.push(text),
      onRemoved: () => {},
      ...asked,
    });
  }

  verify(asked: Partial<VerificationOptions> = {}): Promise<VerificationReport> {
    return this.complete(this.verifying(asked));
  }

  /** Findings as `kind key`, in order. */
  async found(asked: Partial<VerificationOptions> = {}): Promise<string[]> {
    return textsOf((await this.verify(asked)).findings);
  }

  async objects(part = ""): Promise<string[]> {
    const stored: string[] = [];
    for (let isTruncated = true; isTruncated; ) {
      const page = await this.memoryStore.list("", { limit: 1000, startAfter: stored.at(-1) ?? "", signal });
      stored.push(...page.objects.map(({ key }) => key));
      ({ isTruncated } = page);
    }
    return stored.filter((key) => key.includes(part));
  }

  async remove(key: string): Promise<void> {
    await this.memoryStore.delete([key], { signal });
  }

  async put(key: string, bytes: Uint8Array = new Uint8Array(10)): Promise<void> {
    await this.memoryStore.put(key, [bytes], { ifAbsent: false, signal });
  }

  /** Changes the bytes of an object. */
  async change(key: string, by: (bytes: Uint8Array) => Uint8Array): Promise<void> {
    await this.put(key, by(await this.memoryStore.get(key, { signal })));
  }
}

/** Findings as `kind key`, in order. */
export function textsOf(findings: readonly Finding[]): string[] {
  return findings.map(({ kind, key }) => `${kind} ${key}`).sort();
}

/** The session of a process that serves. */
export function sessionOf(process: LogProcess): string {
  const [session] = [...process.feed.current.sessions()].filter(({ brokerId }) => brokerId === process.brokerId);
  if (!session) throw new Error(`broker ${process.brokerId} has no session`);
  return session.sessionId;
}

/** A world with one broker and records in each of {@link PARTITIONS} partitions. */
export async function worldWithRecords(
  settings: Partial<LogSettings>,
): Promise<{ readonly world: VerifiedWorld; readonly process: LogProcess }> {
  const world = new VerifiedWorld();
  await world.identify();
  const process = await world.start(settings);
  await process.createTopic("orders", PARTITIONS);
  await appendAll(process, "first");
  return { world, process };
}

/** One batch for each partition. */
export async function appendAll(process: LogProcess, value: string): Promise<void> {
  for (let index = 0; index < PARTITIONS; index++) await process.append("orders", [value, `${value}-b`], {}, index);
}
