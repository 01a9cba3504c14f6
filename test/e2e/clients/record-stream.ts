// Real clients that write to every partition of a topic at once and keep the history of it.
import { setTimeout as sleep } from "node:timers/promises";
import { Kafka, type logCreator, logLevel, Partitioners, type Producer, type RecordMetadata } from "kafkajs";
import { keyOf, type RecordStream, type SentRecord, valueOf } from "../history.ts";
import { RunningProgram } from "../program.ts";
import { pythonProgram } from "../tools.ts";
import { eventually } from "../wait.ts";
import { pythonScript } from "./confluent-python.ts";

/** Pauses between the tries of a client: short, so that a gap is the broker's. */
const RETRY_MS = { initialRetryTime: 50, maxRetryTime: 200 };

/** Where a stream writes to. */
export interface SpreadTarget {
  readonly bootstraps: readonly string[];
  readonly topic: string;
  readonly partitionCount: number;
  /** After how long without an answer a client asks elsewhere. */
  readonly requestTimeoutMs: number;
}

/** Calls `read` with each line that a program prints. */
function onLines(program: RunningProgram, read: (line: string) => void): void {
  let position = 0;
  program.onOutput(() => {
    const { stdout } = program;
    for (let end = stdout.indexOf("\n", position); end >= 0; end = stdout.indexOf("\n", position)) {
      read(stdout.slice(position, end));
      position = end + 1;
    }
  });
}

/** What librdkafka prints of levels 0 to 4, warning, as `%4|…`. */
function warningsOf(program: RunningProgram): readonly string[] {
  return program.stderr.split("\n").filter((line) => line !== "" && !/^%[5-7]\|/.test(line));
}

/** confluent-kafka, idempotent, one record after the other to the partitions in turn. */
export function pythonSpread(target: SpreadTarget, recordsPerSecond: number): RecordStream {
  const { bootstraps, topic, partitionCount, requestTimeoutMs } = target;
  const name = "confluent-kafka";
  const program = new RunningProgram(pythonProgram, [pythonScript, "spread"]);
  const call = {
    bootstrap: bootstraps.join(),
    topic,
    partitionCount,
    requestTimeoutMs,
    recordsPerSecond,
    prefix: name,
  };
  program.write(`${JSON.stringify(call)}\n`);
  program.endInput();
  const sent: SentRecord[] = [];
  onLines(program, (line) => {
    const [partition, number, sentMs, answeredMs, outcome = ""] = line.split(" ");
    const numbers = { partition: Number(partition), number: Number(number) };
    const times = { sentMs: Number(sentMs), answeredMs: Number(answeredMs) };
    sent.push({ ...numbers, ...times, outcome: /^\d+$/.test(outcome) ? Number(outcome) : outcome });
  });
  return {
    name,
    isIdempotent: true,
    sent,
    get warnings() {
      return warningsOf(program);
    },
    end: async () => {
      await program.stop("SIGTERM", 90_000);
    },
  };
}

/** A kafkajs client whose log goes into a list, from warnings on. */
function loggingKafkajs({ bootstraps, requestTimeoutMs }: SpreadTarget, warnings: string[]): Kafka {
  const creator: logCreator = () => (entry) => {
    const { message, error, stack: _stack, logger: _logger, timestamp: _timestamp, ...facts } = entry.log;
    warnings.push(`${entry.namespace}: ${message} ${String(error ?? "")} ${JSON.stringify(facts)}`);
  };
  return new Kafka({
    brokers: [...bootstraps],
    requestTimeout: requestTimeoutMs,
    connectionTimeout: requestTimeoutMs,
    logLevel: logLevel.WARN,
    logCreator: creator,
    retry: { retries: 1_000, ...RETRY_MS },
  });
}

interface LaneOptions {
  readonly name: string;
  readonly isIdempotent: boolean;
  readonly partitions: readonly number[];
  readonly batchRecords: number;
}

/**
 * kafkajs: for each partition one batch after the other. Never two partitions in one call: when a part of such a call is
 * repeated after a leader has moved, kafkajs 2.2 takes the answer of the other part for its own and sends nothing.
 */
export async function kafkajsLanes(target: SpreadTarget, options: LaneOptions): Promise<RecordStream> {
  const { name, isIdempotent, partitions, batchRecords } = options;
  const warnings: string[] = [];
  const sent: SentRecord[] = [];
  const connected = async () => {
    const producer = loggingKafkajs(target, warnings).producer({
      idempotent: isIdempotent,
      createPartitioner: Partitioners.DefaultPartitioner,
      metadataMaxAge: 1_000,
      retry: { retries: Number.MAX_SAFE_INTEGER, ...RETRY_MS },
      ...(isIdempotent ? { maxInFlightRequests: 1 } : {}),
    });
    await producer.connect();
    return producer;
  };
  /** The last one is in use. */
  const producers = [await connected()];
  let replacing: Promise<void> | undefined;
  /**
   * A producer that sends nothing to a broker never does again; what others have sent by it may still be answered. It is
   * rare: of two in one run a broker is to blame, which leaves partitions out of its answers.
   */
  const replace = async (mute: Producer) => {
    if (mute !== producers.at(-1)) return;
    if (producers.length > 1) throw new Error(`${name}: a second producer in one run had answers without partitions`);
    replacing ??= connected().then((producer) => {
      producers.push(producer);
      replacing = undefined;
    });
    await replacing;
  };
  let isEnding = false;
  const lane = async (partition: number) => {
    for (let number = 0; !isEnding; number += batchRecords) {
      const numbers = Array.from({ length: batchRecords }, (_, index) => number + index);
      const sentMs = Date.now();
      const producer = producers.at(-1) as Producer;
      const outcome = await sendBatch(producer, target.topic, { partition, name, numbers });
      const answeredMs = Date.now();
      for (const [index, sentNumber] of numbers.entries()) {
        const own = typeof outcome === "number" ? outcome + index : outcome;
        sent.push({ partition, number: sentNumber, sentMs, answeredMs, outcome: own });
      }
      // A client that gives up at once must not do so without end.
      if (typeof outcome === "string") await sleep(100);
      if (outcome === SENT_NOTHING) await replace(producer);
    }
  };
  const lanes = partitions.map(lane);
  // What ends a lane early is told of at the end.
  for (const running of lanes) running.catch(() => {});
  const end = async () => {
    isEnding = true;
    await Promise.all(lanes);
    await Promise.all(producers.map((producer) => producer.disconnect()));
  };
  return { name, isIdempotent, sent, warnings, end };
}

/** What a send that resolved without any partition's answer counts as. */
export const SENT_NOTHING = "kafkajs sent nothing";

/**
 * The offset of what a send brought to one partition. kafkajs 2.2 may resolve without having sent anything: when the
 * connection of its seed broker ends while metadata is on the way, `BrokerPool.refreshMetadata` gives another broker's
 * connection the number of that one, for good, and what is meant for that broker becomes a request without partitions.
 */
export function outcomeOf(answers: readonly RecordMetadata[]): number | typeof SENT_NOTHING {
  const [answer] = answers;
  return answer?.baseOffset === undefined ? SENT_NOTHING : Number(answer.baseOffset);
}

async function sendBatch(
  producer: Producer,
  topic: string,
  { partition, name, numbers }: { readonly partition: number; readonly name: string; readonly numbers: number[] },
): Promise<number | string> {
  const messages = numbers.map((number) => {
    const key = keyOf(name, partition, number);
    return { partition, key, value: valueOf(key) };
  });
  try {
    return outcomeOf(await producer.send({ topic, acks: -1, messages }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What a group has read, and how calmly. */
export interface GroupView {
  /** Records in the order in which they were read. */
  readonly read: readonly ReadRecord[];
  /** What the members logged. */
  readonly warnings: readonly string[];
  /** How often any member was given an assignment. */
  readonly assignmentCount: number;
  leave(): Promise<void>;
}

/** A record as a member of a group got it. */
export interface ReadRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly readMs: number;
}

/** Members of one group in confluent-kafka, which read the whole topic; resolves when each has an assignment. */
export async function pythonGroup(target: SpreadTarget, group: string, memberCount: number): Promise<GroupView> {
  const read: ReadRecord[] = [];
  let assignmentCount = 0;
  const programs = Array.from({ length: memberCount }, () => {
    const program = new RunningProgram(pythonProgram, [pythonScript, "follow"]);
    program.write(`${JSON.stringify({ bootstrap: target.bootstraps.join(), topic: target.topic, group })}\n`);
    program.endInput();
    onLines(program, (line) => {
      const [partition, offset, key = "", readMs] = line.split(" ");
      if (partition === "assigned") assignmentCount++;
      else read.push({ partition: Number(partition), offset: Number(offset), key, readMs: Number(readMs) });
    });
    return program;
  });
  await eventually(
    () => assignmentCount >= memberCount,
    () => programs.map((program) => program.describe()).join("\n"),
  );
  return {
    read,
    get warnings() {
      return programs.flatMap(warningsOf);
    },
    get assignmentCount() {
      return assignmentCount;
    },
    leave: async () => {
      await Promise.all(programs.map((program) => program.stop("SIGTERM", 30_000)));
    },
  };
}
