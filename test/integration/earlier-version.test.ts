// A folder written by an earlier version opens, with every acknowledged record, or is refused by its version. One fixture
// per version, never rewritten: made by `kafscale serve --data-dir`, three idempotent records, a group, a checkpoint, two
// more records, kill -9.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { longLivedController } from "../../src/host/abort.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { NodeFileSystem } from "../../src/host/node-file-system.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { JournalKeyValueStore } from "../../src/kv/journal.ts";
import { FolderObjectStore } from "../../src/object-store/folder.ts";
import { iterateBatches } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { MemoryTransport } from "../kafka/memory-transport.ts";
import { turn } from "./socket-world.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const { signal } = longLivedController();
const text = new TextDecoder();
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kafscale-earlier-version-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What stands in the fixture, as its makers saw it. */
interface Facts {
  readonly topicId: string;
  readonly offsetsTopicId: string;
  readonly values: readonly string[];
  readonly groupKeys: number;
}

async function facts(): Promise<Facts> {
  return JSON.parse(await readFile(join(fixtures, "data-folder-v1.json"), "utf8")) as Facts;
}

/** What a broker finds in a data folder: the values of a topic, and the keys of its groups. */
async function contentOf(topicId: string): Promise<{ values: string[]; groupKeys: number }> {
  const clock = new SystemClock();
  const files = new NodeFileSystem();
  const kv = await JournalKeyValueStore.open({ folder: join(folder, "metadata"), files, clock, onClosed: () => {} });
  const store = await FolderObjectStore.open({ folder: join(folder, "objects"), files });
  const address = { host: "127.0.0.1", port: 9092 };
  const broker = await Broker.start(
    { ...embeddedBrokerSettings, listener: address, advertised: address },
    {
      clock,
      random: new SystemRandom(),
      log: silentLog,
      metrics: new UnexportedMetrics(),
      transport: new MemoryTransport(),
      store,
      kv,
    },
    { signal },
  );
  try {
    // A slow machine begins to serve before every shard is loaded.
    while (!broker.isReady) await turn();
    const values: string[] = [];
    const log = broker.brokerLog.partition(topicId, 0);
    for (const bytes of await log.read(log.logStart, { maxBytes: 1 << 20, atLeastOneBatch: true, signal })) {
      for (const batch of iterateBatches(bytes)) {
        for (const { value } of iterateRecords(batch)) values.push(text.decode(value ?? new Uint8Array()));
      }
    }
    const { offsetsTopicId } = await facts();
    let groupKeys = 0;
    for (let partition = 0; partition < 50; partition++) {
      groupKeys += [...broker.brokerLog.partition(offsetsTopicId, partition).fold()].length;
    }
    return { values, groupKeys };
  } finally {
    await broker.stop();
    await kv.close();
    await store.close();
  }
}

it("opens a data folder of version 1 with every record and group that was acknowledged", async () => {
  await cp(join(fixtures, "data-folder-v1"), folder, { recursive: true });
  const expected = await facts();
  const found = await contentOf(expected.topicId);
  expect(found).toEqual({ values: expected.values, groupKeys: expected.groupKeys });
  // What the first start wrote opens as well.
  expect(await contentOf(expected.topicId)).toEqual(found);
});

it("refuses a data folder whose objects are of a version to come, and names it", async () => {
  await cp(join(fixtures, "data-folder-v1"), folder, { recursive: true });
  const path = join(folder, "objects", "+format");
  await writeFile(path, (await readFile(path, "utf8")).replace("1", "9"));
  await expect(contentOf((await facts()).topicId)).rejects.toThrow(/version 9/);
});
