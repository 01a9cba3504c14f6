// Looks at objects that shards refer to: whether each is there and has the size it has to have, and with `isDeep` whether
// all of its bytes are what was written. A store that is silent for one object is not taken for a lost object; one that is
// silent for all ends the look.

import { contentFault, indexFault, type Reference, sizeFault } from "../log/reference-check.ts";
import { type ObjectStore, ObjectStoreError } from "../object-store/object-store.ts";
import { type ClusterGuardParts, patiently, readClusterIdObject } from "./cluster-guard.ts";

/** What is wrong with an object: it is not there, it is not what was written, or nobody can tell. */
export interface ObjectFault {
  readonly kind: "missing" | "damaged" | "unknown";
  readonly text: string;
}

/** Objects looked at at the same time, ... */
const LOOKS_IN_PARALLEL = 16;
/** ... and read whole at the same time: each may have 64 MiB. */
const READS_IN_PARALLEL = 4;

/** Looks at the objects of one cluster. */
export class ReferenceLook {
  readonly #parts: ClusterGuardParts;
  readonly #isDeep: boolean;

  constructor(parts: ClusterGuardParts, { isDeep }: { readonly isDeep: boolean }) {
    this.#parts = parts;
    this.#isDeep = isDeep;
  }

  /** The faults among `keys`, by key. `onLooked` is called after each. */
  async faults(
    keys: Iterable<string>,
    references: ReadonlyMap<string, readonly Reference[]>,
    onLooked: () => void,
  ): Promise<Map<string, ObjectFault>> {
    const found = new Map<string, ObjectFault>();
    await this.#inParallel(keys, async (key) => {
      const fault = await this.#faultOf(key, references.get(key) ?? []);
      if (fault) found.set(key, fault);
      onLooked();
    });
    return found;
  }

  /** Those of `keys` at which an object stands. */
  async standing(keys: Iterable<string>): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    await this.#inParallel(keys, async (key) => {
      const bytes = await this.#answerOf(
        `head of ${key}`,
        async (store, signal) => (await store.head(key, { signal })).bytes,
      );
      if (typeof bytes === "number") found.set(key, bytes);
    });
    return found;
  }

  async #faultOf(key: string, references: readonly Reference[]): Promise<ObjectFault | undefined> {
    const [first] = references;
    if (!first) return undefined;
    const bytes = await this.#answerOf(
      `head of ${key}`,
      async (store, signal) => (await store.head(key, { signal })).bytes,
    );
    if (typeof bytes !== "number") return bytes;
    for (const reference of references) {
      const text = sizeFault(reference, bytes);
      if (text !== undefined) return { kind: "damaged", text };
    }
    return this.#isDeep ? this.#contentFaultOf(key, references) : undefined;
  }

  async #contentFaultOf(key: string, references: readonly Reference[]): Promise<ObjectFault | undefined> {
    const object = await this.#whole(key);
    if (!(object instanceof Uint8Array)) return object;
    for (const reference of references) {
      const text = contentFault(reference, object);
      if (text !== undefined) return { kind: "damaged", text };
      if (reference.type !== "index") continue;
      const segment = await this.#whole(reference.segment.key);
      // A segment with a fault is told of by itself.
      const isWhole =
        segment instanceof Uint8Array && contentFault({ ...reference, type: "segment" }, segment) === undefined;
      const unlike = isWhole ? indexFault(object, segment) : undefined;
      if (unlike !== undefined) return { kind: "damaged", text: unlike };
    }
    return undefined;
  }

  #whole(key: string): Promise<Uint8Array | ObjectFault> {
    return this.#answerOf(`get of ${key}`, (store, signal) => store.get(key, { isBackground: true, signal }));
  }

  /** The answer, or why there is none. Rejects when the store answers nothing else either. */
  async #answerOf<T>(
    what: string,
    call: (store: ObjectStore, signal: AbortSignal) => Promise<T>,
  ): Promise<T | ObjectFault> {
    const { store, signal } = this.#parts;
    try {
      return await patiently(this.#parts, what, (attempt) => call(store, attempt));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ObjectStoreError && error.kind === "not-found") {
        return { kind: "missing", text: "there is no such object" };
      }
      if (error instanceof ObjectStoreError && error.kind === "denied") throw error;
      await readClusterIdObject(this.#parts);
      return { kind: "unknown", text: error instanceof Error ? error.message : String(error) };
    }
  }

  async #inParallel(keys: Iterable<string>, work: (key: string) => Promise<void>): Promise<void> {
    const waiting = [...keys];
    const place = async () => {
      for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await work(key);
    };
    await Promise.all(Array.from({ length: this.#isDeep ? READS_IN_PARALLEL : LOOKS_IN_PARALLEL }, place));
  }
}
