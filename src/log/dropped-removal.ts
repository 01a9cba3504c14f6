// Removes what the shards of a session have dropped: segments and groups that were replaced or lie below a log start. An
// object goes once a checkpoint in force lists it as dropped, and leaves the list when the store has confirmed that. A shard
// on its way to another broker takes its list along as it is: the next owner removes what is left, a second time at worst.

import { Bell } from "../host/bell.ts";
import type { Clock } from "../host/clock.ts";
import type { Checkpointer } from "./checkpoint.ts";
import type { RemovalSettings, Remover } from "./remover.ts";
import type { ShardLog } from "./shard-log.ts";

/** Parts of a {@link DroppedRemoval}. */
export interface DroppedRemovalComponents {
  readonly clock: Clock;
  readonly checkpointer: Checkpointer;
  readonly shards: () => readonly ShardLog[];
  readonly remover: Remover;
  readonly settings: RemovalSettings;
}

/** The removal of one session's dropped objects. */
export class DroppedRemoval {
  readonly #parts: DroppedRemovalComponents;
  readonly #bell: Bell;
  /** From when on each key may go, by the log that listed it first: one that left and came back begins anew. */
  #dueMs = new Map<ShardLog, Map<string, number>>();

  constructor(components: DroppedRemovalComponents) {
    this.#parts = components;
    this.#bell = new Bell(components.clock);
  }

  /** A checkpoint has come into force. */
  noteCheckpoint(): void {
    this.#bell.ring();
  }

  /** Removes until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, remover } = this.#parts;
    for (;;) {
      await this.#bell.wait(signal, this.#waitMs());
      this.#look();
      for (const [shardLog, keys] of this.#dueMs) {
        const due = [...keys].flatMap(([key, dueMs]) => (dueMs <= clock.monotonicMs() ? [key] : []));
        if (due.length === 0 || !this.#isOurs(shardLog)) continue;
        await remover.remove("segment", due, signal);
        for (const key of due) keys.delete(key);
        // A section that a hand-over under way names must not change any more.
        if (this.#isOurs(shardLog)) for (const key of due) shardLog.dropped.confirmed(key);
      }
    }
  }

  #isOurs(shardLog: ShardLog): boolean {
    return shardLog.status === "ready" && this.#parts.shards().includes(shardLog);
  }

  /** Until the next key is due. */
  #waitMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const [shardLog, keys] of this.#dueMs) {
      if (!this.#isOurs(shardLog)) continue;
      for (const dueMs of keys.values()) next = Math.min(next, dueMs);
    }
    return Number.isFinite(next) ? Math.max(0, next - this.#parts.clock.monotonicMs()) : undefined;
  }

  /** What the checkpoint in force lists, and since when that is known. */
  #look(): void {
    const { clock, checkpointer, shards, settings } = this.#parts;
    const known = this.#dueMs;
    this.#dueMs = new Map();
    for (const shardLog of shards()) {
      const listed = new Set(shardLog.dropped);
      if (listed.size === 0) continue;
      // While the next checkpoint is under way what was seen before stays as it was seen.
      const keys = known.get(shardLog) ?? new Map<string, number>();
      for (const key of keys.keys()) if (!listed.has(key)) keys.delete(key);
      for (const key of checkpointer.droppedInForce(shardLog)) {
        if (listed.has(key) && !keys.has(key)) keys.set(key, clock.monotonicMs() + settings.graceMs);
      }
      this.#dueMs.set(shardLog, keys);
    }
  }
}
