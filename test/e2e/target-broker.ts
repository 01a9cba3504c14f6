// The broker that a suite of client tests talks to: an own one in memory, or any other one that KAFSCALE_E2E_BOOTSTRAP
// names. Run against Apache Kafka, the suite shows that the tests themselves are right.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { BrokerProcess } from "./broker-process.ts";
import { runProgram } from "./program.ts";
import { toolCommand } from "./tools.ts";

/** Where the tests of one file find their broker once they run. */
export interface TargetBroker {
  readonly bootstrap: string;
}

/** Starts a broker before the tests of the enclosing block, and ends it after them. */
export function useTargetBroker(): TargetBroker {
  const other = process.env["KAFSCALE_E2E_BOOTSTRAP"];
  if (other !== undefined && other !== "") return { bootstrap: other };
  let broker: BrokerProcess | undefined;
  beforeAll(async () => {
    broker = await BrokerProcess.start();
  });
  afterAll(async () => {
    await broker?.stop();
    if (process.env["KAFSCALE_E2E_SHOW_BROKER"] === "true") process.stderr.write(broker?.program.stdout ?? "");
  });
  return {
    get bootstrap() {
      if (broker === undefined) throw new Error("the broker is not running yet");
      return broker.bootstrap;
    },
  };
}

/** A name that no other test uses, so that suites may share a broker. */
export function freshName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

/** Creates a topic with Kafka's own tool. */
export async function createTopic(bootstrap: string, topic: string, partitionCount: number): Promise<void> {
  const args = ["--bootstrap-server", bootstrap, "--create", "--topic", topic];
  args.push("--partitions", String(partitionCount), "--replication-factor", "1");
  await runProgram(toolCommand("kafka-topics"), args);
}
