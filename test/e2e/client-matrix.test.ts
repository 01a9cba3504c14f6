// Every real client writes with every codec it has, and every client reads what every other one wrote.
import { expect, it } from "vitest";
import { type Client, comparable, compressions, sampleRecords } from "./clients/client.ts";
import { confluentPythonClient } from "./clients/confluent-python.ts";
import { javaClient } from "./clients/java.ts";
import { kafkajsClient } from "./clients/kafkajs.ts";
import { kcatClient } from "./clients/kcat.ts";
import { platformaticClient } from "./clients/platformatic.ts";
import { createTopic, freshName, useTargetBroker } from "./target-broker.ts";
import { describeWithTools } from "./tools.ts";

const clients: readonly Client[] = [javaClient, kcatClient, confluentPythonClient, kafkajsClient, platformaticClient];

function namesOf(list: readonly Client[]): string {
  return list.map((client) => client.name).join(", ");
}

describeWithTools("real clients", ["kafka", "kcat", "python"], () => {
  const broker = useTargetBroker();

  for (const compression of compressions) {
    const writers = clients.filter((client) => client.codecs.includes(compression));
    const readers = writers.filter((client) => !client.codecsOnlyOfItsOwn?.includes(compression));

    it(`carries ${compression} from ${namesOf(writers)} to ${namesOf(readers)}`, async () => {
      const { bootstrap } = broker;
      const topic = freshName(`matrix-${compression}`);
      await createTopic(bootstrap, topic, 2);
      const written = [];
      for (const client of writers) {
        for (const isIdempotent of [false, true]) {
          const records = sampleRecords(`${client.name}-${isIdempotent ? "idempotent" : "plain"}`);
          await client.produce({ bootstrap, topic, records, compression, isIdempotent });
          written.push(...records);
        }
      }
      const expected = comparable(written);
      for (const client of readers) {
        const read = await client.consume({ bootstrap, topic, group: freshName("group"), count: written.length });
        expect(comparable(read), `read by ${client.name}`).toEqual(expected);
      }
    });

    for (const client of writers.filter((writer) => !readers.includes(writer))) {
      it(`gives ${client.name} back what it wrote with ${compression}`, async () => {
        const { bootstrap } = broker;
        const topic = freshName(`own-${compression}`);
        await createTopic(bootstrap, topic, 2);
        const records = sampleRecords(client.name);
        await client.produce({ bootstrap, topic, records, compression, isIdempotent: true });
        const read = await client.consume({ bootstrap, topic, group: freshName("group"), count: records.length });
        expect(comparable(read)).toEqual(comparable(records));
      });
    }
  }
});
