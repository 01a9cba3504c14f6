// Virtual time. `run` fires one timer in each callback of a real `setImmediate`: before the next callback every promise job
// that the timer woke runs out. Timers of the same instant fire in an order drawn from the seed. The only file of
// test/sim that may touch a real timer.
import type { Clock } from "../../src/host/clock.ts";
import { SimRandom } from "./sim-random.ts";

interface Timer {
  readonly atMs: number;
  readonly tieBreak: number;
  readonly sequence: number;
  readonly fire: () => void;
  isCancelled: boolean;
}

/** A power of two, so that every time is exact. */
const TICKS_PER_MS = 1024;

/** Timers fired between two looks of the real event loop at its files and sockets, of which a simulation has none. */
const STEPS_PER_TURN = 64;

/** How far a run goes. */
export interface RunLimits {
  /** Stop when the next timer is later than this; the clock then stands here. */
  readonly untilMs?: number;
  /** Stop as soon as this holds, asked after each event. */
  readonly until?: () => boolean;
  /** Fail after this many events: a run that does not end is a bug. 10 million unless told. */
  readonly eventsMax?: number;
}

/** The clock of a simulated world. A node gets a view of its own by {@link SimClock.node}. */
export class SimClock implements Clock {
  readonly #random: SimRandom;
  readonly #startWallMs: number;
  readonly #heap: Timer[] = [];
  #nowMs = 0;
  #sequence = 0;
  #pendingCount = 0;
  /** Timers fired so far. */
  firedCount = 0;
  /** Added to the wall clock; may be negative. */
  skewMs = 0;

  /** @param options.startWallMs wall time at the start, 2026-01-01 unless told */
  constructor(options: { readonly seed?: string | number; readonly startWallMs?: number } = {}) {
    this.#random = new SimRandom(options.seed ?? 0).split("clock");
    this.#startWallMs = options.startWallMs ?? 1_767_225_600_000;
  }

  wallMs(): number {
    return Math.floor(this.#startWallMs + this.#nowMs + this.skewMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    if (!(delayMs >= 0) || delayMs === Number.POSITIVE_INFINITY) throw new Error(`a timer of ${delayMs} ms`);
    const timer: Timer = {
      atMs: this.#onGrid(delayMs),
      tieBreak: this.#random.uint32(),
      sequence: this.#sequence++,
      fire,
      isCancelled: false,
    };
    push(this.#heap, timer);
    this.#pendingCount++;
    return () => {
      if (!timer.isCancelled) this.#pendingCount--;
      timer.isCancelled = true;
    };
  }

  /** A time on a grid of exact numbers, later than now for any delay: else a rest of 1e-15 ms is waited for for ever. */
  #onGrid(delayMs: number): number {
    const atMs = Math.ceil((this.#nowMs + delayMs) * TICKS_PER_MS) / TICKS_PER_MS;
    return delayMs > 0 && atMs === this.#nowMs ? atMs + 1 / TICKS_PER_MS : atMs;
  }

  /** Timers that are set and neither fired nor cancelled. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** A view for one life of a node: it dies, pauses and has a skew by itself. */
  node(): SimNodeClock {
    return new SimNodeClock(this, this.#random.split(`node ${this.#sequence++}`));
  }

  /** Runs until nothing is left to do, or until a limit is met. @returns whether `until` came to hold */
  async run(limits: RunLimits = {}): Promise<boolean> {
    await settle();
    return new Promise((resolve, reject) => {
      let isOver = false;
      let eventCount = 0;
      const step = () => {
        if (isOver) return;
        try {
          const isHolding = this.#step(limits, eventCount++);
          if (isHolding === undefined) return;
          isOver = true;
          resolve(isHolding);
        } catch (error) {
          isOver = true;
          reject(error);
        }
      };
      const turn = () => {
        if (isOver) return;
        for (let count = 0; count < STEPS_PER_TURN; count++) realSetImmediate(step);
        realSetImmediate(turn);
      };
      turn();
    });
  }

  /** Fires the next timer. @returns whether `until` holds, once the run is over, else undefined */
  #step({ untilMs = Number.POSITIVE_INFINITY, until, eventsMax = 10_000_000 }: RunLimits, eventCount: number) {
    if (eventCount > eventsMax) throw new Error(`still busy after ${eventsMax} events, at ${this.#nowMs} ms`);
    if (until?.()) return true;
    const timer = this.#nextBefore(untilMs);
    if (!timer) {
      if (untilMs !== Number.POSITIVE_INFINITY) this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#nowMs = timer.atMs;
    this.#pendingCount--;
    this.firedCount++;
    timer.isCancelled = true;
    timer.fire();
    return undefined;
  }

  /** Runs for `durationMs` of virtual time. */
  async advance(durationMs: number): Promise<void> {
    await this.run({ untilMs: this.#nowMs + durationMs });
  }

  /** Runs until `promise` is settled, and gives what it gives. @throws Error when nothing is left that could settle it */
  async complete<T>(promise: Promise<T>, limits: Omit<RunLimits, "until"> = {}): Promise<T> {
    let isSettled = false;
    const note = () => {
      isSettled = true;
    };
    promise.then(note, note);
    if (!(await this.run({ ...limits, until: () => isSettled }))) {
      throw new Error(`nothing is left to do at ${this.#nowMs} ms, and the promise is still pending`);
    }
    return promise;
  }

  #nextBefore(untilMs: number): Timer | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (!top || (top.atMs > untilMs && !top.isCancelled)) return undefined;
      pop(this.#heap);
      if (!top.isCancelled) return top;
    }
  }
}

/**
 * Time as one life of a node sees it. After `kill` none of its timers fires. While it is paused its timers wait, and at
 * `resume` those that are due fire in a random order, as after a SIGCONT.
 */
export class SimNodeClock implements Clock {
  readonly #world: SimClock;
  readonly #random: SimRandom;
  #state: "running" | "paused" | "dead" = "running";
  #held: (() => void)[] = [];
  #pendingCount = 0;
  /** Added to this node's wall clock; may be negative. */
  skewMs = 0;

  constructor(world: SimClock, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  /** Timers of this node that are set and neither fired nor cancelled. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  wallMs(): number {
    return Math.floor(this.#world.wallMs() + this.skewMs);
  }

  monotonicMs(): number {
    return this.#world.monotonicMs();
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    if (this.#state === "dead") return () => {};
    let isOver = false;
    this.#pendingCount++;
    const end = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.#pendingCount--;
      return true;
    };
    const fireOnce = () => {
      if (end()) fire();
    };
    const cancel = this.#world.setTimer(delayMs, () => {
      if (this.#state === "running") fireOnce();
      else if (this.#state === "paused") this.#held.push(fireOnce);
    });
    return () => {
      end();
      cancel();
    };
  }

  /** Ends this life: nothing that it waits for happens any more. */
  kill(): void {
    this.#state = "dead";
    this.#held = [];
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    const held = this.#held;
    this.#held = [];
    while (held.length > 0) {
      const [fire] = held.splice(this.#random.below(held.length), 1);
      if (fire) this.setTimer(0, fire);
    }
  }
}

// Taken at load: in a sealed world the global one throws.
const realSetImmediate = setImmediate;

/** Lets every promise job run out. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    realSetImmediate(resolve);
  });
}

function isBefore(left: Timer, right: Timer): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  if (left.tieBreak !== right.tieBreak) return left.tieBreak < right.tieBreak;
  return left.sequence < right.sequence;
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (!parent || !isBefore(timer, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let childIndex = index * 2 + 1;
    const left = heap[childIndex];
    if (!left) break;
    const right = heap[childIndex + 1];
    let child = left;
    if (right && isBefore(right, left)) {
      child = right;
      childIndex++;
    }
    if (!isBefore(child, last)) break;
    heap[index] = child;
    index = childIndex;
  }
  heap[index] = last;
}
