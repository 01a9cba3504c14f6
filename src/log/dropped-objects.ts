// Keys of objects that a shard refers to no more and whose deletion is not confirmed: replaced or expired segments and
// groups. The list lies in the shard's section, so that no crash forgets a key. Deletes nothing itself.
import { invariant } from "../invariant.ts";

/** Keys in the order in which they were added. A key that was confirmed never comes back: no key is written twice. */
export class DroppedObjects {
  readonly #keys = new Set<string>();
  readonly #onChange: () => void;
  #version = 0;

  /** @param onChange called after each change that a checkpoint has to write */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Grows with each change. */
  get version(): number {
    return this.#version;
  }

  /** Keys whose deletion is not confirmed. */
  get size(): number {
    return this.#keys.size;
  }

  /** The keys, the oldest first. */
  [Symbol.iterator](): IterableIterator<string> {
    return this.#keys.values();
  }

  /** Notes an object to which nothing of the shard refers any more. It may go once a checkpoint in force says so. */
  add(key: string): void {
    invariant(!this.#keys.has(key), `${key} is dropped twice`);
    this.#keys.add(key);
    this.#note();
  }

  /** As {@link add}, of a segment and its index. */
  addSegment({ key, indexKey }: { readonly key: string; readonly indexKey: string }): void {
    this.add(key);
    this.add(indexKey);
  }

  /** Forgets a key: the store has confirmed that no object stands there. One that is not in the list is passed over. */
  confirmed(key: string): void {
    if (this.#keys.delete(key)) this.#note();
  }

  /** Takes over what a section lists; only before anything else happened. */
  restore(keys: Iterable<string>): void {
    invariant(this.#version === 0 && this.#keys.size === 0, "dropped objects are restored twice");
    for (const key of keys) this.#keys.add(key);
  }

  #note(): void {
    this.#version++;
    this.#onChange();
  }
}
