// What a partition remembers of idempotent producers (KIP-98, KIP-360): per producer id its epoch and last batches.
// Committed state answers duplicates; tentative state, of batches not yet committed, only orders what comes after it.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import type { Offset, TimestampMs } from "../topic-partition.ts";

/** How many batches per producer can be recognised as duplicates: Kafka clients keep at most five in flight. */
const REMEMBERED_BATCHES = 5;
/** Producer ids a partition remembers at most; the longest idle ones give way. */
export const PRODUCER_IDS_MAX = 100_000;

/** Where one batch of a producer stands in the log. */
export interface ProducedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly timestampMs: TimestampMs;
}

/** Committed state of one producer id: `batches` ascending, one to five. */
export interface ProducerState {
  readonly producerId: number;
  producerEpoch: number;
  readonly batches: ProducedBatch[];
  /** Monotonic time of the last commit or load: expiry measures idleness in this process, never by the wall clock. */
  lastActiveMs: number;
}

/** A producer's state as a checkpoint keeps it. */
export interface StoredProducerState {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly batches: readonly ProducedBatch[];
}

/** The identity of a batch: its producer and sequence range. */
export interface BatchIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

interface Tentative<T> extends BatchIdentity {
  readonly outcome: T;
}

/** What an appended batch is: new, a copy of a committed one, or a copy of one whose commit is still awaited. */
export type SequenceVerdict<T> =
  | { readonly type: "new" }
  | { readonly type: "committed"; readonly batch: ProducedBatch }
  | { readonly type: "tentative"; readonly outcome: T };

/** The sequence after `sequence`: it wraps from 2^31 - 1 to 0. */
function sequenceAfter(sequence: number): number {
  return sequence === 0x7fff_ffff ? 0 : sequence + 1;
}

/** Idempotent producers of one partition. `T` is what a tentative batch is remembered with: what knows of its commit. */
export class ProducerStates<T> {
  readonly #committed = new Map<number, ProducerState>();
  /** Not yet committed batches per producer id, in the order of their appends; never an empty list. */
  readonly #tentative = new Map<number, Tentative<T>[]>();
  /** Producer ids whose committed state came, changed or went since {@link resetChanges}. */
  readonly #changed = new Set<number>();

  /**
   * Judges a batch before it is appended.
   * @throws KafkaError INVALID_PRODUCER_EPOCH for an epoch older than the newest known, OUT_OF_ORDER_SEQUENCE_NUMBER for
   *   a gap. A producer id without state may start at any sequence.
   */
  judge(batch: BatchIdentity): SequenceVerdict<T> {
    const state = this.#committed.get(batch.producerId);
    const tentative = this.#tentative.get(batch.producerId);
    if (state?.producerEpoch === batch.producerEpoch) {
      const copy = state.batches.find((b) => isSameRange(b, batch));
      if (copy) return { type: "committed", batch: copy };
    }
    const copy = tentative?.find((t) => t.producerEpoch === batch.producerEpoch && isSameRange(t, batch));
    if (copy) return { type: "tentative", outcome: copy.outcome };
    const newest = tentative?.at(-1);
    const epoch = newest?.producerEpoch ?? state?.producerEpoch;
    if (epoch === undefined) return { type: "new" };
    const lastSequence = newest?.lastSequence ?? state?.batches.at(-1)?.lastSequence;
    invariant(lastSequence !== undefined, `producer ${batch.producerId} has a state without batches`);
    this.#requireNext(batch, epoch, lastSequence);
    return { type: "new" };
  }

  #requireNext(batch: BatchIdentity, epoch: number, lastSequence: number): void {
    const { producerId, producerEpoch, firstSequence } = batch;
    if (producerEpoch < epoch) {
      const text = `producer ${producerId} has epoch ${epoch}, the batch ${producerEpoch}`;
      throw new KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH, text);
    }
    const expected = producerEpoch > epoch ? 0 : sequenceAfter(lastSequence);
    if (firstSequence !== expected) {
      const text = `producer ${producerId} epoch ${producerEpoch} sent sequence ${firstSequence}, expected ${expected}`;
      throw new KafkaError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, text);
    }
  }

  /** Remembers an appended batch until {@link commit} takes it over. */
  addTentative(batch: BatchIdentity, outcome: T): void {
    const entry = { ...batch, outcome };
    const known = this.#tentative.get(batch.producerId);
    if (known) known.push(entry);
    else this.#tentative.set(batch.producerId, [entry]);
  }

  /** Takes a batch into the committed state, and out of the tentative one where it is there. In offset order. */
  commit(batch: BatchIdentity & ProducedBatch, nowMs: number): void {
    const { producerId, producerEpoch } = batch;
    this.#dropTentative(batch);
    let state = this.#committed.get(producerId);
    if (!state) {
      state = { producerId, producerEpoch, batches: [], lastActiveMs: nowMs };
      this.#committed.set(producerId, state);
      if (this.#committed.size > PRODUCER_IDS_MAX) this.#evictIdlest();
    }
    if (state.producerEpoch !== producerEpoch) {
      state.producerEpoch = producerEpoch;
      state.batches.length = 0;
    }
    const { firstSequence, lastSequence, baseOffset, timestampMs } = batch;
    state.batches.push({ firstSequence, lastSequence, baseOffset, timestampMs });
    if (state.batches.length > REMEMBERED_BATCHES) state.batches.shift();
    state.lastActiveMs = nowMs;
    this.#changed.add(producerId);
  }

  #dropTentative(batch: BatchIdentity): void {
    const tentative = this.#tentative.get(batch.producerId);
    if (!tentative) return;
    const first = tentative.shift();
    invariant(first && isSameRange(first, batch), `producer ${batch.producerId} committed a batch out of append order`);
    if (tentative.length === 0) this.#tentative.delete(batch.producerId);
  }

  /** Forgets the longest idle twentieth, so that the scan is rare. */
  #evictIdlest(): void {
    const byIdleness = [...this.#committed.values()].toSorted((a, b) => a.lastActiveMs - b.lastActiveMs);
    for (const state of byIdleness.slice(0, PRODUCER_IDS_MAX / 20)) this.#forget(state.producerId);
  }

  #forget(producerId: number): void {
    this.#committed.delete(producerId);
    this.#changed.add(producerId);
  }

  /** Forgets producers idle for longer than `expirationMs`, except those with batches under way. */
  expire(nowMs: number, expirationMs: number): void {
    for (const state of this.#committed.values()) {
      if (nowMs - state.lastActiveMs <= expirationMs || this.#tentative.has(state.producerId)) continue;
      this.#forget(state.producerId);
    }
  }

  /** Takes over states of a checkpoint; none may be present yet for their producer ids. */
  load(states: Iterable<StoredProducerState>, nowMs: number): void {
    for (const { producerId, producerEpoch, batches } of states) {
      invariant(!this.#committed.has(producerId), `producer ${producerId} is loaded twice`);
      this.#committed.set(producerId, { producerId, producerEpoch, batches: [...batches], lastActiveMs: nowMs });
    }
  }

  /** How many producers have committed state. */
  get count(): number {
    return this.#committed.size;
  }

  /** The committed states, in the order in which the producers first appeared. */
  snapshot(): readonly ProducerState[] {
    return [...this.#committed.values()];
  }

  /** What differs from the state at the last {@link resetChanges}. */
  changes(): { readonly removed: number[]; readonly added: ProducerState[] } {
    const removed: number[] = [];
    const added: ProducerState[] = [];
    for (const producerId of this.#changed) {
      const state = this.#committed.get(producerId);
      if (state) added.push(state);
      else removed.push(producerId);
    }
    return { removed, added };
  }

  /** Makes the present state the one that later changes are told against. */
  resetChanges(): void {
    this.#changed.clear();
  }
}

function isSameRange(a: { firstSequence: number; lastSequence: number }, b: BatchIdentity): boolean {
  return a.firstSequence === b.firstSequence && a.lastSequence === b.lastSequence;
}
