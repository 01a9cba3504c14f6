// The seam of files, as narrow as the embedded stores need it: new files that are appended to, whole reads, and names
// that are moved. What is written is durable only after a sync: of the file for its bytes, of the folder for its name.
// The real side is `NodeFileSystem`; a twin in the tests knows what a crash would leave.

/** One name in a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** A new file, open for appending. */
export interface AppendFile {
  /** Writes all parts at the end. After a failure part of them may be there. */
  append(parts: readonly Uint8Array[]): Promise<void>;
  /** Resolves when all that was appended would survive a loss of power. A failed one must not be tried again. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A folder that no other process can lock until it is released or its holder dies. */
export interface FolderLock {
  release(): Promise<void>;
}

/** Failures are errors with a `code` such as `ENOENT`: see {@link fileErrorCode}. Paths are absolute. */
export interface FileSystem {
  /** Fails with EEXIST when the name is taken. */
  makeFolder(path: string): Promise<void>;
  readFolder(path: string): Promise<readonly FolderEntry[]>;
  /** Makes the names in a folder durable, or their absence. A failed one must not be tried again. */
  syncFolder(path: string): Promise<void>;
  /** A new, empty file. Fails with EEXIST when the name is taken. */
  create(path: string): Promise<AppendFile>;
  /** The bytes of a file from `start` on, at most `length`: fewer where it ends. */
  read(path: string, start: number, length: number): Promise<Uint8Array>;
  /** Bytes of a file. */
  size(path: string): Promise<number>;
  /** Gives a file another name, replacing what had it. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name. Fails with EEXIST when it is taken. */
  link(from: string, to: string): Promise<void>;
  /** Takes a name from a file. */
  remove(path: string): Promise<void>;
  /** @throws FolderInUseError when a living process has it */
  lock(folder: string): Promise<FolderLock>;
}

/** Refusal to open a folder that another process has open. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";

  constructor(folder: string) {
    super(`${folder} is in use by another process`);
  }
}

/** The code of a file operation's failure, such as `ENOENT`, or an empty text for another kind of error. */
export function fileErrorCode(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return "";
  return error.code;
}

/** Whether there is a file of this name. */
export async function fileExists(files: FileSystem, path: string): Promise<boolean> {
  try {
    await files.size(path);
    return true;
  } catch (error) {
    if (fileErrorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * Ensures that a folder is there and that it, and each folder above it, would survive a loss of power. A parent that we
 * may not open and did not write to is taken as durable.
 * @param path absolute
 */
export async function ensureFolder(files: FileSystem, path: string): Promise<void> {
  const parent = path.slice(0, Math.max(1, path.lastIndexOf("/")));
  if (parent === path) return;
  const isNew = await makeUnlessThere(files, path, parent);
  if (!isNew) await ensureFolder(files, parent);
  try {
    await files.syncFolder(parent);
  } catch (error) {
    if (isNew || !["EACCES", "EPERM", "EROFS"].includes(fileErrorCode(error))) throw error;
  }
}

async function makeUnlessThere(files: FileSystem, path: string, parent: string): Promise<boolean> {
  for (let isParentMade = false; ; isParentMade = true) {
    try {
      await files.makeFolder(path);
      return true;
    } catch (error) {
      const code = fileErrorCode(error);
      // Some systems, as below /proc, take no folder at all and say that the one above is missing.
      if (code === "ENOENT" && !isParentMade) await ensureFolder(files, parent);
      else if (code === "EEXIST") return false;
      else if (code === "EROFS" || code === "EACCES" || code === "EPERM") return refusedUnlessThere(files, path, error);
      else throw error;
    }
  }
}

/** Some systems check rights before they look whether the folder is there. */
async function refusedUnlessThere(files: FileSystem, path: string, refusal: unknown): Promise<false> {
  await files.readFolder(path).catch(() => {
    throw refusal;
  });
  return false;
}
