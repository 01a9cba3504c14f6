// Files of this machine, by node:fs.
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import type { AppendFile, FileSystem, FolderEntry, FolderLock } from "./file-system.ts";
import { lockFolder } from "./folder-lock.ts";

/** Most parts that one writev takes (IOV_MAX). */
const PARTS_PER_WRITE = 1024;

/** The file system of this machine. Files and folders that it makes are for their owner only. */
export class NodeFileSystem implements FileSystem {
  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { mode: 0o700 });
  }

  async readFolder(path: string): Promise<readonly FolderEntry[]> {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
  }

  async syncFolder(path: string): Promise<void> {
    await withFile(path, constants.O_RDONLY | constants.O_DIRECTORY, (file) => file.sync());
  }

  async create(path: string): Promise<AppendFile> {
    return new NodeAppendFile(await open(path, "ax", 0o600));
  }

  read(path: string, start: number, length: number): Promise<Uint8Array> {
    return withFile(path, constants.O_RDONLY, async (file) => {
      const { size } = await file.stat();
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - start)));
      let position = 0;
      while (position < bytes.byteLength) {
        const { bytesRead } = await file.read(bytes, position, bytes.byteLength - position, start + position);
        if (bytesRead === 0) return bytes.subarray(0, position);
        position += bytesRead;
      }
      return bytes;
    });
  }

  async size(path: string): Promise<number> {
    return (await stat(path)).size;
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to);
  }

  link(from: string, to: string): Promise<void> {
    return link(from, to);
  }

  remove(path: string): Promise<void> {
    return unlink(path);
  }

  lock(folder: string): Promise<FolderLock> {
    return lockFolder(folder);
  }
}

class NodeAppendFile implements AppendFile {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async append(parts: readonly Uint8Array[]): Promise<void> {
    for (let index = 0; index < parts.length; index += PARTS_PER_WRITE) {
      await this.#writeAll(parts.slice(index, index + PARTS_PER_WRITE));
    }
  }

  async #writeAll(parts: readonly Uint8Array[]): Promise<void> {
    let rest = parts.filter((part) => part.byteLength > 0);
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.writev(rest);
      rest = withoutFirst(rest, bytesWritten);
    }
  }

  sync(): Promise<void> {
    return this.#file.datasync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** A system call may take fewer bytes than it was given. */
function withoutFirst(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let left = bytes;
  for (const part of parts) {
    if (left < part.byteLength) rest.push(part.subarray(left));
    left = Math.max(0, left - part.byteLength);
  }
  return rest;
}

async function withFile<T>(path: string, flags: number, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
