// A topic that is deleted and created again under its name, with producers on it: nothing of one topic may show in its
// successor.
import { createDeleteTopicState, createDeleteTopicsRequest } from "../../generated/testing/delete-topics-request.ts";
import { BrokerLink } from "./broker-link.ts";
import { clientApis } from "./client-apis.ts";
import { type ClientWorld, orUndefined, pause } from "./client-world.ts";
import { createTopic } from "./topic-creation.ts";

/** Name of the topic that comes and goes. */
export const CHURN_TOPIC = "churn";

/** Creates and deletes the topic as often as the swarm says; tells `created` of each. */
export async function churnTopic(world: ClientWorld, created: (topicId: string) => void): Promise<void> {
  const { topicChurnEveryMs } = world.environment;
  const random = world.random.split("churn");
  const link = new BrokerLink(world, "churn admin");
  const witness = new BrokerLink(world, "churn witness", [CHURN_TOPIC]);
  while (world.isProducing()) {
    const topicId = await createTopic(world, {
      name: CHURN_TOPIC,
      numPartitions: 1,
      configs: world.swarm.hasAppendTimes ? { "message.timestamp.type": "LogAppendTime" } : {},
    });
    await witness.askAll();
    created(topicId);
    await pause(world, random, topicChurnEveryMs);
    if (!world.isProducing()) break;
    for (;;) {
      const client = await orUndefined(link.open());
      const topics = [createDeleteTopicState({ name: CHURN_TOPIC })];
      const request = createDeleteTopicsRequest({ topics, timeoutMs: 2_000 });
      const api = { ...clientApis.deleteTopics, version: 6 };
      const response = client && (await orUndefined(client.request(api, request)));
      const answer = response?.responses[0];
      const isGone = !world.oracle.topics.has(CHURN_TOPIC);
      if (answer?.errorCode === 0) {
        world.ledger.check("I15 a deleted topic is gone", isGone, () => CHURN_TOPIC);
        world.oracle.told.tellGone(topicId);
        await witness.askAll();
      }
      if (isGone) break;
      await pause(world, random, 200);
    }
    await pause(world, random, 500);
  }
  link.close();
  witness.close();
}
