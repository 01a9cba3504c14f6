// The only place that spells the key of an object. Refuses what would make a key ambiguous: an empty or dotted part of
// the prefix, a session id that is not 24 hex digits, a number below 1.
import { invariant } from "../invariant.ts";

/** Longest prefix in bytes, so that the longest key stays well below the 1,024 bytes of S3. */
export const OBJECT_PREFIX_BYTES_MAX = 512;

/** Keys of one cluster's objects, all below `<prefix>/`. Session ids are 24 lower-case hex digits. */
export class ObjectKeys {
  /** The part in front, without a slash at its end; empty where the store belongs to one cluster alone. */
  readonly prefix: string;

  /** @param prefix parts of `[A-Za-z0-9._-]` with single slashes between them; slashes at either end are dropped */
  constructor(prefix: string) {
    this.prefix = prefix.replace(/^\/+|\/+$/g, "");
    if (!isPrefix(this.prefix)) throw new Error(`object prefix "${prefix}" is not made of [A-Za-z0-9._-] parts`);
  }

  /** `cluster-id`: which cluster the objects belong to. */
  get clusterId(): string {
    return this.#key("cluster-id");
  }

  /** `wal/<session>/<n>`: flush `n` (1 and up) of a session. */
  wal(sessionId: string, n: number): string {
    return this.#key(`wal/${checkedSession(sessionId)}/${checkedNumber(n).toString().padStart(12, "0")}`);
  }

  /** `ckpt/<session>/<k>`: the k-th (1 and up) checkpoint of a session. */
  checkpoint(sessionId: string, k: number): string {
    return this.#key(`ckpt/${checkedSession(sessionId)}/${checkedNumber(k)}`);
  }

  /** `probe/<broker id>`: what a broker writes to learn whether the store works. */
  probe(brokerId: number): string {
    return this.#key(`probe/${brokerId}`);
  }

  #key(rest: string): string {
    return this.prefix === "" ? rest : `${this.prefix}/${rest}`;
  }
}

function isPrefix(prefix: string): boolean {
  if (prefix === "") return true;
  if (prefix.length > OBJECT_PREFIX_BYTES_MAX) return false;
  return prefix.split("/").every((part) => /^[A-Za-z0-9._-]+$/.test(part) && part !== "." && part !== "..");
}

function checkedSession(sessionId: string): string {
  invariant(/^[0-9a-f]{24}$/.test(sessionId), `"${sessionId}" is not a session id`);
  return sessionId;
}

function checkedNumber(n: number): number {
  invariant(Number.isSafeInteger(n) && n >= 1, `${n} does not number a flush or checkpoint`);
  return n;
}
