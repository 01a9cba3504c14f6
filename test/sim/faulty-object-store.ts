// An object store as one node sees it over a bad network. Each life of a node gets its own.
import {
  type ByteRange,
  type CallOptions,
  type ObjectStore,
  ObjectStoreError,
  type ObjectSummary,
} from "../../src/object-store/object-store.ts";
import { FaultyCalls, type FaultyCallsOptions } from "./faulty-calls.ts";

/** The operations, as rates name them. */
export type ObjectOperation = "put" | "get" | "head" | "list" | "delete";

/** Passes calls on with faults; `calls` tells how many. */
export class FaultyObjectStore implements ObjectStore {
  readonly calls: FaultyCalls<ObjectOperation>;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore, options: FaultyCallsOptions<ObjectOperation>) {
    this.#store = store;
    this.calls = new FaultyCalls(options);
  }

  put(key: string, parts: readonly Uint8Array[], options: CallOptions & { ifAbsent: boolean }): Promise<void> {
    // What is on its way cannot be changed by the sender any more.
    const sent = parts.map((part) => new Uint8Array(part));
    return this.#call("put", key, options, (signal) =>
      this.#store.put(key, sent, { signal, ifAbsent: options.ifAbsent }),
    );
  }

  get(key: string, options: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    return this.#call("get", key, options, (signal) => this.#store.get(key, { ...options, signal }));
  }

  head(key: string, options: CallOptions): Promise<{ bytes: number }> {
    return this.#call("head", key, options, (signal) => this.#store.head(key, { signal }));
  }

  list(
    prefix: string,
    options: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    return this.#call("list", prefix, options, (signal) => this.#store.list(prefix, { ...options, signal }));
  }

  delete(keys: readonly string[], options: CallOptions): Promise<void> {
    const sent = [...keys];
    return this.#call("delete", `${sent.length} objects`, options, (signal) => this.#store.delete(sent, { signal }));
  }

  #call<T>(
    kind: ObjectOperation,
    what: string,
    { signal }: CallOptions,
    apply: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.calls.call({
      kind,
      signal,
      apply: () => apply(forever),
      unavailable: (why) => new ObjectStoreError("unavailable", `${kind} ${what}: ${why}`),
      unknown: (why, cause) => new ObjectStoreError("unknown", `${kind} ${what}: ${why}`, { cause }),
    });
  }
}

/** What was sent is applied whatever its sender does. */
const forever = new AbortController().signal;
