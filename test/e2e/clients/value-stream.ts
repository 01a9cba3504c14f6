// Producers that go on through crashes of the broker: each writes `<prefix>0`, `<prefix>1`, … and says what was acknowledged.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProgram } from "../program.ts";
import { pythonProgram, toolCommand } from "../tools.ts";
import { pythonScript } from "./confluent-python.ts";
import { connectKafkajs } from "./kafkajs.ts";

/** A producer at work. */
export interface ValueStream {
  readonly name: string;
  /** Whether the client promises that a retry of it is stored once. */
  readonly isIdempotent: boolean;
  /** Beginning of each of its values. */
  readonly prefix: string;
  /** Values that the broker acknowledged, in the order of the acknowledgements. */
  readonly acknowledged: readonly string[];
  /** Stops writing, waits until nothing is on its way, and ends. */
  end(): Promise<void>;
}

/** Where it writes to. */
export interface StreamTarget {
  readonly bootstrap: string;
  readonly topic: string;
}

/** Collects what `read` finds in the lines of a program. */
function streamOfProgram(
  program: RunningProgram,
  facts: Pick<ValueStream, "name" | "isIdempotent" | "prefix">,
  read: (line: string) => string | undefined,
): ValueStream {
  const acknowledged: string[] = [];
  let nextLine = 0;
  program.onOutput(() => {
    const { lines } = program;
    for (; nextLine < lines.length; nextLine++) {
      const value = read(lines[nextLine] ?? "");
      if (value !== undefined) acknowledged.push(value);
    }
  });
  const end = async () => {
    await program.stop("SIGTERM", 90_000);
  };
  return { ...facts, acknowledged, end };
}

/** Kafka's VerifiableProducer, with the retries that an ordinary Java producer has. */
export function javaStream({ bootstrap, topic }: StreamTarget): ValueStream {
  const settings = join(mkdtempSync(join(tmpdir(), "kafscale-e2e-")), "producer.properties");
  writeFileSync(
    settings,
    "enable.idempotence=true\nretries=2147483647\ndelivery.timeout.ms=120000\nreconnect.backoff.max.ms=500\nlinger.ms=5\n",
  );
  const args = ["--bootstrap-server", bootstrap, "--topic", topic, "--throughput", "1000", "--acks", "-1"];
  args.push("--command-config", settings, "--value-prefix", "77");
  const program = new RunningProgram(toolCommand("kafka-verifiable-producer"), args);
  const facts = { name: "the Java producer", isIdempotent: true, prefix: "77." };
  return streamOfProgram(program, facts, (line) => {
    const event = JSON.parse(line) as { name: string; value?: string };
    return event.name === "producer_send_success" ? event.value : undefined;
  });
}

/** confluent-kafka, idempotent or not. */
export function pythonStream({ bootstrap, topic }: StreamTarget, isIdempotent: boolean): ValueStream {
  const prefix = isIdempotent ? "python-idempotent" : "python-plain";
  const program = new RunningProgram(pythonProgram, [pythonScript, "stream"]);
  program.write(`${JSON.stringify({ bootstrap, topic, isIdempotent, prefix })}\n`);
  program.endInput();
  return streamOfProgram(program, { name: prefix, isIdempotent, prefix: `${prefix}-` }, (line) => {
    return (JSON.parse(line) as { acknowledged?: string }).acknowledged;
  });
}

/** kafkajs, idempotent: one request at a time, sent again by the client for as long as it takes. */
export async function kafkajsStream({ bootstrap, topic }: StreamTarget): Promise<ValueStream> {
  const prefix = "kafkajs-";
  const acknowledged: string[] = [];
  const producer = connectKafkajs(bootstrap).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { retries: 200, initialRetryTime: 100, maxRetryTime: 500 },
  });
  await producer.connect();
  let isEnding = false;
  const work = (async () => {
    for (let number = 0; !isEnding; number += 10) {
      const values = Array.from({ length: 10 }, (_, index) => `${prefix}${number + index}`);
      await producer.send({ topic, acks: -1, messages: values.map((value) => ({ key: prefix, value })) });
      acknowledged.push(...values);
    }
  })();
  const end = async () => {
    isEnding = true;
    await work;
    await producer.disconnect();
  };
  return { name: "kafkajs", isIdempotent: true, prefix, acknowledged, end };
}
