// A lock on a folder that dies with its process. Node has no flock, so liveness is asked of the kernel in another way: a
// claim is a unix socket that its process listens on, and one that refuses a connection belongs to nobody any more.
// docs/adr/0001-lock-of-a-data-folder.md says why two processes never both hold it. Refuses a folder in use; knows only
// processes of this machine, so a network file system shared by two machines is not protected.
import { randomBytes } from "node:crypto";
import { closeSync, constants, openSync } from "node:fs";
import { link, mkdir, readdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { FolderInUseError, type FolderLock, fileErrorCode } from "./file-system.ts";
import { type ClaimTable, claimFolder, type Liveness } from "./folder-claim.ts";

/** Folder of the claims, below the folder that is locked. */
const CLAIMS_FOLDER = "+lock";
/** Longest path that a unix socket takes on every system. */
const SOCKET_PATH_BYTES_MAX = 100;

/** A socket that shows that its process lives. */
interface Candidate {
  readonly path: string;
  readonly server: Server;
}

/**
 * Locks `folder`, which is there, until the lock is released or this process ends in whatever way.
 * @throws FolderInUseError when a living process has it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await mkdir(`${folder}/${CLAIMS_FOLDER}`, { mode: 0o700 }).catch((error: unknown) => {
    if (fileErrorCode(error) !== "EEXIST") throw error;
  });
  const shortened = shortPath(`${folder}/${CLAIMS_FOLDER}`);
  try {
    const claims = new SocketClaims(shortened.path, folder);
    const held = await claimFolder(claims);
    if (!held) throw new FolderInUseError(folder);
    await claims.clearDeadCandidates();
    return { release: () => closed(held.server) };
  } finally {
    shortened.close();
  }
}

/** Claims as sockets in a folder: a number is a file name. */
class SocketClaims implements ClaimTable<Candidate> {
  readonly #path: string;
  readonly #folder: string;

  /** @param folder what is locked, for messages */
  constructor(path: string, folder: string) {
    this.#path = path;
    this.#folder = folder;
  }

  async numbers(): Promise<readonly number[]> {
    return (await readdir(this.#path)).filter((name) => /^\d+$/.test(name)).map(Number);
  }

  livenessOf(number: number): Promise<Liveness> {
    return livenessOf(`${this.#path}/${number}`);
  }

  async newCandidate(): Promise<Candidate> {
    const path = `${this.#path}/candidate-${randomBytes(6).toString("hex")}`;
    return { path, server: await listening(path, this.#folder) };
  }

  async publish(candidate: Candidate, number: number): Promise<boolean> {
    try {
      await link(candidate.path, `${this.#path}/${number}`);
      return true;
    } catch (error) {
      // ENOENT: the candidate was cleared away between its birth and its first breath.
      if (["EEXIST", "ENOENT"].includes(fileErrorCode(error))) return false;
      throw error;
    } finally {
      await removed(candidate.path);
    }
  }

  drop(candidate: Candidate): Promise<void> {
    return closed(candidate.server);
  }

  remove(number: number): Promise<void> {
    return removed(`${this.#path}/${number}`);
  }

  /** Removes candidates that nobody listens on. */
  async clearDeadCandidates(): Promise<void> {
    for (const name of await readdir(this.#path)) {
      const path = `${this.#path}/${name}`;
      if (name.startsWith("candidate-") && (await livenessOf(path)) === "dead") await removed(path);
    }
  }
}

function livenessOf(path: string): Promise<Liveness> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (liveness: Liveness) => {
      socket.destroy();
      resolve(liveness);
    };
    socket.once("connect", () => settle("alive"));
    socket.once("error", (error) => {
      const code = fileErrorCode(error);
      if (code === "ECONNREFUSED") settle("dead");
      else settle(code === "ENOENT" ? "gone" : "alive");
    });
  });
}

function listening(path: string, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.destroy();
    });
    server.once("error", (error) => reject(new Error(`cannot lock ${folder}: ${error.message}`, { cause: error })));
    server.listen(path, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      // The lock alone keeps no process running.
      server.unref();
      resolve(server);
    });
  });
}

async function removed(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (fileErrorCode(error) !== "ENOENT") throw error;
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** A path to a folder that is short enough for a socket: on Linux a long one is reached through an open descriptor. */
function shortPath(folder: string): { readonly path: string; readonly close: () => void } {
  const longestPath = `${folder}/candidate-000000000000`;
  if (Buffer.byteLength(longestPath) <= SOCKET_PATH_BYTES_MAX) return { path: folder, close: () => {} };
  if (process.platform !== "linux") {
    throw new Error(`cannot lock ${folder}: its path is too long; use a folder with a shorter one`);
  }
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${descriptor}`, close: () => closeSync(descriptor) };
}
