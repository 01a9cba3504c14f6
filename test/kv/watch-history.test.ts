// The changes kept for watches: bounded in number and bytes, published apart, none skipped.
import { expect, it } from "vitest";
import type { WatchBatch } from "../../src/kv/key-value-store.ts";
import { WatchHistory } from "../../src/kv/watch-history.ts";

const { signal } = new AbortController();
const limits = { revisionsMax: 1000, bytesMax: 100_000 };

function change(revision: number, bytes = 1): WatchBatch {
  const entry = { key: `k${revision}`, value: new Uint8Array(bytes), createRevision: revision, modRevision: revision };
  return { revision, events: [{ type: "put", entry }] };
}

it("forgets the oldest changes past its bound in bytes, but never the newest", async () => {
  const history = new WatchHistory(limits, 1, 1);
  for (let revision = 2; revision <= 10; revision++) history.append(change(revision, 30_000));
  history.publish(10);
  expect((await history.watch("", { signal, fromRevision: 8 }).next()).value?.events).toHaveLength(3);
  await expect(history.watch("", { signal, fromRevision: 7 }).next()).rejects.toMatchObject({ kind: "compacted" });
  history.append(change(11, 1_000_000));
  history.publish(11);
  expect((await history.watch("", { signal, fromRevision: 11 }).next()).value?.revision).toBe(11);
});

it("shows a change once it is published, and not before", async () => {
  const history = new WatchHistory(limits, 1, 1);
  const watch = history.watch("", { signal, fromRevision: 2 });
  const waiting = watch.next();
  history.append(change(2));
  history.append(change(3));
  expect(history.waitingCount).toBe(1);
  history.publish(2);
  expect((await waiting).value?.revision).toBe(2);
  const next = watch.next();
  history.publish(3);
  expect((await next).value?.revision).toBe(3);
});

it("hands out a long past in batches that leave nothing out", async () => {
  const history = new WatchHistory({ revisionsMax: 10_000, bytesMax: 1e9 }, 1, 1);
  for (let revision = 2; revision <= 5001; revision++) history.append(change(revision));
  history.publish(5001);
  const watch = history.watch("", { signal, fromRevision: 2 });
  const seen: number[] = [];
  let batchCount = 0;
  while (seen.length < 5000) {
    const { value } = await watch.next();
    for (const event of value?.events ?? []) seen.push(event.type === "put" ? event.entry.modRevision : 0);
    batchCount++;
  }
  expect(seen).toEqual(Array.from({ length: 5000 }, (_, index) => index + 2));
  expect(batchCount).toBe(5);
});

it("refuses a gap in the revisions", () => {
  const history = new WatchHistory(limits, 1, 1);
  history.append(change(2));
  expect(() => history.append(change(4))).toThrow("does not follow");
});

it("leaves nothing waiting after a watch was ended or the store failed", async () => {
  const history = new WatchHistory(limits, 1, 1);
  const ended = history.watch("", { signal, fromRevision: 2 });
  const waiting = ended.next();
  await ended.return?.();
  expect((await waiting).done).toBe(true);
  expect(history.waitingCount).toBe(0);
});
