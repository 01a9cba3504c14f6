// Objects of a folder in the order of their keys. Reads only the folders that can hold what is asked for, one of each
// depth at a time, and stops as soon as the page is full.
import { type FileSystem, fileErrorCode } from "../host/file-system.ts";
import { folderPathOf, type NameStyle, parseName, pathOf } from "./folder-path.ts";
import type { ObjectSummary } from "./object-store.ts";

/** What a listing reads. */
export interface ListedFolder {
  readonly files: FileSystem;
  readonly folder: string;
  readonly style: NameStyle;
}

/** Which objects are asked for. */
export interface PageRequest {
  readonly prefix: string;
  readonly startAfter: string;
  readonly limit: number;
}

/** The objects below a folder. */
export class FolderListing {
  readonly #listed: ListedFolder;

  constructor(listed: ListedFolder) {
    this.#listed = listed;
  }

  /** The first `limit` keys that begin with `prefix` and follow `startAfter`, and whether there are more. */
  async page({ prefix, startAfter, limit }: PageRequest): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    const objects: ObjectSummary[] = [];
    for await (const key of this.#keys([], prefix, startAfter)) {
      const bytes = await this.#size(key);
      if (bytes === undefined) continue;
      if (objects.length === limit) return { objects, isTruncated: true };
      objects.push({ key, bytes });
    }
    return { objects, isTruncated: false };
  }

  async *#keys(parts: readonly string[], prefix: string, startAfter: string): AsyncGenerator<string> {
    const above = parts.map((part) => `${part}/`).join("");
    for (const name of await this.#names(parts)) {
      const path = above + name;
      if (name.endsWith("/")) {
        // All keys below begin with `path`: are there any that are asked for?
        if (!path.startsWith(prefix) && !prefix.startsWith(path)) continue;
        if (path < startAfter && !startAfter.startsWith(path)) continue;
        yield* this.#keys([...parts, name.slice(0, -1)], prefix, startAfter);
      } else if (path.startsWith(prefix) && path > startAfter) yield path;
    }
  }

  /** Names in one folder, a `/` after those of folders, so that their order is that of the keys below them. */
  async #names(parts: readonly string[]): Promise<string[]> {
    const { files, folder, style } = this.#listed;
    const path = parts.length === 0 ? folder : `${folder}/${folderPathOf(parts, style)}`;
    const names: string[] = [];
    for (const { name, isFolder } of await files.readFolder(path)) {
      const parsed = parseName(name, style);
      if (parsed && parsed.isFolder === isFolder) names.push(isFolder ? `${parsed.part}/` : parsed.part);
    }
    return names.sort();
  }

  async #size(key: string): Promise<number | undefined> {
    try {
      return await this.#listed.files.size(`${this.#listed.folder}/${pathOf(key, this.#listed.style)}`);
    } catch (error) {
      // Deleted since its name was read.
      if (fileErrorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}
