// One TCP socket as a `Connection`. Bytes are read into a buffer of the connection's own by Node's `onread`, and reading
// stops after each chunk until the next is asked for: nothing piles up in user space. The buffer is small while a
// connection is quiet, so that ten thousand idle ones cost little, and large while it is busy.
import type { OnReadOpts, Socket } from "node:net";
import type { Address, Connection } from "./transport.ts";

/** Read buffer of a quiet connection. */
const READ_BYTES_QUIET = 4 * 1024;
/** Read buffer of a connection whose last chunk filled the one before. */
const READ_BYTES_BUSY = 128 * 1024;
/** Keep-alive probes find a peer that vanished without a word. */
const KEEP_ALIVE_MS = 60_000;

/** Parts below this are copied together: to Node and the kernel a part costs more than the copy. */
const GATHERED_BYTES_MAX = 4 * 1024;

/** How one read ended. */
type Reading =
  | { readonly resolve: (result: IteratorResult<Uint8Array>) => void; readonly reject: (error: Error) => void }
  | undefined;

/** What a socket has to be made with. */
export interface ReadOptions {
  readonly allowHalfOpen: true;
  readonly onread: OnReadOpts;
}

/** A connected socket. */
export class TcpConnection implements Connection {
  readonly remote: Address;
  readonly #socket: Socket;
  /** The chunk that came before anybody asked, at most one. */
  #chunk: Uint8Array | undefined;
  #reading: Reading;
  #isEnded = false;
  #isDestroyedHere = false;
  #failure: Error | undefined;

  constructor(create: (options: ReadOptions) => Socket, remote: Address) {
    let buffer = new Uint8Array(READ_BYTES_QUIET);
    let wasFilled = false;
    this.#socket = create({
      allowHalfOpen: true,
      onread: {
        buffer: () => {
          const wanted = wasFilled ? READ_BYTES_BUSY : READ_BYTES_QUIET;
          if (wanted !== buffer.byteLength) buffer = new Uint8Array(wanted);
          return buffer;
        },
        callback: (count, bytes) => {
          // A busy connection stays busy until a chunk would have fitted the quiet buffer.
          wasFilled = count === bytes.byteLength || count > READ_BYTES_QUIET;
          this.#deliver(new Uint8Array(bytes.buffer, bytes.byteOffset, count));
          return false;
        },
      },
    });
    this.remote = remote;
    this.#socket.pause();
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#socket.once("end", () => this.#end());
    this.#socket.once("error", (error) => this.#break(error));
    this.#socket.once("close", () => this.#break(new Error(`the connection to ${this.#name} is closed`)));
  }

  chunks(): AsyncIterableIterator<Uint8Array> {
    const iterator: AsyncIterableIterator<Uint8Array> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => this.#next(),
      return: () => {
        this.destroy();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
    return iterator;
  }

  write(parts: readonly Uint8Array[]): Promise<void> {
    const socket = this.#socket;
    const pieces = gathered(parts);
    const last = pieces.at(-1);
    if (!last) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onWritten = (error?: Error | null) => {
        if (error) reject(new Error(`writing to ${this.#name} failed`, { cause: error }));
        else resolve();
      };
      if (socket.destroyed || !socket.writable) {
        onWritten(this.#failure ?? new Error("it is closed for writing"));
        return;
      }
      socket.cork();
      for (let index = 0; index < pieces.length - 1; index++) socket.write(pieces[index] ?? new Uint8Array());
      socket.write(last, onWritten);
      socket.uncork();
    });
  }

  end(): void {
    if (this.#socket.writable) this.#socket.end();
  }

  destroy(): void {
    this.#isDestroyedHere = true;
    this.#socket.destroy();
    this.#chunk = undefined;
    this.#end();
  }

  get #name(): string {
    return `${this.remote.host}:${this.remote.port}`;
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunk;
    if (chunk) {
      this.#chunk = undefined;
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
      this.#socket.resume();
    });
  }

  #deliver(chunk: Uint8Array): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading) reading.resolve({ done: false, value: chunk });
    else this.#chunk = chunk;
  }

  #end(): void {
    this.#isEnded = true;
    this.#reading?.resolve({ done: true, value: undefined });
    this.#reading = undefined;
  }

  #break(error: Error): void {
    if (this.#isEnded || this.#isDestroyedHere) return;
    this.#failure ??= error;
    this.#reading?.reject(this.#failure);
    this.#reading = undefined;
  }
}

/** The same bytes with every run of small parts as one. */
function gathered(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  if (parts.length < 2) return parts;
  const pieces: Uint8Array[] = [];
  for (let next = 0; next < parts.length; ) {
    const first = next;
    let bytes = 0;
    for (; next < parts.length && (parts[next]?.length ?? 0) < GATHERED_BYTES_MAX; next++) {
      bytes += parts[next]?.length ?? 0;
    }
    if (next - first > 1) pieces.push(copied(parts.slice(first, next), bytes));
    else pieces.push(parts[first] as Uint8Array);
    if (next === first) next++;
  }
  return pieces;
}

function copied(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes);
  let position = 0;
  for (const part of parts) {
    copy.set(part, position);
    position += part.length;
  }
  return copy;
}
