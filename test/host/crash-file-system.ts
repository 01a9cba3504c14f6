// A file system in memory that knows what a crash would leave. Bytes and names are in the page cache until they are
// synced; a crash keeps any part of what was not: pages of a file's unsynced tail by themselves, names of a folder by
// themselves. It can also fail: by a rule of the test, or because the disk is full.
import {
  type AppendFile,
  type FileSystem,
  type FolderEntry,
  FolderInUseError,
  type FolderLock,
} from "../../src/host/file-system.ts";
import type { SimRandom } from "../sim/sim-random.ts";

/** The operations, as rules name them. */
export type FileOperation =
  | "makeFolder"
  | "create"
  | "append"
  | "sync"
  | "syncFolder"
  | "rename"
  | "link"
  | "remove"
  | "read";

interface FileNode {
  readonly type: "file";
  bytes: Uint8Array;
  /** Bytes up to here survive a crash... */
  syncedBytes: number;
  /** ... but for these ranges: a failed sync lost them, and later ones do not bring them back. */
  readonly lost: { readonly start: number; readonly end: number }[];
}

interface FolderNode {
  readonly type: "folder";
  readonly names: Map<string, FileNode | FolderNode>;
  durableNames: Map<string, FileNode | FolderNode>;
}

type Choice = "least" | "most" | SimRandom;

const PAGE_BYTES = 512;

/** Files in memory. */
export class CrashFileSystem implements FileSystem {
  readonly #root: FolderNode;
  readonly #locks = new Set<string>();
  /** Called before each operation that changes something, and once more within a long write. */
  onBoundary: (operation: FileOperation, path: string) => void = () => {};
  /** The code with which an operation fails, or nothing. */
  failure: (operation: FileOperation, path: string) => string | undefined = () => undefined;
  /** Bytes that still fit on the disk. */
  freeBytes = Number.POSITIVE_INFINITY;
  /** Every change and sync in order, as `operation path`. */
  readonly log: string[] = [];

  constructor(root: FolderNode = newFolder()) {
    this.#root = root;
  }

  async makeFolder(path: string): Promise<void> {
    this.#begin("makeFolder", path);
    this.#add(path, newFolder());
  }

  async readFolder(path: string): Promise<readonly FolderEntry[]> {
    this.#begin("read", path);
    return [...this.#folder(path).names].map(([name, { type }]) => ({ name, isFolder: type === "folder" }));
  }

  async syncFolder(path: string): Promise<void> {
    this.#begin("syncFolder", path);
    const folder = this.#folder(path);
    folder.durableNames = new Map(folder.names);
  }

  async create(path: string): Promise<AppendFile> {
    this.#begin("create", path);
    const file: FileNode = { type: "file", bytes: new Uint8Array(), syncedBytes: 0, lost: [] };
    this.#add(path, file);
    return {
      append: async (parts) => {
        // Two halves, so that a boundary lies within what was meant to be one write.
        const bytes = Buffer.concat(parts);
        this.#append(path, file, bytes.subarray(0, bytes.byteLength >> 1));
        this.#append(path, file, bytes.subarray(bytes.byteLength >> 1));
      },
      sync: async () => this.#sync(path, file),
      close: async () => {},
    };
  }

  async read(path: string, start: number, length: number): Promise<Uint8Array> {
    this.#begin("read", path);
    return this.#file(path).bytes.slice(start, start + length);
  }

  async size(path: string): Promise<number> {
    return this.#file(path).bytes.byteLength;
  }

  async rename(from: string, to: string): Promise<void> {
    this.#begin("rename", to);
    const file = this.#file(from);
    this.#parent(from).names.delete(nameOf(from));
    this.#parent(to).names.set(nameOf(to), file);
  }

  async link(from: string, to: string): Promise<void> {
    this.#begin("link", to);
    this.#add(to, this.#file(from));
  }

  async remove(path: string): Promise<void> {
    this.#begin("remove", path);
    const file = this.#file(path);
    this.#parent(path).names.delete(nameOf(path));
    this.freeBytes += file.bytes.byteLength;
  }

  async lock(folder: string): Promise<FolderLock> {
    this.#folder(folder);
    if (this.#locks.has(folder)) throw new FolderInUseError(folder);
    this.#locks.add(folder);
    return { release: async () => void this.#locks.delete(folder) };
  }

  /** What a loss of power at this moment leaves: the least, the most, or something in between. Nobody holds its locks. */
  crashed(choice: Choice): CrashFileSystem {
    return new CrashFileSystem(crashedFolder(this.#root, choice, new Map()));
  }

  /** What a killed process leaves: everything, and still not synced. Nobody holds its locks. */
  afterKill(): CrashFileSystem {
    return new CrashFileSystem(this.#root);
  }

  /** Changes the bytes of a file in place, as a failing disk does. */
  overwrite(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = this.#file(path);
    file.bytes = change(file.bytes);
    file.syncedBytes = file.bytes.byteLength;
  }

  #append(path: string, file: FileNode, bytes: Uint8Array): void {
    this.#begin("append", path);
    const fitting = bytes.subarray(0, Math.max(0, Math.min(bytes.byteLength, this.freeBytes)));
    file.bytes = new Uint8Array(Buffer.concat([file.bytes, fitting]));
    this.freeBytes -= fitting.byteLength;
    if (fitting.byteLength < bytes.byteLength) throw fileError("ENOSPC", "append", path);
  }

  #sync(path: string, file: FileNode): void {
    try {
      this.#begin("sync", path);
    } catch (error) {
      file.lost.push({ start: file.syncedBytes, end: file.bytes.byteLength });
      file.syncedBytes = file.bytes.byteLength;
      throw error;
    }
    file.syncedBytes = file.bytes.byteLength;
  }

  #begin(operation: FileOperation, path: string): void {
    if (operation !== "read") {
      this.onBoundary(operation, path);
      this.log.push(`${operation} ${path}`);
    }
    const code = this.failure(operation, path);
    if (code) throw fileError(code, operation, path);
  }

  #add(path: string, node: FileNode | FolderNode): void {
    const { names } = this.#parent(path);
    if (names.has(nameOf(path))) throw fileError("EEXIST", "open", path);
    names.set(nameOf(path), node);
  }

  #parent(path: string): FolderNode {
    return this.#folder(path.slice(0, path.lastIndexOf("/")));
  }

  #folder(path: string): FolderNode {
    let node: FileNode | FolderNode | undefined = this.#root;
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (node?.type !== "folder") throw fileError(node ? "ENOTDIR" : "ENOENT", "open", path);
      node = node.names.get(name);
    }
    if (node?.type !== "folder") throw fileError(node ? "ENOTDIR" : "ENOENT", "open", path);
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#parent(path).names.get(nameOf(path));
    if (node?.type !== "file") throw fileError(node ? "EISDIR" : "ENOENT", "open", path);
    return node;
  }
}

function newFolder(): FolderNode {
  return { type: "folder", names: new Map(), durableNames: new Map() };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function fileError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} ${path}`), { code });
}

/** `copies` keeps one file under two names one file. */
function crashedFolder(
  folder: FolderNode,
  choice: Choice,
  copies: Map<FileNode | FolderNode, FileNode | FolderNode>,
): FolderNode {
  const names = new Map<string, FileNode | FolderNode>();
  for (const name of new Set([...folder.names.keys(), ...folder.durableNames.keys()])) {
    const [cached, durable] = [folder.names.get(name), folder.durableNames.get(name)];
    const node = cached !== durable && isKept(choice) ? cached : durable;
    if (!node) continue;
    const copy =
      copies.get(node) ?? (node.type === "file" ? crashedFile(node, choice) : crashedFolder(node, choice, copies));
    copies.set(node, copy);
    names.set(name, copy);
  }
  return { type: "folder", names, durableNames: new Map(names) };
}

function crashedFile(file: FileNode, choice: Choice): FileNode {
  const tailBytes = file.bytes.byteLength - file.syncedBytes;
  const keptBytes = choice === "least" ? 0 : choice === "most" ? tailBytes : choice.below(tailBytes + 1);
  const bytes = file.bytes.slice(0, file.syncedBytes + keptBytes);
  for (const { start, end } of file.lost) bytes.fill(0, start, end);
  for (let page = file.syncedBytes; page < bytes.byteLength; page += PAGE_BYTES) {
    if (!isKept(choice)) bytes.fill(0, page, page + PAGE_BYTES);
  }
  return { type: "file", bytes, syncedBytes: bytes.byteLength, lost: [] };
}

function isKept(choice: Choice): boolean {
  return choice === "most" || (choice !== "least" && choice.chance(0.5));
}
