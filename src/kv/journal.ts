// The key-value store in a folder: the memory store's meaning, with a journal under it. No answer speaks of a change
// before the change is durable: neither the one to its writer nor a read or a watch that could have seen it. Changes
// made while the disk is busy share the next sync.
// Refuses a folder in use, an unknown format version, and a journal that is damaged before its end. A failed sync is
// never tried again: the store closes, and its owner is told. On a full disk it refuses writes until there is room.
import type { Clock } from "../host/clock.ts";
import {
  type AppendFile,
  ensureFolder,
  type FileSystem,
  type FolderLock,
  fileErrorCode,
  fileExists,
} from "../host/file-system.ts";
import { decodeJournal, encodeChanges, encodeJournal } from "./journal-format.ts";
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
import { RevisionedStore } from "./revisioned-store.ts";
import { refusalIfAborted } from "./txn-check.ts";

/** Name of the journal in its folder. */
export const JOURNAL_NAME = "metadata.journal";
/** Name of a journal that is not complete yet. */
const NEXT_NAME = "metadata.journal.next";
/** A journal is not rewritten below this size... */
const REWRITE_BYTES_MIN = 4 * 1024 * 1024;
/** ... nor before it has grown to this many times the state that it began with. */
const REWRITE_GROWTH = 4;

/** Where the store lives and whom it tells. */
export interface JournalOptions {
  /** Absolute path of a folder of its own; made if it is not there. */
  readonly folder: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  /** Called once if the store closes by itself, with the reason. Every later call fails. */
  readonly onClosed: (reason: Error) => void;
  /** Changes kept for watches, 10,000 unless told. */
  readonly historyRevisionsMax?: number;
  /** Least size at which the journal is rewritten, 4 MiB unless told. */
  readonly rewriteBytesMin?: number;
}

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
  readonly reject: (error: KvError) => void;
}

interface OpenJournal {
  readonly file: AppendFile;
  readonly bytes: number;
}

/** A store whose state survives its process. Leases do not: what was under one is deleted at the next opening. */
export class JournalKeyValueStore implements KeyValueStore {
  readonly #options: JournalOptions;
  readonly #lock: FolderLock;
  readonly #store: RevisionedStore;
  #file: AppendFile;
  #bytes: number;
  /** Bytes of the state with which the journal begins. */
  #stateBytes: number;
  /** Changes that are made but not yet handed to the disk, in order. */
  #pending: WatchBatch[] = [];
  /** Everything up to here would survive a loss of power. Only {@link #settle} moves it, only up. */
  #durableRevision: Revision;
  #waiting: Waiter[] = [];
  #writing: Promise<void> | undefined;
  /** Set while the journal ends in a part of a frame, because the disk is full: it has to be rewritten to go on. */
  #isCut = false;
  #closed: KvError | undefined;

  private constructor(options: JournalOptions, lock: FolderLock, state: RestoredState) {
    this.#options = options;
    this.#lock = lock;
    this.#file = state.journal.file;
    this.#bytes = state.journal.bytes;
    this.#stateBytes = state.journal.bytes;
    this.#durableRevision = state.revision;
    this.#store = new RevisionedStore({
      clock: options.clock,
      restored: state,
      ...(options.historyRevisionsMax === undefined ? {} : { historyRevisionsMax: options.historyRevisionsMax }),
      onChange: (change) => {
        this.#store.history.append(change);
        this.#pending.push(change);
        this.#write();
      },
    });
  }

  /**
   * Opens the store, or begins a new one. What is there is always written anew, so that the store never relies on
   * bytes that an earlier process may have left in the page cache without a successful sync.
   * @throws FolderInUseError
   * @throws JournalError for an unknown version or damage, with file and position
   */
  static async open(options: JournalOptions): Promise<JournalKeyValueStore> {
    const { files, folder } = options;
    if (!(await fileExists(files, `${folder}/${JOURNAL_NAME}`))) await ensureFolder(files, folder);
    const lock = await files.lock(folder);
    try {
      const state = await load(files, folder);
      const journal = await writeJournal(files, folder, encodeJournal(state.revision, state.entries));
      return new JournalKeyValueStore(options, lock, { ...state, journal });
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async get(key: string, { signal }: KvCallOptions): Promise<{ revision: Revision; entry: KeyValue | undefined }> {
    await this.#admit(signal, "a get");
    const result = { revision: this.#store.revision, entry: this.#store.get(key) };
    await this.#durable(result.revision, signal);
    return result;
  }

  async range(prefix: string, { signal, isNewestOnly }: KvRangeOptions): Promise<RangeResult> {
    await this.#admit(signal, "a range");
    const result = { revision: this.#store.revision, entries: this.#store.range(prefix, isNewestOnly) };
    await this.#durable(result.revision, signal);
    return result;
  }

  async txn(txn: Txn, { signal }: KvCallOptions): Promise<TxnResult> {
    await this.#admit(signal, "a transaction");
    const result = this.#store.txn(txn);
    await this.#durable(result.revision, signal);
    return result;
  }

  watch(prefix: string, options: KvCallOptions & { fromRevision: Revision }): AsyncIterableIterator<WatchBatch> {
    return this.#store.history.watch(prefix, options);
  }

  async grantLease(ttlMs: number, { signal }: KvCallOptions): Promise<LeaseId> {
    await this.#admit(signal, "a lease");
    return this.#store.grantLease(ttlMs);
  }

  async keepAlive(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    await this.#admit(signal, "a keep-alive");
    this.#store.keepAlive(lease);
  }

  async revokeLease(lease: LeaseId, { signal }: KvCallOptions): Promise<void> {
    await this.#admit(signal, "a revocation");
    this.#store.endLease(lease);
    await this.#durable(this.#store.revision, signal);
  }

  /** Forgets the history before `revision`, as etcd's compaction does: watches from before it fail. */
  compact(revision: Revision): void {
    this.#store.history.compact(revision);
  }

  /** Ends the store once what was begun is durable, and lets another process open the folder. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing;
    if (!this.#closed) await this.#end(new KvError("unavailable", "the store was closed"));
    await this.#lock.release();
  }

  /** Lets a call in. A write that meets a full disk is refused here, before anything is changed. */
  async #admit(signal: AbortSignal, what: string): Promise<void> {
    if (this.#isCut && !this.#closed) {
      this.#write();
      await this.#writing;
    }
    const full = this.#isCut ? new KvError("unavailable", `${this.#options.folder} is on a full disk`) : undefined;
    const refusal = this.#closed ?? full ?? refusalIfAborted(signal, what);
    if (refusal) throw refusal;
  }

  #durable(revision: Revision, signal: AbortSignal): Promise<void> {
    if (revision <= this.#durableRevision) return Promise.resolve();
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new KvError("unknown", "given up while it was written", { cause: signal.reason }));
      const settle = (outcome: () => void) => () => {
        signal.removeEventListener("abort", onAbort);
        outcome();
      };
      this.#waiting.push({
        revision,
        resolve: settle(resolve),
        reject: (error) => settle(() => reject(error))(),
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Starts the writer unless it runs. It takes what has gathered when it gets to it, not what there is now. */
  #write(): void {
    this.#writing ??= Promise.resolve().then(() => this.#drain());
  }

  async #drain(): Promise<void> {
    try {
      if (this.#isCut) await this.#rewrite();
      while (this.#pending.length > 0 && !this.#closed) {
        await this.#commit();
        if (this.#bytes > this.#rewriteBytes) await this.#rewrite();
      }
    } catch (error) {
      await this.#fail(error);
    } finally {
      // In the turn in which the last change was seen to be done: one that comes after it starts a new writer.
      this.#writing = undefined;
    }
  }

  get #rewriteBytes(): number {
    return Math.max(this.#options.rewriteBytesMin ?? REWRITE_BYTES_MIN, this.#stateBytes * REWRITE_GROWTH);
  }

  async #commit(): Promise<void> {
    const changes = this.#pending;
    this.#pending = [];
    const parts = encodeChanges(changes);
    await appended(this.#file, parts);
    await this.#file.sync();
    this.#bytes += parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.#settle(changes.at(-1)?.revision ?? this.#durableRevision);
  }

  /** Begins a new journal with the state as it is, which includes every pending change. */
  async #rewrite(): Promise<void> {
    const { files, folder } = this.#options;
    const revision = this.#store.revision;
    this.#pending = [];
    const journal = await writeJournal(files, folder, encodeJournal(revision, this.#store.range("")));
    const before = this.#file;
    this.#file = journal.file;
    this.#bytes = journal.bytes;
    this.#stateBytes = journal.bytes;
    this.#isCut = false;
    this.#settle(revision);
    await before.close();
  }

  #settle(revision: Revision): void {
    this.#durableRevision = Math.max(this.#durableRevision, revision);
    this.#store.history.publish(this.#durableRevision);
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((waiter) => waiter.revision > this.#durableRevision);
    for (const waiter of waiting) if (waiter.revision <= this.#durableRevision) waiter.resolve();
  }

  async #fail(error: unknown): Promise<void> {
    const reason = error instanceof Error ? error : new Error(String(error));
    const { folder } = this.#options;
    if (error instanceof FullDiskError) {
      // What is in memory goes into the next rewrite: whoever waits cannot know yet.
      this.#isCut = true;
      this.#rejectWaiting(new KvError("unknown", `${folder} is on a full disk: ${reason.message}`, { cause: reason }));
      return;
    }
    this.#rejectWaiting(new KvError("unknown", `writing ${folder} failed: ${reason.message}`, { cause: reason }));
    await this.#end(
      new KvError("unavailable", `${folder} was closed after a failure: ${reason.message}`, { cause: reason }),
    );
    this.#options.onClosed(reason);
  }

  #rejectWaiting(error: KvError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.reject(error);
  }

  async #end(reason: KvError): Promise<void> {
    this.#closed = reason;
    this.#store.close(reason);
    await this.#file.close().catch(() => {});
  }
}

interface RestoredState {
  readonly revision: Revision;
  readonly entries: readonly KeyValue[];
  readonly journal: OpenJournal;
}

/** Reads the journal of a folder. What was under a lease is gone, by one change if there was any. */
async function load(files: FileSystem, folder: string): Promise<Omit<RestoredState, "journal">> {
  const path = `${folder}/${JOURNAL_NAME}`;
  if (!(await fileExists(files, path))) return { revision: 1, entries: [] };
  const { revision, entries } = decodeJournal(path, await files.read(path, 0, await files.size(path)));
  const kept = entries.filter((entry) => entry.lease === undefined);
  return { revision: kept.length < entries.length ? revision + 1 : revision, entries: kept };
}

/** Puts a complete journal in the place of the present one, durably. */
async function writeJournal(files: FileSystem, folder: string, parts: readonly Uint8Array[]): Promise<OpenJournal> {
  const next = `${folder}/${NEXT_NAME}`;
  if (await fileExists(files, next)) await files.remove(next);
  const file = await files.create(next).catch(rethrowFull);
  try {
    await appended(file, parts);
    await file.sync();
    await files.rename(next, `${folder}/${JOURNAL_NAME}`);
    await files.syncFolder(folder);
  } catch (error) {
    await file.close().catch(() => {});
    if (error instanceof FullDiskError) await files.remove(next).catch(() => {});
    throw error;
  }
  return { file, bytes: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

/** There was no room. Unlike a failed sync, this leaves what is durable as it was, and passes. */
class FullDiskError extends Error {
  override readonly name = "FullDiskError";
}

function appended(file: AppendFile, parts: readonly Uint8Array[]): Promise<void> {
  return file.append(parts).catch(rethrowFull);
}

function rethrowFull(error: unknown): never {
  if (!["ENOSPC", "EDQUOT"].includes(fileErrorCode(error))) throw error;
  throw new FullDiskError(error instanceof Error ? error.message : "no room", { cause: error });
}
