// The object store in a folder: a put is a new file, synced, then given its name, and the name synced with every new
// folder above it; only then is there an answer. Refuses a folder in use, one that holds something else, and an unknown
// format version. When the sync of a name has failed, nobody knows what the disk holds: from then on every write is
// refused, and no failed sync is tried again. Emptied folders stay.
import { ensureFolder, type FileSystem, type FolderLock, fileErrorCode, fileExists } from "../host/file-system.ts";
import { refuseIfAborted } from "./call-refusal.ts";
import { FolderListing } from "./folder-listing.ts";
import { folderPathOf, type NameStyle, pathOf } from "./folder-path.ts";
import { checkListLimit, checkObjectCount, checkObjectKey } from "./object-key.ts";
import {
  type ByteRange,
  type CallOptions,
  type ObjectStore,
  ObjectStoreError,
  type ObjectStoreErrorKind,
  type ObjectSummary,
} from "./object-store.ts";

/** Says that a folder holds objects, in which format version and with which names. */
const FORMAT_NAME = "+format";
const FORMAT_PREFIX = "kafscale objects";
const FORMAT_VERSION = 1;
/** Folder of files that have no name of their own yet. */
const UNNAMED_FOLDER = "+new";
/** Known folders kept in memory; past this the store forgets them and syncs them again. */
const KNOWN_FOLDERS_MAX = 50_000;

/** Where the store lives. */
export interface FolderObjectStoreOptions {
  /** Absolute path of a folder of its own; made if it is not there. */
  readonly folder: string;
  readonly files: FileSystem;
  /** Told once when a failed sync ends all writes: what the folder would keep is unknown, so its owner has to end. */
  readonly onClosed?: (reason: Error) => void;
}

/** Objects as files. */
export class FolderObjectStore implements ObjectStore {
  readonly #folder: string;
  readonly #files: FileSystem;
  readonly #lock: FolderLock;
  readonly #style: NameStyle;
  readonly #onClosed: (reason: Error) => void;
  /** Folders below ours that would survive a loss of power, or will once the promise resolves. */
  readonly #known = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<unknown>>();
  #unnamedCount = 0;
  /** Why no write is taken any more. */
  #broken: Error | undefined;

  private constructor({ folder, files, onClosed }: FolderObjectStoreOptions, lock: FolderLock, style: NameStyle) {
    this.#folder = folder;
    this.#files = files;
    this.#lock = lock;
    this.#style = style;
    this.#onClosed = onClosed ?? (() => {});
  }

  /**
   * Opens a store, or begins one in an empty or absent folder, and removes what unfinished puts left.
   * @throws FolderInUseError
   * @throws Error naming the folder when it holds something else or an unknown format version
   */
  static async open(options: FolderObjectStoreOptions): Promise<FolderObjectStore> {
    const { files, folder } = options;
    const isNew = !(await fileExists(files, `${folder}/${FORMAT_NAME}`));
    if (isNew) await ensureFolder(files, folder);
    const lock = await files.lock(folder);
    try {
      await files.makeFolder(`${folder}/${UNNAMED_FOLDER}`).catch(unlessThere);
      if (isNew) await begin(files, folder);
      const style = await readFormat(files, folder);
      await sweep(files, `${folder}/${UNNAMED_FOLDER}`);
      return new FolderObjectStore(options, lock, style);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  put(key: string, parts: readonly Uint8Array[], options: CallOptions & { ifAbsent: boolean }): Promise<void> {
    return this.#run(`put ${key}`, options.signal, () => {
      checkObjectKey(key);
      return this.#put(key, parts, options);
    });
  }

  get(key: string, { signal, range }: CallOptions & { range?: ByteRange }): Promise<Uint8Array> {
    return this.#run(`get ${key}`, signal, async () => {
      checkObjectKey(key);
      const path = this.#pathOf(key);
      const { start, length } = range ?? { start: 0, length: Number.POSITIVE_INFINITY };
      const bytes = await this.#reading(path, this.#files.read(path, start, length));
      if (bytes.byteLength > 0 || !range) return bytes;
      if (start < (await this.#reading(path, this.#files.size(path)))) return bytes;
      throw new ObjectStoreError("not-found", `get ${key}: byte ${start} is past its end`);
    });
  }

  head(key: string, { signal }: CallOptions): Promise<{ bytes: number }> {
    return this.#run(`head ${key}`, signal, async () => {
      checkObjectKey(key);
      const path = this.#pathOf(key);
      return { bytes: await this.#reading(path, this.#files.size(path)) };
    });
  }

  list(
    prefix: string,
    { signal, startAfter = "", limit }: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    return this.#run(`list ${prefix}`, signal, () => {
      checkListLimit(limit);
      const listing = new FolderListing({ files: this.#files, folder: this.#folder, style: this.#style });
      return this.#reading(this.#folder, listing.page({ prefix, startAfter, limit }));
    });
  }

  delete(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    return this.#run(`delete of ${keys.length} objects`, signal, async () => {
      checkObjectCount(keys.length);
      for (const key of keys) checkObjectKey(key);
      await this.#delete(keys);
    });
  }

  /** Waits for what is under way and lets another process open the folder. */
  async close(): Promise<void> {
    this.#broken ??= new Error("the store was closed");
    await Promise.allSettled(this.#running);
    await this.#lock.release();
  }

  /** Runs one call. When its signal aborts the caller goes, while the file operations come to their end. */
  async #run<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    refuseIfAborted(signal, what);
    const running = work();
    this.#running.add(running);
    const forget = () => this.#running.delete(running);
    running.then(forget, forget);
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => reject(new ObjectStoreError("unknown", `${what} was given up`, { cause: signal.reason }));
      signal.addEventListener("abort", onAbort, { once: true });
      running.finally(() => signal.removeEventListener("abort", onAbort)).then(resolve, reject);
    });
  }

  async #put(
    key: string,
    parts: readonly Uint8Array[],
    { ifAbsent, signal }: CallOptions & { ifAbsent: boolean },
  ): Promise<void> {
    this.#refuseIfBroken();
    const path = this.#pathOf(key);
    const parent = key.split("/").slice(0, -1);
    await this.#ensureKnown(parent);
    const unnamed = await this.#writeUnnamed(path, parts);
    if (signal.aborted) {
      // Its caller is gone and may have used the bytes for something else while they were written.
      await this.#files.remove(unnamed).catch(() => {});
      refuseIfAborted(signal, `put ${key}`);
    }
    try {
      const isThere = !(await this.#name(unnamed, path, ifAbsent));
      await this.#syncNames(folderPathOf(parent, this.#style), path);
      // Only now: the object that is there may be an earlier try of the same put, and is durable from here on.
      if (isThere) throw new ObjectStoreError("already-exists", `put ${key}: there is such an object`);
    } finally {
      if (ifAbsent) await this.#files.remove(unnamed).catch(() => {});
    }
  }

  /** A complete and durable file without a place among the objects. */
  async #writeUnnamed(path: string, parts: readonly Uint8Array[]): Promise<string> {
    const unnamed = `${this.#folder}/${UNNAMED_FOLDER}/${this.#unnamedCount++}`;
    try {
      const file = await this.#files.create(unnamed);
      try {
        await file.append(parts);
        await file.sync();
      } finally {
        await file.close();
      }
      return unnamed;
    } catch (error) {
      await this.#files.remove(unnamed).catch(() => {});
      throw failure("unavailable", path, error);
    }
  }

  /** @returns whether the file got the name; not if `ifAbsent` and the name is taken */
  async #name(unnamed: string, path: string, ifAbsent: boolean): Promise<boolean> {
    try {
      if (ifAbsent) await this.#files.link(unnamed, path);
      else await this.#files.rename(unnamed, path);
      return true;
    } catch (error) {
      if (ifAbsent && fileErrorCode(error) === "EEXIST") return false;
      await this.#files.remove(unnamed).catch(() => {});
      throw failure("unavailable", path, error);
    }
  }

  async #delete(keys: readonly string[]): Promise<void> {
    this.#refuseIfBroken();
    const parents = new Set<string>();
    for (const key of keys) {
      const path = this.#pathOf(key);
      try {
        await this.#files.remove(path);
        parents.add(folderPathOf(key.split("/").slice(0, -1), this.#style));
      } catch (error) {
        if (fileErrorCode(error) !== "ENOENT") throw failure("unavailable", path, error);
      }
    }
    for (const parent of parents) await this.#syncNames(parent, `${this.#folder}/${parent}`);
  }

  /** Ensures that the folder of `parts` is there and durable, and each one above it. */
  #ensureKnown(parts: readonly string[]): Promise<void> {
    if (parts.length === 0) return Promise.resolve();
    const path = folderPathOf(parts, this.#style);
    const known = this.#known.get(path);
    if (known) return known;
    if (this.#known.size >= KNOWN_FOLDERS_MAX) this.#known.clear();
    const ensuring = this.#makeKnown(parts, path);
    this.#known.set(path, ensuring);
    ensuring.catch(() => this.#known.delete(path));
    return ensuring;
  }

  async #makeKnown(parts: readonly string[], path: string): Promise<void> {
    const above = parts.slice(0, -1);
    await this.#ensureKnown(above);
    try {
      await this.#files.makeFolder(`${this.#folder}/${path}`);
    } catch (error) {
      if (fileErrorCode(error) !== "EEXIST") throw failure("unavailable", `${this.#folder}/${path}`, error);
    }
    // Also for one that was there: the process that made it may have died before its own sync.
    await this.#syncNames(folderPathOf(above, this.#style), `${this.#folder}/${path}`);
  }

  /** Makes the names in a folder durable. If that fails, this store writes no more. */
  async #syncNames(parent: string, path: string): Promise<void> {
    this.#refuseIfBroken();
    try {
      await this.#files.syncFolder(parent === "" ? this.#folder : `${this.#folder}/${parent}`);
    } catch (error) {
      if (!this.#broken) {
        this.#broken = error instanceof Error ? error : new Error(String(error));
        this.#onClosed(this.#broken);
      }
      throw failure("unknown", path, error);
    }
  }

  #refuseIfBroken(): void {
    if (!this.#broken) return;
    const message = `${this.#folder} takes no writes any more: ${this.#broken.message}`;
    throw new ObjectStoreError("unavailable", message, { cause: this.#broken });
  }

  #pathOf(key: string): string {
    return `${this.#folder}/${pathOf(key, this.#style)}`;
  }

  async #reading<T>(path: string, reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (error) {
      const isAbsent = ["ENOENT", "ENOTDIR"].includes(fileErrorCode(error));
      throw failure(isAbsent ? "not-found" : "unavailable", path, error);
    }
  }
}

/** Makes an empty folder an object folder, durably. */
async function begin(files: FileSystem, folder: string): Promise<void> {
  const ours = [FORMAT_NAME, UNNAMED_FOLDER, "+lock"];
  const foreign = (await files.readFolder(folder)).find(({ name }) => !ours.includes(name));
  if (foreign) throw new Error(`${folder} is not an object folder and not empty: it has ${foreign.name}`);
  const unnamed = `${folder}/${UNNAMED_FOLDER}`;
  await sweep(files, unnamed);
  await writeFile(files, `${unnamed}/case`, "");
  const isCaseBlind = await fileExists(files, `${unnamed}/CASE`);
  await files.remove(`${unnamed}/case`);
  const text = `${FORMAT_PREFIX} ${FORMAT_VERSION} ${isCaseBlind ? "folded" : "plain"}\n`;
  await writeFile(files, `${unnamed}/format`, text);
  await files.rename(`${unnamed}/format`, `${folder}/${FORMAT_NAME}`);
  await files.syncFolder(folder);
}

async function readFormat(files: FileSystem, folder: string): Promise<NameStyle> {
  const path = `${folder}/${FORMAT_NAME}`;
  const text = new TextDecoder().decode(await files.read(path, 0, 1000));
  const [, version, style] = new RegExp(`^${FORMAT_PREFIX} (\\d+) ?(\\w*)\n$`).exec(text) ?? [];
  if (version === undefined) throw new Error(`${path} does not say that ${folder} holds objects`);
  if (Number(version) !== FORMAT_VERSION || (style !== "plain" && style !== "folded")) {
    throw new Error(
      `${path} has format version ${version} ${style}; this program knows version ${FORMAT_VERSION} only`,
    );
  }
  return style;
}

/** Removes files that were never given a name, or have another one. */
async function sweep(files: FileSystem, unnamed: string): Promise<void> {
  for (const { name } of await files.readFolder(unnamed)) await files.remove(`${unnamed}/${name}`);
}

async function writeFile(files: FileSystem, path: string, text: string): Promise<void> {
  const file = await files.create(path);
  try {
    await file.append([new TextEncoder().encode(text)]);
    await file.sync();
  } finally {
    await file.close();
  }
}

function unlessThere(error: unknown): void {
  if (fileErrorCode(error) !== "EEXIST") throw error;
}

/** The error of a failed file operation: `kind`, unless its code says that waiting does not help. */
function failure(kind: ObjectStoreErrorKind, path: string, error: unknown): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const isDenied =
    kind === "unavailable" && ["EACCES", "EPERM", "EROFS", "ENAMETOOLONG"].includes(fileErrorCode(error));
  const reason = error instanceof Error ? error.message : String(error);
  return new ObjectStoreError(isDenied ? "denied" : kind, `${path}: ${reason}`, { cause: error });
}
