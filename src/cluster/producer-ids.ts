// Producer ids, unique for ever: handed out from blocks of 1,000, each taken by a transaction of its own. A block whose
// transaction was not answered is never used, even if it was taken: ids are plentiful, uniqueness is not.
import { untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { decodeProducerIdBlock, encodeProducerIdBlock } from "./keys.ts";

/** Ids a block has: what a crash wastes at most. */
export const PRODUCER_ID_BLOCK_SIZE = 1000;

/** The producer ids of one broker process. */
export class ProducerIds {
  readonly #components: ClusterComponents;
  readonly #signal: AbortSignal;
  /** First id not handed out; equal to `#end` when the block is used up. */
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  /** @param options.signal the life of the broker: taking a block ends with it */
  constructor(components: ClusterComponents, options: { readonly signal: AbortSignal }) {
    this.#components = components;
    this.#signal = options.signal;
  }

  /** An id that nobody was ever given, 0 and up. Rejects with the signal's reason. */
  async next({ signal }: { readonly signal: AbortSignal }): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#next < this.#end) {
        const producerId = this.#next;
        this.#next += 1;
        return producerId;
      }
      await untilAborted(this.#refilled(), signal);
    }
  }

  /** All who wait share one transaction. */
  #refilled(): Promise<void> {
    this.#refill ??= this.#takeBlock().finally(() => {
      this.#refill = undefined;
    });
    return this.#refill;
  }

  async #takeBlock(): Promise<void> {
    const { kv, keys } = this.#components;
    const key = keys.producerIdBlock;
    await untilAnswered(this.#components, { what: "block of producer ids", signal: this.#signal }, async (signal) => {
      for (;;) {
        const { entry } = await kv.get(key, { signal });
        const first = entry ? decodeProducerIdBlock(entry) : 0;
        const end = first + PRODUCER_ID_BLOCK_SIZE;
        const result = await kv.txn(
          {
            compare: [{ key, target: "mod", equals: entry?.modRevision ?? 0 }],
            then: [{ type: "put", key, value: encodeProducerIdBlock(end) }],
          },
          { signal },
        );
        // A call given up before its answer must not put a block in force behind the back of its successor.
        signal.throwIfAborted();
        if (!result.succeeded) continue;
        this.#next = first;
        this.#end = end;
        return;
      }
    });
  }
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
