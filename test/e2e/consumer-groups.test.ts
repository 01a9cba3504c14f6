// Groups of real clients: a second member joins and leaves, another dies, and every record is read.
import { expect, it } from "vitest";
import { confluentPythonClient } from "./clients/confluent-python.ts";
import { type GroupMember, memberKinds } from "./clients/group-member.ts";
import { runProgram } from "./program.ts";
import { createTopic, freshName, useTargetBroker } from "./target-broker.ts";
import { describeWithTools, toolCommand } from "./tools.ts";
import { eventually } from "./wait.ts";

const partitionCount = 4;
const allPartitions = [0, 1, 2, 3];

function assignmentOf(members: readonly GroupMember[]): readonly number[] {
  return members.flatMap(({ view }) => view.assigned ?? []).toSorted((left, right) => left - right);
}

/** Waits until the members together have each partition once, and none of them is without one. */
async function untilBalanced(members: readonly GroupMember[]): Promise<void> {
  const isBalanced = () =>
    members.every(({ view }) => (view.assigned?.length ?? 0) > 0) &&
    JSON.stringify(assignmentOf(members)) === JSON.stringify(allPartitions);
  await eventually(isBalanced, () => `assigned: ${JSON.stringify(members.map(({ view }) => view.assigned))}`);
}

async function untilRead(members: readonly GroupMember[], values: readonly string[]): Promise<void> {
  const missing = () => {
    const read = new Set(members.flatMap(({ view }) => view.values));
    return values.filter((value) => !read.has(value));
  };
  await eventually(
    () => missing().length === 0,
    () => `${missing().length} of ${values.length} not read`,
  );
}

describeWithTools("consumer groups", ["kafka", "kcat", "python"], () => {
  const broker = useTargetBroker();

  async function produce(topic: string, prefix: string, count: number): Promise<readonly string[]> {
    const values = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
    const records = values.map((value) => ({ key: value, value, headers: [] }));
    const { bootstrap } = broker;
    await confluentPythonClient.produce({ bootstrap, topic, records, compression: "gzip", isIdempotent: true });
    return values;
  }

  for (const kind of memberKinds) {
    it(`lets a second member of ${kind.name} join and leave without losing a record`, async () => {
      const { bootstrap } = broker;
      const topic = freshName("group-topic");
      const membership = { bootstrap, topic, group: freshName("group") };
      await createTopic(bootstrap, topic, partitionCount);

      const first = await kind.join(membership);
      await untilBalanced([first]);
      const written = [...(await produce(topic, "alone", 100))];
      await untilRead([first], written);

      const second = await kind.join(membership);
      await untilBalanced([first, second]);
      written.push(...(await produce(topic, "together", 100)));
      await untilRead([first, second], written);

      await second.leave();
      await untilBalanced([first]);
      written.push(...(await produce(topic, "alone-again", 100)));
      await untilRead([first, second], written);
      await first.leave();

      // Whoever joins later goes on where the group stopped: its offsets were committed when the members left.
      const third = await kind.join(membership);
      await untilBalanced([third]);
      const later = await produce(topic, "later", 20);
      await untilRead([third], later);
      await third.leave();
      expect(third.view.values.toSorted()).toEqual([...later].toSorted());
    });
  }

  it("gives the partitions of a member that died to the one that lives, after its session timed out", async () => {
    const { bootstrap } = broker;
    const topic = freshName("group-topic");
    const membership = { bootstrap, topic, group: freshName("group") };
    await createTopic(bootstrap, topic, partitionCount);
    const [java, python] = memberKinds;
    if (java === undefined || python === undefined) throw new Error("no members");
    const survivor = await python.join(membership);
    const victim = await python.join(membership);
    await untilBalanced([survivor, victim]);
    victim.kill?.();
    victim.view.assigned = undefined;
    await untilBalanced([survivor]);
    const written = await produce(topic, "after-the-death", 50);
    await untilRead([survivor], written);
    await survivor.leave();
    expect(survivor.view.values.length).toBe(50);
  });

  it("shows a group, its members and its lag to kafka-consumer-groups", async () => {
    const { bootstrap } = broker;
    const topic = freshName("described-topic");
    const group = freshName("described-group");
    await createTopic(bootstrap, topic, 1);
    await produce(topic, "first", 10);
    const args = ["--bootstrap-server", bootstrap, "--topic", topic, "--group", group, "--from-beginning"];
    await runProgram(toolCommand("kafka-console-consumer"), [...args, "--max-messages", "10", "--timeout-ms", "30000"]);
    await produce(topic, "second", 5);

    const groups = toolCommand("kafka-consumer-groups");
    const list = await runProgram(groups, ["--bootstrap-server", bootstrap, "--list"]);
    expect(list.stdout.split("\n")).toContain(group);
    const offsets = await runProgram(groups, ["--bootstrap-server", bootstrap, "--describe", "--group", group]);
    const row = offsets.stdout.split("\n").find((line) => line.includes(topic));
    // GROUP TOPIC PARTITION [LEADER-EPOCH] CURRENT-OFFSET LOG-END-OFFSET LAG …
    expect(row).toMatch(new RegExp(`${group}\\s+${topic}\\s+0\\s+(\\S+\\s+)?10\\s+15\\s+5\\b`));
    const state = await runProgram(groups, [
      "--bootstrap-server",
      bootstrap,
      "--describe",
      "--group",
      group,
      "--state",
    ]);
    expect(state.stdout).toMatch(/Empty/);
  });
});
