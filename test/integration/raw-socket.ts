// A client socket of node:net that sends whatever bytes a test gives it and notes what comes back: for what no client
// library would send, and for peers that read slowly, close one half or vanish.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Address } from "../../src/host/transport.ts";

/** A size field alone: the announcement of a frame. */
export function announcement(frameBytes: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(frameBytes);
  return bytes;
}

/** One TCP connection. */
export class RawSocket {
  readonly #socket: Socket;
  /** What came of an answer that is not complete, and its bytes in all. */
  #chunks: Buffer[] = [];
  #received = 0;
  /** Answers in the order they came, without their size fields. */
  readonly frames: Uint8Array[] = [];
  /** Whether the broker ended or reset the connection. */
  isClosed = false;
  readonly #waiters = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#take(chunk);
      this.#wake();
    });
    // A reset is an end like any other: "close" follows.
    socket.on("error", () => {});
    const end = () => {
      this.isClosed = true;
      this.#wake();
    };
    socket.once("end", end);
    socket.once("close", end);
  }

  /** Connects from `localAddress`, an address of the loopback network. */
  static async open(address: Address, localAddress = "127.0.0.1"): Promise<RawSocket> {
    const socket = connect({ ...address, localAddress, allowHalfOpen: true });
    await once(socket, "connect");
    return new RawSocket(socket);
  }

  /** Hands bytes to the system; resolves when it has taken them. */
  send(...parts: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(Buffer.concat(parts), () => resolve());
    });
  }

  /** Ends the sending half. */
  endSending(): void {
    this.#socket.end();
  }

  /** Stops to read, as a peer whose program hangs. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  readOn(): void {
    this.#socket.resume();
  }

  /** Breaks the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Resolves when the broker has closed this connection. */
  async closed(): Promise<void> {
    while (!this.isClosed) await this.#change();
  }

  /** The answer at `index`; rejects when the connection ends before it came. */
  async frame(index: number): Promise<Uint8Array> {
    for (;;) {
      const frame = this.frames[index];
      if (frame) return frame;
      if (this.isClosed) throw new Error(`the connection was closed after ${this.frames.length} answers`);
      await this.#change();
    }
  }

  /** What the broker did first: sent answer `index`, or closed. */
  async outcome(index = 0): Promise<"answered" | "closed"> {
    while (this.frames.length <= index && !this.isClosed) await this.#change();
    return this.frames.length > index ? "answered" : "closed";
  }

  /** Joins the chunks when an answer is complete, and not before: answers may be large. */
  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    const [first] = this.#chunks;
    if (first && first.length >= 4 && this.#received < 4 + first.readInt32BE(0)) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let position = 0;
    while (bytes.length - position >= 4) {
      const end = position + 4 + bytes.readInt32BE(position);
      if (end > bytes.length) break;
      this.frames.push(new Uint8Array(bytes.subarray(position + 4, end)));
      position = end;
    }
    const rest = bytes.subarray(position);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#received = rest.length;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}
