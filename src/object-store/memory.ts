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
} from "./object-store.ts";

/** An empty store. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, Uint8Array>();
  /** The keys of `#objects`, ascending; `undefined` after a change of the set until the next listing. */
  #sortedKeys: string[] | undefined;

  async put(key: string, parts: readonly Uint8Array[], options: CallOptions & { ifAbsent: boolean }): Promise<void> {
    checkObjectKey(key);
    refuseIfAborted(options.signal, `put ${key}`);
    const isNew = !this.#objects.has(key);
    if (options.ifAbsent && !isNew) throw new ObjectStoreError("already-exists", `put ${key}: there is such an object`);
    this.#objects.set(key, concatenated(parts));
    if (isNew) this.#sortedKeys = undefined;
  }

  async get(key: string, { signal, range }: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    checkObjectKey(key);
    refuseIfAborted(signal, `get ${key}`);
    const bytes = this.#object(key);
    if (!range) return bytes.slice();
    if (range.start >= bytes.byteLength) {
      throw new ObjectStoreError("not-found", `get ${key}: byte ${range.start} is past its ${bytes.byteLength} bytes`);
    }
    return bytes.slice(range.start, range.start + range.length);
  }

  async head(key: string, { signal }: CallOptions): Promise<{ bytes: number }> {
    checkObjectKey(key);
    refuseIfAborted(signal, `head ${key}`);
    return { bytes: this.#object(key).byteLength };
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
      objects.push({ key, bytes: this.#object(key).byteLength });
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

  #object(key: string): Uint8Array {
    const bytes = this.#objects.get(key);
    if (!bytes) throw new ObjectStoreError("not-found", `there is no object ${key}`);
    return bytes;
  }
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.byteLength;
  }
  return bytes;
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
