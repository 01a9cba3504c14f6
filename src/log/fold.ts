// The committed state of an internal partition as its newest record per key: what compaction would leave. Coordinators
// load from it and checkpoints carry it, so that no start replays the history of an internal topic.
import { foldKey } from "../objects/checkpoint-lists.ts";
import { iterateBatches } from "../records/record-batch.ts";
import { iterateRecords } from "../records/record-iterator.ts";

/** One live key. */
export interface FoldEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A change of a fold since some point: a null value means the key was removed. */
export interface FoldChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Newest committed record per key. Owns copies of keys and values. */
export class Fold {
  readonly #entries = new Map<string, FoldEntry>();
  #bytes = 0;
  /** Keys changed since the last {@link resetChanges}, in the order of their first change. */
  readonly #changed = new Map<string, Uint8Array>();

  /** Live keys, in the order in which they first appeared. */
  entries(): IterableIterator<FoldEntry> {
    return this.#entries.values();
  }

  /** Bytes of all live keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Applies the records of committed v2 batches in order. Records without a key are not state and are passed over. */
  applyBatches(bytes: Uint8Array): void {
    for (const batch of iterateBatches(bytes)) {
      if (batch.isControl) continue;
      for (const record of iterateRecords(batch)) {
        if (record.key) this.apply({ key: record.key, value: record.value });
      }
    }
  }

  /** Applies one record: a null value removes the key. */
  apply(change: FoldChange): void {
    const name = foldKey(change.key);
    // Copies, even of a Buffer, so that no key pins the flush it came in.
    const key = new Uint8Array(change.key);
    const old = this.#entries.get(name);
    if (old) this.#bytes -= old.key.length + old.value.length;
    if (change.value === null) {
      this.#entries.delete(name);
    } else {
      const value = new Uint8Array(change.value);
      this.#entries.set(name, { key, value });
      this.#bytes += key.length + value.length;
    }
    this.#changed.set(name, key);
  }

  /** What differs from the state at the last {@link resetChanges}. */
  changes(): FoldChange[] {
    return [...this.#changed].map(([name, key]) => ({ key, value: this.#entries.get(name)?.value ?? null }));
  }

  /** Makes the present state the one that later changes are told against. */
  resetChanges(): void {
    this.#changed.clear();
  }
}
