// A client that still talks to a broker that was taken over while it slept, and knows what the successor has served. The
// zombie may fall silent or refuse; it must never tell that an offset is out of range, or an older group offset.
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import {
  createOffsetFetchRequest,
  createOffsetFetchRequestGroup,
  createOffsetFetchRequestTopics,
} from "../../generated/testing/offset-fetch-request.ts";
import type { Address } from "../../src/host/transport.ts";
import { clientApis } from "./client-apis.ts";
import { CLIENT_HOST, type ClientWorld, orUndefined } from "./client-world.ts";
import { checkFetched } from "./fetch-check.ts";
import { KafkaClient } from "./kafka-client.ts";

/** Whom to ask what. */
export interface StrayQuestion {
  readonly address: Address;
  readonly topic: string;
  readonly topicId: string;
  readonly group: string;
  /** Next offset by partition, as another leader served it. */
  readonly positions: ReadonlyMap<number, number>;
}

/** Asks once on a connection of its own, and has the answers judged. */
export async function askZombie(world: ClientWorld, question: StrayQuestion): Promise<void> {
  const { network, clock, swarm } = world;
  const transport = network.transport(CLIENT_HOST);
  const parts = { transport, clock, clientId: "stray", requestTimeoutMs: swarm.requestTimeoutMs };
  const client = await orUndefined(KafkaClient.connect(parts, question.address));
  if (!client || question.positions.size === 0) return;
  await Promise.all([fetchAtEnd(world, client, question), fetchOffsets(world, client, question)]);
  client.close("the question is answered");
}

async function fetchAtEnd(world: ClientWorld, client: KafkaClient, question: StrayQuestion): Promise<void> {
  const partitions = [...question.positions].map(([partition, fetchOffset]) =>
    createFetchPartition({ partition, fetchOffset, partitionMaxBytes: 1_000 }),
  );
  const topics = [createFetchTopic({ topicId: question.topicId, partitions })];
  const request = createFetchRequest({ maxBytes: 1_000, sessionEpoch: -1, topics });
  const askedMs = world.clock.monotonicMs();
  const response = await orUndefined(client.request({ ...clientApis.fetch, version: 13 }, request));
  for (const answer of response?.responses.flatMap((row) => row.partitions) ?? []) {
    world.ledger.count("answers of zombies");
    const partition = world.oracle.log.partition(question.topicId, answer.partitionIndex);
    const offset = question.positions.get(answer.partitionIndex) ?? 0;
    checkFetched(world, { partition, offset, host: client.address.host, askedMs }, answer);
  }
}

async function fetchOffsets(world: ClientWorld, client: KafkaClient, question: StrayQuestion): Promise<void> {
  const { group: groupId, topic } = question;
  const partitionIndexes = [...question.positions.keys()];
  const marks = new Map(partitionIndexes.map((index) => [index, world.groups.markOf(groupId, topic, index)]));
  const topics = [createOffsetFetchRequestTopics({ name: topic, partitionIndexes })];
  const request = createOffsetFetchRequest({ groups: [createOffsetFetchRequestGroup({ groupId, topics })] });
  const response = await orUndefined(client.request({ ...clientApis.offsetFetch, version: 8 }, request));
  const group = response?.groups[0];
  if (group?.errorCode !== 0) return;
  for (const row of group.topics.flatMap((answered) => answered.partitions)) {
    const mark = marks.get(row.partitionIndex) ?? 0;
    if (row.errorCode === 0) {
      world.groups.checkFetched({ groupId, topic, partition: row.partitionIndex, mark }, row.committedOffset);
    }
  }
}
