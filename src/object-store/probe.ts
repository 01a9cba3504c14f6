// What a bucket can do, found out at the start by doing it: create and refuse to create again, read back whole and in
// part, list, delete, checksums, and the store's clock. Refuses a store that would lose or mix up records, with one line
// that says why. Leaves no object behind.
import { type Clock, sleep, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Random } from "../host/random.ts";
import { brokenInvariant } from "../invariant.ts";
import { type ObjectStore, ObjectStoreError } from "./object-store.ts";
import type { BucketVersioning } from "./s3.ts";

/** What a store tells beyond what the seam asks. */
export interface ProbedStore extends ObjectStore {
  /** The store's clock minus this machine's, in milliseconds, or undefined before its first answer. */
  readonly clockSkewMs: number | undefined;
  versioning(options: { readonly signal: AbortSignal }): Promise<BucketVersioning>;
  refusesWrongChecksum(key: string, options: { readonly signal: AbortSignal }): Promise<boolean>;
  keepsChecksum(key: string, options: { readonly signal: AbortSignal }): Promise<boolean>;
}

/** What was found. What a store has to do is not in it: without that there is no report. */
export interface StoreReport {
  /** Whether a damaged upload is refused by the store. Without it only our own checks find the damage, at the read. */
  readonly areUploadsChecked: boolean;
  /** Whether a checksum is given back with an object: then an upload whose answer was lost needs no read of its bytes. */
  readonly areChecksumsKept: boolean;
  readonly versioning: BucketVersioning;
  /** The store's clock minus this machine's in milliseconds, to about a second. */
  readonly clockSkewMs: number | undefined;
  readonly tookMs: number;
}

/** What is probed, and with what. */
export interface Probe {
  readonly store: ProbedStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Makes a key of this broker that nothing else uses, from a text that is never used again. */
  readonly keyOf: (unique: string) => string;
  readonly signal: AbortSignal;
}

/** A store that does not answer for this long ends the start: long enough for a restart of the store itself. */
const PATIENCE_MS = 30_000;
const RETRY_PAUSE_MS = 500;
const CALL_TIMEOUT_MS = 10_000;
const CONTENT_BYTES = 64;
/** Clocks that differ by more than this are worth a line; S3 refuses what is 15 minutes off. */
const CLOCK_SKEW_MS_WARN = 60_000;

/**
 * Probes a store, again while it is out of reach and patience lasts.
 * @throws ObjectStoreError with one line for the operator
 */
export async function probeCapabilities(probe: Probe): Promise<StoreReport> {
  const { clock, log, signal } = probe;
  const startedMs = clock.monotonicMs();
  for (;;) {
    try {
      const found = await probeOnce(probe);
      const report = { ...found, tookMs: Math.round(clock.monotonicMs() - startedMs) };
      tell(report, log);
      return report;
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = error instanceof ObjectStoreError && (error.kind === "unavailable" || error.kind === "unknown");
      if (!mayPass || clock.monotonicMs() - startedMs > PATIENCE_MS) throw error;
      log.warn("the object store does not answer, trying again", { error });
      await sleep(clock, RETRY_PAUSE_MS, signal);
    }
  }
}

async function probeOnce(probe: Probe): Promise<Omit<StoreReport, "tookMs">> {
  const { store, random, keyOf } = probe;
  const key = keyOf(Buffer.from(random.bytes(8)).toString("hex"));
  const damagedKey = `${key}-damaged`;
  try {
    await within(probe, (signal) => store.put(key, [content(0)], { ifAbsent: true, signal }));
    // At once, for a start waits for it: none of these changes what another one sees.
    const [, , areUploadsChecked, areChecksumsKept, versioning] = await allOf([
      probeCondition(probe, key),
      probeReads(probe, key),
      within(probe, (signal) => store.refusesWrongChecksum(damagedKey, { signal })),
      within(probe, (signal) => store.keepsChecksum(key, { signal })),
      within(probe, (signal) => store.versioning({ signal })),
    ]);
    await probeDelete(probe, [key, damagedKey]);
    return { areUploadsChecked, areChecksumsKept, versioning, clockSkewMs: store.clockSkewMs };
  } catch (error) {
    // What a failed probe wrote; the reason of the failure counts more than whether this works.
    await within(probe, (signal) => store.delete([key, damagedKey], { signal })).catch((failure: unknown) => {
      if (brokenInvariant(failure)) throw failure;
    });
    throw error;
  }
}

function within<T>({ clock, signal }: Probe, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return withDeadline(clock, CALL_TIMEOUT_MS, "probe of the object store", signal, call).catch((error: unknown) => {
    if (error instanceof ObjectStoreError || signal.aborted || brokenInvariant(error)) throw error;
    throw new ObjectStoreError("unknown", "the object store does not answer", { cause: error });
  });
}

/** The bytes of the probe's object: `n` tells apart those of the same length. */
function content(n: number): Uint8Array {
  return Uint8Array.from({ length: CONTENT_BYTES }, (_, index) => index ^ n);
}

/** The results of calls that run at once. When some fail, the first of them in this order, and not before all are over. */
async function allOf<T extends readonly unknown[]>(calls: { readonly [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(calls);
  return await Promise.all(calls);
}

async function probeCondition(probe: Probe, key: string): Promise<void> {
  const { store } = probe;
  try {
    await within(probe, (signal) => store.put(key, [content(1)], { ifAbsent: true, signal }));
  } catch (error) {
    if (error instanceof ObjectStoreError && error.kind === "already-exists") return;
    throw error;
  }
  throw refusal(
    "it ignores If-None-Match: two writers could replace each other's objects. Use a store that honours it",
  );
}

async function probeReads(probe: Probe, key: string): Promise<void> {
  const { store } = probe;
  const expected = Buffer.from(content(0));
  const [whole, part, { objects }] = await allOf([
    within(probe, (signal) => store.get(key, { signal })),
    within(probe, (signal) => store.get(key, { signal, range: { start: 7, length: 11 } })),
    within(probe, (signal) => store.list(key, { signal, limit: 2 })),
    requireAbsent(probe, `${key}-absent`),
  ]);
  if (!expected.equals(whole)) throw refusal("it gave back other bytes than were put");
  if (!expected.subarray(7, 18).equals(part))
    throw refusal("it gave other bytes than those of the range that was asked for");
  const isListed = objects.some((object) => object.key === key && object.bytes === CONTENT_BYTES);
  if (!isListed) throw refusal("an object that was just put is not in its listing");
}

async function probeDelete(probe: Probe, keys: readonly string[]): Promise<void> {
  await within(probe, (signal) => probe.store.delete(keys, { signal }));
  await allOf(keys.map((key) => requireAbsent(probe, key)));
}

async function requireAbsent(probe: Probe, key: string): Promise<void> {
  try {
    await within(probe, (signal) => probe.store.get(key, { signal }));
  } catch (error) {
    if (!(error instanceof ObjectStoreError)) throw error;
    if (error.kind === "not-found") return;
    if (error.kind !== "denied") throw error;
    const text = "it refuses to say that an object is absent: allow s3:ListBucket on the bucket";
    throw new ObjectStoreError("denied", `the object store cannot be used: ${text} (${error.message})`, {
      cause: error,
    });
  }
  throw refusal("an object that was deleted is still there");
}

function refusal(reason: string): ObjectStoreError {
  return new ObjectStoreError("denied", `the object store cannot be used: ${reason}`);
}

/** The lines that an operator should read, beside the report itself. */
function tell(report: StoreReport, log: Log): void {
  log.info("the object store can be used", { ...report });
  if (!report.areUploadsChecked) {
    log.warn("the object store does not check CRC-32C: a damaged upload is found when it is read");
  }
  if (report.versioning === "enabled" || report.versioning === "suspended") {
    log.warn(
      "the bucket keeps versions: deleted objects stay, and cost, until a lifecycle rule with NoncurrentVersionExpiration (and ExpiredObjectDeleteMarker) removes them",
      { versioning: report.versioning },
    );
  } else if (report.versioning === "not-told") {
    log.info(
      "the keys may not ask whether the bucket keeps versions: if it does, it needs a NoncurrentVersionExpiration rule",
    );
  }
  if (Math.abs(report.clockSkewMs ?? 0) > CLOCK_SKEW_MS_WARN) {
    log.warn("this machine's clock and the object store's differ: set the clock", { clockSkewMs: report.clockSkewMs });
  }
}
