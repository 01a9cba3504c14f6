// Judges checkpoints and claims: what a section says is what was committed up to its head, neither less nor more, and
// every committed flush that a shard needs can be found from its claim at every moment.
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";
import { type CheckpointIndex, decodeCheckpointIndex, decodeCheckpointTrailer } from "../../src/objects/checkpoint.ts";
import {
  applyPending,
  applyProducers,
  applySegments,
  decodeListBlock,
  type PendingExtent,
  type ProducerEntry,
  pendingList,
  producerList,
  type SegmentEntry,
  type SubBlockRef,
  segmentList,
} from "../../src/objects/checkpoint-lists.ts";
import { type CheckpointSection, decodeSection, type SectionPartition } from "../../src/objects/checkpoint-section.ts";
import { partitionKey } from "../../src/topic-partition.ts";
import type { CommittedExtent, CommittedPartition } from "./committed-log.ts";
import type { Ledger } from "./ledger.ts";
import { SegmentOracle } from "./segment-oracle.ts";
import type { CheckpointWitness, StoreOracle } from "./store-oracle.ts";

/** A moment in the life of a session: everything committed before it, and its own flushes up to `n`. */
interface Moment {
  readonly sessionId: string;
  readonly n: number;
}

/** A section, where it lies, and the keys of all objects that hold a part of it. */
export interface FoundSection {
  readonly section: CheckpointSection;
  readonly keys: readonly string[];
  /** Flushes with a pending extent, by session. */
  readonly pending: ReadonlyMap<string, ReadonlySet<number>>;
  /** Keys of its segments and groups. */
  readonly segments: ReadonlySet<string>;
}

/** The witness of checkpoint pointers and claims. */
export class CheckpointOracle implements CheckpointWitness {
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  readonly #segments: SegmentOracle;
  readonly #indexes = new Map<string, CheckpointIndex>();
  /** By where they lie: a section never changes. */
  readonly #sections = new Map<string, FoundSection>();

  constructor(ledger: Ledger, oracle: StoreOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
    this.#segments = new SegmentOracle(ledger, oracle.objects);
  }

  onPointer(sessionId: string, objectKey: string, before: string | undefined): void {
    const index = this.indexOf(objectKey);
    if (!index) return;
    const head = this.#oracle.heads.get(sessionId) ?? 0;
    this.#ledger.check("I11 a checkpoint never claims beyond its head", index.n <= head, () => {
      return `${objectKey} was made at head ${index.n}, committed is ${head}`;
    });
    const earlier = before === undefined ? undefined : this.indexOf(before);
    this.#ledger.check("I11 a checkpoint pointer moves forward", !earlier || earlier.k < index.k, () => {
      return `the pointer of ${sessionId} went from ${before} to ${objectKey}`;
    });
    for (const [shard, extents] of this.#oracle.extentsByShard) {
      const claim = this.#oracle.claims.get(shard);
      if (claim?.sessionId !== sessionId) continue;
      const section = this.sectionOf(objectKey, shard, claim.epoch)?.section;
      if (section) this.#checkSection(section, extents, { sessionId, n: index.n });
      this.#checkReachable(shard, claim);
    }
  }

  onClaim(shard: number, claim: ShardClaim, before: ShardClaim | undefined): void {
    if (before && before.sessionId !== claim.sessionId) this.#countOlderSection(shard, before);
    this.#checkReachable(shard, claim);
    this.#checkPendingNamed(shard, claim);
  }

  /** The owner had the shard before and got it back, and was gone before its next checkpoint. */
  #countOlderSection(shard: number, { sessionId, epoch }: ShardClaim): void {
    const pointer = this.#oracle.pointers.get(sessionId);
    const row = pointer && this.indexOf(pointer)?.sections.find((candidate) => candidate.shard === shard);
    const isGone = !this.#oracle.liveSessions.has(sessionId);
    if (row && isGone && row.epoch < epoch) this.#ledger.count("claim over a section of an older epoch");
  }

  /** What the section in force says, against what was committed when its head was taken. */
  #checkSection(section: CheckpointSection, extents: readonly CommittedExtent[], moment: Moment): void {
    const partitions = new Set(
      extents.map(({ extent }) => this.#oracle.log.partition(extent.topicId, extent.partition)),
    );
    for (const committed of partitions) {
      if (!this.#oracle.liveTopicIds.has(committed.topicId)) continue;
      const held = committed.extents.filter((extent) => isBefore(extent, moment));
      const found = section.partitions.find((row) => partitionKey(row.topicId, row.partition) === committed.name);
      if (!found && held.length === 0) continue;
      this.#checkPartition(committed, found, { ...moment, held });
    }
    const listed = section.partitions.flatMap((row) => this.#segmentsOf(row, moment.sessionId));
    this.#segments.checkDropped(section, listed);
  }

  #checkPartition(
    committed: CommittedPartition,
    found: SectionPartition | undefined,
    at: Moment & { readonly held: readonly CommittedExtent[] },
  ): void {
    const last = at.held.at(-1)?.extent;
    const end = last ? last.baseOffset + last.offsetCount : 0;
    const moves = this.#oracle.logStarts.get(committed) ?? [];
    const logStart = moves.filter((move) => isBefore(move, at)).at(-1)?.logStart ?? 0;
    const isSame = (found?.logEnd ?? 0) === end && (found?.logStart ?? 0) === logStart;
    this.#ledger.check("I11 a section holds what is committed up to its head", isSame, () => {
      return `the section at head ${at.n} of ${at.sessionId} holds ${committed.name} as ${found?.logStart} to ${found?.logEnd}, committed were ${logStart} to ${end}`;
    });
    if (!found) return;
    const pending = this.#pendingOf(found, at.sessionId);
    const reconciledEnd = this.#segments.check(committed, found, this.#segmentsOf(found, at.sessionId));
    const expected = at.held.filter(({ extent }) => {
      return extent.baseOffset + extent.offsetCount > Math.max(logStart, reconciledEnd);
    });
    const isListed =
      pending.length === expected.length &&
      expected.every(({ sessionId, flush, extent }, index) => {
        const row = pending[index];
        return row?.sessionId === sessionId && row.n === flush && row.baseOffset === extent.baseOffset;
      });
    this.#ledger.check("I12 a section lists every pending extent once", isListed, () => {
      return `the section at head ${at.n} of ${at.sessionId} lists ${pending.length} extents of ${committed.name}, committed were ${expected.length}`;
    });
    this.#checkProducers(committed, this.#producersOf(found, at.sessionId), { ...at, end });
  }

  #checkProducers(
    committed: CommittedPartition,
    found: ReadonlyMap<number, ProducerEntry>,
    at: Moment & { readonly end: number },
  ): void {
    const expected = committed.producers(at.end);
    const isSame =
      found.size === expected.size &&
      [...expected].every(([producerId, { epoch, batches }]) => {
        const entry = found.get(producerId);
        return (
          entry?.producerEpoch === epoch &&
          entry.batches.length === batches.length &&
          batches.every((batch, index) => entry.batches[index]?.baseOffset === batch.baseOffset)
        );
      });
    this.#ledger.check("I7 a section holds committed producer state only", isSame, () => {
      return `the section at head ${at.n} of ${at.sessionId} differs in the producers of ${committed.name}`;
    });
  }

  /** Every committed extent of a shard is in the section in force, in a term of `prev`, or the owner's own. */
  #checkReachable(shard: number, claim: ShardClaim): void {
    const own = this.#oracle.pointers.get(claim.sessionId);
    const inForce = own && this.sectionOf(own, shard, claim.epoch)?.section;
    const section = inForce || this.baseOf(claim)?.section;
    const covers = new Map((section?.covers ?? []).map(({ sessionId, n }) => [sessionId, n]));
    if (section && claim.base && !inForce) covers.set(claim.base.sessionId, claim.base.n);
    const lost = (this.#oracle.extentsByShard.get(shard) ?? []).find(({ sessionId, flush, extent }) => {
      if (sessionId === claim.sessionId && extent.shardEpoch === claim.epoch) return false;
      if ((covers.get(sessionId) ?? 0) >= flush) return false;
      if (!this.#oracle.liveTopicIds.has(extent.topicId)) return false;
      return !claim.prev.some(
        (term) =>
          term.sessionId === sessionId && term.epoch === extent.shardEpoch && term.from <= flush && flush <= term.to,
      );
    });
    this.#ledger.check("I11 every committed flush is reachable from the claim", lost === undefined, () => {
      return `shard ${shard}: flush ${lost?.flush} of ${lost?.sessionId} is reachable neither by base nor prev nor checkpoint`;
    });
  }

  /** What is read in place keeps its session named, so that nobody may take its objects away. */
  #checkPendingNamed(shard: number, claim: ShardClaim): void {
    const reconciled = this.#reconciledEnds(shard, claim);
    const lost = (this.#oracle.extentsByShard.get(shard) ?? []).find(({ sessionId, flush, extent }) => {
      if (sessionId === claim.sessionId || !this.#oracle.liveTopicIds.has(extent.topicId)) return false;
      const { logStart, name } = this.#oracle.log.partition(extent.topicId, extent.partition);
      const end = extent.baseOffset + extent.offsetCount;
      if (end <= logStart || end <= (reconciled.get(name) ?? 0)) return false;
      return !claim.prev.some((term) => term.sessionId === sessionId && term.from <= flush && flush <= term.to);
    });
    this.#ledger.check("I13 a claim names every session whose objects are read in place", lost === undefined, () => {
      return `shard ${shard}: flush ${lost?.flush} of ${lost?.sessionId} holds pending records and is named no more`;
    });
  }

  /** Up to which offset the section from which an owner would start has each partition in segments. */
  #reconciledEnds(shard: number, claim: ShardClaim): ReadonlyMap<string, number> {
    const own = this.#oracle.pointers.get(claim.sessionId);
    const inForce = (own && this.sectionOf(own, shard, claim.epoch)) || undefined;
    const section = (inForce ?? this.baseOf(claim))?.section;
    const writer = inForce ? claim.sessionId : (claim.base?.sessionId ?? "");
    return new Map(
      (section?.partitions ?? []).map((row) => {
        const end = this.#segmentsOf(row, writer).at(-1)?.endOffset ?? 0;
        return [partitionKey(row.topicId, row.partition), end];
      }),
    );
  }

  /** What a claim starts from, as it is stored; undefined without a base, or when a part of it is missing. */
  baseOf({ base }: ShardClaim): FoundSection | undefined {
    return base && this.#sectionAt(base);
  }

  #sectionAt(at: { objectKey: string; position: number; length: number }): FoundSection | undefined {
    const name = `${at.objectKey} ${at.position}`;
    const known = this.#sections.get(name);
    if (known) return known;
    const object = this.#oracle.objects.get(at.objectKey);
    if (!object) return undefined;
    const section = decodeSection(object.subarray(at.position, at.position + at.length));
    const sessionId = sessionOf(at.objectKey);
    const stored = section.partitions.flatMap(({ pending, producers, fold, segments }) => {
      return [pending, producers, fold, segments].flatMap((list) => list.stored?.k ?? []);
    });
    const keys = [at.objectKey, ...stored.map((k) => this.#oracle.objectKeys.checkpoint(sessionId, k))];
    if (keys.some((key) => !this.#oracle.objects.has(key))) return undefined;
    const pending = new Map<string, Set<number>>();
    for (const extent of section.partitions.flatMap((row) => this.#pendingOf(row, sessionId))) {
      pending.set(extent.sessionId, (pending.get(extent.sessionId) ?? new Set()).add(extent.n));
    }
    const found = { section, keys: [...new Set(keys)], pending, segments: this.#segmentKeys(section, sessionId) };
    this.#sections.set(name, found);
    return found;
  }

  /** The index of a checkpoint; undefined when there is no such object. */
  indexOf(objectKey: string): CheckpointIndex | undefined {
    const known = this.#indexes.get(objectKey);
    if (known) return known;
    const object = this.#oracle.objects.get(objectKey);
    if (!object) return undefined;
    const { position, length } = decodeCheckpointTrailer(object, object.length);
    const index = decodeCheckpointIndex(object.subarray(position, position + length), object.length);
    this.#indexes.set(objectKey, index);
    return index;
  }

  /** The section of a shard in a checkpoint, if it was made under that epoch. */
  sectionOf(objectKey: string, shard: number, epoch: number): FoundSection | undefined {
    const row = this.indexOf(objectKey)?.sections.find((candidate) => candidate.shard === shard);
    if (row?.epoch !== epoch) return undefined;
    const key = this.#oracle.objectKeys.checkpoint(sessionOf(objectKey), row.ref.k);
    return this.#sectionAt({ objectKey: key, position: row.ref.position, length: row.ref.length });
  }

  #block(sessionId: string, ref: Pick<SubBlockRef, "k" | "position" | "length">): Uint8Array | undefined {
    const object = this.#oracle.objects.get(this.#oracle.objectKeys.checkpoint(sessionId, ref.k));
    return object?.subarray(ref.position, ref.position + ref.length);
  }

  #pendingOf(row: SectionPartition, sessionId: string): readonly PendingExtent[] {
    const bytes = row.pending.stored && this.#block(sessionId, row.pending.stored);
    return applyPending(bytes ? decodeListBlock(pendingList, bytes, row) : [], row.pending, row.pendingFrom);
  }

  #segmentsOf(row: SectionPartition, sessionId: string): readonly SegmentEntry[] {
    const bytes = row.segments.stored && this.#block(sessionId, row.segments.stored);
    return applySegments(bytes ? decodeListBlock(segmentList, bytes, row) : [], row.segments);
  }

  #segmentKeys({ partitions }: CheckpointSection, sessionId: string): Set<string> {
    const keys = new Set<string>();
    for (const { key, form } of partitions.flatMap((row) => this.#segmentsOf(row, sessionId))) {
      keys.add(key);
      if (form.type === "segment") keys.add(form.indexKey);
    }
    return keys;
  }

  #producersOf(row: SectionPartition, sessionId: string): ReadonlyMap<number, ProducerEntry> {
    const bytes = row.producers.stored && this.#block(sessionId, row.producers.stored);
    return applyProducers(bytes ? decodeListBlock(producerList, bytes, row) : [], row.producers);
  }
}

function isBefore(at: { readonly sessionId: string; readonly flush: number }, moment: Moment): boolean {
  return at.sessionId !== moment.sessionId || at.flush <= moment.n;
}

function sessionOf(checkpointKey: string): string {
  return checkpointKey.split("/").at(-2) ?? "";
}
