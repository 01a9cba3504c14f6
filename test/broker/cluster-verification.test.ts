// What is lost is told, what is nobody's is told and removed, and whatever a living cluster may still name is neither.
import { describe, expect, it } from "vitest";
import { ClusterMismatchError } from "../../src/broker/cluster-guard.ts";
import { decodeClaim, encodeClaim, encodeHead } from "../../src/cluster/keys.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import { sleep } from "../../src/host/clock.ts";
import { embeddedLogSettings } from "../../src/log/log-settings.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { encodeClusterIdObject } from "../../src/objects/cluster-id-object.ts";
import {
  appendAll,
  pendingOnly,
  quickReconcile,
  sessionOf,
  textsOf,
  type VerifiedWorld,
  worldWithRecords,
} from "./verified-world.ts";

const { signal } = new AbortController();
const DEAD = "0123456789abcdef01234567";
const CHECKPOINT_MS = 6_000;
const { graceMs } = embeddedLogSettings.removal;

const cut = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1);
const flip = (bytes: Uint8Array) => bytes.map((byte, index) => (index === 40 ? byte ^ 1 : byte));

describe("a cluster where all is well", () => {
  it.each([
    ["pending", pendingOnly],
    ["in segments", quickReconcile()],
    ["in groups", quickReconcile({ groupBytes: 1e6 })],
    ["in merged segments", quickReconcile({ mergedCountMin: 2 })],
  ])("has no findings while its records are %s, running, crashed, restarted and stopped", async (_where, settings) => {
    const { world, process } = await worldWithRecords(settings);
    expect(await world.found({ isDeep: true })).toEqual([]);
    await world.pass(3 * CHECKPOINT_MS);
    await appendAll(process, "second");
    await world.pass(3 * CHECKPOINT_MS);
    await appendAll(process, "third");
    expect(await world.found({ isDeep: true })).toEqual([]);
    await process.crash();
    expect(await world.found({ isDeep: true })).toEqual([]);
    const next = await world.start(settings);
    await appendAll(next, "fourth");
    expect(await world.found({ isDeep: true })).toEqual([]);
    await world.pass(3 * graceMs);
    expect(await world.found({ isDeep: true })).toEqual([]);
    await next.stop();
    const { findings, listed, counts, shards, sessions } = await world.verify({ isDeep: true });
    expect({ findings, shards, sessions }).toEqual({ findings: [], shards: 1024, sessions: 0 });
    expect(listed.objects).toBe(counts.known + counts.kept + counts.undecided);
  });

  it("is told how far the look is where it takes longer than a second", async () => {
    const { world } = await worldWithRecords(pendingOnly);
    await world.verify();
    expect(world.progress).toEqual([]);
    const { memoryStore, clock } = world;
    const list = memoryStore.list.bind(memoryStore);
    memoryStore.list = async (prefix, options) => {
      await sleep(clock, 1_500, options.signal);
      return list(prefix, { ...options, limit: 2 });
    };
    await world.verify();
    expect(world.progress.slice(0, 2)).toEqual(["2 objects listed", "4 objects listed"]);
  });
});

describe("a verification", () => {
  it("tells of a flush that is pending and gone", async () => {
    const { world, process } = await worldWithRecords(pendingOnly);
    await world.pass(CHECKPOINT_MS);
    const [key = ""] = await world.objects(`/wal/${sessionOf(process)}/`);
    await world.remove(key);
    const { findings } = await world.verify();
    expect(textsOf(findings)).toEqual([`missing ${key}`]);
    expect(findings[0]?.text).toContain("orders-");
  });

  it("tells of flushes that a next owner would have to replay and could not, each of them", async () => {
    const { world, process } = await worldWithRecords({ ...pendingOnly, checkpointIntervalMs: 1e6 });
    const keys = (await world.objects(`/wal/${sessionOf(process)}/`)).slice(1, 3);
    for (const key of keys) await world.remove(key);
    const texts = await world.found();
    expect(texts).toEqual(expect.arrayContaining(keys.map((key) => `missing ${key}`)));
    expect(texts.filter((text) => text.startsWith("unreadable "))).not.toEqual([]);
  });

  it.each([
    ["a segment", "missing", (key: string) => key.endsWith(".kfs"), undefined],
    ["an index", "missing", (key: string) => key.endsWith(".index"), undefined],
    ["a segment", "damaged", (key: string) => key.endsWith(".kfs"), cut],
    ["an index", "damaged", (key: string) => key.endsWith(".index"), cut],
  ])("tells of %s that is %s", async (_what, kind, isIt, change) => {
    const { world } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    const key = (await world.objects("orders")).find(isIt) ?? "";
    if (change) await world.change(key, change);
    else await world.remove(key);
    expect(await world.found()).toEqual([`${kind} ${key}`]);
  });

  it("tells of a flush and of a group that were cut off", async () => {
    const { world, process } = await worldWithRecords(pendingOnly);
    await world.pass(CHECKPOINT_MS);
    const [key = ""] = await world.objects(`/wal/${sessionOf(process)}/`);
    await world.change(key, (bytes) => bytes.subarray(0, 60));
    expect(await world.found()).toEqual([`damaged ${key}`]);
    const { world: grouped } = await worldWithRecords(quickReconcile({ groupBytes: 1e6 }));
    await grouped.pass(3 * CHECKPOINT_MS);
    const [group = ""] = await grouped.objects("/grp/");
    await grouped.change(group, (bytes) => bytes.subarray(0, 60));
    expect(await grouped.found()).toEqual([`damaged ${group}`]);
  });

  it("tells of the checkpoint that every shard of a session would start from", async () => {
    const { world, process } = await worldWithRecords(pendingOnly);
    await world.pass(CHECKPOINT_MS);
    await world.remove((await world.objects(`/ckpt/${sessionOf(process)}/`)).at(-1) ?? "");
    const { findings } = await world.verify();
    expect(findings).toMatchObject([{ kind: "unreadable", text: expect.stringContaining("/ckpt/") as string }]);
    expect(findings[0]?.key).toMatch(/^shards \d+, .* and 1004 more$/);
  });

  it("reads every byte only when it is asked to", async () => {
    for (const [settings, part] of [
      [pendingOnly, "/wal/"],
      [quickReconcile(), ".kfs"],
      [quickReconcile(), ".index"],
      [quickReconcile({ groupBytes: 1e6 }), "/grp/"],
    ] as const) {
      const { world } = await worldWithRecords(settings);
      await world.pass(3 * CHECKPOINT_MS);
      const key = (await world.objects(part))[0] ?? "";
      await world.change(key, (bytes) => (part === ".index" ? bytes.with(24, 1) : flip(bytes)));
      expect(await world.found()).toEqual([]);
      expect(await world.found({ isDeep: true })).toEqual([`damaged ${key}`]);
    }
  });

  it("tells of a session that owns shards and has no head", async () => {
    const { world, process } = await worldWithRecords(pendingOnly);
    const key = world.keys.head(sessionOf(process));
    await world.memoryKv.txn({ compare: [], then: [{ type: "delete", key }] }, { signal });
    const { findings } = await world.verify();
    expect(findings[0]).toMatchObject({ kind: "unreadable", text: expect.stringContaining("has no head") as string });
  });

  it("says unknown where an object answers nothing, and gives up where the store does not", async () => {
    const { world, process } = await worldWithRecords(pendingOnly);
    await world.pass(CHECKPOINT_MS);
    const [key = ""] = await world.objects(`/wal/${sessionOf(process)}/`);
    await world.remove(key);
    const { memoryStore } = world;
    const [head, list] = [memoryStore.head.bind(memoryStore), memoryStore.list.bind(memoryStore)];
    const refuse = () => Promise.reject(new ObjectStoreError("unavailable", "503"));
    memoryStore.head = (of, options) => (of === key ? refuse() : head(of, options));
    expect(await world.found()).toEqual([`unknown ${key}`]);
    memoryStore.list = refuse;
    await expect(world.verify()).rejects.toThrow("503");
    memoryStore.list = () => Promise.resolve({ objects: [], isTruncated: true });
    await expect(world.verify()).rejects.toThrow("an empty page is not the last");
    memoryStore.list = list;
    memoryStore.head = head;
    expect(await world.found()).toEqual([`missing ${key}`]);
  });

  it("gives up where the metadata store stays silent", async () => {
    const { world } = await worldWithRecords(pendingOnly);
    world.memoryKv.range = () => new Promise(() => {});
    await expect(world.verify()).rejects.toThrow("the metadata store: range of the cluster's metadata had no answer");
  });

  it("refuses a metadata store that was restored from a backup", async () => {
    const { world } = await worldWithRecords(pendingOnly);
    const { clusterId } = await world.verify();
    await world.put(world.objectKeys.clusterId, encodeClusterIdObject({ clusterId, generation: 1, revision: 1e9 }));
    await expect(world.verify({ isRepairing: true })).rejects.toThrow(ClusterMismatchError);
  });
});

/** Objects under the name of a session that has ended, and of one that lives. */
async function leaveBehind(world: VerifiedWorld, alive: string): Promise<{ strays: string[]; kept: string[] }> {
  const [segment = ""] = await world.objects("orders");
  const suffixed = (sessionId: string) => `${segment.slice(0, segment.lastIndexOf("."))}.kfs-${sessionId}-1`;
  const ofSession = (sessionId: string) => [
    world.objectKeys.wal(sessionId, 1_000_000),
    world.objectKeys.checkpoint(sessionId, 1_000_000),
    world.objectKeys.group(7, sessionId, 1_000_000),
    suffixed(sessionId),
  ];
  for (const key of [...ofSession(DEAD), ...ofSession(alive)]) await world.put(key);
  return { strays: ofSession(DEAD).sort(), kept: ofSession(alive) };
}

describe("strays", () => {
  it("of a session that has ended are told and removed, and those of one that lives are neither", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    const { strays, kept } = await leaveBehind(world, sessionOf(process));
    expect(await world.found()).toEqual(strays.map((key) => `stray ${key}`).sort());
    const before = await world.objects();
    const startedMs = world.clock.monotonicMs();
    const removed: string[] = [];
    const report = await world.verify({ isRepairing: true, onRemoved: (key) => void removed.push(key) });
    expect(removed.sort()).toEqual(strays);
    expect(report).toMatchObject({ findings: [], refusal: undefined });
    // A reader may still be on its way.
    expect(world.clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(graceMs);
    const after = await world.objects();
    expect(strays.filter((key) => after.includes(key))).toEqual([]);
    expect(kept.filter((key) => !after.includes(key))).toEqual([]);
    expect(before.length).toBeGreaterThan(strays.length);
    expect(await world.found({ isDeep: true })).toEqual([]);
  });

  it("are removed at once where no broker lives", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    await process.stop();
    const { strays } = await leaveBehind(world, "f".repeat(24));
    const startedMs = world.clock.monotonicMs();
    const { removed } = await world.verify({ isRepairing: true });
    expect(removed).toEqual(expect.arrayContaining(strays));
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(60_000);
    const next = await world.start(quickReconcile());
    expect(await next.values("orders", 0, 1)).toEqual(["0:first", "1:first-b"]);
  });

  it("are none while a claim names their session, and while brokers are to sweep it", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    const { strays } = await leaveBehind(world, sessionOf(process));
    const key = world.keys.claim(7);
    const { entry } = await world.memoryKv.get(key, { signal });
    const claim = entry ? decodeClaim(entry) : undefined;
    if (!claim) throw new Error("shard 7 has no claim");
    const write = (of: string, value: Uint8Array) =>
      world.memoryKv.txn({ compare: [], then: [{ type: "put", key: of, value }] }, { signal });
    await write(world.keys.head(DEAD), encodeHead({ n: 1_000_000, committedAtMs: 0 }));
    // Only its own objects go with its head.
    const written = strays.filter((stray) => !/\/(wal|ckpt)\//.test(stray));
    expect(await world.found()).toEqual(written.map((stray) => `stray ${stray}`).sort());
    const prev = [{ sessionId: DEAD, epoch: claim.epoch, from: 1_000_000, to: 1_000_000 }];
    await write(key, encodeClaim({ ...claim, prev }));
    // What the claim names cannot be read, and nothing of the session is anybody's to remove.
    const { findings, removed } = await world.verify({ isRepairing: true });
    expect(findings.filter(({ kind }) => kind === "stray")).toEqual([]);
    expect(removed).toEqual([]);
  });

  it("stay while anything is missing or damaged", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    const { strays } = await leaveBehind(world, sessionOf(process));
    const lost = (await world.objects(".kfs")).find((key) => key.endsWith(".kfs")) ?? "";
    await world.remove(lost);
    const startedMs = world.clock.monotonicMs();
    const { findings, refusal } = await world.verify({ isRepairing: true });
    expect(world.clock.monotonicMs() - startedMs).toBeLessThan(graceMs);
    expect(refusal).toContain("nothing is removed");
    expect(textsOf(findings)).toEqual([`missing ${lost}`, ...strays.map((key) => `stray ${key}`)].sort());
    expect(await world.objects()).toEqual(expect.arrayContaining(strays));
  });

  it("with a plain name, and foreign objects, are told and never removed", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    await appendAll(process, "second");
    await world.pass(3 * CHECKPOINT_MS);
    const topicId = process.feed.current.topic("orders")?.topicId ?? "";
    const at = { topic: "orders", topicId, partition: 0 };
    const below = world.objectKeys.segment({ ...at, baseOffset: 1 });
    const above = world.objectKeys.segment({ ...at, baseOffset: 4 });
    const unknownTopic = world.objectKeys.segment({ ...at, topicId: "AAECAwQFBgcICQoLDA0ODw", baseOffset: 0 });
    const foreign = ["test/readme.txt", `test/wal/${DEAD}/1`, "test/wal/x/000000000001", `test/grp/x/${DEAD}-1`];
    for (const key of [below, above, unknownTopic, ...foreign, "other/readme.txt"]) await world.put(key);
    const expected = [...foreign.map((key) => `foreign ${key}`), `stray ${below}`];
    expect(await world.found({ isRepairing: true })).toEqual([...expected].sort());
    // An owner that lives may have put it a moment ago.
    await process.stop();
    expect(await world.found({ isRepairing: true })).toEqual([...expected, `stray ${unknownTopic}`].sort());
    expect(await world.objects()).toEqual(expect.arrayContaining([below, above, unknownTopic, ...foreign]));
  });

  it("are not told of before their writer is known to have ended", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    // A session that is registered while the bucket is walked: its objects are newer than the first look.
    const { memoryStore } = world;
    const list = memoryStore.list.bind(memoryStore);
    const isFirst = { value: true };
    memoryStore.list = async (prefix, options) => {
      if (isFirst.value) {
        isFirst.value = false;
        const key = world.keys.session(DEAD);
        const { entry } = await world.memoryKv.get(world.keys.session(sessionOf(process)), { signal });
        const value = entry?.value ?? new Uint8Array();
        await world.memoryKv.txn({ compare: [], then: [{ type: "put", key, value }] }, { signal });
        await world.put(world.objectKeys.wal(DEAD, 1));
      }
      return list(prefix, options);
    };
    expect(await world.found()).toEqual([]);
  });

  it("of a shard that cannot be read are not judged", async () => {
    const { world, process } = await worldWithRecords(quickReconcile());
    await world.pass(3 * CHECKPOINT_MS);
    await world.remove((await world.objects(`/ckpt/${sessionOf(process)}/`)).at(-1) ?? "");
    const topicId = process.feed.current.topic("orders")?.topicId ?? "";
    const key = world.objectKeys.group(shardOf(topicId, 0), DEAD, 1);
    await world.put(key);
    const report = await world.verify();
    expect(report.findings.filter(({ kind }) => kind === "stray")).toEqual([]);
    expect(report.counts.undecided).toBeGreaterThan(0);
  });
});
