// Judges how shards change hands: from a dead session, or by the transaction of the owner that lives, never otherwise, and
// always under a higher epoch. Remembers every term, so that answers can be held against who owned what when.
import { decodeClaim } from "../../src/cluster/keys.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";
import type { Operation, TxnResult } from "../../src/kv/key-value-store.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreOracle } from "./store-oracle.ts";

/** One ownership of a shard. */
export interface Term {
  readonly sessionId: string;
  readonly epoch: number;
  /** How it began. */
  readonly by: "claim" | "hand-over" | "take-back";
  /** Virtual time of the owner's own transaction that ended it. */
  givenMs: number | undefined;
}

interface StoredClaim {
  readonly claim: ShardClaim;
  readonly revision: number;
}

/** The owners of all shards, as the store had them. */
export class ClaimOracle {
  readonly claims = new Map<number, ShardClaim>();
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  readonly #stored = new Map<number, StoredClaim[]>();
  readonly #terms = new Map<number, Term[]>();
  readonly #sessionGoneMs = new Map<string, number>();
  readonly #handOversSent = new Set<string>();

  constructor(ledger: Ledger, oracle: StoreOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
  }

  /** When the key of a session went, if it has. */
  goneMs(sessionId: string): number | undefined {
    return this.#sessionGoneMs.get(sessionId);
  }

  /** The last term of a shard that a session of `life` had. */
  lastTermOf(life: string, shard: number): Term | undefined {
    return this.#terms.get(shard)?.findLast(({ sessionId }) => this.#oracle.sessionWriters.get(sessionId) === life);
  }

  /** The term of `life` as the living owner of a partition at this moment. */
  present(life: string, { topicId, partition }: { topicId: string; partition: number }): Term | undefined {
    const term = this.#terms.get(shardOf(topicId, partition))?.at(-1);
    const isOwner = term && this.#oracle.sessionWriters.get(term.sessionId) === life;
    return isOwner && this.#oracle.liveSessions.has(term.sessionId) ? term : undefined;
  }

  /** The term of a shard under an epoch. */
  termAt(shard: number, epoch: number): Term | undefined {
    return this.#terms.get(shard)?.find((term) => term.epoch === epoch);
  }

  onSessionGone(sessionId: string): void {
    this.#sessionGoneMs.set(sessionId, this.#ledger.nowMs);
  }

  /** A transaction that was to put a key, with its outcome, whether or not the revision was seen yet. */
  onTxnPut(put: Operation & { type: "put" }, { result, writer }: { result: TxnResult; writer: string }): void {
    if (!put.key.startsWith(this.#oracle.keys.claims)) return;
    const shard = this.#oracle.keys.shardOf(put.key);
    const claim = decodeClaim({ key: put.key, value: put.value, createRevision: 1, modRevision: 1 });
    const writerOf = (sessionId: string) => this.#oracle.sessionWriters.get(sessionId);
    if (writerOf(claim.sessionId) !== writer) this.#noteHandOver(shard, claim, result);
    if (!result.succeeded) return;
    const before = this.#stored.get(shard)?.findLast(({ revision }) => revision < result.revision)?.claim;
    const isAlive = before !== undefined && this.#oracle.liveSessions.has(before.sessionId);
    const writers = [writerOf(before && isAlive ? before.sessionId : claim.sessionId)];
    this.#ledger.check("I5 a claim is written by its living owner or by who takes it", writers.includes(writer), () => {
      return `${writer} gave shard ${shard} of ${before?.sessionId} to ${claim.sessionId}, which is of ${writers.join()}`;
    });
  }

  #noteHandOver(shard: number, { sessionId, epoch }: ShardClaim, result: TxnResult): void {
    const sending = `${shard}/${epoch}/${sessionId}`;
    if (this.#handOversSent.has(sending)) this.#ledger.count("hand-over sent again");
    this.#handOversSent.add(sending);
    if (!result.succeeded) this.#ledger.count("hand-over refused");
  }

  /** A claim as it is now. */
  onClaim(shard: number, claim: ShardClaim, revision: number): void {
    const before = this.claims.get(shard);
    this.claims.set(shard, claim);
    const stored = this.#stored.get(shard) ?? [];
    stored.push({ claim, revision });
    this.#stored.set(shard, stored);
    const isSame = before?.sessionId === claim.sessionId;
    const isRewritten = isSame && before.epoch === claim.epoch;
    const isLegal = claim.epoch === (before?.epoch ?? 0) + (isRewritten ? 0 : 1);
    const isAlive = this.#oracle.liveSessions.has(claim.sessionId);
    this.#ledger.check("I5 each change of owner raises the epoch, and the owner lives", isLegal && isAlive, () => {
      return `shard ${shard} went from ${before?.sessionId}/${before?.epoch} to ${claim.sessionId}/${claim.epoch}`;
    });
    if (!isRewritten) this.#begin(shard, claim, before);
  }

  #begin(shard: number, claim: ShardClaim, before: ShardClaim | undefined): void {
    const terms = this.#terms.get(shard) ?? [];
    this.#terms.set(shard, terms);
    const last = terms.at(-1);
    const isGiven = before !== undefined && this.#oracle.liveSessions.has(before.sessionId);
    if (last && isGiven) last.givenMs = this.#ledger.nowMs;
    const by = !isGiven ? "claim" : before.sessionId === claim.sessionId ? "take-back" : "hand-over";
    terms.push({ sessionId: claim.sessionId, epoch: claim.epoch, by, givenMs: undefined });
    if (before && isGiven && isUnchanged(claim, before)) this.#checkLeftOut(shard, before);
    this.#count(claim, before, { by, last });
  }

  /** What names nothing new is right only if the term that ends has nothing to be named. */
  #checkLeftOut(shard: number, { sessionId, epoch, base, prev }: ShardClaim): void {
    const { log, logStarts, liveTopicIds } = this.#oracle;
    const written = [...log.partitions()].filter((committed) => {
      const { topicId, partition } = committed;
      if (shardOf(topicId, partition) !== shard || !liveTopicIds.has(topicId)) return false;
      const hasMoved = (logStarts.get(committed) ?? []).some((move) => move.epoch === epoch);
      return hasMoved || committed.extents.some(({ extent }) => extent.shardEpoch === epoch);
    });
    this.#ledger.check("I11 a term that a hand-over does not name holds nothing", written.length === 0, () => {
      return `shard ${shard} left ${sessionId}/${epoch} without ${written.map(({ name }) => name).join()}`;
    });
    if (base || prev.length > 0) this.#ledger.count("hand-overs of failed shards");
    if (base) this.#ledger.count("hand-overs of failed shards with a section");
  }

  #count(claim: ShardClaim, before: ShardClaim | undefined, how: { by: Term["by"]; last: Term | undefined }): void {
    const { by, last } = how;
    const count = (event: string) => this.#ledger.count(event);
    if (by !== "claim") {
      count(by === "take-back" ? "take-backs" : "hand-overs");
      if (claim.base) count("hand-overs with a section");
      return;
    }
    if (claim.base) count("claim with a base section");
    if (claim.prev.length > 0) count("claim replayed over footers");
    if (claim.prev.length > 1) count("claim replayed over several sessions");
    if (!before || !last) return;
    const { sessionWriters } = this.#oracle;
    const brokerOf = (sessionId: string) => sessionWriters.get(sessionId)?.split(".")[0];
    if (brokerOf(before.sessionId) !== brokerOf(claim.sessionId)) count("claims of another broker's shards");
    if (before.base === undefined && before.prev.length === 0) return;
    count(last.by === "hand-over" ? "receivers that died before their first checkpoint" : "recoveries of a recovery");
  }
}

/** Whether a claim names what the one before it named, and nothing else. */
function isUnchanged(claim: ShardClaim, before: ShardClaim): boolean {
  const named = ({ base, prev }: ShardClaim) => JSON.stringify([base, prev]);
  return named(claim) === named(before);
}
