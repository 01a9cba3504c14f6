// A metadata image made by hand: two brokers, one topic, shards owned as a test says.
import { MetadataImage } from "../../src/cluster/image.ts";
import { shardOf } from "../../src/cluster/placement.ts";
import type { Topic } from "../../src/cluster/topic.ts";

/** The topic of the image: three partitions. */
export const topic: Topic = {
  name: "log",
  topicId: "AAAAAAAAAAAAAAAAAAAAAQ",
  partitionCount: 3,
  configs: new Map([["retention.ms", "1000"]]),
  isInternal: false,
};

/** The image; `owners` gives the broker that leads each partition, undefined for none. Every epoch is 7. */
export function imageOf(owners: readonly (number | undefined)[]): MetadataImage {
  const session = (brokerId: number) => ({
    sessionId: `session-${brokerId}`,
    createRevision: 1,
    brokerId,
    process: "p",
    host: `broker-${brokerId}.test`,
    port: 9092,
    controlHost: "",
    controlPort: 0,
    rack: brokerId === 2 ? "zone-b" : "",
    version: "0",
    isDraining: false,
  });
  const claims = owners.flatMap((owner, partition) => {
    const shard = shardOf(topic.topicId, partition);
    const claim = { sessionId: `session-${owner ?? "gone"}`, epoch: 7, base: undefined, prev: [] };
    return [[shard, { shard, claim, modRevision: 1 }] as const];
  });
  return new MetadataImage({
    clusterId: "AAAAAAAAAAAAAAAAAAAAAg",
    topics: new Map([[topic.name, topic]]),
    topicsById: new Map([[topic.topicId, topic]]),
    sessions: new Map([1, 2].map((brokerId) => [`session-${brokerId}`, session(brokerId)])),
    claims: new Map(claims),
    revisions: { topics: 1, sessions: 1, claims: 1 },
  });
}
