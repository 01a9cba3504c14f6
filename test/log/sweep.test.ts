// What dead sessions left goes when no claim names them, and stays as long as one does.
import { expect, it } from "vitest";
import { decodeClaim, encodeClaim, encodeHead } from "../../src/cluster/keys.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { defaultReconcile } from "../../src/log/reconcile-plan.ts";
import { type LogProcess, LogWorld } from "./log-world.ts";

const { signal } = longLivedController();
/** Nothing leaves the WAL objects by itself: neither reconciling nor retention has its turn. */
const settings = {
  reconcile: { ...defaultReconcile, pendingAgeMs: Number.POSITIVE_INFINITY },
  retentionIntervalMs: 1e12,
};
const { graceMs, lookEveryMs, sweepEveryMs } = embeddedLogSettings.removal;
const DEAD = "0123456789abcdef01234567";

async function standing(world: LogWorld, sessionId: string): Promise<string[]> {
  const stored: string[] = [];
  for (let isTruncated = true; isTruncated; ) {
    const page = await world.memoryStore.list("", { limit: 1000, startAfter: stored.at(-1) ?? "", signal });
    stored.push(...page.objects.map(({ key }) => key));
    ({ isTruncated } = page);
  }
  const { entries } = await world.memoryKv.range(world.keys.prefix, { signal });
  return [...stored, ...entries.map(({ key }) => key)].filter((key) => key.includes(sessionId));
}

function sessionOf(process: LogProcess): string {
  const [session] = [...process.feed.current.sessions()].filter(({ brokerId }) => brokerId === process.brokerId);
  return session?.sessionId ?? "";
}

/** A head without a session, and objects of it. */
async function leaveBehind(world: LogWorld, flushes: number): Promise<void> {
  const head = encodeHead({ n: flushes, committedAtMs: 0 });
  await world.memoryKv.txn(
    { compare: [], then: [{ type: "put", key: world.keys.head(DEAD), value: head }] },
    { signal },
  );
  for (let n = 1; n <= flushes; n++) {
    await world.memoryStore.put(world.objectKeys.wal(DEAD, n), [new Uint8Array([n])], { ifAbsent: true, signal });
  }
}

it("removes a dead session once its records are gone, with its head and its pointer", async () => {
  const world = new LogWorld();
  const first = await world.start(settings);
  await first.createTopic("orders");
  for (let n = 1; n <= 3; n++) await first.append("orders", [`v${n}`]);
  await world.pass(6_000);
  const dead = sessionOf(first);
  await first.crash();
  const second = await world.start(settings);
  await world.pass(2 * sweepEveryMs + 2 * graceMs);
  // Its pending records are read where they lie.
  expect(await standing(world, dead)).toContain(world.objectKeys.wal(dead, 1));
  expect(await second.values("orders")).toHaveLength(3);
  await world.complete(second.partition("orders").moveLogStart(3));
  await world.pass(2 * sweepEveryMs + 2 * graceMs);
  expect(await standing(world, dead)).toEqual([]);
  await second.stop();
});

it("looks twice, a grace apart, and lists everything of the session", async () => {
  const world = new LogWorld();
  await leaveBehind(world, 1_200);
  const process = await world.start(settings);
  await world.pass(graceMs - 10_000);
  expect(await standing(world, DEAD)).toHaveLength(1_201);
  // A broker that has just begun may own its shards only at its second look.
  await world.pass(lookEveryMs + 60_000);
  expect(await standing(world, DEAD)).toEqual([]);
  await process.stop();
});

it("leaves a session alone that a claim names when it looks for the second time", async () => {
  const world = new LogWorld();
  await leaveBehind(world, 2);
  const process = await world.start(settings);
  await world.pass(graceMs / 2);
  const key = world.keys.claim(7);
  const { entry } = await world.memoryKv.get(key, { signal });
  if (!entry) throw new Error("shard 7 has no claim");
  const claim = decodeClaim(entry);
  const prev = [{ sessionId: DEAD, epoch: claim.epoch, from: 1, to: 2 }];
  const value = encodeClaim({ ...claim, prev });
  await world.memoryKv.txn({ compare: [], then: [{ type: "put", key, value }] }, { signal });
  await world.pass(2 * sweepEveryMs + 2 * graceMs);
  expect(await standing(world, DEAD)).toHaveLength(3);
  await process.crash();
});

it("takes a session for alive whose key it has not seen yet", async () => {
  const world = new LogWorld();
  const process = await world.start(settings);
  await leaveBehind(world, 1);
  // Its key is there, and this broker's view is that of before.
  const { memoryKv } = world;
  const readKey = memoryKv.get.bind(memoryKv);
  memoryKv.get = async (key, options) => {
    const found = await readKey(key, options);
    const { entry } = await readKey(world.keys.head(DEAD), options);
    return key === world.keys.session(DEAD) ? { ...found, entry } : found;
  };
  await world.pass(2 * sweepEveryMs + 2 * graceMs);
  expect(await standing(world, DEAD)).toHaveLength(2);
  memoryKv.get = readKey;
  await world.pass(2 * sweepEveryMs + 2 * graceMs);
  expect(await standing(world, DEAD)).toEqual([]);
  await process.stop();
});
