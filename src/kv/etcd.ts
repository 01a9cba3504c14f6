// The key-value store on etcd: the real side of the seam. Each call is sent once and has a deadline; what is not known to
// be refused is an unknown outcome. Refuses before sending what no store would take. Answers with etcd's own words where
// a person can do something about them.
import type { ILeaseKeepAliveResponse, IRangeResponse, IResponseHeader } from "etcd3";
import { DeadlineError } from "../host/clock.ts";
import { invariant } from "../invariant.ts";
import { type EtcdEndpoint, EtcdEndpoints, type EtcdOptions } from "./etcd-endpoints.ts";
import { etcdFailure, isAnswerTooLarge, isLoginRefused } from "./etcd-failure.ts";
import { keyAfter, keyRange, toKeyValue, toRevision, toTxnRequest, toTxnResult } from "./etcd-messages.ts";
import { EtcdWatch } from "./etcd-watch.ts";
import {
  type KeyValue,
  type KeyValueStore,
  type KvCallOptions,
  KvError,
  type KvRangeOptions,
  type LeaseId,
  type RangeResult,
  type Revision,
  type Txn,
  type TxnResult,
  type WatchBatch,
} from "./key-value-store.ts";
import { checkKey, checkTxn, refusalIfAborted } from "./txn-check.ts";

/** Keys of one page of a range, fewer where they are large. */
const PAGE_KEYS_MAX = 1000;
/** How often a range begins again because its revision was compacted away between two pages. */
const RANGE_ATTEMPTS_MAX = 3;

/** A call to etcd: what it is for, and how it is sent. */
interface Call<T> {
  readonly what: string;
  readonly signal: AbortSignal;
  readonly send: (endpoint: EtcdEndpoint) => Promise<T>;
}

/** etcd as a key-value store. Nothing connects before the first call. */
export class EtcdKeyValueStore implements KeyValueStore {
  readonly #options: EtcdOptions;
  readonly #endpoints: EtcdEndpoints;
  readonly #watches = new Set<EtcdWatch>();
  #isClosed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#endpoints = new EtcdEndpoints(options);
  }

  /**
   * Finds out whether etcd answers and takes writes below `prefix`, without writing: the transaction has a condition that
   * never holds. Tries each endpoint once.
   * @throws KvError with one line for a person: unreachable, no rights, out of space
   */
  async probe(prefix: string, { signal }: KvCallOptions): Promise<void> {
    const key = `${prefix}probe`;
    const failures: string[] = [];
    for (let attempt = 0; attempt < this.#endpoints.count; attempt++) {
      try {
        // No key is ever created at revision 1: it is that of the empty store.
        const compare = [{ key, target: "create", equals: 1 }] as const;
        await this.txn({ compare, then: [{ type: "put", key, value: new Uint8Array() }] }, { signal });
        await this.range(key, { signal });
        return;
      } catch (error) {
        if (signal.aborted || !(error instanceof KvError)) throw error;
        if (error.kind !== "unknown" && error.kind !== "unavailable") throw error;
        failures.push(error.message);
      }
    }
    throw new KvError("unavailable", `etcd cannot be used: ${[...new Set(failures)].join("; ")}`);
  }

  async get(key: string, { signal }: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }> {
    checkKey(key);
    const send = ({ kv }: EtcdEndpoint) => kv.range({ key: Buffer.from(key) });
    const { header, kvs } = await this.#call({ what: "a get", signal, send });
    return { revision: toRevision(header.revision), entry: kvs[0] && toKeyValue(kvs[0]) };
  }

  async range(prefix: string, { signal, isNewestOnly }: KvRangeOptions): Promise<RangeResult> {
    if (isNewestOnly) return this.#newestOf(prefix, signal);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#rangeAtOneRevision(prefix, signal);
      } catch (error) {
        if (!(error instanceof KvError) || error.kind !== "compacted") throw error;
        if (attempt < RANGE_ATTEMPTS_MAX) continue;
        throw new KvError("unavailable", `${error.message}, ${attempt} times in a row`, { cause: error });
      }
    }
  }

  async #newestOf(prefix: string, signal: AbortSignal): Promise<RangeResult> {
    const request = { ...keyRange(prefix), limit: 1, sort_target: "Mod", sort_order: "Descend" } as const;
    const send = ({ kv }: EtcdEndpoint) => kv.range(request);
    const { header, kvs } = await this.#call({ what: `the newest of ${prefix}`, signal, send });
    return { revision: toRevision(header.revision), entries: kvs.map(toKeyValue) };
  }

  async txn(txn: Txn, { signal }: KvCallOptions): Promise<TxnResult> {
    checkTxn(txn);
    const request = toTxnRequest(txn);
    return toTxnResult(await this.#call({ what: "a transaction", signal, send: ({ kv }) => kv.txn(request) }));
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    invariant(options.fromRevision >= 1, `a watch from revision ${options.fromRevision}`);
    const onEnd = (ended: EtcdWatch) => this.#watches.delete(ended);
    const parts = { endpoints: this.#endpoints, clock: this.#options.clock, onEnd };
    const watch = new EtcdWatch(parts, prefix, options);
    this.#watches.add(watch);
    return watch;
  }

  async grantLease(ttlMs: number, { signal }: KvCallOptions): Promise<LeaseId> {
    invariant(ttlMs > 0, `a lease of ${ttlMs} ms`);
    const request = { TTL: Math.ceil(ttlMs / 1000) };
    const { ID: lease } = await this.#call({
      what: "a grant of a lease",
      signal,
      send: (endpoint) => endpoint.lease.leaseGrant(request),
    });
    return lease;
  }

  async keepAlive(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    const send = (endpoint: EtcdEndpoint) => keepAliveOnce(endpoint, lease, signal);
    const { TTL: seconds } = await this.#call({ what: "a keep-alive", signal, send });
    if (Number(seconds) <= 0) throw new KvError("lease-not-found", `lease ${lease} has ended or never was`);
  }

  async revokeLease(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    try {
      const send = (endpoint: EtcdEndpoint) => endpoint.lease.leaseRevoke({ ID: lease });
      await this.#call({ what: "a revocation", signal, send });
    } catch (error) {
      if (!(error instanceof KvError) || error.kind !== "lease-not-found") throw error;
    }
  }

  /** Ends the watches and closes the connections. Calls that were sent still end; every later one is `unavailable`. */
  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.fail(closedError());
    this.#endpoints.close();
  }

  async #rangeAtOneRevision(prefix: string, signal: AbortSignal): Promise<RangeResult> {
    const { key: first, range_end: end } = keyRange(prefix);
    const entries: KeyValue[] = [];
    let revision: Revision | undefined;
    let key = first;
    let limit = PAGE_KEYS_MAX;
    for (;;) {
      const request = { key, range_end: end, limit, ...(revision !== undefined && { revision }) };
      let page: IRangeResponse;
      try {
        page = await this.#call({ what: `a range of ${prefix}`, signal, send: ({ kv }) => kv.range(request) });
      } catch (error) {
        if (limit === 1 || !(error instanceof KvError) || !isAnswerTooLarge(error)) throw error;
        limit = Math.ceil(limit / 8);
        continue;
      }
      revision ??= toRevision(page.header.revision);
      for (const stored of page.kvs) entries.push(toKeyValue(stored));
      const last = entries.at(-1);
      if (!page.more || !last) return { revision, entries };
      key = keyAfter(last.key);
    }
  }

  /** Sends a call once; a second time only when the first was refused for its login, which changes nothing. */
  async #call<T extends { readonly header: IResponseHeader }>(call: Call<T>): Promise<T> {
    const { what, signal, send } = call;
    const refusal = this.#isClosed ? closedError() : refusalIfAborted(signal, what);
    if (refusal) throw refusal;
    for (let attempt = 1; ; attempt++) {
      const endpoint = await whileWanted(this.#endpoints.current(), call, "unavailable");
      const refusedMeanwhile = refusalIfAborted(signal, what);
      if (refusedMeanwhile) throw refusedMeanwhile;
      try {
        const response = await whileWanted(send(endpoint), { what: whatAt(endpoint, what), signal }, "unknown");
        this.#endpoints.sawRevision(toRevision(response.header.revision));
        return response;
      } catch (error) {
        if (attempt === 1 && isLoginRefused(error)) continue;
        const failure = etcdFailure(error, whatAt(endpoint, what));
        // A caller that ran out of time met the endpoint's silence; one that was stopped did not.
        if (!signal.aborted || signal.reason instanceof DeadlineError) this.#endpoints.failed(endpoint, failure);
        throw failure;
      }
    }
  }
}

/** One keep-alive on a stream of its own: the answer belongs to this very request, so the time it was sent counts. */
async function keepAliveOnce(
  endpoint: EtcdEndpoint,
  lease: LeaseId,
  signal: AbortSignal,
): Promise<ILeaseKeepAliveResponse> {
  const stream = await endpoint.lease.leaseKeepAlive(endpoint.deadline());
  const cancel = () => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      stream
        .on("data", resolve)
        .on("error", reject)
        .on("end", () => reject(new Error("the stream ended without an answer")));
      stream.write({ ID: lease });
    });
  } finally {
    signal.removeEventListener("abort", cancel);
    stream.end();
  }
}

/** The outcome of `work`, or an error of `kind` as soon as the call's signal aborts. */
function whileWanted<T>(
  work: Promise<T>,
  { what, signal }: Pick<Call<T>, "what" | "signal">,
  kind: KvError["kind"],
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new KvError(kind, `${what} was given up`, { cause: signal.reason }));
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function whatAt({ address }: EtcdEndpoint, what: string): string {
  return `${what} at etcd ${address}`;
}

function closedError(): KvError {
  return new KvError("unavailable", "the store was closed");
}
