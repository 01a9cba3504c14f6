// One client connection: requests start in the order they came, overlap, and are answered in that order. What a peer can
// make this broker hold is bounded in requests and in bytes; past the bounds its socket is not read. Every way a
// connection ends has a reason that is counted, and none of them is noticed by another connection.
import type { ByteBudget } from "../host/byte-budget.ts";
import type { Clock } from "../host/clock.ts";
import { type Log, silentLog } from "../host/log.ts";
import { StoppedError, TaskGroup } from "../host/tasks.ts";
import type { Connection } from "../host/transport.ts";
import { type Answer, type AnswerPlace, AnswerQueue } from "./answer-queue.ts";
import { ConnectionEndError, type EndReason } from "./connection-end.ts";
import { FrameError, FrameSplitter } from "./frame.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { KafkaSettings } from "./kafka-settings.ts";
import { type ReadTurns, waitForRoom } from "./read-turns.ts";

const SIZE_BYTES = 4;

/** What the dispatcher needs to know of the connection a request came by. */
export interface Peer {
  /** The peer's address without its port. */
  readonly clientHost: string;
  /** Aborts when the connection ends. */
  readonly signal: AbortSignal;
  /** Takes up to `bytes` for the answer to this request out of the budget; 0 when that is spent. */
  reserveResponseBytes(bytes: number): number;
  /** Resolves when the budget may have room again or after `waitMs`; rejects when the connection ends. */
  waitForResponseBytes(waitMs: number): Promise<void>;
  /** Keeps the request's bytes counted until `settled` has settled, although it is answered before. */
  retainRequest(settled: Promise<unknown>): void;
}

/**
 * Starts a request, synchronously up to its first wait. Resolves with the frame of the answer, its size field included,
 * or with null when there is none. Throws or rejects with {@link ConnectionEndError} when the connection has to end.
 */
export type StartRequest = (frame: Uint8Array, peer: Peer) => Promise<Answer | null>;

/** What all connections of a listener share. */
export interface ConnectionParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: KafkaSettings;
  readonly budget: ByteBudget;
  readonly turns: ReadTurns;
  readonly start: StartRequest;
  /** Counts the end of a connection. */
  readonly ended: (reason: EndReason) => void;
  /** Hears of failures that are bugs, after the connection was closed. */
  readonly onBug: (error: unknown) => void;
}

/** Serves one connection from accept to its end. */
export class ClientConnection {
  readonly #stream: Connection;
  readonly #parts: ConnectionParts;
  readonly #tasks: TaskGroup;
  readonly #answers: AnswerQueue;
  readonly #watch: IdleWatch;
  readonly #shared: SharedByRequests;
  #reason: EndReason | undefined;

  constructor(stream: Connection, parts: ConnectionParts) {
    this.#stream = stream;
    this.#parts = parts;
    // Silent, because `#end` says it: that a client closes its side is no failure of a task.
    this.#tasks = new TaskGroup(silentLog, (_name, error) => this.#end(error));
    const end = (error: unknown) => this.#end(error);
    this.#watch = new IdleWatch(parts.clock, parts.settings, end);
    this.#answers = new AnswerQueue(stream, {
      budget: parts.budget,
      settings: parts.settings,
      watch: this.#watch,
      end,
    });
    this.#shared = { clientHost: stream.remote.host, signal: this.#tasks.signal, answers: this.#answers, parts };
  }

  /** Starts to read. The promise resolves when the connection has ended and nothing of it runs any more. */
  async run(): Promise<void> {
    this.#watch.start();
    this.#tasks.spawn("read", () => this.#read());
    await this.#untilEnded();
    await this.#tasks.stop();
  }

  /** Ends the connection now; {@link run} resolves afterwards. Requests under way finish unseen. */
  stop(reason: EndReason = "stopped"): void {
    this.#end(new ConnectionEndError(reason, "the listener closes its connections"));
  }

  /** Reads no more and ends the connection when everything already asked has been answered. */
  finish(): void {
    this.#answers.endWhenEmpty(new ConnectionEndError("stopped", "the listener closes its connections"));
  }

  #untilEnded(): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#tasks;
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async #read(): Promise<void> {
    const { settings, turns } = this.#parts;
    const splitter = new FrameSplitter(settings.requestBytesMax);
    const chunks = this.#stream.chunks();
    while (!this.#answers.isEnding) {
      if (!turns.mayRead(this)) await turns.wait(this, this.#tasks.signal);
      this.#watch.reading(splitter.incompleteBytes > 0);
      const next = await chunks.next().catch((error: unknown) => {
        throw new ConnectionEndError("broken", "reading from the client failed", { cause: error });
      });
      this.#watch.notReading();
      if (this.#tasks.signal.aborted) return;
      if (next.done) throw new ConnectionEndError("closed by the client", "the client closed its side");
      this.#answers.hold(next.value.length);
      const frameCount = await this.#startAll(splitter, next.value);
      if (splitter.incompleteBytes === 0) turns.note(this, "complete");
      else turns.note(this, frameCount > 0 ? "new frame" : "same frame");
    }
  }

  /** Starts every request that `chunk` completes; how many there were. */
  async #startAll(splitter: FrameSplitter, chunk: Uint8Array): Promise<number> {
    let count = 0;
    try {
      for (const frame of splitter.split(chunk)) {
        count++;
        if (!this.#answers.hasRoomFor(frame.length)) await this.#answers.waitForRoom(frame.length);
        if (this.#answers.isEnding) return count;
        this.#startOne(frame);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#answers.endWhenEmpty(new ConnectionEndError("frame size", error.message));
    }
    return count;
  }

  #startOne(frame: Uint8Array): void {
    const place = this.#answers.enter(frame.length + SIZE_BYTES);
    const peer = new RequestPeer(this.#shared, place);
    // The queue hears every outcome, so nothing floats.
    this.#parts.start(frame, peer).then(
      (answer) => this.#answers.settle(place, answer),
      (error: unknown) => this.#answers.fail(place, error),
    );
  }

  #end(error: unknown): void {
    if (this.#reason) {
      // A request that outlives its connection may still meet a bug.
      if (error instanceof ConnectionEndError || error instanceof StoppedError) return;
      this.#parts.log.error("a request met a bug after its connection ended", { remote: this.#stream.remote, error });
      this.#parts.onBug(error);
      return;
    }
    const isExpected = error instanceof ConnectionEndError;
    this.#reason = isExpected ? error.reason : "bug";
    this.#watch.stop();
    this.#tasks.abort(new StoppedError(`the connection ended: ${this.#reason}`));
    this.#stream.destroy();
    this.#answers.abandon();
    this.#parts.turns.note(this, "complete");
    this.#parts.ended(this.#reason);
    if (isExpected) {
      this.#parts.log.debug("connection ended", { remote: this.#stream.remote, reason: this.#reason, error });
      return;
    }
    this.#parts.log.error("connection ended by a bug", { remote: this.#stream.remote, error });
    this.#parts.onBug(error);
  }
}

/** What the requests of one connection share. */
interface SharedByRequests {
  readonly clientHost: string;
  readonly signal: AbortSignal;
  readonly answers: AnswerQueue;
  readonly parts: ConnectionParts;
}

/** One request's view of its connection. A class rather than an object of closures: one is made for every request. */
class RequestPeer implements Peer {
  readonly #shared: SharedByRequests;
  readonly #place: AnswerPlace;

  constructor(shared: SharedByRequests, place: AnswerPlace) {
    this.#shared = shared;
    this.#place = place;
  }

  get clientHost(): string {
    return this.#shared.clientHost;
  }

  get signal(): AbortSignal {
    return this.#shared.signal;
  }

  reserveResponseBytes(bytes: number): number {
    return this.#shared.answers.reserve(this.#place, bytes);
  }

  waitForResponseBytes(waitMs: number): Promise<void> {
    const { parts, signal } = this.#shared;
    return roomWithin(parts.budget, parts.clock, { waitMs, signal });
  }

  retainRequest(settled: Promise<unknown>): void {
    this.#place.retainedBy = settled;
  }
}

/** Waits for room in the budget for `waitMs` at most; rejects with the signal's reason when that aborts. */
async function roomWithin(
  budget: ByteBudget,
  clock: Clock,
  options: { waitMs: number; signal: AbortSignal },
): Promise<void> {
  const { waitMs, signal } = options;
  signal.throwIfAborted();
  const wait = new AbortController();
  const end = () => wait.abort();
  const cancelTimer = clock.setTimer(waitMs, end);
  signal.addEventListener("abort", end, { once: true });
  await waitForRoom(budget, wait.signal);
  cancelTimer();
  signal.removeEventListener("abort", end);
  signal.throwIfAborted();
}
