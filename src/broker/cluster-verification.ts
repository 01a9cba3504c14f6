// `kafscale verify`: what stands in the bucket against what is referred to, while brokers go on. What looks wrong is looked
// at again until the claim and the checkpoint it hangs on are seen unchanged after the look: only then it is told. Changes
// nothing but with `isRepairing`, and then removes only what nobody can ever refer to. Refuses a bucket and a metadata
// store that do not belong together, or of which one was restored from a backup.
import { type MetadataSnapshot, readSnapshot } from "../cluster/metadata-snapshot.ts";
import type { StoredClaim } from "../cluster/shard-claim.ts";
import { sleep, withDeadline } from "../host/clock.ts";
import type { Metrics } from "../host/metrics.ts";
import { embeddedLogSettings } from "../log/log-settings.ts";
import { judgeObject, type ReferenceView, referenceView, type Verdict } from "../log/object-judgement.ts";
import { type Reference, sizeFault } from "../log/reference-check.ts";
import { type RemovedKind, Remover } from "../log/remover.ts";
import { ShardReferenceReader, type ShardReferences, stampOf } from "../log/shard-references.ts";
import { WalReader } from "../log/wal-reader.ts";
import { ObjectStoreError, type ObjectSummary } from "../object-store/object-store.ts";
import {
  type ClusterGuardParts,
  ClusterMismatchError,
  patiently,
  patientlyAnswered,
  START_PATIENCE_MS,
} from "./cluster-guard.ts";
import { compareCluster } from "./cluster-recovery.ts";
import { type Finding, faultFindings, restlessFinding } from "./findings.ts";
import { type ObjectFault, ReferenceLook } from "./reference-look.ts";

/** Parts of a verification. */
export interface VerificationParts extends ClusterGuardParts {
  readonly reader: ShardReferenceReader;
  /** Removes objects; resolves when the store has confirmed it, rejects when that takes too long. */
  readonly remove: (keys: readonly string[]) => Promise<void>;
}

/** What a person asks for. */
export interface VerificationOptions {
  /** Whether every byte that is referred to is read. */
  readonly isDeep: boolean;
  /** Whether removable strays are removed. */
  readonly isRepairing: boolean;
  /** Between the two looks that find a session named nowhere, for readers on their way; no wait where no broker lives. */
  readonly graceMs: number;
  /** Told how far it is, once a second at most. */
  readonly onProgress: (text: string) => void;
  /** Told of each object that was removed. */
  readonly onRemoved: (key: string) => void;
}

/** What was found. */
export interface VerificationReport {
  readonly clusterId: string;
  readonly revision: number;
  /** Sessions that live. */
  readonly sessions: number;
  readonly shards: number;
  /** Objects and bytes that were listed. */
  readonly listed: { readonly objects: number; readonly bytes: number };
  /** Listed objects by what they are; strays and foreign ones as they were at the first look. */
  readonly counts: Readonly<Record<Verdict["type"], number>>;
  readonly findings: readonly Finding[];
  readonly removed: readonly string[];
  /** Why a repair removed nothing although there was something to remove. */
  readonly refusal: string | undefined;
}

/** Objects of one LIST, and of one removal. */
const PAGE_OBJECTS = 1_000;
/** How often a shard that changes under the look is looked at. */
const ROUNDS_MAX = 8;
const PROGRESS_EVERY_MS = 1_000;
/** Until a removal of a page is given up: it may be asked for again. */
const REMOVAL_MS_MAX = 60_000;

/** What one walk over the bucket showed. */
interface Listing {
  readonly objects: number;
  readonly bytes: number;
  readonly counts: Record<Verdict["type"], number>;
  /** Referred to and not listed, or listed with a wrong size. */
  readonly suspects: ReadonlySet<string>;
  /** Strays and foreign objects, as it seems. */
  readonly candidates: readonly ObjectSummary[];
}

interface Judged {
  readonly key: string;
  readonly verdict: Verdict;
}

/**
 * What a verification needs besides the stores.
 * @param metrics where the reads and removals of a broker are counted
 */
export function verificationParts(parts: ClusterGuardParts, metrics: Metrics): VerificationParts {
  const { cluster, store, objectKeys, signal } = parts;
  const { clock, log, random } = cluster;
  // No broker waits for what is looked at here: an object that answers nothing is told of sooner.
  const settings = { ...embeddedLogSettings, readPatienceMs: START_PATIENCE_MS };
  const wal = new WalReader({ store, clock, log, metrics, objectKeys, settings, producedBytes: () => 0 });
  const reader = new ShardReferenceReader({ wal, objectKeys, clock, signal });
  const remover = new Remover({ store, clock, random, log, metrics, settings });
  const remove = async (keys: readonly string[]) => {
    const byKind = new Map<RemovedKind, string[]>();
    for (const key of keys) {
      const type = objectKeys.parse(key)?.type;
      const kind = type === "wal" || type === "checkpoint" ? type : "segment";
      byKind.set(kind, [...(byKind.get(kind) ?? []), key]);
    }
    for (const [kind, some] of byKind) {
      await withDeadline(clock, REMOVAL_MS_MAX, `removal of ${some.length} objects`, signal, (attempt) =>
        remover.remove(kind, some, attempt),
      );
    }
  };
  return { ...parts, reader, remove };
}

/**
 * Verifies a cluster.
 * @throws ClusterMismatchError where the stores do not belong together; the error of a store that stays silent for 30 s
 */
export async function verifyCluster(
  parts: VerificationParts,
  options: VerificationOptions,
): Promise<VerificationReport> {
  const { clusterId } = await requireOneCluster(parts);
  return new Verification(parts, options).run(clusterId);
}

async function requireOneCluster(parts: ClusterGuardParts): Promise<{ readonly clusterId: string }> {
  const standing = await compareCluster(parts);
  if (!standing.isRestored) return standing;
  throw new ClusterMismatchError(
    "the metadata store was restored from a backup: what looks like nobody's may be what it lost. Settle that with `kafscale recover` first",
  );
}

class Verification {
  readonly #parts: VerificationParts;
  readonly #options: VerificationOptions;
  readonly #look: ReferenceLook;
  readonly #findings: Finding[] = [];
  #toldMs: number;

  constructor(parts: VerificationParts, options: VerificationOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#look = new ReferenceLook(parts, options);
    this.#toldMs = parts.cluster.clock.monotonicMs();
  }

  async run(clusterId: string): Promise<VerificationReport> {
    const first = await this.#view(undefined);
    const listing = await this.#list(first);
    await this.#confirmReferences(first, listing.suspects);
    const last = await this.#confirmStrays(first, listing.candidates);
    const { removed, refusal } = await this.#repair();
    const { revision, sessions, claims } = last.snapshot;
    const { objects, bytes, counts } = listing;
    const seen = { listed: { objects, bytes }, counts, shards: claims.size, sessions: sessions.size };
    const gone = new Set(removed);
    return {
      clusterId,
      revision,
      ...seen,
      findings: this.#findings.filter(({ key }) => !gone.has(key)),
      removed,
      refusal,
    };
  }

  #tell(text: () => string): void {
    const nowMs = this.#parts.cluster.clock.monotonicMs();
    if (nowMs - this.#toldMs < PROGRESS_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#options.onProgress(text());
  }

  /** The cluster as of now; shards that have not changed since `before` are not read again. */
  async #view(before: ReferenceView | undefined): Promise<ReferenceView> {
    const what = "range of the cluster's metadata";
    const snapshot = await patientlyAnswered(this.#parts, what, (signal) =>
      readSnapshot(this.#parts.cluster, { signal }),
    );
    const shards = new Map<number, ShardReferences>();
    const unread: StoredClaim[] = [];
    for (const stored of snapshot.claims.values()) {
      const known = before?.shards.get(stored.shard);
      if (known?.stamp === stampOf(snapshot, stored)) shards.set(stored.shard, known);
      else unread.push(stored);
    }
    for (const [shard, references] of await this.#read(snapshot, unread)) shards.set(shard, references);
    return referenceView(snapshot, shards);
  }

  #read(snapshot: MetadataSnapshot, claims: readonly StoredClaim[]): Promise<ReadonlyMap<number, ShardReferences>> {
    let count = 0;
    return this.#parts.reader.read(snapshot, claims, () => {
      count++;
      this.#tell(() => `${count} of ${claims.length} shards read`);
    });
  }

  /** Walks over all objects of the cluster. Only what is wrong is kept. */
  async #list(view: ReferenceView): Promise<Listing> {
    const { store, objectKeys } = this.#parts;
    const references = byKey(view.shards.values());
    const suspects = new Set(references.keys());
    const candidates: ObjectSummary[] = [];
    const counts = { known: 0, kept: 0, undecided: 0, stray: 0, foreign: 0 };
    let [objects, bytes] = [0, 0];
    let startAfter: string | undefined;
    for (;;) {
      const after = startAfter === undefined ? {} : { startAfter };
      const page = await patiently(this.#parts, `list of ${objectKeys.all}`, (signal) =>
        store.list(objectKeys.all, { ...after, limit: PAGE_OBJECTS, isBackground: true, signal }),
      );
      for (const object of page.objects) {
        objects++;
        bytes += object.bytes;
        if (isAsExpected(references.get(object.key), object.bytes)) suspects.delete(object.key);
        const { type } = judgeObject(object.key, objectKeys.parse(object.key), view);
        counts[type]++;
        if (type === "stray" || type === "foreign") candidates.push(object);
      }
      this.#tell(() => `${objects} objects listed`);
      startAfter = page.objects.at(-1)?.key;
      if (!page.isTruncated) return { objects, bytes, counts, suspects, candidates };
      // What is not known to be the whole list must not pass for it.
      if (startAfter === undefined)
        throw new ObjectStoreError("unknown", `list of ${objectKeys.all}: an empty page is not the last`);
    }
  }

  /**
   * Tells of what is missing, damaged or unreadable, once the claim and the checkpoint that refer to it were there before
   * the look and unchanged after it: then it was referred to all the while.
   */
  async #confirmReferences(first: ReferenceView, suspects: ReadonlySet<string>): Promise<void> {
    const told = new Set<ShardReferences>();
    let view = first;
    let references = byKey(view.shards.values());
    let keys: Iterable<string> = this.#options.isDeep ? references.keys() : suspects;
    for (let round = 1; ; round++) {
      let count = 0;
      const total = references.size;
      const faults = await this.#look.faults(keys, references, () => {
        count++;
        if (this.#options.isDeep) this.#tell(() => `${count} of ${total} objects read`);
      });
      const wrong = [...view.shards.values()].filter((shard) => !told.has(shard) && isWrong(shard, faults));
      if (wrong.length === 0) return;
      const next = await this.#view(view);
      const isUnchanged = (shard: ShardReferences) => next.shards.get(shard.shard) === shard;
      const certain = wrong.filter(isUnchanged);
      const changed = wrong.filter((shard) => !isUnchanged(shard));
      for (const shard of certain) told.add(shard);
      this.#findings.push(...faultFindings(certain, faults, new Set(this.#findings.map(({ key }) => key))));
      if (changed.length > 0 && round === ROUNDS_MAX) {
        this.#findings.push(restlessFinding(changed, ROUNDS_MAX));
        return;
      }
      // What a changed shard refers to now may be what was put since the walk.
      const again = changed.flatMap(({ shard }) => next.shards.get(shard) ?? []);
      keys = byKey(again).keys();
      view = next;
      references = byKey(view.shards.values());
    }
  }

  /** Tells of what nobody refers to, by a revision read after the walk: whoever wrote it was registered before. */
  async #confirmStrays(first: ReferenceView, candidates: readonly ObjectSummary[]): Promise<ReferenceView> {
    if (candidates.length === 0) return first;
    const { objectKeys, cluster, signal } = this.#parts;
    const { isRepairing, graceMs, onProgress } = this.#options;
    let view = await this.#view(first);
    const judge = ({ key }: ObjectSummary) => ({ key, verdict: judgeObject(key, objectKeys.parse(key), view) });
    const isWrongVerdict = ({ verdict: { type } }: Judged) => type === "stray" || type === "foreign";
    let wrong = candidates.map((object) => ({ ...judge(object), bytes: object.bytes })).filter(isWrongVerdict);
    const mayRemove = isRepairing && this.#findings.length === 0 && wrong.some(isRemovable);
    if (mayRemove && view.snapshot.sessions.size > 0) {
      onProgress(`waiting ${graceMs / 60_000} minutes for readers on their way before anything is removed`);
      await sleep(cluster.clock, graceMs, signal);
      view = await this.#view(view);
      wrong = wrong.map((object) => ({ ...object, ...judge(object) })).filter(isWrongVerdict);
    }
    const strays = wrong.filter(({ verdict }) => verdict.type === "stray");
    const standing = await this.#look.standing(strays.map(({ key }) => key));
    for (const { key, verdict, bytes } of wrong) {
      if (verdict.type !== "stray") {
        this.#findings.push({ kind: "foreign", key, text: "no key of this cluster", bytes, isRemovable: false });
      } else if (standing.has(key)) {
        this.#findings.push({ kind: "stray", key, text: verdict.why, bytes, isRemovable: verdict.isRemovable });
      }
    }
    return view;
  }

  /** Removes what may be removed, unless something is lost or unknown: then a person decides what is worth keeping. */
  async #repair(): Promise<Pick<VerificationReport, "removed" | "refusal">> {
    const keys = this.#findings.filter((finding) => finding.isRemovable).map(({ key }) => key);
    const removed: string[] = [];
    if (!this.#options.isRepairing || keys.length === 0) return { removed, refusal: undefined };
    if (this.#findings.some(({ kind }) => kind !== "stray" && kind !== "foreign")) {
      return {
        removed,
        refusal: "something is missing, damaged or unknown: nothing is removed before that is settled",
      };
    }
    await requireOneCluster(this.#parts);
    for (let start = 0; start < keys.length; start += PAGE_OBJECTS) {
      const batch = keys.slice(start, start + PAGE_OBJECTS);
      await this.#parts.remove(batch);
      for (const key of batch) this.#options.onRemoved(key);
      removed.push(...batch);
    }
    return { removed, refusal: undefined };
  }
}

function byKey(shards: Iterable<ShardReferences>): Map<string, Reference[]> {
  const references = new Map<string, Reference[]>();
  for (const shard of shards) {
    for (const reference of shard.references) {
      const known = references.get(reference.key);
      if (known) known.push(reference);
      else references.set(reference.key, [reference]);
    }
  }
  return references;
}

function isAsExpected(references: readonly Reference[] | undefined, bytes: number): boolean {
  return references?.every((reference) => sizeFault(reference, bytes) === undefined) ?? true;
}

function isWrong({ failure, references }: ShardReferences, faults: ReadonlyMap<string, ObjectFault>): boolean {
  return failure !== undefined || references.some(({ key }) => faults.has(key));
}

function isRemovable({ verdict }: Judged): boolean {
  return verdict.type === "stray" && verdict.isRemovable;
}
