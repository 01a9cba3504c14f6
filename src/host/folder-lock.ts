// A lock on a folder that dies with its process. Node has no flock, so liveness is asked of the kernel in another way: a
// claim is a unix socket that its process listens on, and one that refuses a connection belongs to nobody any more.
// docs/adr/0001-lock-of-a-data-folder.md says why two processes never both hold it. Refuses a folder in use; knows only
// processes of this machine, so a network file system shared by two machines is not protected.
import { randomBytes } from "node:crypto";
import { closeSync, constants, openSync } from "node:fs";
import { link, mkdir, readdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { FolderInUseError, type FolderLock, fileErrorCode } from "./file-system.ts";

/** Folder of the claims, below the folder that is locked. */
const CLAIMS_FOLDER = "+lock";
/** Longest path that a unix socket takes on every system. */
const SOCKET_PATH_BYTES_MAX = 100;
/** Rounds after which a claim gives up; each lost round means that another process got further. */
const ROUNDS_MAX = 1000;

type Liveness = "alive" | "dead" | "gone";

/**
 * Locks `folder`, which is there, until the lock is released or this process ends in whatever way.
 * @throws FolderInUseError when a living process has it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await mkdir(`${folder}/${CLAIMS_FOLDER}`, { mode: 0o700 }).catch((error: unknown) => {
    if (fileErrorCode(error) !== "EEXIST") throw error;
  });
  const claims = openClaims(`${folder}/${CLAIMS_FOLDER}`);
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const server = await claim(claims.path, folder);
      if (server) return { release: () => closed(server) };
    }
  } finally {
    claims.close();
  }
  throw new FolderInUseError(folder);
}

/** One round. @returns the socket that holds the lock, or nothing when the state changed under the claim */
async function claim(path: string, folder: string): Promise<Server | undefined> {
  const latest = await latestClaim(path);
  if (latest > 0) {
    const liveness = await livenessOf(`${path}/${latest}`);
    if (liveness === "gone") return undefined;
    if (liveness === "alive") throw new FolderInUseError(folder);
  }
  const candidate = `${path}/candidate-${randomBytes(6).toString("hex")}`;
  const server = await listening(candidate, folder);
  const mine = latest + 1;
  const isLinked = await linked(candidate, `${path}/${mine}`);
  await removed(candidate);
  // A number is taken for good: were there a higher one, ours would be a number whose holder died and was cleared away.
  if (isLinked && (await latestClaim(path)) === mine) {
    await clearOthers(path, mine);
    return server;
  }
  if (isLinked) await removed(`${path}/${mine}`);
  await closed(server);
  return undefined;
}

/** The highest number claimed so far, 0 for none. It never goes down, because the highest claim is never removed. */
async function latestClaim(path: string): Promise<number> {
  const numbers = (await readdir(path)).filter((name) => /^\d+$/.test(name)).map(Number);
  return Math.max(0, ...numbers);
}

/** Removes what the dead left: lower numbers, and candidates that nobody listens on. */
async function clearOthers(path: string, mine: number): Promise<void> {
  for (const name of await readdir(path)) {
    const isLower = /^\d+$/.test(name) && Number(name) < mine;
    const isDead = name.startsWith("candidate-") && (await livenessOf(`${path}/${name}`)) === "dead";
    if (isLower || isDead) await removed(`${path}/${name}`);
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

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    // ENOENT: the candidate was cleared away between its birth and its first breath.
    if (["EEXIST", "ENOENT"].includes(fileErrorCode(error))) return false;
    throw error;
  }
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

/** A path to the claims that is short enough for a socket: on Linux a long one is reached through an open descriptor. */
function openClaims(folder: string): { readonly path: string; readonly close: () => void } {
  const longestPath = `${folder}/candidate-000000000000`;
  if (Buffer.byteLength(longestPath) <= SOCKET_PATH_BYTES_MAX) return { path: folder, close: () => {} };
  if (process.platform !== "linux") {
    throw new Error(`cannot lock ${folder}: its path is too long; use a folder with a shorter one`);
  }
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${descriptor}`, close: () => closeSync(descriptor) };
}
