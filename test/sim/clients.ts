// The clients of a schedule, and when they are done.
import type { Address } from "../../src/host/transport.ts";
import type { ClientWorld } from "./client-world.ts";
import { GroupMember } from "./sim-member.ts";
import { resetLanes, SimProducer } from "./sim-producer.ts";
import { SimReader } from "./sim-reader.ts";
import { askZombie } from "./stray-client.ts";
import { CHURN_TOPIC, churnTopic } from "./topic-churn.ts";
import { createTopic } from "./topic-creation.ts";

/** What the schedule asks of its clients. */
export interface Clients {
  /** Everything is acknowledged, read and committed. */
  isDone(): boolean;
  /** Who is not done, and why. */
  backlog(): string;
  /** Asks a broker that was taken over what only its successor may answer. */
  askZombie(address: Address): void;
}

const TOPIC = "orders";
const GROUP = "billing";

/** Starts them all. */
export function startClients(world: ClientWorld): Clients {
  resetLanes();
  return new RunningClients(world);
}

class RunningClients implements Clients {
  readonly #world: ClientWorld;
  /** Those that have work to finish. */
  readonly #working = new Set<string>();
  readonly #reader: SimReader;
  #churnCount = 0;

  constructor(world: ClientWorld) {
    this.#world = world;
    const { groupMembers } = world.swarm;
    this.#work("creation of topics", async () => this.#startProducers(await this.#createTopic()));
    if (world.environment.topicChurnEveryMs > 0) {
      this.#work("churn", () => churnTopic(world, (topicId) => this.#startChurnLane(topicId)));
    }
    const topics = [TOPIC, CHURN_TOPIC];
    this.#reader = new SimReader(world, { name: "reader", topics, fetchVersion: world.random.pick([13, 15, 17]) });
    this.#live("reader", () => this.#reader.run());
    for (let index = 0; index < groupMembers; index++) {
      const name = `member ${index}`;
      const { partitionCount } = world.swarm;
      const topicId = () => world.oracle.topics.get(TOPIC)?.topicId;
      this.#live(name, () =>
        new GroupMember(world, { groupId: GROUP, topic: TOPIC, partitionCount, topicId }, name).run(),
      );
    }
  }

  isDone(): boolean {
    return this.#working.size === 0 && this.#reader.hasReadAll && this.#groupBacklog === 0;
  }

  backlog(): string {
    return `working: ${[...this.#working].join(", ")}; reader: ${this.#reader.backlog}; group: ${this.#groupBacklog}`;
  }

  /** Records that the group has not committed yet. */
  get #groupBacklog(): number {
    const { oracle, groups, swarm } = this.#world;
    const topicId = oracle.topics.get(TOPIC)?.topicId;
    if (swarm.groupMembers === 0 || topicId === undefined) return 0;
    let backlog = 0;
    for (let partition = 0; partition < swarm.partitionCount; partition++) {
      backlog += oracle.log.partition(topicId, partition).end - groups.newest(GROUP, TOPIC, partition);
    }
    return backlog;
  }

  askZombie(address: Address): void {
    const { topicId } = this.#world.oracle.topics.get(TOPIC) ?? {};
    if (topicId === undefined) return;
    const positions = this.#reader.positionsOf(topicId);
    this.#live("stray client", () =>
      askZombie(this.#world, { address, topic: TOPIC, topicId, group: GROUP, positions }),
    );
  }

  #createTopic(): Promise<string> {
    const { partitionCount: numPartitions, retention: configs } = this.#world.swarm;
    return createTopic(this.#world, { name: TOPIC, numPartitions, configs });
  }

  #startProducers(topicId: string): void {
    const { random, swarm } = this.#world;
    const { idempotentProducers, plainProducers, partitionCount } = swarm;
    const producerCount = idempotentProducers + plainProducers;
    for (let index = 0; index < producerCount; index++) {
      const isIdempotent = index < idempotentProducers;
      const name = `${isIdempotent ? "idempotent" : "plain"} producer ${index}`;
      const acks = isIdempotent ? -1 : random.pick([-1, -1, 1, 0]);
      const produceVersion = random.pick([3, 7, 9, 12, 13, 13]);
      const laneCount = producerCount * partitionCount;
      const producer = new SimProducer(this.#world, {
        name,
        topic: TOPIC,
        isIdempotent,
        acks,
        produceVersion,
        laneCount,
      });
      for (let partition = 0; partition < partitionCount; partition++) {
        this.#work(`${name} to ${partition}`, () => producer.runLane({ topic: TOPIC, topicId, partition }));
      }
    }
  }

  #startChurnLane(topicId: string): void {
    const name = `churn producer ${++this.#churnCount}`;
    // By id: by name a late batch for the old topic is rightly taken for the new one.
    const traits = { name, topic: CHURN_TOPIC, isIdempotent: true, acks: -1, produceVersion: 13, laneCount: 4 };
    const producer = new SimProducer(this.#world, traits);
    this.#work(name, () => producer.runLane({ topic: CHURN_TOPIC, topicId, partition: 0 }));
  }

  #work(name: string, run: () => Promise<void>): void {
    this.#working.add(name);
    this.#live(name, () => run().finally(() => this.#working.delete(name)));
  }

  #live(name: string, run: () => Promise<void>): void {
    run().catch((error: unknown) => {
      if (this.#world.over.aborted) return;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#world.ledger.fail("clients go on", `${name}: ${text}`);
    });
  }
}
