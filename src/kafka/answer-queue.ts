// The answers a connection owes, in the order of its requests. An answer that is ready waits for those before it; what
// it holds counts against the connection and the broker's budget until the transport has taken it.
import type { ByteBudget } from "../host/byte-budget.ts";
import type { Connection } from "../host/transport.ts";
import { ConnectionEndError } from "./connection-end.ts";
import type { IdleWatch } from "./idle-watch.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

/** Ready answers that follow each other leave in one write up to about this size. */
const WRITE_BYTES = 1024 * 1024;
/** Parts of one write, so that one system call takes them. */
const WRITE_PARTS = 64;

/** One frame to be sent, its size field included. */
export interface Answer {
  readonly parts: readonly Uint8Array[];
  /** Sum of the lengths of the parts. */
  readonly bytes: number;
}

/** The place of one request in the order of answers. */
export interface AnswerPlace {
  /** Bytes of the request, until it is settled. */
  requestBytes: number;
  /** Bytes of the answer, or those set aside for it. */
  answerBytes: number;
  /** Undefined until the handler has answered, null for no frame. */
  answer: Answer | null | undefined;
  failure: unknown;
  /** What still uses the request's bytes when it has been answered. */
  retainedBy: Promise<unknown> | undefined;
}

/** What a queue needs of its connection. */
export interface AnswerQueueParts {
  readonly budget: ByteBudget;
  readonly settings: KafkaSettings;
  readonly watch: IdleWatch;
  readonly end: (error: unknown) => void;
}

/** Requests under way and answers not sent yet, of one connection. */
export class AnswerQueue {
  readonly #stream: Connection;
  readonly #parts: AnswerQueueParts;
  readonly #places: AnswerPlace[] = [];
  /** Requests whose answers have left the places and are with the transport. */
  #sendingCount = 0;
  /** All bytes this connection has taken from the budget: bytes read and not yet answered, and answers. */
  #heldBytes = 0;
  /** The part of them that belongs to the places. */
  #placesBytes = 0;
  /** The part of those that outlives its request: see {@link AnswerPlace.retainedBy}. */
  #retainedBytes = 0;
  #isWriting = false;
  #isAbandoned = false;
  #endWhenEmpty: ConnectionEndError | undefined;
  #onRoom: (() => void) | undefined;

  constructor(stream: Connection, parts: AnswerQueueParts) {
    this.#stream = stream;
    this.#parts = parts;
  }

  /** Whether no further request is started. */
  get isEnding(): boolean {
    return this.#endWhenEmpty !== undefined || this.#isAbandoned;
  }

  /** Counts bytes that were read from the client. They are given back with the requests they belong to. */
  hold(bytes: number): void {
    if (this.#isAbandoned) return;
    this.#parts.budget.force(bytes);
    this.#heldBytes += bytes;
  }

  /** Whether a request of `bytes` may start now. The only request of a connection always may. */
  hasRoomFor(bytes: number): boolean {
    const { requestsInFlightMax, connectionBytesMax } = this.#parts.settings;
    const unansweredCount = this.#places.length + this.#sendingCount;
    if (unansweredCount === 0) return true;
    return unansweredCount < requestsInFlightMax && this.#placesBytes + bytes <= connectionBytesMax;
  }

  /** Resolves when {@link hasRoomFor} is true or no request is to be started any more. One caller at a time. */
  async waitForRoom(bytes: number): Promise<void> {
    while (!this.isEnding && !this.hasRoomFor(bytes)) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
  }

  /** Gives the next request, of `requestBytes` already held, its place. */
  enter(requestBytes: number): AnswerPlace {
    const place: AnswerPlace = {
      requestBytes,
      answerBytes: 0,
      answer: undefined,
      failure: undefined,
      retainedBy: undefined,
    };
    this.#places.push(place);
    this.#placesBytes += requestBytes;
    this.#parts.watch.inFlight(this.#places.length);
    return place;
  }

  /** Sets up to `bytes` aside for the answer of a place; how many there were. */
  reserve(place: AnswerPlace, bytes: number): number {
    if (this.#isAbandoned) return 0;
    const { budget } = this.#parts;
    const granted = Math.min(bytes, Math.max(0, budget.bytesMax - budget.taken));
    if (granted === 0 || !budget.tryTake(granted)) return 0;
    this.#heldBytes += granted;
    place.answerBytes += granted;
    this.#placesBytes += granted;
    return granted;
  }

  /** Takes the answer to a request. Its request's bytes are free from here, unless something still uses them. */
  settle(place: AnswerPlace, answer: Answer | null): void {
    this.#freeRequest(place);
    if (this.#isAbandoned) return;
    const growth = (answer?.bytes ?? 0) - place.answerBytes;
    if (growth > 0) {
      this.hold(growth);
      this.#placesBytes += growth;
    } else {
      this.#release(-growth);
    }
    place.answerBytes += growth;
    place.answer = answer;
    this.#advance();
  }

  /** Ends the connection with `error` once everything before the request has been sent, and starts no other. */
  fail(place: AnswerPlace, error: unknown): void {
    this.#freeRequest(place);
    if (!(error instanceof ConnectionEndError) || this.#isAbandoned) {
      this.#parts.end(error);
      return;
    }
    place.answer = null;
    place.failure = error;
    this.#endWhenEmpty ??= error;
    this.#parts.watch.ending(error);
    this.#advance();
  }

  /** Ends the connection with `error` when every request that was started has been answered. */
  endWhenEmpty(error: ConnectionEndError): void {
    if (this.isEnding) return;
    this.#endWhenEmpty = error;
    this.#parts.watch.ending(error);
    this.#advance();
  }

  /**
   * The connection is gone: drops every answer and gives back every byte but those of requests under way, which are in
   * memory until their handlers are done with them.
   */
  abandon(): void {
    if (this.#isAbandoned) return;
    this.#isAbandoned = true;
    let inUseBytes = this.#retainedBytes;
    for (const place of this.#places) inUseBytes += place.requestBytes;
    this.#giveBack(this.#heldBytes - inUseBytes);
    this.#places.length = 0;
    this.#onRoom?.();
  }

  /** Gives a request's bytes back as soon as nothing uses them. */
  #freeRequest(place: AnswerPlace): void {
    const bytes = place.requestBytes;
    place.requestBytes = 0;
    if (!place.retainedBy) {
      this.#release(bytes);
      return;
    }
    this.#retainedBytes += bytes;
    const release = () => {
      this.#retainedBytes -= bytes;
      this.#release(bytes);
      this.#onRoom?.();
    };
    place.retainedBy.then(release, release);
  }

  /** Sends what is at the front of the queue and ready, unless that is being done. */
  #advance(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    // One commit settles many requests in the same step: a moment later all of them are ready for one write.
    queueMicrotask(() => {
      this.#writeReady().catch((error: unknown) => this.#parts.end(error));
    });
  }

  async #writeReady(): Promise<void> {
    while (!this.#isAbandoned) {
      const ready = this.#takeReady();
      if (ready.parts.length > 0) await this.#write(ready.parts);
      this.#placesBytes -= ready.bytes;
      this.#sendingCount = 0;
      if (this.#isAbandoned) return;
      this.#giveBack(ready.bytes);
      this.#parts.watch.inFlight(this.#places.length);
      this.#onRoom?.();
      if (ready.failure !== undefined) throw ready.failure;
      const [first] = this.#places;
      if (first?.answer !== undefined) continue;
      if (this.#endWhenEmpty && !first) throw this.#endWhenEmpty;
      // In the same step as the look at the queue: what is settled from here on starts the next run.
      this.#isWriting = false;
      return;
    }
  }

  /** Removes the ready places at the front, at least one if there is one, up to the size of a write. */
  #takeReady(): { parts: Uint8Array[]; bytes: number; failure: unknown } {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let count = 0;
    let failure: unknown;
    for (const place of this.#places) {
      if (place.answer === undefined || bytes >= WRITE_BYTES || parts.length >= WRITE_PARTS) break;
      count++;
      bytes += place.answerBytes;
      for (const part of place.answer?.parts ?? []) parts.push(part);
      failure = place.failure;
      if (failure !== undefined) break;
    }
    this.#places.splice(0, count);
    this.#sendingCount = count;
    return { parts, bytes, failure };
  }

  /** Sends parts in order, in steps small enough that a slow peer is told from one that takes nothing. */
  async #write(parts: readonly Uint8Array[]): Promise<void> {
    const { watch } = this.#parts;
    for (const step of writeSteps(parts)) {
      watch.writing();
      await this.#stream.write(step).catch((error: unknown) => {
        throw new ConnectionEndError("broken", "writing to the client failed", { cause: error });
      });
      watch.notWriting();
      if (this.#isAbandoned) return;
    }
  }

  #release(bytes: number): void {
    this.#placesBytes -= bytes;
    this.#giveBack(bytes);
  }

  #giveBack(bytes: number): void {
    if (bytes === 0) return;
    this.#heldBytes -= bytes;
    this.#parts.budget.give(bytes);
  }
}

/** Cuts parts into groups of about {@link WRITE_BYTES}; nearly always there is one. */
function* writeSteps(parts: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let step: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    for (let start = 0; start < part.length; start += WRITE_BYTES) {
      const piece = start === 0 && part.length <= WRITE_BYTES ? part : part.subarray(start, start + WRITE_BYTES);
      if (bytes > 0 && bytes + piece.length > 2 * WRITE_BYTES) {
        yield step;
        step = [];
        bytes = 0;
      }
      step.push(piece);
      bytes += piece.length;
    }
  }
  if (step.length > 0) yield step;
}
