// One call to a store over a bad network: it may be lost on the way there or back, arrive after its caller has given up,
// be refused, or hang through an outage. What is applied is applied by the world's clock, also for a node that has died
// meanwhile; answers come by the node's own clock, so that a dead node gets none and a paused one gets them late.
import type { SimClock, SimNodeClock } from "./sim-clock.ts";
import type { SimRandom } from "./sim-random.ts";

/**
 * What can happen to a call. `refused` is the store's 503; the others but `unreachable` leave the caller not knowing. What
 * is `overtaken` is applied in the moments after its caller has given it up, when he acts on not knowing.
 */
export type Fault = "refused" | "unreachable" | "lost-request" | "lost-reply" | "late" | "overtaken";

/** Probabilities per call; what is not named never happens. */
export type FaultRates = Readonly<Partial<Record<Fault, number>>>;

/** Rates by kind of operation, with `default` for kinds that are not named. */
export type RatesByKind<Kind extends string> = Readonly<Partial<Record<Kind | "default", FaultRates>>>;

/** How the world treats the calls of one node. */
export interface FaultyCallsOptions<Kind extends string> {
  readonly world: SimClock;
  readonly node: SimNodeClock;
  readonly random: SimRandom;
  readonly rates?: RatesByKind<Kind>;
  /** One way, drawn evenly; 1 to 20 ms unless told. */
  readonly latencyMs?: readonly [number, number];
  /** How much later a late call is applied, drawn evenly; 1 to 30,000 ms unless told. */
  readonly lateMs?: readonly [number, number];
  /** Gets a line for each call and each fault: what a determinism test hashes. */
  readonly trace?: (line: string) => void;
}

/** A stretch of virtual time in which the store cannot be reached, or answers each call with a refusal. */
export interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
  readonly effect: "refuse" | "silence";
}

/** One call, as the store's decorator describes it. */
export interface FaultyCall<Kind extends string, T> {
  readonly kind: Kind;
  readonly signal: AbortSignal;
  /** Runs the call on the real store. */
  readonly apply: () => Promise<T>;
  /** The error of a call that was definitely not done. */
  readonly unavailable: (why: string) => Error;
  /** The error of a call of which nobody can tell. */
  readonly unknown: (why: string, cause?: unknown) => Error;
}

interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

const faults: readonly Fault[] = ["refused", "unreachable", "lost-request", "lost-reply", "late", "overtaken"];
/** An overtaken call is applied within this many ways of its caller's giving up. */
const OVERTAKEN_BY_WAYS_MAX = 4;

/** Passes the calls of one node on, with faults. */
export class FaultyCalls<Kind extends string> {
  /** How often each fault was dealt. */
  readonly counts: Record<Fault | "outage" | "applied-after-death", number> = {
    refused: 0,
    unreachable: 0,
    "lost-request": 0,
    "lost-reply": 0,
    late: 0,
    overtaken: 0,
    outage: 0,
    "applied-after-death": 0,
  };
  /** When a call was last done and its caller told so, by the world's clock. */
  answeredMs = Number.NEGATIVE_INFINITY;
  /** Calls begun so far. */
  callCount = 0;
  rates: RatesByKind<Kind>;
  readonly #options: FaultyCallsOptions<Kind>;
  readonly #outages: Outage[] = [];

  constructor(options: FaultyCallsOptions<Kind>) {
    this.#options = options;
    this.rates = options.rates ?? ({} as RatesByKind<Kind>);
  }

  /** Adds a stretch in which no call gets through. */
  addOutage(outage: Outage): void {
    this.#outages.push(outage);
  }

  /** The outage of this moment. */
  get outage(): Outage | undefined {
    const nowMs = this.#options.world.monotonicMs();
    return this.#outages.find((outage) => outage.fromMs <= nowMs && nowMs < outage.toMs);
  }

  /** One way's delay. */
  latency(): number {
    const [low, high] = this.#options.latencyMs ?? [1, 20];
    return this.#options.random.between(low, high);
  }

  /** Makes the call. Rejects as soon as its signal aborts; what was sent goes on. */
  call<T>(call: FaultyCall<Kind, T>): Promise<T> {
    const { node } = this.#options;
    this.callCount++;
    return new Promise<T>((resolve, reject) => {
      if (node.isDead) return;
      if (call.signal.aborted) {
        reject(call.unavailable("it was given up before it was sent"));
        return;
      }
      const onAbort = () => {
        if (!node.isDead) settle.reject(call.unknown("it was given up", call.signal.reason));
      };
      const settle: Settle<T> = {
        resolve: (value) => {
          call.signal.removeEventListener("abort", onAbort);
          this.answeredMs = this.#options.world.monotonicMs();
          resolve(value);
        },
        reject: (error) => {
          call.signal.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      call.signal.addEventListener("abort", onAbort, { once: true });
      this.#send(call, settle);
    });
  }

  #send<T>(call: FaultyCall<Kind, T>, settle: Settle<T>): void {
    const fault = this.#draw(call.kind);
    this.#trace(call.kind, fault ?? "sent");
    switch (fault) {
      case undefined:
        this.#applyAfter(this.latency(), call, (outcome) => this.#answer(() => outcome(settle)));
        return;
      case "refused":
        this.#answer(() => settle.reject(call.unavailable("the store refused it (503)")), this.latency());
        return;
      case "unreachable":
        this.#answer(() => settle.reject(call.unavailable("the connection was refused")));
        return;
      case "lost-request":
        this.#leaveOpen(call, settle);
        return;
      case "lost-reply":
        this.#applyAfter(this.latency(), call, () => {});
        this.#leaveOpen(call, settle);
        return;
      case "late": {
        const [low, high] = this.#options.lateMs ?? [1, 30_000];
        this.#applyAfter(this.#options.random.between(low, high), call, () => {});
        this.#leaveOpen(call, settle);
        return;
      }
      case "overtaken":
        this.#applyOnceGivenUp(call);
        return;
    }
  }

  /** Lost when the caller dies before he gives up. */
  #applyOnceGivenUp<T>(call: FaultyCall<Kind, T>): void {
    const onAbort = () => {
      const ways = this.#options.random.between(0, OVERTAKEN_BY_WAYS_MAX);
      if (!this.#options.node.isDead) this.#applyAfter(ways * this.latency(), call, () => {});
    };
    call.signal.addEventListener("abort", onAbort, { once: true });
  }

  /** Runs the call after `delayMs` of the world's time, whether or not its node still lives. */
  #applyAfter<T>(
    delayMs: number,
    call: FaultyCall<Kind, T>,
    then: (outcome: (settle: Settle<T>) => void) => void,
  ): void {
    this.#options.world.setTimer(delayMs, () => {
      if (this.#options.node.isDead) this.counts["applied-after-death"]++;
      this.#trace(call.kind, "applied");
      call.apply().then(
        (value) => then(({ resolve }) => resolve(value)),
        (error: unknown) => then(({ reject }) => reject(error)),
      );
    });
  }

  /** The caller learns nothing: half the time at once by a reset, else only when it gives up. */
  #leaveOpen<T>(call: FaultyCall<Kind, T>, settle: Settle<T>): void {
    if (this.#options.random.chance(0.5)) {
      this.#answer(() => settle.reject(call.unknown("the connection was reset")), this.latency());
    }
  }

  #answer(deliver: () => void, extraMs = 0): void {
    this.#options.node.setTimer(extraMs + this.latency(), deliver);
  }

  #draw(kind: Kind): Fault | undefined {
    const { random } = this.#options;
    const rates: FaultRates = this.rates[kind] ?? this.rates.default ?? {};
    let drawn = random.uniform();
    const { outage } = this;
    if (outage) {
      this.counts.outage++;
      if (outage.effect === "refuse") return "refused";
      return random.pick(["lost-request", "lost-request", "lost-reply"] as const);
    }
    for (const fault of faults) {
      drawn -= rates[fault] ?? 0;
      if (drawn >= 0) continue;
      this.counts[fault]++;
      return fault;
    }
    return undefined;
  }

  #trace(kind: Kind, what: string): void {
    this.#options.trace?.(`${this.#options.world.monotonicMs().toFixed(3)} ${kind} ${what}`);
  }
}
