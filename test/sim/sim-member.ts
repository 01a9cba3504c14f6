// A member of a classic consumer group: joins, syncs, fetches its offsets, reads, commits and sends heartbeats; leaves and
// comes back where the swarm says so. Offsets only ever grow, so a committed one that goes back is the broker's.
import { ErrorCode, errorName } from "../../generated/kafka/error-codes.ts";
import type { JoinGroupResponse } from "../../generated/kafka/join-group-response.ts";
import { createFetchPartition, createFetchRequest, createFetchTopic } from "../../generated/testing/fetch-request.ts";
import { createFindCoordinatorRequest } from "../../generated/testing/find-coordinator-request.ts";
import { createHeartbeatRequest } from "../../generated/testing/heartbeat-request.ts";
import { createJoinGroupRequest, createJoinGroupRequestProtocol } from "../../generated/testing/join-group-request.ts";
import { createLeaveGroupRequest, createMemberIdentity } from "../../generated/testing/leave-group-request.ts";
import {
  createOffsetCommitRequest,
  createOffsetCommitRequestPartition,
  createOffsetCommitRequestTopic,
} from "../../generated/testing/offset-commit-request.ts";
import {
  createOffsetFetchRequest,
  createOffsetFetchRequestGroup,
  createOffsetFetchRequestTopics,
} from "../../generated/testing/offset-fetch-request.ts";
import {
  createSyncGroupRequest,
  createSyncGroupRequestAssignment,
} from "../../generated/testing/sync-group-request.ts";
import type { Address } from "../../src/host/transport.ts";
import { BrokerLink } from "./broker-link.ts";
import { clientApis } from "./client-apis.ts";
import { type ClientWorld, orUndefined, pause } from "./client-world.ts";
import { checkFetched } from "./fetch-check.ts";
import type { KafkaClient } from "./kafka-client.ts";
import type { SimRandom } from "./sim-random.ts";

/** What the members of a group share. */
export interface GroupTraits {
  readonly groupId: string;
  readonly topic: string;
  readonly partitionCount: number;
  /** The id of the topic, once it is created. */
  readonly topicId: () => string | undefined;
}

/** Kafka's lowest. */
const SESSION_TIMEOUT_MS = 6_000;
const REBALANCE_TIMEOUT_MS = 5_000;
/** A join or sync waits for the other members. */
const WAIT_TIMEOUT_MS = 12_000;
const FETCH_BYTES: readonly number[] = [2_000, 1_000_000];
const CATCH_UP_BYTES = 1_000_000;

/** A member, with its place in the group. */
export class GroupMember {
  readonly #world: ClientWorld;
  readonly #group: GroupTraits;
  readonly #link: BrokerLink;
  readonly #random: SimRandom;
  #memberId = "";
  #generation = -1;
  /** Where the coordinator of the group is, as FindCoordinator said; undefined when it has to be asked. */
  #coordinator: Address | undefined;
  /** Next offset to read by partition that is assigned. */
  readonly #positions = new Map<number, number>();

  constructor(world: ClientWorld, group: GroupTraits, name: string) {
    this.#world = world;
    this.#group = group;
    this.#link = new BrokerLink(world, name, [group.topic]);
    this.#random = world.random.split(name);
  }

  async run(): Promise<void> {
    while (!this.#world.over.aborted) {
      const client = await orUndefined(this.#link.open());
      if (client && this.#group.topicId() && (await this.#findCoordinator(client))) {
        const coordinator = await this.#toCoordinator();
        if (coordinator && (await this.#join(coordinator))) await this.#consume();
      }
      await pause(this.#world, this.#random, 150);
    }
  }

  /** A connection to the coordinator; undefined when there is none to be had now. */
  #toCoordinator(): Promise<KafkaClient | undefined> {
    if (this.#world.hasOneBroker) return orUndefined(this.#link.open());
    const address = this.#coordinator;
    return address ? orUndefined(this.#link.to(address)) : Promise.resolve(undefined);
  }

  /** Learns who coordinates the group; whether anybody does. */
  async #findCoordinator(client: KafkaClient): Promise<boolean> {
    const request = createFindCoordinatorRequest({ keyType: 0, coordinatorKeys: [this.#group.groupId] });
    const response = await orUndefined(client.request({ ...clientApis.findCoordinator, version: 4 }, request));
    const found = response?.coordinators[0];
    const code = found?.errorCode ?? ErrorCode.COORDINATOR_NOT_AVAILABLE;
    this.#note("find", code);
    if (code === ErrorCode.NONE && found) this.#coordinator = { host: found.host, port: found.port };
    return code === ErrorCode.NONE;
  }

  /** Joins and gets an assignment, with the committed offsets of it. */
  async #join(client: KafkaClient): Promise<boolean> {
    const { groupId } = this.#group;
    const request = createJoinGroupRequest({
      groupId,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      memberId: this.#memberId,
      protocolType: "consumer",
      protocols: [createJoinGroupRequestProtocol({ name: "range", metadata: new Uint8Array([0]) })],
    });
    const api = { ...clientApis.joinGroup, version: 5 };
    const response = await orUndefined(client.request(api, request, WAIT_TIMEOUT_MS));
    if (!response) return false;
    this.#note("join", response.errorCode);
    if (response.errorCode === ErrorCode.MEMBER_ID_REQUIRED) this.#memberId = response.memberId;
    if (response.errorCode === ErrorCode.UNKNOWN_MEMBER_ID) this.#memberId = "";
    if (response.errorCode !== ErrorCode.NONE) return false;
    this.#memberId = response.memberId;
    this.#generation = response.generationId;
    return this.#sync(client, response);
  }

  async #sync(client: KafkaClient, joined: JoinGroupResponse): Promise<boolean> {
    const { groupId } = this.#group;
    const { generationId, memberId } = joined;
    const assignments = joined.leader === memberId ? this.#assign(joined) : [];
    const request = createSyncGroupRequest({ groupId, generationId, memberId, assignments });
    const api = { ...clientApis.syncGroup, version: 3 };
    const response = await orUndefined(client.request(api, request, WAIT_TIMEOUT_MS));
    if (!response) return false;
    this.#note("sync", response.errorCode);
    if (response.errorCode === ErrorCode.UNKNOWN_MEMBER_ID) this.#memberId = "";
    if (response.errorCode !== ErrorCode.NONE) return false;
    this.#world.groups.checkAssigned({ groupId, generation: generationId, memberId }, response.assignment);
    this.#world.ledger.count("assignments");
    return this.#fetchOffsets(client, [...response.assignment]);
  }

  /** The leader deals the partitions out, one byte each. */
  #assign(joined: JoinGroupResponse) {
    const memberIds = joined.members.map(({ memberId }) => memberId).sort();
    return memberIds.map((memberId, index) => {
      const mine = Array.from({ length: this.#group.partitionCount }, (_, partition) => partition);
      const assignment = Uint8Array.from(mine.filter((partition) => partition % memberIds.length === index));
      return createSyncGroupRequestAssignment({ memberId, assignment });
    });
  }

  async #fetchOffsets(client: KafkaClient, partitions: readonly number[]): Promise<boolean> {
    const { groupId, topic } = this.#group;
    const { groups } = this.#world;
    const marks = new Map(partitions.map((partition) => [partition, groups.markOf(groupId, topic, partition)]));
    const topics = [createOffsetFetchRequestTopics({ name: topic, partitionIndexes: partitions })];
    const request = createOffsetFetchRequest({ groups: [createOffsetFetchRequestGroup({ groupId, topics })] });
    const response = await orUndefined(client.request({ ...clientApis.offsetFetch, version: 8 }, request));
    const group = response?.groups[0];
    if (group?.errorCode !== ErrorCode.NONE) return false;
    this.#positions.clear();
    for (const row of group.topics.flatMap((answered) => answered.partitions)) {
      if (row.errorCode !== ErrorCode.NONE) return false;
      const mark = marks.get(row.partitionIndex) ?? 0;
      groups.checkFetched({ groupId, topic, partition: row.partitionIndex, mark }, row.committedOffset);
      this.#positions.set(row.partitionIndex, Math.max(0, row.committedOffset));
    }
    return this.#positions.size === partitions.length;
  }

  /** Reads and commits until the generation ends, or the member has stayed long enough. */
  async #consume(): Promise<void> {
    const { memberStayMs } = this.#world.swarm;
    const { clock } = this.#world;
    const leaveMs =
      memberStayMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + this.#random.between(0.3, 2) * memberStayMs;
    while (!this.#world.over.aborted) {
      const client = await this.#toCoordinator();
      if (!client) return;
      if (clock.monotonicMs() > leaveMs && this.#world.isProducing()) {
        await this.#leave(client);
        return;
      }
      await this.#read();
      // A member that hangs for longer than its session comes back with what it knew, and must not be listened to.
      if (this.#random.chance(0.02) && this.#world.isProducing()) await pause(this.#world, this.#random, 9_000);
      if (this.#random.chance(0.7) && !(await this.#commit(client))) return;
      if (this.#random.chance(0.4) && !(await this.#heartbeat(client))) return;
      await pause(this.#world, this.#random, this.#world.isProducing() ? 700 : 100);
    }
  }

  /** Reads what is assigned from its leaders, all at the same time. */
  async #read(): Promise<void> {
    const topicId = this.#group.topicId();
    if (topicId === undefined) return;
    const byLeader = new Map<KafkaClient, Map<number, number>>();
    for (const [partition, offset] of this.#positions) {
      const leader = await orUndefined(this.#link.toLeader(topicId, partition));
      if (leader) byLeader.set(leader, (byLeader.get(leader) ?? new Map<number, number>()).set(partition, offset));
    }
    await Promise.all([...byLeader].map(([leader, asked]) => this.#readFrom(leader, topicId, asked)));
  }

  async #readFrom(client: KafkaClient, topicId: string, asked: ReadonlyMap<number, number>): Promise<void> {
    const drawn = this.#random.pick(FETCH_BYTES);
    // Once nothing is written any more it catches up in large steps: small ones are for reading in the middle of things.
    const bytesMax = this.#world.isProducing() ? drawn : CATCH_UP_BYTES;
    const partitions = [...asked].map(([partition, fetchOffset]) =>
      createFetchPartition({ partition, fetchOffset, partitionMaxBytes: bytesMax }),
    );
    const topics = [createFetchTopic({ topicId, partitions })];
    const request = createFetchRequest({ minBytes: 0, maxBytes: bytesMax, sessionEpoch: -1, topics });
    const from = { host: client.address.host, askedMs: this.#world.clock.monotonicMs() };
    const response = await orUndefined(client.request({ ...clientApis.fetch, version: 13 }, request));
    for (const answer of response?.responses.flatMap((row) => row.partitions) ?? []) {
      const offset = asked.get(answer.partitionIndex);
      if (offset === undefined) continue;
      const partition = this.#world.oracle.log.partition(topicId, answer.partitionIndex);
      this.#positions.set(answer.partitionIndex, checkFetched(this.#world, { partition, offset, ...from }, answer));
      this.#link.note(answer.errorCode);
    }
  }

  async #commit(client: KafkaClient): Promise<boolean> {
    const { groupId, topic } = this.#group;
    const { groups } = this.#world;
    const committed = [...this.#positions].map(([partition, offset]) => ({
      partition,
      offset,
      mark: groups.markOf(groupId, topic, partition),
    }));
    if (committed.length === 0) return true;
    const partitions = committed.map(({ partition, offset }) =>
      createOffsetCommitRequestPartition({ partitionIndex: partition, committedOffset: offset }),
    );
    const request = createOffsetCommitRequest({
      groupId,
      generationIdOrMemberEpoch: this.#generation,
      memberId: this.#memberId,
      topics: [createOffsetCommitRequestTopic({ name: topic, partitions })],
    });
    const response = await orUndefined(client.request({ ...clientApis.offsetCommit, version: 8 }, request));
    if (!response) {
      for (const { partition, offset } of committed) groups.noteUnanswered({ groupId, topic, partition }, offset);
      return true;
    }
    let isMember = true;
    for (const row of response.topics.flatMap((answered) => answered.partitions)) {
      this.#note("commit", row.errorCode);
      const sent = committed.find(({ partition }) => partition === row.partitionIndex);
      if (row.errorCode === ErrorCode.NONE && sent) {
        this.#world.ledger.count("group offsets committed");
        groups.checkAcknowledged({ groupId, topic, partition: sent.partition, mark: sent.mark }, sent.offset);
      }
      isMember &&= this.#isMember(row.errorCode);
    }
    return isMember;
  }

  async #heartbeat(client: KafkaClient): Promise<boolean> {
    const { groupId } = this.#group;
    const request = createHeartbeatRequest({ groupId, generationId: this.#generation, memberId: this.#memberId });
    const response = await orUndefined(client.request({ ...clientApis.heartbeat, version: 3 }, request));
    if (!response) return true;
    this.#note("heartbeat", response.errorCode);
    return this.#isMember(response.errorCode);
  }

  async #leave(client: KafkaClient): Promise<void> {
    const { groupId } = this.#group;
    const members = [createMemberIdentity({ memberId: this.#memberId })];
    await orUndefined(
      client.request({ ...clientApis.leaveGroup, version: 3 }, createLeaveGroupRequest({ groupId, members })),
    );
    this.#world.ledger.count("members left");
    this.#memberId = "";
    await pause(this.#world, this.#random, 3_000);
  }

  /** Whether an error leaves the membership as it is, with the coordinator that gave it. */
  #isMember(code: number): boolean {
    if (code === ErrorCode.NOT_COORDINATOR && !this.#world.hasOneBroker) return false;
    if (code === ErrorCode.UNKNOWN_MEMBER_ID) this.#memberId = "";
    const isOver: readonly number[] = [
      ErrorCode.UNKNOWN_MEMBER_ID,
      ErrorCode.ILLEGAL_GENERATION,
      ErrorCode.REBALANCE_IN_PROGRESS,
    ];
    return !isOver.includes(code);
  }

  #note(what: string, code: number): void {
    if (code !== ErrorCode.NONE) this.#world.ledger.count(`${what} answered ${errorName(code)}`);
    this.#world.trace.note(`group ${what} ${this.#memberId} ${this.#generation} ${errorName(code)}`);
  }
}
