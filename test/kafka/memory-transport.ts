// An in-memory transport of two byte pipes per connection, with back-pressure and chunk buffers that are overwritten as
// the seam allows: small enough to be obviously right, for tests that need no simulated network.
import type { Address, Connection, Listener, Transport } from "../../src/host/transport.ts";

/** One direction of a connection. */
class Pipe {
  readonly #capacity: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isEnded = false;
  #failure: Error | undefined;
  readonly #waiters = new Set<() => void>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async write(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      if (this.#failure || this.#isEnded) throw this.#failure ?? new Error("write after end");
      if (part.length === 0) continue;
      this.#chunks.push(new Uint8Array(part));
      this.#bytes += part.length;
    }
    this.#wake();
    while (this.#bytes > this.#capacity) {
      await this.#change();
      if (this.#failure) throw this.#failure;
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async *chunks(chunkBytesMax: number): AsyncIterableIterator<Uint8Array> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const first = this.#chunks.shift();
      if (!first) {
        if (this.#isEnded) return;
        await this.#change();
        continue;
      }
      // A Buffer, as real sockets give.
      const chunk = Buffer.from(first.subarray(0, chunkBytesMax));
      if (first.length > chunkBytesMax) this.#chunks.unshift(first.subarray(chunkBytesMax));
      this.#bytes -= chunk.length;
      this.#wake();
      yield chunk;
      chunk.fill(0xdd);
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** One side of a connection in memory. */
export class MemoryConnection implements Connection {
  readonly remote: Address;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  readonly #chunkBytesMax: number;
  /** Whether this side or the other has broken the connection. */
  isDestroyed = false;

  constructor(remote: Address, pipes: { incoming: Pipe; outgoing: Pipe }, chunkBytesMax: number) {
    this.remote = remote;
    this.#incoming = pipes.incoming;
    this.#outgoing = pipes.outgoing;
    this.#chunkBytesMax = chunkBytesMax;
  }

  chunks(): AsyncIterableIterator<Uint8Array> {
    return this.#incoming.chunks(this.#chunkBytesMax);
  }

  write(parts: readonly Uint8Array[]): Promise<void> {
    return this.#outgoing.write(parts);
  }

  /** Ends the sending direction, as a client does that has said everything. */
  end(): void {
    this.#outgoing.end();
  }

  destroy(): void {
    this.isDestroyed = true;
    this.#incoming.fail(new Error("the connection was destroyed"));
    this.#outgoing.end();
    this.#outgoing.fail(new Error("the peer destroyed the connection"));
  }
}

/** Both sides of a new connection. `capacity` is what a direction buffers before writers wait. */
export function connectionPair(options: { capacity?: number; chunkBytesMax?: number; host?: string } = {}): {
  client: MemoryConnection;
  server: MemoryConnection;
} {
  const { capacity = 64 * 1024, chunkBytesMax = 64 * 1024, host = "192.0.2.1" } = options;
  const up = new Pipe(capacity);
  const down = new Pipe(capacity);
  return {
    client: new MemoryConnection({ host: "192.0.2.9", port: 9092 }, { incoming: down, outgoing: up }, chunkBytesMax),
    server: new MemoryConnection({ host, port: 40_000 }, { incoming: up, outgoing: down }, chunkBytesMax),
  };
}

/** A network of one listener. */
export class MemoryTransport implements Transport {
  #accept: ((connection: Connection) => void) | undefined;

  async listen(address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    this.#accept = accept;
    return { address, close: async () => void (this.#accept = undefined) };
  }

  async connect(): Promise<Connection> {
    return this.dial("192.0.2.1");
  }

  /** Connects from `host`. */
  dial(host: string, options: { capacity?: number; chunkBytesMax?: number } = {}): MemoryConnection {
    if (!this.#accept) throw new Error("connection refused");
    const { client, server } = connectionPair({ ...options, host });
    this.#accept(server);
    return client;
  }
}
