// Creates topics through the broker, however often that has to be tried.
import {
  createCreatableTopic,
  createCreatableTopicConfig,
  createCreateTopicsRequest,
} from "../../generated/testing/create-topics-request.ts";
import { BrokerLink } from "./broker-link.ts";
import { clientApis } from "./client-apis.ts";
import { type ClientWorld, orUndefined, pause } from "./client-world.ts";

/** What is to be created. */
export interface NewSimTopic {
  readonly name: string;
  readonly numPartitions: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** Creates a topic, or finds it there; its id. */
export async function createTopic(
  world: ClientWorld,
  { name, numPartitions, configs = {} }: NewSimTopic,
): Promise<string> {
  const link = new BrokerLink(world, `admin of ${name}`);
  const random = world.random.split(`creation of ${name}`);
  const rows = Object.entries(configs).map(([key, value]) => createCreatableTopicConfig({ name: key, value }));
  for (;;) {
    const topics = [createCreatableTopic({ name, numPartitions, replicationFactor: -1, configs: rows })];
    const request = createCreateTopicsRequest({ topics, timeoutMs: 2_000 });
    const client = await orUndefined(link.open());
    const response = client && (await orUndefined(client.request({ ...clientApis.createTopics, version: 7 }, request)));
    const topicId = world.oracle.topics.get(name)?.topicId;
    if (response?.topics[0]?.errorCode === 0) {
      world.ledger.check("a created topic is stored", topicId !== undefined, () => name);
      if (topicId !== undefined) world.oracle.told.tellCreated(topicId);
    }
    if (topicId !== undefined) {
      link.close();
      return topicId;
    }
    await pause(world, random, 200);
  }
}
