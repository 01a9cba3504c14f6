// One member of a consumer group as each real client has it: what it is assigned, what it read, how it leaves.
import { Consumer } from "@platformatic/kafka";
import type { EachMessagePayload } from "kafkajs";
import { RunningProgram } from "../program.ts";
import { pythonProgram, toolCommand } from "../tools.ts";
import { pythonScript } from "./confluent-python.ts";
import { connectKafkajs } from "./kafkajs.ts";

/** What a member reports as it changes. */
export interface MemberView {
  /** The partitions it has now, ascending; undefined while it has no assignment. */
  assigned: readonly number[] | undefined;
  /** Values in the order in which it read them. */
  readonly values: string[];
}

/** A running member. */
export interface GroupMember {
  readonly view: MemberView;
  /** Leaves the group in the client's own way, and ends. */
  leave(): Promise<void>;
  /** Ends without leaving, where the client is a program of its own. */
  readonly kill?: () => void;
}

/** What a member joins. */
export interface Membership {
  readonly bootstrap: string;
  readonly topic: string;
  readonly group: string;
}

/** A client that can be a member. */
export interface MemberKind {
  readonly name: string;
  join(membership: Membership): Promise<GroupMember>;
}

function ascending(partitions: readonly number[]): readonly number[] {
  return partitions.toSorted((left, right) => left - right);
}

/** Watches the lines of a program and keeps the view by `read`. */
function memberOfProgram(program: RunningProgram, read: (line: string, view: MemberView) => void): GroupMember {
  const view: MemberView = { assigned: undefined, values: [] };
  let nextLine = 0;
  program.onOutput(() => {
    for (; nextLine < program.lines.length; nextLine++) read(program.lines[nextLine] ?? "", view);
  });
  return {
    view,
    leave: async () => {
      await program.stop("SIGTERM");
    },
    kill: () => program.kill(),
  };
}

/** A line of Kafka's VerifiableConsumer. */
interface VerifiableEvent {
  readonly name: string;
  readonly partitions?: readonly { readonly topic: string; readonly partition: number }[];
  readonly value?: string;
}

const java: MemberKind = {
  name: "the Java consumer",
  join: ({ bootstrap, topic, group }) => {
    const args = ["--bootstrap-server", bootstrap, "--topic", topic, "--group-id", group];
    args.push("--reset-policy", "earliest", "--session-timeout", "6000", "--verbose");
    const program = new RunningProgram(toolCommand("kafka-verifiable-consumer"), args);
    const member = memberOfProgram(program, (line, view) => {
      const event = JSON.parse(line) as VerifiableEvent;
      if (event.name === "partitions_assigned") {
        view.assigned = ascending((event.partitions ?? []).map(({ partition }) => partition));
      }
      if (event.name === "partitions_revoked") view.assigned = undefined;
      if (event.name === "record_data" && event.value !== undefined) view.values.push(event.value);
    });
    return Promise.resolve(member);
  },
};

/** A line of the Python program. */
interface PythonEvent {
  readonly assigned?: readonly number[];
  readonly revoked?: readonly number[];
  readonly value?: string;
}

const python: MemberKind = {
  name: "confluent-kafka",
  join: (membership) => {
    const program = new RunningProgram(pythonProgram, [pythonScript, "member"]);
    program.write(`${JSON.stringify(membership)}\n`);
    program.endInput();
    const member = memberOfProgram(program, (line, view) => {
      const event = JSON.parse(line) as PythonEvent;
      if (event.assigned !== undefined) view.assigned = event.assigned;
      if (event.revoked !== undefined) view.assigned = undefined;
      if (event.value !== undefined) view.values.push(event.value);
    });
    return Promise.resolve(member);
  },
};

const kafkajs: MemberKind = {
  name: "kafkajs",
  join: async ({ bootstrap, topic, group }) => {
    const view: MemberView = { assigned: undefined, values: [] };
    const options = { groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200 };
    const consumer = connectKafkajs(bootstrap).consumer(options);
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      view.assigned = ascending(payload.memberAssignment[topic] ?? []);
    });
    consumer.on(consumer.events.REBALANCING, () => {
      view.assigned = undefined;
    });
    const eachMessage = ({ message }: EachMessagePayload) => {
      view.values.push(Buffer.from(message.value ?? []).toString());
      return Promise.resolve();
    };
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({ eachMessage });
    return { view, leave: () => consumer.disconnect() };
  },
};

const platformatic: MemberKind = {
  name: "@platformatic/kafka",
  join: async ({ bootstrap, topic, group }) => {
    const view: MemberView = { assigned: undefined, values: [] };
    const consumer = new Consumer({
      clientId: "e2e-platformatic",
      bootstrapBrokers: [bootstrap],
      groupId: group,
      sessionTimeout: 6000,
      heartbeatInterval: 500,
    });
    consumer.on("consumer:group:join", ({ assignments }) => {
      view.assigned = ascending((assignments ?? []).flatMap(({ partitions }) => partitions));
    });
    consumer.on("consumer:group:rebalance", () => {
      view.assigned = undefined;
    });
    const stream = await consumer.consume({
      topics: [topic],
      mode: "committed",
      fallbackMode: "earliest",
      maxWaitTime: 200,
    });
    stream.on("data", (message) => view.values.push(message.value.toString()));
    return {
      view,
      leave: async () => {
        await stream.close();
        await consumer.close();
      },
    };
  },
};

/** Every client that has groups of more than one member. */
export const memberKinds: readonly MemberKind[] = [java, python, kafkajs, platformatic];
