// Judges removals: at each one, that nothing in force points to what goes; at each claim, pointer and failed read, that
// what is pointed to is there; and when everything is quiet, that nothing else stands. Works from the stores alone.
import type { ShardClaim } from "../../src/cluster/shard-claim.ts";
import type { CheckpointOracle, FoundSection } from "./checkpoint-oracle.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreOracle } from "./store-oracle.ts";

/** What a shard points to, from its claim and from the checkpoint of its owner. */
interface ShardReferences {
  readonly claim: ShardClaim;
  readonly pointer: string | undefined;
  readonly sections: readonly FoundSection[];
  /** Named by the claim or the pointer, but not there, or not whole. */
  readonly missing: string | undefined;
  /** Head of the checkpoint in force: the owner's later flushes would be replayed. */
  readonly replayedAfter: number;
}

interface ObjectAddress {
  readonly kind: "wal" | "ckpt";
  readonly sessionId: string;
  readonly n: number;
}

const ADDRESS = /\/(wal|ckpt)\/([0-9a-f]{24})\/(\d+)$/;

/** The witness of removals. */
export class RemovalOracle {
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  readonly #checkpoints: CheckpointOracle;
  readonly #references = new Map<number, ShardReferences>();
  /** Sessions that were swept, and the moment when their head went. */
  readonly #forgotten = new Map<string, number>();
  readonly #deleted = new Set<string>();
  /** Order of puts, lists and ends of sweeps. */
  #moment = 0;
  readonly #putAt = new Map<string, number>();
  readonly #listedAt = new Map<string, number>();

  constructor(ledger: Ledger, oracle: StoreOracle, checkpoints: CheckpointOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
    this.#checkpoints = checkpoints;
  }

  onPut(key: string): void {
    this.#putAt.set(key, ++this.#moment);
  }

  onList(prefix: string): void {
    this.#listedAt.set(prefix, ++this.#moment);
  }

  onDelete(key: string): void {
    this.#deleted.add(key);
    const address = addressOf(key);
    const why = this.whyNeeded(key);
    this.#ledger.check("I13 nothing that may be referenced is deleted", why === undefined, () => {
      return `${key} was deleted: ${why}`;
    });
    if (!address) this.#ledger.count("removed segments");
    if (!address) return;
    const of = this.#oracle.liveSessions.has(address.sessionId) ? "live" : "dead";
    this.#ledger.count(`removed ${address.kind} objects of ${of} sessions`);
  }

  onMissing(key: string): void {
    if (!this.#deleted.has(key)) return;
    this.#ledger.count("reads of removed objects");
    const why = this.whyNeeded(key);
    this.#ledger.check("I13 nothing that is referenced is missing", why === undefined, () => `${key}: ${why}`);
  }

  onForgotten(sessionId: string): void {
    this.#forgotten.set(sessionId, ++this.#moment);
    this.#ledger.count("dead sessions swept");
    const isFree = !this.#oracle.liveSessions.has(sessionId) && !this.#isNamed(sessionId);
    this.#ledger.check("I13 a session is forgotten when it is dead and named nowhere", isFree, () => sessionId);
  }

  onClaim(shard: number): void {
    this.#requireWhole(shard);
  }

  onPointer(sessionId: string): void {
    for (const [shard, claim] of this.#oracle.claims) if (claim.sessionId === sessionId) this.#requireWhole(shard);
  }

  #requireWhole(shard: number): void {
    const { claim, missing } = this.#of(shard);
    const gone = missing ?? this.#missingFlush(claim);
    this.#ledger.check("I11 what a claim or a pointer names is there", gone === undefined, () => {
      return `shard ${shard} of ${claim.sessionId}/${claim.epoch}: ${gone} is not there`;
    });
  }

  #missingFlush({ prev }: ShardClaim): string | undefined {
    for (const { sessionId, from, to } of prev) {
      for (let n = from; n <= to; n++) {
        const key = this.#oracle.objectKeys.wal(sessionId, n);
        if (!this.#oracle.objects.has(key)) return key;
      }
    }
    return undefined;
  }

  /** Why an object may not go; undefined when it may. */
  whyNeeded(key: string): string | undefined {
    const address = addressOf(key);
    return address ? this.#whyOwn(key, address) : this.#whySegment(key);
  }

  #whyOwn(key: string, { kind, sessionId, n }: ObjectAddress): string | undefined {
    const pointer = this.#oracle.pointers.get(sessionId);
    if (this.#oracle.liveSessions.has(sessionId)) {
      if (kind === "ckpt" && pointer === key) return "it is the checkpoint in force of a live session";
      if (kind === "wal" && n > this.#headOf(pointer)) return "a live session has no checkpoint of it";
    }
    for (const shard of this.#oracle.claims.keys()) {
      const references = this.#of(shard);
      const why = kind === "ckpt" ? whyCheckpoint(references, key) : whyFlush(references, sessionId, n);
      if (why !== undefined) return `shard ${shard} needs it as ${why}`;
    }
    return undefined;
  }

  #whySegment(key: string): string | undefined {
    for (const shard of this.#oracle.claims.keys()) {
      const [inForce] = this.#of(shard).sections;
      if (inForce?.segments.has(key)) return `the section in force of shard ${shard} lists it`;
    }
    return undefined;
  }

  #headOf(pointer: string | undefined): number {
    return (pointer && this.#checkpoints.indexOf(pointer)?.n) || 0;
  }

  #of(shard: number): ShardReferences {
    const claim = this.#oracle.claims.get(shard);
    if (!claim) throw new Error(`shard ${shard} was never claimed`);
    const pointer = this.#oracle.pointers.get(claim.sessionId);
    const known = this.#references.get(shard);
    if (known?.claim === claim && known.pointer === pointer) return known;
    const inForce = pointer && this.#checkpoints.sectionOf(pointer, shard, claim.epoch);
    const base = this.#checkpoints.baseOf(claim);
    const sections = [inForce || undefined, base].filter((section) => section !== undefined);
    const isThere = (key: string | undefined) => key === undefined || this.#oracle.objects.has(key);
    const named = [pointer, claim.base?.objectKey, ...sections.flatMap(({ keys }) => keys)];
    const missing = named.find((key) => !isThere(key)) ?? (claim.base && !base ? claim.base.objectKey : undefined);
    // A checkpoint without the section was made before the term wrote anything.
    const references = { claim, pointer, sections, missing, replayedAfter: this.#headOf(pointer) };
    this.#references.set(shard, references);
    return references;
  }

  #isNamed(sessionId: string): boolean {
    for (const { sessionId: owner, base, prev } of this.#oracle.claims.values()) {
      if (owner === sessionId || base?.sessionId === sessionId) return true;
      if (prev.some((term) => term.sessionId === sessionId)) return true;
    }
    return false;
  }

  /** What stands although nobody needs it, by the rules of removal. */
  strays(): string[] {
    const strays: string[] = [];
    const bounds = new Map<string, (kind: "wal" | "ckpt", n: number) => boolean>();
    for (const key of this.#oracle.objects.keys()) {
      const address = addressOf(key);
      if (!address || this.#isLate(key, address)) continue;
      const isKept = bounds.get(address.sessionId) ?? this.#keeping(address.sessionId);
      bounds.set(address.sessionId, isKept);
      if (!isKept(address.kind, address.n)) strays.push(key);
    }
    for (const sessionId of this.#oracle.heads.keys()) {
      const isNeeded = this.#oracle.liveSessions.has(sessionId) || this.#isNamed(sessionId);
      if (!isNeeded && !this.#forgotten.has(sessionId)) strays.push(`the head of ${sessionId}`);
    }
    return strays;
  }

  /** A put that landed after the removal had looked: nobody finds it but by a list of everything. */
  #isLate(key: string, { sessionId }: ObjectAddress): boolean {
    if (this.#deleted.has(key)) return true;
    const forgottenAt = this.#forgotten.get(sessionId);
    if (forgottenAt === undefined) return false;
    const prefix = key.slice(0, key.lastIndexOf("/") + 1);
    // A second sweep may list it and end before it deletes: once the head is gone nobody comes back.
    return (this.#putAt.get(key) ?? 0) > Math.min(forgottenAt, this.#listedAt.get(prefix) ?? 0);
  }

  #keeping(sessionId: string): (kind: "wal" | "ckpt", n: number) => boolean {
    if (!this.#oracle.liveSessions.has(sessionId)) {
      const isNamed = this.#isNamed(sessionId);
      return () => isNamed;
    }
    const pointer = this.#oracle.pointers.get(sessionId);
    const index = pointer && this.#checkpoints.indexOf(pointer);
    if (!index) return () => true;
    let walFrom = index.n + 1;
    for (const { lowestPendingN } of index.sections) walFrom = Math.min(walFrom, lowestPendingN ?? walFrom);
    const keys = new Set<string>([pointer]);
    for (const { shard, epoch } of index.sections) {
      for (const key of this.#checkpoints.sectionOf(pointer, shard, epoch)?.keys ?? []) keys.add(key);
    }
    for (const claim of this.#oracle.claims.values()) {
      for (const term of claim.prev) if (term.sessionId === sessionId) walFrom = Math.min(walFrom, term.from);
      for (const key of this.#checkpoints.baseOf(claim)?.keys ?? []) keys.add(key);
    }
    return (kind, n) => (kind === "wal" ? n >= walFrom : keys.has(this.#oracle.objectKeys.checkpoint(sessionId, n)));
  }
}

function addressOf(key: string): ObjectAddress | undefined {
  const [, kind, sessionId = "", n] = ADDRESS.exec(key) ?? [];
  return kind === "wal" || kind === "ckpt" ? { kind, sessionId, n: Number(n) } : undefined;
}

function whyCheckpoint({ claim, pointer, sections }: ShardReferences, key: string): string | undefined {
  if (pointer === key) return "the checkpoint in force of its owner";
  if (claim.base?.objectKey === key) return "its base";
  return sections.some(({ keys }) => keys.includes(key)) ? "a part of its section" : undefined;
}

function whyFlush(
  { claim, sections, replayedAfter }: ShardReferences,
  sessionId: string,
  n: number,
): string | undefined {
  if (claim.sessionId === sessionId && n > replayedAfter) return "what its next owner would replay";
  const term = claim.prev.find(({ sessionId: of, from, to }) => of === sessionId && from <= n && n <= to);
  if (term) return `a flush of an earlier term, ${term.from} to ${term.to}`;
  return sections.some(({ pending }) => pending.get(sessionId)?.has(n)) ? "the place of pending records" : undefined;
}
