// One side of a stream of the simulated network. Bytes that are under way lie in the inbox of the receiving side with
// the time of their arrival, in order; timers only say when to look.
import type { Clock } from "../../src/host/clock.ts";
import type { Address, Connection } from "../../src/host/transport.ts";
import type { SimNetwork, SimTransport } from "./sim-transport.ts";

/** What a connection needs of its network. */
export interface Link {
  readonly network: SimNetwork;
  readonly forget: (connection: SimConnection) => void;
}

interface Segment {
  /** Infinite while the link is cut. */
  arrivesMs: number;
  /** Nothing for the end of the stream. */
  bytes: Uint8Array | undefined;
}

interface Reading {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void;
  readonly reject: (error: Error) => void;
}

interface Writing {
  readonly parts: Uint8Array[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Largest piece in which bytes are delivered. */
const CHUNK_BYTES_MAX = 64 * 1024;
/** A timer may fire this much before the sum of its parts, for they are fractions. */
const ROUNDING_MS = 1e-6;
/** What a chunk is overwritten with when the next is asked for, so that nobody gets away with keeping it. */
const POISON = 0xdd;

/** One side of a stream. */
export class SimConnection implements Connection {
  readonly owner: SimTransport;
  readonly remote: Address;
  /** The other side. Set before anybody sees this one. */
  peer!: SimConnection;
  readonly #link: Link;
  readonly #inbox: Segment[] = [];
  /** Bytes in the inbox, under way or arrived. */
  #inboxBytes = 0;
  readonly #outbox: Writing[] = [];
  #reading: Reading | undefined;
  #lent: Uint8Array | undefined;
  #lastArrivalMs = 0;
  #isWriteEnded = false;
  #isEndSent = false;
  #isReadEnded = false;
  #isDestroyed = false;
  #isUnseen = false;
  #failure: Error | undefined;

  constructor(link: Link, owner: SimTransport, remote: Address) {
    this.#link = link;
    this.owner = owner;
    this.remote = remote;
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
    const closed = this.#failure ?? (this.#isDestroyed || this.#isWriteEnded ? new Error("it is closed") : undefined);
    if (closed) return Promise.reject(new Error(`writing to ${this.remote.host} failed`, { cause: closed }));
    this.#link.network.counts.writes++;
    if (this.#link.network.random.chance(this.#link.network.resetRate)) {
      this.#link.network.counts.resets++;
      this.reset();
    }
    const copies = parts.filter((part) => part.byteLength > 0).map((part) => new Uint8Array(part));
    return new Promise((resolve, reject) => {
      this.#outbox.push({ parts: copies, resolve, reject });
      this.pump();
    });
  }

  end(): void {
    if (this.#isWriteEnded || this.#isDestroyed) return;
    this.#isWriteEnded = true;
    this.pump();
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    const isClean = this.#inboxBytes === 0 && this.#outbox.length === 0;
    this.#isDestroyed = true;
    if (isClean) this.#sendEnd();
    else this.peer.#failLater();
    this.#isWriteEnded = true;
    this.#isReadEnded = true;
    this.#drop(new Error("it was destroyed"));
    this.#reading?.resolve({ done: true, value: undefined });
    this.#reading = undefined;
    this.#link.forget(this);
  }

  /** Breaks the stream on both sides, as a reset on the way does. */
  reset(): void {
    this.#failLater();
    this.peer.#failLater();
  }

  /** The other machine is gone without a word: nothing comes any more, and nothing that is sent is ever taken. */
  loseSight(): void {
    this.#isUnseen = true;
    for (const segment of this.#inbox) segment.arrivesMs = Number.POSITIVE_INFINITY;
  }

  /** The link works again: what was held sets out now. */
  release(): void {
    for (const segment of this.#inbox) {
      if (segment.arrivesMs === Number.POSITIVE_INFINITY && !this.#isUnseen) this.#dispatch(segment);
    }
    this.pump();
  }

  /** Moves what waits to be sent into the peer's inbox, as far as its window goes. */
  pump(): void {
    if (this.peer.#isDestroyed && this.#outbox.length > 0) {
      this.#failLater();
      return;
    }
    const window = this.#link.network.windowBytes;
    for (let first = this.#outbox[0]; first; first = this.#outbox[0]) {
      const part = first.parts[0];
      if (!part) {
        this.#outbox.shift();
        first.resolve();
        continue;
      }
      const room = window - this.peer.#inboxBytes;
      if (room <= 0) return;
      this.peer.#receive(part.subarray(0, room));
      if (part.byteLength <= room) first.parts.shift();
      else first.parts[0] = part.subarray(room);
    }
    if (this.#isWriteEnded) this.#sendEnd();
  }

  #sendEnd(): void {
    if (this.#isEndSent) return;
    this.#isEndSent = true;
    this.peer.#receive(undefined);
  }

  get #clock(): Clock {
    return this.owner.clock;
  }

  /** Takes bytes, or the end, from the peer. They arrive later. */
  #receive(bytes: Uint8Array | undefined): void {
    if (this.#isDestroyed) return;
    const segment: Segment = { arrivesMs: Number.POSITIVE_INFINITY, bytes };
    this.#inbox.push(segment);
    this.#inboxBytes += bytes?.byteLength ?? 0;
    if (!this.#isUnseen && !this.#link.network.isCut(this.owner.host, this.peer.owner.host)) this.#dispatch(segment);
  }

  #dispatch(segment: Segment): void {
    const { world } = this.#link.network;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, world.monotonicMs() + this.#link.network.latency());
    segment.arrivesMs = this.#lastArrivalMs;
    this.#clock.setTimer(segment.arrivesMs - world.monotonicMs(), () => this.#deliver());
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    this.#lent?.fill(POISON);
    this.#lent = undefined;
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
      this.#deliver();
    });
  }

  #deliver(): void {
    const reading = this.#reading;
    if (!reading) return;
    const result = this.#result();
    if (!result) return;
    this.#reading = undefined;
    if (result instanceof Error) reading.reject(result);
    else reading.resolve(result);
  }

  #result(): IteratorResult<Uint8Array> | Error | undefined {
    if (this.#isReadEnded) return { done: true, value: undefined };
    if (this.#failure) return this.#failure;
    const first = this.#inbox[0];
    if (!first || first.arrivesMs > this.#link.network.world.monotonicMs() + ROUNDING_MS) return undefined;
    if (!first.bytes) {
      this.#isReadEnded = true;
      return { done: true, value: undefined };
    }
    const { random } = this.#link.network;
    const most = Math.min(first.bytes.byteLength, CHUNK_BYTES_MAX);
    const size = random.chance(0.3) ? 1 + random.below(most) : most;
    const chunk = new Uint8Array(first.bytes.subarray(0, size));
    if (size === first.bytes.byteLength) this.#inbox.shift();
    else first.bytes = first.bytes.subarray(size);
    this.#inboxBytes -= size;
    this.#lent = chunk;
    this.#tellRoom();
    return { done: false, value: chunk };
  }

  /** The peer learns of the room in our inbox on its own clock: a dead one never does. */
  #tellRoom(): void {
    const { peer } = this;
    if (peer.#outbox.length > 0) peer.#clock.setTimer(this.#link.network.latency(), () => peer.pump());
  }

  #failLater(): void {
    const fail = () => {
      if (this.#failure || this.#isDestroyed) return;
      this.#failure = new Error(`the connection to ${this.remote.host} was reset`);
      this.#drop(this.#failure);
      this.#deliver();
      this.#link.forget(this);
    };
    this.#clock.setTimer(this.#link.network.latency(), fail);
  }

  #drop(cause: Error): void {
    this.#inbox.length = 0;
    this.#inboxBytes = 0;
    const waiting = this.#outbox.splice(0);
    for (const { reject } of waiting) reject(new Error(`writing to ${this.remote.host} failed`, { cause }));
  }
}
