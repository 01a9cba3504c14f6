// The object store in memory: S3's promises for one process, gone with it. The twin of S3 in tests and simulations, and
// the store of a playground.
import { refuseIfAborted } from "./call-refusal.ts";
import { checkListLimit, checkObjectCount, checkObjectKey } from "./object-key.ts";
import {
  type ByteRange,
  type CallOptions,
  type ObjectStore,
  ObjectStoreError,
  type ObjectSummary,
  type PutOptions,
} from "./object-store.ts";

/** An object as it is kept: its bytes in order, and how many they are. */
interface StoredObject {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/** An empty store. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, StoredObject>();
  /** The keys of `#objects`, ascending; `undefined` after a change of the set until the next listing. */
  #sortedKeys: string[] | undefined;

  async put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    checkObjectKey(key);
    refuseIfAborted(options.signal, `put ${key}`);
    const isNew = !this.#objects.has(key);
    if (options.ifAbsent && !isNew) throw new ObjectStoreError("already-exists", `put ${key}: there is such an object`);
    this.#objects.set(key, stored(parts, options.areFinal === true));
    if (isNew) this.#sortedKeys = undefined;
  }

  async get(key: string, { signal, range }: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    checkObjectKey(key);
    refuseIfAborted(signal, `get ${key}`);
    const { parts, bytes } = this.#object(key);
    if (!range) return copyOf(parts, 0, bytes);
    if (range.start >= bytes) {
      throw new ObjectStoreError("not-found", `get ${key}: byte ${range.start} is past its ${bytes} bytes`);
    }
    return copyOf(parts, range.start, Math.min(bytes, range.start + range.length));
  }

  async head(key: string, { signal }: CallOptions): Promise<{ bytes: number }> {
    checkObjectKey(key);
    refuseIfAborted(signal, `head ${key}`);
    return { bytes: this.#object(key).bytes };
  }

  async list(
    prefix: string,
    { signal, startAfter = "", limit }: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    checkListLimit(limit);
    refuseIfAborted(signal, `list ${prefix}`);
    this.#sortedKeys ??= [...this.#objects.keys()].sort();
    const objects: ObjectSummary[] = [];
    for (let index = firstAtLeast(this.#sortedKeys, prefix); index < this.#sortedKeys.length; index++) {
      const key = this.#sortedKeys[index] ?? "";
      if (!key.startsWith(prefix)) break;
      if (key <= startAfter) continue;
      if (objects.length === limit) return { objects, isTruncated: true };
      objects.push({ key, bytes: this.#object(key).bytes });
    }
    return { objects, isTruncated: false };
  }

  async delete(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    checkObjectCount(keys.length);
    refuseIfAborted(signal, `delete of ${keys.length} objects`);
    for (const key of keys) {
      checkObjectKey(key);
      if (this.#objects.delete(key)) this.#sortedKeys = undefined;
    }
  }

  /** How many objects there are. */
  get objectCount(): number {
    return this.#objects.size;
  }

  #object(key: string): StoredObject {
    const object = this.#objects.get(key);
    if (!object) throw new ObjectStoreError("not-found", `there is no object ${key}`);
    return object;
  }
}

/** What is kept of `parts`: themselves where that is allowed and pins no larger buffer, copies otherwise. */
function stored(parts: readonly Uint8Array[], areFinal: boolean): StoredObject {
  let bytes = 0;
  const kept: Uint8Array[] = [];
  for (const part of parts) {
    kept.push(areFinal && part.byteLength === part.buffer.byteLength ? part : copyOf([part], 0, part.byteLength));
    bytes += part.byteLength;
  }
  return { parts: kept, bytes };
}

/** Bytes [start, end) of the concatenation of `parts`, in memory of their own. */
function copyOf(parts: readonly Uint8Array[], start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  let position = -start;
  for (const part of parts) {
    const from = Math.max(0, -position);
    const to = Math.min(part.byteLength, end - start - position);
    if (from < to) copy.set(part.subarray(from, to), position + from);
    position += part.byteLength;
  }
  return copy;
}

/** Index of the first of `sorted` that is not below `bound`. */
function firstAtLeast(sorted: readonly string[], bound: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
