// When a broker finds itself cut off from the object store alone, and when it may not.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { errorCodeOf } from "../../src/kafka-error.ts";
import { judgeCutOff } from "../../src/log/cut-off-watch.ts";
import { FaultyObjectStore } from "../sim/faulty-object-store.ts";
import { batchOf, type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = new AbortController();
const TOPIC = "orders";

/** One broker and its own way to the store. */
interface Linked {
  readonly process: LogProcess;
  readonly link: FaultyObjectStore;
  /** Of one way, in milliseconds: may be written. */
  readonly latencyMs: [number, number];
}

/** A way to the store of a world, as one process gets it. */
function newLink(world: LogWorld): Omit<Linked, "process"> {
  const latencyMs: [number, number] = [5, 5];
  const { clock, random } = world;
  const parts = { world: clock, node: clock.node(), random: random.split("link"), latencyMs };
  return { link: new FaultyObjectStore(world.memoryStore, parts), latencyMs };
}

/** Brokers 1 and up, each with its own way to the store, and a topic of which each leads something. */
async function open(brokerCount: number): Promise<{ world: LogWorld; brokers: readonly Linked[] }> {
  const world = new LogWorld();
  const brokers: Linked[] = [];
  for (let brokerId = 1; brokerId <= brokerCount; brokerId++) {
    const linked = newLink(world);
    world.store = linked.link;
    brokers.push({ ...linked, process: await world.start({ brokerId }) });
  }
  await world.until(() => brokers.every(({ process }) => process.brokerLog.isSettled));
  await brokers[0]?.process.createTopic(TOPIC, 24);
  await world.pass(1_000);
  return { world, brokers };
}

function cut({ link, process }: Linked, forMs: number, effect: "silence" | "refuse" = "silence"): void {
  const fromMs = process.world.clock.monotonicMs();
  link.calls.addOutage({ fromMs, toMs: fromMs + forMs, effect });
}

/** A partition that this broker leads. */
function ledBy(process: LogProcess): number {
  for (let index = 0; index < 24; index++) {
    try {
      process.partition(TOPIC, index);
      return index;
    } catch (error) {
      if (errorCodeOf(error) !== ErrorCode.NOT_LEADER_OR_FOLLOWER) throw error;
    }
  }
  throw new Error("it leads nothing");
}

/** Appends a record there; `outcome` is its offset, or the code of its refusal. */
function appended(process: LogProcess): { outcome: number | string; afterMs: number; index: number } {
  const { clock } = process.world;
  const startedMs = clock.monotonicMs();
  const index = ledBy(process);
  const watched = { outcome: "pending" as number | string, afterMs: 0, index };
  const settle = (outcome: number | string) => {
    watched.outcome = outcome;
    watched.afterMs = clock.monotonicMs() - startedMs;
  };
  process
    .partition(TOPIC, index)
    .append(batchOf(["a"]))
    .then(
      ({ baseOffset }) => settle(baseOffset),
      (error: unknown) => settle(`refused ${errorCodeOf(error)}`),
    );
  return watched;
}

const REFUSED = `refused ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`;

async function sessionCount(world: LogWorld): Promise<number> {
  return (await world.memoryKv.range(world.keys.sessions, { signal })).entries.length;
}

/** The session that serves. */
function sessionIdOf({ process }: Linked): string {
  return process.brokerLog.serving?.session.sessionId ?? "none";
}

function cutOffsOf({ process }: Linked): number {
  return process.metrics.counter("kafscale_store_cut_offs_total", "").value;
}

describe("a broker that alone gets no answer of the store", () => {
  for (const effect of ["silence", "refuse"] as const) {
    it(`gives its session up within 8 s (${effect}), acknowledges nothing, and stays away until its own probe succeeds`, async () => {
      const { world, brokers } = await open(2);
      const [struck, other] = brokers as [Linked, Linked];
      cut(struck, 60_000, effect);
      const lost = appended(struck.process);
      await world.until(() => lost.outcome !== "pending");
      expect(lost.outcome).toBe(REFUSED);
      expect(lost.afterMs).toBeGreaterThanOrEqual(7_000);
      expect(lost.afterMs).toBeLessThan(8_000);
      await world.pass(1_500);
      expect(await other.process.append(TOPIC, ["b"], {}, lost.index)).toBeGreaterThanOrEqual(0);
      await world.pass(45_000);
      expect([await sessionCount(world), struck.process.brokerLog.isServing, cutOffsOf(struck)]).toEqual([1, false, 1]);
      await world.pass(30_000);
      await world.until(() => struck.process.brokerLog.isSettled);
      expect(await sessionCount(world)).toBe(2);
      expect(cutOffsOf(other)).toBe(0);
    });
  }

  it("is found together with another one, when a third is answered", async () => {
    const { world, brokers } = await open(3);
    const [first, second, third] = brokers as [Linked, Linked, Linked];
    for (const struck of [first, second]) cut(struck, 60_000);
    const lost = [first, second].map(({ process }) => appended(process));
    await world.until(() => lost.every(({ outcome }) => outcome !== "pending"));
    expect(lost.map(({ outcome }) => outcome)).toEqual([REFUSED, REFUSED]);
    expect(Math.max(...lost.map(({ afterMs }) => afterMs))).toBeLessThan(9_000);
    await world.pass(2_000);
    for (const { index } of lost) expect(await third.process.append(TOPIC, ["b"], {}, index)).toBeGreaterThanOrEqual(0);
  });

  it("gives up shards that it loads as soon as those that it writes", async () => {
    const { world, brokers } = await open(1);
    const [other] = brokers as [Linked];
    for (let index = 0; index < 24; index++) await other.process.append(TOPIC, ["a"], {}, index);
    const struck = newLink(world);
    world.store = struck.link;
    const joining = await world.start({ brokerId: 2 });
    const get = struck.link.get.bind(struck.link);
    let cutAtMs: number | undefined;
    struck.link.get = (key, options) => {
      if (cutAtMs === undefined) cut({ ...struck, process: joining }, 60_000);
      cutAtMs ??= world.clock.monotonicMs();
      return get(key, options);
    };
    await world.until(() => cutAtMs !== undefined);
    await world.until(() => !joining.brokerLog.isServing);
    expect(world.clock.monotonicMs() - (cutAtMs ?? 0)).toBeLessThan(9_000);
    await world.pass(3_000);
    for (let index = 0; index < 24; index++) expect(await other.process.append(TOPIC, ["b"], {}, index)).toBe(1);
    expect(joining.metrics.counter("kafscale_store_cut_offs_total", "").value).toBe(1);
  });
});

describe("no session ends early", () => {
  it("of a store that is away for everybody, wherever in a round it returns", async () => {
    const { world, brokers } = await open(2);
    const sessions = brokers.map(sessionIdOf);
    for (let turn = 0; turn < 12; turn++) {
      const effect = turn % 2 === 0 ? "silence" : "refuse";
      for (const linked of brokers) cut(linked, 7_000 + turn * 970, effect);
      const written = brokers.map(({ process }) => appended(process));
      await world.until(() => written.every(({ outcome }) => outcome !== "pending"));
      expect(written.every(({ outcome }) => typeof outcome === "number")).toBe(true);
      await world.pass(6_000);
    }
    expect(brokers.map(sessionIdOf)).toEqual(sessions);
    expect(brokers.map(cutOffsOf)).toEqual([0, 0]);
  });

  it("of a store that is away for everybody for good: 30 s as ever", async () => {
    const { world, brokers } = await open(2);
    for (const linked of brokers) cut(linked, 120_000);
    const lost = brokers.map(({ process }) => appended(process));
    await world.until(() => lost.every(({ outcome }) => outcome !== "pending"));
    expect(lost.every(({ afterMs, outcome }) => outcome === REFUSED && afterMs >= 30_000)).toBe(true);
    expect(brokers.map(cutOffsOf)).toEqual([0, 0]);
  });

  it("of a broker whose calls take 6 s while others are answered at once", async () => {
    const { world, brokers } = await open(2);
    const [slow] = brokers as [Linked, Linked];
    slow.latencyMs[0] = slow.latencyMs[1] = 2_950;
    const written = appended(slow.process);
    await world.until(() => written.outcome !== "pending");
    expect(written.outcome).toBe(0);
    expect(written.afterMs).toBeGreaterThanOrEqual(5_900);
    expect(cutOffsOf(slow)).toBe(0);
  });

  it("of a broker of whose calls two in three are refused", async () => {
    const { world, brokers } = await open(2);
    const [stormy] = brokers as [Linked, Linked];
    const session = sessionIdOf(stormy);
    stormy.link.calls.rates = { default: { refused: 0.67 } };
    for (let turn = 0; turn < 40; turn++) {
      const written = appended(stormy.process);
      await world.until(() => written.outcome !== "pending");
      expect(written.outcome).toBeTypeOf("number");
      await world.pass(500);
    }
    expect([sessionIdOf(stormy), cutOffsOf(stormy)]).toEqual([session, 0]);
  });

  it("of a broker that nobody else is there to replace", async () => {
    const { world, brokers } = await open(1);
    const [alone] = brokers as [Linked];
    cut(alone, 120_000);
    const lost = appended(alone.process);
    await world.until(() => lost.outcome !== "pending");
    expect(lost.afterMs).toBeGreaterThanOrEqual(30_000);
    expect(cutOffsOf(alone)).toBe(0);
  });
});

it("takes nothing for a cut but a yes of others, four rounds in a row, and seconds without an own answer", () => {
  const round = fc.record({ silentMs: fc.integer({ min: 0, max: 40_000 }), isAnsweringOthers: fc.boolean() });
  fc.assert(
    fc.property(fc.array(round, { minLength: 1, maxLength: 12 }), (seen) => {
      let rounds = 0;
      for (const [at, current] of seen.entries()) {
        const verdict = judgeCutOff(rounds, current);
        rounds = verdict.rounds;
        const lastFour = seen.slice(Math.max(0, at - 3), at + 1);
        const areForCut = lastFour.every(({ silentMs, isAnsweringOthers }) => isAnsweringOthers && silentMs >= 3_000);
        expect(verdict.isCutOff).toBe(lastFour.length === 4 && areForCut);
      }
    }),
  );
});
