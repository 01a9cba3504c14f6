// Removes the objects of the own session that nobody needs any more: WAL objects below everything that the checkpoint in
// force and the claims of the cluster point to, and checkpoints that were superseded and are named nowhere. What RAM knows
// better than the checkpoint in force does not count, and neither does age.

import type { MetadataImage } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import type { Session } from "../cluster/session.ts";
import type { StoredClaim } from "../cluster/shard-claim.ts";
import { readClaims } from "../cluster/shards.ts";
import { Bell } from "../host/bell.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { Checkpointer } from "./checkpoint.ts";
import type { NeededObjects } from "./needed-objects.ts";
import type { RemovalSettings, Remover } from "./remover.ts";

/** Parts of a {@link Removal}. */
export interface RemovalComponents {
  readonly session: Session;
  readonly checkpointer: Checkpointer;
  readonly feed: ImageFeed;
  readonly objectKeys: ObjectKeys;
  readonly remover: Remover;
  readonly settings: RemovalSettings;
}

/** What nobody needs any more, and from when on nobody may be reading it either. */
interface Decision {
  readonly dueMs: number;
  /** Every WAL object up to this one. */
  readonly walTo: number;
  readonly checkpoints: readonly number[];
}

/** The removal of one session's objects while it lives. */
export class Removal {
  readonly #parts: RemovalComponents;
  readonly #bell: Bell;
  /** By `dueMs`: one a look at most, so few. What was decided stays right for ever. */
  readonly #decisions: Decision[] = [];
  /** WAL objects up to this one are decided on, ... */
  #walDecided = 0;
  /** ... and up to this one they are gone. */
  #walRemoved = 0;
  /** Own checkpoints that stand and are not decided on, up to `#lastCheckpoint`. */
  #standing: number[] = [];
  #lastCheckpoint = 0;
  /** Whether something happened since the last look that may have let go of an object. */
  #isChanged = false;
  #nextLookMs = 0;

  constructor(components: RemovalComponents) {
    this.#parts = components;
    this.#bell = new Bell(components.session.components.clock);
  }

  /** A checkpoint has come into force. */
  noteCheckpoint(): void {
    this.#isChanged = true;
    this.#bell.ring();
  }

  /** Removes until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const unsubscribe = this.#parts.feed.subscribe((image, previous) => {
      if (this.#hasLetGo(image, previous)) this.noteCheckpoint();
    });
    try {
      for (;;) {
        await this.#bell.wait(signal, this.#waitMs());
        await this.#removeDue(signal);
        if (this.#isLookDue() && this.#nowMs() >= this.#nextLookMs) await this.#look(signal);
      }
    } finally {
      unsubscribe();
    }
  }

  #nowMs(): number {
    return this.#parts.session.components.clock.monotonicMs();
  }

  /** Until the next thing to do; undefined when there is none, so that an idle broker asks nobody anything. */
  #waitMs(): number | undefined {
    const times = this.#decisions.slice(0, 1).map(({ dueMs }) => dueMs);
    if (this.#isLookDue()) times.push(this.#nextLookMs);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - this.#nowMs());
  }

  #isLookDue(): boolean {
    const { inForce } = this.#parts.checkpointer;
    if (!this.#isChanged || !inForce) return false;
    if (walNeededFrom(inForce) - 1 > this.#walDecided || inForce.k > this.#lastCheckpoint + 1) return true;
    return this.#standing.some((k) => k !== inForce.k && !inForce.checkpoints.has(k));
  }

  /** Whether a claim that named this session has changed. */
  #hasLetGo(image: MetadataImage, previous: MetadataImage): boolean {
    if (image.revisionOf("claims") === previous.revisionOf("claims")) return false;
    for (const stored of previous.claims()) {
      if (image.claim(stored.shard) !== stored && this.#isNamedBy(stored)) return true;
    }
    return false;
  }

  #isNamedBy({ claim: { base, prev } }: StoredClaim): boolean {
    const { sessionId } = this.#parts.session;
    return base?.sessionId === sessionId || prev.some((term) => term.sessionId === sessionId);
  }

  /**
   * Decides. First what the checkpoint in force needs, and only then what the claims name: a shard is in the one until it
   * is known to be in the other, also while the outcome of its hand-over is not known.
   */
  async #look(signal: AbortSignal): Promise<void> {
    const { session, checkpointer, settings } = this.#parts;
    const { inForce } = checkpointer;
    if (!inForce) return;
    this.#isChanged = false;
    this.#nextLookMs = this.#nowMs() + settings.lookEveryMs;
    const { claims } = await readClaims(session.components, { signal });
    const walTo = Math.max(this.#walDecided, Math.min(walNeededFrom(inForce), this.#walNamedFrom(claims.values())) - 1);
    const named = this.#namedCheckpoints(claims.values());
    while (this.#lastCheckpoint < inForce.k) this.#standing.push(++this.#lastCheckpoint);
    const isNeeded = (k: number) => k === inForce.k || inForce.checkpoints.has(k) || named.has(this.#keyOf(k));
    const checkpoints = this.#standing.filter((k) => !isNeeded(k));
    if (walTo === this.#walDecided && checkpoints.length === 0) return;
    this.#standing = this.#standing.filter(isNeeded);
    this.#walDecided = walTo;
    this.#decisions.push({ dueMs: this.#nowMs() + settings.graceMs, walTo, checkpoints });
  }

  #keyOf(k: number): string {
    return this.#parts.objectKeys.checkpoint(this.#parts.session.sessionId, k);
  }

  /** The lowest flush of this session that a claim names; beyond all for none. */
  #walNamedFrom(claims: Iterable<StoredClaim>): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const { claim } of claims) {
      for (const { sessionId, from } of claim.prev) {
        if (sessionId === this.#parts.session.sessionId) lowest = Math.min(lowest, from);
      }
    }
    return lowest;
  }

  /** The keys of own checkpoints in which the sections lie that claims name as their base, and the sub-blocks of those. */
  #namedCheckpoints(claims: Iterable<StoredClaim>): ReadonlySet<string> {
    const { session, checkpointer } = this.#parts;
    const named = new Set<string>();
    for (const { claim } of claims) {
      if (claim.base?.sessionId !== session.sessionId) continue;
      named.add(claim.base.objectKey);
      for (const k of checkpointer.sectionBlocks.of(claim.base)) named.add(this.#keyOf(k));
    }
    return named;
  }

  async #removeDue(signal: AbortSignal): Promise<void> {
    const { remover, checkpointer } = this.#parts;
    for (let due = this.#decisions[0]; due && due.dueMs <= this.#nowMs(); due = this.#decisions[0]) {
      await remover.remove("wal", this.#walKeys(this.#walRemoved + 1, due.walTo), signal);
      this.#walRemoved = due.walTo;
      await remover.remove(
        "checkpoint",
        due.checkpoints.map((k) => this.#keyOf(k)),
        signal,
      );
      for (const k of due.checkpoints) checkpointer.sectionBlocks.forget(this.#keyOf(k));
      this.#decisions.shift();
    }
  }

  *#walKeys(from: number, to: number): Generator<string> {
    const { objectKeys, session } = this.#parts;
    for (let n = from; n <= to; n++) yield objectKeys.wal(session.sessionId, n);
  }
}

/** The first flush that a successor would replay, or in which a section has a pending extent. */
function walNeededFrom({ n, lowestPendingN }: NeededObjects): number {
  return Math.min(n + 1, lowestPendingN ?? Number.POSITIVE_INFINITY);
}
