// The background work of one session on what it has stored: reconciling, retention, and the removal of its own objects, of
// those its shards dropped, and of those of dead sessions. It ends with the session.
import type { Session } from "../cluster/session.ts";
import type { TaskGroup } from "../host/tasks.ts";
import type { Checkpointer } from "./checkpoint.ts";
import { DroppedRemoval } from "./dropped-removal.ts";
import { type ReconcileCounters, Reconciler, type ReconcilerComponents } from "./reconcile.ts";
import { Removal } from "./removal.ts";
import type { Remover } from "./remover.ts";
import { runRetention } from "./retention.ts";
import { Sweep } from "./sweep.ts";
import type { WalWriter } from "./wal-writer.ts";

/** Parts of {@link SessionJobs}. */
export interface SessionJobComponents extends Omit<ReconcilerComponents, "wal" | "counters"> {
  readonly session: Session;
  readonly checkpointer: Checkpointer;
  readonly remover: Remover;
  readonly walWriter: WalWriter;
  readonly reconcileCounters: ReconcileCounters;
}

/** The jobs of one session. */
export class SessionJobs {
  readonly #parts: SessionJobComponents;
  readonly #own: Removal;
  readonly #dropped: DroppedRemoval;

  constructor(components: SessionJobComponents) {
    const removal = { ...components, settings: components.settings.removal };
    this.#parts = components;
    this.#own = new Removal(removal);
    this.#dropped = new DroppedRemoval(removal);
  }

  /** A checkpoint has come into force: what it needs no more may go. */
  noteCheckpoint(): void {
    this.#own.noteCheckpoint();
    this.#dropped.noteCheckpoint();
  }

  /** Begins; ends with `tasks`. */
  start(tasks: TaskGroup): void {
    const { walWriter: wal, reconcileCounters: counters, settings } = this.#parts;
    const reconciler = new Reconciler({ ...this.#parts, wal, counters });
    const retention = { ...this.#parts, intervalMs: settings.retentionIntervalMs };
    const sweep = new Sweep({ ...this.#parts, settings: settings.removal });
    tasks.spawn("reconcile", (signal) => reconciler.run(signal));
    tasks.spawn("retention", (signal) => runRetention(retention, signal));
    tasks.spawn("removal of own objects", (signal) => this.#own.run(signal));
    tasks.spawn("removal of dropped objects", (signal) => this.#dropped.run(signal));
    tasks.spawn("sweep of dead sessions", (signal) => sweep.run(signal));
  }
}
