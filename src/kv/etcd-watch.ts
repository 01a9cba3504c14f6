// One watch on etcd: one stream, read only as fast as its consumer does. It ends with the first thing that goes wrong and
// repeats nothing; whoever watches lists again. A stream that goes silent is noticed: when the store is known to be at a
// higher revision, it is asked how far it is, and fails when it does not get there.
import type { IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import type { Clock } from "../host/clock.ts";
import type { EtcdEndpoint, EtcdEndpoints } from "./etcd-endpoints.ts";
import { etcdFailure, isLoginRefusal } from "./etcd-failure.ts";
import { keyRange, toRevision, toWatchBatch } from "./etcd-messages.ts";
import { type KvCallOptions, KvError, type Revision, type WatchBatch } from "./key-value-store.ts";

/** How often a watch looks whether it is behind; it is given up after the second look without progress. */
const CHECK_MS = 5000;
/** How long the stream may take to come to be. */
const CREATION_MS_MAX = 3000;
/** Batches that wait for the consumer before the stream is no longer read. */
const QUEUED_BATCHES_MAX = 64;

type WatchStream = IDuplexStream<IWatchRequest | { progress_request: object }, IWatchResponse> & {
  pause(): void;
  resume(): void;
};

/** Parts of an {@link EtcdWatch}. */
export interface EtcdWatchParts {
  readonly endpoints: EtcdEndpoints;
  readonly clock: Clock;
  /** Called once when the watch is over. */
  readonly onEnd: (watch: EtcdWatch) => void;
}

/** A watch as the seam wants it. The stream is opened by the first `next`. */
export class EtcdWatch implements AsyncIterableIterator<WatchBatch> {
  readonly #parts: EtcdWatchParts;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #fromRevision: Revision;
  #endpoint: EtcdEndpoint | undefined;
  #stream: WatchStream | undefined;
  #queue: WatchBatch[] = [];
  /** Every change up to here was queued. */
  #covered: Revision;
  /** What the stream has to have covered at the next check. */
  #expected: Revision | undefined;
  #coveredAtCheck: Revision | undefined;
  #isLoginRenewed = false;
  #cancelTimer: () => void = () => {};
  #wake: () => void = () => {};
  #state: "new" | "open" | "over" = "new";
  /** What the next `next` throws, once. */
  #failure: KvError | undefined;

  constructor(parts: EtcdWatchParts, prefix: string, options: KvCallOptions & { readonly fromRevision: Revision }) {
    this.#parts = parts;
    this.#prefix = prefix;
    this.#signal = options.signal;
    this.#fromRevision = options.fromRevision;
    this.#covered = options.fromRevision - 1;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<WatchBatch>> {
    if (this.#state === "new") this.#open();
    for (;;) {
      const batch = this.#queue.shift();
      if (batch) {
        if (this.#queue.length < QUEUED_BATCHES_MAX) this.#stream?.resume();
        return { done: false, value: batch };
      }
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) throw failure;
      if (this.#state === "over") return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#queue = [];
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the watch; what was queued is still given, then `failure` is thrown. */
  fail(failure: KvError): void {
    if (this.#state === "over") return;
    this.#failure = failure;
    this.#end();
  }

  readonly #onAbort = (): void => {
    this.#queue = [];
    this.fail(new KvError("unknown", `${this.#what} was given up`, { cause: this.#signal.reason }));
  };

  get #what(): string {
    const address = this.#endpoint?.address;
    return `the watch of ${this.#prefix}${address === undefined ? "" : ` at etcd ${address}`}`;
  }

  #end(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#cancelTimer();
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#stream?.cancel();
    this.#parts.onEnd(this);
    this.#wake();
  }

  #open(): void {
    this.#state = "open";
    if (this.#signal.aborted) {
      this.#onAbort();
      return;
    }
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#arm(CREATION_MS_MAX, () => this.#break(new KvError("unknown", `${this.#what} had no answer`)));
    this.#connect().catch((error: unknown) => this.#break(etcdFailure(error, this.#what)));
  }

  async #connect(): Promise<void> {
    const endpoint = await this.#parts.endpoints.current();
    this.#endpoint = endpoint;
    if (this.#state === "over") return;
    const stream = (await endpoint.watch.watch()) as WatchStream;
    const whileInUse = (act: () => void) => {
      if (stream === this.#stream) act();
    };
    stream
      .on("data", (response) => whileInUse(() => this.#receive(response)))
      .on("error", (error) => whileInUse(() => this.#break(etcdFailure(error, this.#what))))
      .on("end", () => whileInUse(() => this.#break(new KvError("unknown", `${this.#what} was ended by etcd`))));
    if (this.#isOver()) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    stream.write({ create_request: { ...keyRange(this.#prefix), start_revision: this.#fromRevision } });
  }

  /** Fails because of the endpoint, so that the next watch goes to another one. */
  #break(failure: KvError): void {
    if (this.#state === "over") return;
    if (this.#endpoint) this.#parts.endpoints.failed(this.#endpoint, failure);
    this.fail(failure);
  }

  #receive(response: IWatchResponse): void {
    if (this.#state === "over") return;
    const revision = toRevision(response.header.revision);
    this.#parts.endpoints.sawRevision(revision);
    if (response.canceled) {
      if (isLoginRefusal(response.cancel_reason) && !this.#isLoginRenewed) this.#renewLogin();
      else this.#break(this.#cancellation(response));
      return;
    }
    if (response.created) {
      this.#arm(CHECK_MS, () => this.#check());
      return;
    }
    const batch = toWatchBatch(response);
    // An answer without events says that every change up to its revision was sent.
    this.#covered = Math.max(this.#covered, batch?.revision ?? revision);
    if (!batch) return;
    this.#queue.push(batch);
    if (this.#queue.length >= QUEUED_BATCHES_MAX) this.#stream?.pause();
    this.#wake();
  }

  /** Opens another stream under a fresh login, once: the one that was refused has shown nothing yet. */
  #renewLogin(): void {
    this.#isLoginRenewed = true;
    this.#endpoint?.forgetLogin();
    const refused = this.#stream;
    this.#stream = undefined;
    refused?.cancel();
    this.#connect().catch((error: unknown) => this.#break(etcdFailure(error, this.#what)));
  }

  #cancellation({ compact_revision: compacted, cancel_reason: reason }: IWatchResponse): KvError {
    if (compacted !== "0") {
      const message = `${this.#what} begins at ${this.#covered + 1}, before ${compacted}, the oldest revision kept`;
      return new KvError("compacted", message);
    }
    return etcdFailure(new Error(reason), this.#what);
  }

  /** Compares what the stream has covered with what the store is known to hold. Costs nothing while both are equal. */
  #check(): void {
    const isStuck = this.#covered === this.#coveredAtCheck && this.#queue.length === 0;
    if (this.#expected !== undefined && this.#covered < this.#expected && isStuck) {
      const message = `${this.#what} is silent at revision ${this.#covered}, while the store was at ${this.#expected}`;
      this.#break(new KvError("unknown", message));
      return;
    }
    const { revision } = this.#parts.endpoints;
    this.#coveredAtCheck = this.#covered;
    this.#expected = revision > this.#covered ? revision : undefined;
    if (this.#expected !== undefined) this.#stream?.write({ progress_request: {} });
    this.#arm(CHECK_MS, () => this.#check());
  }

  #isOver(): boolean {
    return this.#state === "over";
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#parts.clock.setTimer(delayMs, fire);
  }
}
