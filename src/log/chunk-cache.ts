// Bytes of objects as they were read, kept in aligned chunks so that one GET serves every partition whose records lie in
// it. One GET per chunk however many ask; bounded in bytes, what is kept and what is under way apart. Nothing is given
// out before the asker's own check has accepted it, and what it does not accept is forgotten.
import { LRUCache } from "lru-cache";
import { longLivedController } from "../host/abort.ts";
import type { ByteBudget } from "../host/byte-budget.ts";
import type { ByteRange } from "../object-store/object-store.ts";
import { FormatError } from "../objects/format-error.ts";
import { type Kept, KeptReads } from "./kept-reads.ts";

/** Part of an object. */
export interface ObjectRange extends ByteRange {
  readonly key: string;
  /** Bytes of an aligned chunk, where another size than the cache's suits the object: the same for all of its ranges. */
  readonly chunkBytes?: number | undefined;
}

/** Part of an object that somebody needs, and how he knows that it is right. */
export interface CheckedRange extends ObjectRange {
  /** Whether `bytes`, as long as asked for or shorter, are the right ones. Called once for all bytes that are given out. */
  accepts(bytes: Uint8Array): boolean;
}

/** Parts of a {@link ChunkCache}. */
export interface ChunkCacheComponents {
  /** One GET. */
  get(key: string, range: ByteRange): Promise<Uint8Array>;
  /** Bytes that reads under way may hold; may be shared with others. */
  readonly budget: ByteBudget;
  /** Bytes kept. */
  readonly cacheBytes: number;
  /** Bytes of an aligned chunk; 0 fetches and keeps exactly what is asked for. */
  readonly chunkBytes: number;
}

/** What became of a chunk that is kept. */
interface ChunkUse {
  /** Lengths of accepted ranges by their start in the object. */
  readonly accepted: Map<number, number>;
  /** Starts of the ranges that a reader has had all of, and how many bytes of the chunk these are. */
  readonly done: Set<number>;
  doneBytes: number;
}

/** Bytes that are kept. */
export interface Held extends Kept {
  /** Of a chunk; undefined for what is kept exactly as it was asked for. */
  readonly use?: ChunkUse;
}

/** One GET's worth: a chunk, or the range itself. */
interface Piece extends ByteRange {
  readonly name: string;
  readonly isChunk: boolean;
}

/** A read whose GETs are under way. */
interface Started {
  readonly gets: readonly Promise<Uint8Array>[];
  /** Bytes of the budget that it holds. */
  readonly taken: number;
}

/** A range that covers this share of a chunk is worth the chunk, whether or not somebody needs the rest. */
const CHUNK_SHARE_MIN = 1 / 2;
/** A range that covers less of a chunk needs more than the assumption that others want the rest. */
const CHUNK_SHARE_ASSUMED_MIN = 1 / 16;
/** How sure the cache can be that chunks are shared, or that they are not; and at the start. */
const SHARING_MAX = 8;
const SHARING_AT_START = 4;
/** A part of a chunk below this share is copied out, so that an answer under way does not pin the whole. */
const VIEW_SHARE_MIN = 1 / 4;
/** A chunk of which readers have had this share is done with: the rest is a footer, or nobody's here. */
const DONE_SHARE = 7 / 8;
/** Chunks of which a part was read alone, and where that part began. */
const TOUCHED_MAX = 16_384;

/** A cache over the objects of a store. Objects never change, so nothing in it gets old. */
export class ChunkCache {
  readonly #parts: ChunkCacheComponents;
  /** What is kept, shared with who keeps other reads within the same bytes. */
  readonly kept: KeptReads<Held>;
  /** Chunks on their way; whoever started one holds its bytes of the budget. */
  readonly #chunks = new Map<string, Promise<Uint8Array>>();
  /** Ranges on their way, so that many who need one cost one read and one check. */
  readonly #ranges = new Map<string, Promise<Uint8Array>>();
  /** Made when it is first needed: its room is taken at once. */
  #touched: LRUCache<string, number> | undefined;
  /**
   * Whether small parts are worth their chunks: above 0 while readers of one partition are followed by those of others in
   * the same objects. Falls with each chunk that leaves without anybody else having wanted it, grows with the others.
   */
  #sharing = SHARING_AT_START;
  readonly #life = longLivedController();

  constructor(components: ChunkCacheComponents) {
    this.#parts = components;
    this.kept = new KeptReads(components.cacheBytes, (name, held) => this.#noteUse(name, held));
  }

  /** Learns from a chunk that leaves: whether more was wanted of it than the range it was fetched for. */
  #noteUse(name: string, { bytes, use }: Held): void {
    if (!use) return;
    const { accepted } = use;
    const isShared = accepted.size > 1 || this.#touched?.has(name) === true;
    for (const length of accepted.values()) if (!isShared && length >= bytes.length * CHUNK_SHARE_MIN) return;
    this.#sharing = Math.max(-SHARING_MAX, Math.min(SHARING_MAX, this.#sharing + (isShared ? 1 : -1)));
  }

  /** Whether a read of this range would wait for no GET of its own. */
  isAtHand(range: ObjectRange): boolean {
    const name = nameOf(range.key, range);
    if (this.kept.has(name) || this.#ranges.has(name)) return true;
    const chunkBytes = this.#chunkBytesOf(range);
    if (chunkBytes === 0) return false;
    const chunks = chunksOf(range, chunkBytes);
    return chunks.every((chunk) => this.kept.has(chunk.name) || this.#chunks.has(chunk.name));
  }

  /**
   * The bytes of a range, from what is kept or by GETs. A view or a copy.
   * @throws FormatError when what the store gives is not accepted, else whatever the GET rejects with
   */
  async read(range: CheckedRange): Promise<Uint8Array> {
    const kept = this.readKept(range);
    if (kept) return kept;
    const name = nameOf(range.key, range);
    let reading = this.#ranges.get(name);
    if (!reading) {
      reading = this.#load(range).finally(() => this.#ranges.delete(name));
      this.#ranges.set(name, reading);
    }
    return reading;
  }

  /** The range out of what is kept; undefined if not all of it is, or it is not accepted. Synchronous. */
  readKept(range: CheckedRange): Uint8Array | undefined {
    const whole = this.kept.get(nameOf(range.key, range));
    if (whole) return whole.bytes;
    const chunkBytes = this.#chunkBytesOf(range);
    if (chunkBytes === 0) return undefined;
    const [chunk, ...more] = chunksOf(range, chunkBytes);
    const held = chunk && more.length === 0 ? this.kept.get(chunk.name) : undefined;
    return chunk && held ? this.#cutChunk(range, chunk, held) : undefined;
  }

  /** Notes that a reader has had all of a range: what nobody is left to want leaves first. */
  noteDone(range: ObjectRange): void {
    this.kept.noteDone(nameOf(range.key, range));
    const chunkBytes = this.#chunkBytesOf(range);
    if (chunkBytes === 0) return;
    for (const { name, start, length } of chunksOf(range, chunkBytes)) {
      const held = this.kept.peek(name);
      if (!held?.use || held.use.done.has(range.start)) continue;
      held.use.done.add(range.start);
      held.use.doneBytes += Math.min(start + length, range.start + range.length) - Math.max(start, range.start);
      if (held.use.doneBytes >= held.bytes.length * DONE_SHARE) this.kept.noteDone(name);
    }
  }

  #cutChunk(range: CheckedRange, chunk: Piece, held: Held): Uint8Array | undefined {
    const start = range.start - chunk.start;
    const view = held.bytes.subarray(start, start + range.length);
    if (held.use?.accepted.get(range.start) !== range.length) {
      if (!range.accepts(view)) {
        this.kept.delete(chunk.name);
        return undefined;
      }
      held.use?.accepted.set(range.start, range.length);
    }
    return view.length < held.bytes.length * VIEW_SHARE_MIN ? view.slice() : view;
  }

  async #load(range: CheckedRange): Promise<Uint8Array> {
    const pieces = this.#piecesOf(range);
    const { gets, taken } = this.#tryStart(range, pieces) ?? (await this.#startInTurn(range, pieces));
    try {
      return this.#accept(range, pieces, await allOf(gets));
    } finally {
      this.#parts.budget.give(taken);
    }
  }

  /** Starts the GETs that are missing, if there is room for their bytes and for the copy that joins them. */
  #tryStart(range: CheckedRange, pieces: readonly Piece[]): Started | undefined {
    const taken = this.#bytesFor(range, this.#missingOf(pieces), pieces.length);
    if (taken > 0 && !this.#parts.budget.tryTake(taken)) return undefined;
    return { gets: pieces.map((piece) => this.#fetch(range.key, piece)), taken };
  }

  async #startInTurn(range: CheckedRange, pieces: readonly Piece[]): Promise<Started> {
    const { budget } = this.#parts;
    for (;;) {
      const counted = this.#missingOf(pieces);
      const taken = this.#bytesFor(range, counted, pieces.length);
      if (taken > 0) await budget.take(taken, { signal: this.#life.signal });
      if (this.#missingOf(pieces).every((piece) => counted.includes(piece))) {
        return { gets: pieces.map((piece) => this.#fetch(range.key, piece)), taken };
      }
      // While this waited its turn something that was at hand was let go of.
      budget.give(taken);
    }
  }

  #missingOf(pieces: readonly Piece[]): readonly Piece[] {
    return pieces.filter(({ name }) => !this.kept.has(name) && !this.#chunks.has(name));
  }

  #bytesFor(range: ByteRange, missing: readonly Piece[], pieceCount: number): number {
    const joinedBytes = pieceCount > 1 ? range.length : 0;
    const wanted = missing.reduce((sum, { length }) => sum + length, joinedBytes);
    return Math.min(wanted, this.#parts.budget.bytesMax);
  }

  #fetch(key: string, piece: Piece): Promise<Uint8Array> {
    const bytesOfPiece = { start: piece.start, length: piece.length };
    if (!piece.isChunk) return this.#parts.get(key, bytesOfPiece);
    const held = this.kept.get(piece.name);
    if (held) return Promise.resolve(held.bytes);
    const underWay = this.#chunks.get(piece.name);
    if (underWay) return underWay;
    const fetching = this.#parts
      .get(key, bytesOfPiece)
      .then((bytes) => {
        this.kept.set(piece.name, chunkOf(bytes), "many");
        return bytes;
      })
      .finally(() => this.#chunks.delete(piece.name));
    this.#chunks.set(piece.name, fetching);
    return fetching;
  }

  /** Puts the range together, has it checked, and keeps it or forgets what it came from. */
  #accept(range: CheckedRange, pieces: readonly Piece[], parts: readonly Uint8Array[]): Uint8Array {
    const [piece, ...more] = pieces;
    const [part] = parts;
    if (piece && part && piece.isChunk && more.length === 0) {
      const held = this.kept.get(piece.name) ?? chunkOf(part);
      const bytes = this.#cutChunk(range, piece, held);
      if (bytes) return bytes;
    } else {
      const bytes = pieces.length === 1 && part ? part : joined(range, pieces, parts);
      if (range.accepts(bytes)) {
        this.kept.set(nameOf(range.key, range), { bytes }, "many");
        this.#noteParts(range, pieces);
        return bytes;
      }
    }
    for (const { name } of pieces) this.kept.delete(name);
    throw new FormatError(range.key, `${range.length} bytes at ${range.start} are not what they should be`);
  }

  /** 0 in a cache without chunks. */
  #chunkBytesOf({ chunkBytes }: ObjectRange): number {
    return this.#parts.chunkBytes === 0 ? 0 : (chunkBytes ?? this.#parts.chunkBytes);
  }

  #piecesOf(range: CheckedRange): readonly Piece[] {
    const { key, start, length } = range;
    const chunkBytes = this.#chunkBytesOf(range);
    const exact = { name: nameOf(key, range), isChunk: false, start, length };
    if (chunkBytes === 0) return [exact];
    const chunks = chunksOf(range, chunkBytes);
    if (length >= chunkBytes * CHUNK_SHARE_MIN) return chunks;
    // A reader of one partition among many needs little of each object: then the second one who comes shows that more of
    // it is needed.
    const isWantedAgain = chunks.every(({ name }) => {
      const touchedAt = this.#touched?.get(name);
      return this.kept.has(name) || this.#chunks.has(name) || (touchedAt !== undefined && touchedAt !== start);
    });
    if (isWantedAgain) this.#sharing = Math.min(SHARING_MAX, this.#sharing + 1);
    // Where a range is a small part of a chunk, the assumption alone is not enough.
    const sureness = length >= chunkBytes * CHUNK_SHARE_ASSUMED_MIN ? 0 : SHARING_AT_START;
    if (isWantedAgain || this.#sharing > sureness) return chunks;
    this.#touched ??= new LRUCache({ max: TOUCHED_MAX });
    for (const { name } of chunks) this.#touched.set(name, start);
    return [exact];
  }

  /** Chunks that a range was joined from count as used by it, as those do that it was cut out of. */
  #noteParts({ start, length }: ByteRange, pieces: readonly Piece[]): void {
    if (pieces.length === 1) return;
    for (const { name } of pieces) this.kept.peek(name)?.use?.accepted.set(start, length);
  }
}

/** What all of them give. One that fails does not end this before the others: their bytes are counted until they are there. */
async function allOf(gets: readonly Promise<Uint8Array>[]): Promise<readonly Uint8Array[]> {
  const [only] = gets;
  if (only && gets.length === 1) return [await only];
  const ended = await Promise.allSettled(gets);
  return ended.map((part) => {
    if (part.status === "rejected") throw part.reason;
    return part.value;
  });
}

function chunkOf(bytes: Uint8Array): Held {
  return { bytes, use: { accepted: new Map(), done: new Set(), doneBytes: 0 } };
}

function nameOf(key: string, { start, length }: ByteRange): string {
  return `${key}@${start}+${length}`;
}

function chunksOf({ key, start, length }: ObjectRange, chunkBytes: number): Piece[] {
  const chunks: Piece[] = [];
  for (let at = start - (start % chunkBytes); at < start + length; at += chunkBytes) {
    chunks.push({ name: `${key}#${at / chunkBytes}`, isChunk: true, start: at, length: chunkBytes });
  }
  return chunks;
}

/** The range out of the chunks that cover it; shorter where the object ends before it does. */
function joined(range: ByteRange, pieces: readonly Piece[], parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(range.length);
  let end = 0;
  for (const [index, piece] of pieces.entries()) {
    const part = parts[index] ?? new Uint8Array(0);
    const from = Math.max(0, range.start - piece.start);
    const to = Math.min(part.length, range.start + range.length - piece.start);
    if (from >= to || piece.start + from - range.start !== end) break;
    bytes.set(part.subarray(from, to), end);
    end += to - from;
  }
  return bytes.subarray(0, end);
}
