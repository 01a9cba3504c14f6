// Every configuration a topic of Kafka may have, with type, default and bounds: what CreateTopics checks against and
// DescribeConfigs lists. Those that mean nothing here are taken, kept and shown, and say so in their text.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";

/** Type of a configuration, as DescribeConfigs names it. */
export type ConfigType = "boolean" | "string" | "int" | "long" | "double" | "list";

/** One configuration. */
export interface TopicConfigEntry {
  readonly name: string;
  readonly type: ConfigType;
  /** In force where a topic has no override. */
  readonly defaultValue: string;
  /** What it does here. */
  readonly doc: string;
  /** Least value of a number. */
  readonly min?: number;
  /** Largest value of a number that is not the type's. */
  readonly max?: number;
  /** The allowed values of a string, or of each element of a list. */
  readonly values?: readonly string[];
}

type NumberEntry = Pick<TopicConfigEntry, "defaultValue" | "doc"> & { readonly min: number };

const INT_MAX = 2_147_483_647n;
const LONG_MAX = 9_223_372_036_854_775_807n;
const NEVER = LONG_MAX.toString();
const NO_EFFECT = "Kept for compatibility; it has no effect: ";
const DISKLESS = `${NO_EFFECT}brokers keep no log files.`;
const UNREPLICATED = `${NO_EFFECT}records are durable in object storage before they are acknowledged, not by replicas.`;
const NOT_YET = "Kept, and not in force yet, because logs are not compacted yet: ";
const AS_PRODUCED = `${NO_EFFECT}batches stay as their producer compressed them.`;
const COMPRESSION = ["uncompressed", "gzip", "snappy", "lz4", "zstd", "producer"];

/** All of them, by name. */
export const topicConfigs: readonly TopicConfigEntry[] = [
  {
    name: "cleanup.policy",
    type: "list",
    defaultValue: "delete",
    values: ["delete", "compact"],
    doc: "What happens to old records: with delete they go by age and size. Compaction is not in force yet.",
  },
  {
    name: "compression.gzip.level",
    type: "int",
    defaultValue: "-1",
    min: -1,
    max: 9,
    doc: AS_PRODUCED,
  },
  {
    name: "compression.lz4.level",
    type: "int",
    defaultValue: "9",
    min: 1,
    max: 17,
    doc: AS_PRODUCED,
  },
  {
    name: "compression.type",
    type: "string",
    defaultValue: "producer",
    values: COMPRESSION,
    doc: AS_PRODUCED,
  },
  {
    name: "compression.zstd.level",
    type: "int",
    defaultValue: "3",
    min: -131_072,
    max: 22,
    doc: AS_PRODUCED,
  },
  long("delete.retention.ms", {
    defaultValue: "86400000",
    min: 0,
    doc: `${NOT_YET}how long the mark of a deleted key outlives compaction, in ms.`,
  }),
  long("file.delete.delay.ms", { defaultValue: "60000", min: 0, doc: DISKLESS }),
  long("flush.messages", {
    defaultValue: NEVER,
    min: 1,
    doc: `${NO_EFFECT}every record is durable before it is acknowledged.`,
  }),
  long("flush.ms", {
    defaultValue: NEVER,
    min: 0,
    doc: `${NO_EFFECT}every record is durable before it is acknowledged.`,
  }),
  { name: "follower.replication.throttled.replicas", type: "list", defaultValue: "", doc: UNREPLICATED },
  int("index.interval.bytes", {
    defaultValue: "4096",
    min: 0,
    doc: `${NO_EFFECT}an index has an entry after 100 records or 256 KiB.`,
  }),
  { name: "leader.replication.throttled.replicas", type: "list", defaultValue: "", doc: UNREPLICATED },
  long("local.retention.bytes", { defaultValue: "-2", min: -2, doc: DISKLESS }),
  long("local.retention.ms", { defaultValue: "-2", min: -2, doc: DISKLESS }),
  long("max.compaction.lag.ms", {
    defaultValue: NEVER,
    min: 1,
    doc: `${NOT_YET}longest time a record waits for compaction, in ms.`,
  }),
  int("max.message.bytes", { defaultValue: "1048588", min: 0, doc: "Largest record batch, in bytes." }),
  {
    name: "message.downconversion.enable",
    type: "boolean",
    defaultValue: "true",
    doc: "Whether old clients are served in their format.",
  },
  long("message.timestamp.after.max.ms", {
    defaultValue: NEVER,
    min: 0,
    doc: "How far a record's timestamp may lie in the future, in ms.",
  }),
  long("message.timestamp.before.max.ms", {
    defaultValue: NEVER,
    min: 0,
    doc: "How far a record's timestamp may lie in the past, in ms.",
  }),
  {
    name: "message.timestamp.type",
    type: "string",
    defaultValue: "CreateTime",
    values: ["CreateTime", "LogAppendTime"],
    doc: "Whether a record's timestamp is the producer's or the time of its append.",
  },
  {
    name: "min.cleanable.dirty.ratio",
    type: "double",
    defaultValue: "0.5",
    min: 0,
    max: 1,
    doc: `${NOT_YET}least share of the log that is not compacted before compaction runs.`,
  },
  long("min.compaction.lag.ms", {
    defaultValue: "0",
    min: 0,
    doc: `${NOT_YET}shortest time a record is kept from compaction, in ms.`,
  }),
  int("min.insync.replicas", { defaultValue: "1", min: 1, doc: UNREPLICATED }),
  { name: "preallocate", type: "boolean", defaultValue: "false", doc: DISKLESS },
  { name: "remote.log.copy.disable", type: "boolean", defaultValue: "false", doc: DISKLESS },
  { name: "remote.log.delete.on.disable", type: "boolean", defaultValue: "false", doc: DISKLESS },
  { name: "remote.storage.enable", type: "boolean", defaultValue: "false", doc: DISKLESS },
  long("retention.bytes", {
    defaultValue: "-1",
    min: -1,
    doc: "Size of a partition above which its oldest records are deleted, segment by segment; -1 is no limit.",
  }),
  long("retention.ms", {
    defaultValue: "604800000",
    min: -1,
    doc: "Age at which records are deleted, segment by segment, in ms; -1 is never.",
  }),
  int("segment.bytes", {
    defaultValue: "67108864",
    min: 14,
    doc: "Size up to which segments grow, in bytes; less than 4 MiB counts as 4 MiB, more than 64 MiB as 64 MiB.",
  }),
  int("segment.index.bytes", { defaultValue: "10485760", min: 4, doc: DISKLESS }),
  long("segment.jitter.ms", { defaultValue: "0", min: 0, doc: DISKLESS }),
  long("segment.ms", { defaultValue: "604800000", min: 1, doc: DISKLESS }),
  { name: "unclean.leader.election.enable", type: "boolean", defaultValue: "false", doc: UNREPLICATED },
];

const byName = new Map(topicConfigs.map((entry) => [entry.name, entry]));

/** The entry of a name, if Kafka knows it. */
export function topicConfigEntry(name: string): TopicConfigEntry | undefined {
  return byName.get(name);
}

/** @throws KafkaError INVALID_CONFIG naming what is unknown or out of bounds */
export function validateTopicConfigs(configs: ReadonlyMap<string, string>): void {
  for (const [name, value] of configs) {
    const entry = byName.get(name);
    if (!entry) throw invalid(`there is no topic configuration ${JSON.stringify(name)}`);
    if (!isAllowed(entry, value))
      throw invalid(`${JSON.stringify(value)} is no value for ${name}${allowedText(entry)}`);
  }
}

/** The value in force, as text. */
export function topicConfigText(configs: ReadonlyMap<string, string>, name: string): string {
  const entry = byName.get(name);
  if (!entry) throw invalid(`there is no topic configuration ${JSON.stringify(name)}`);
  return configs.get(name) ?? entry.defaultValue;
}

/** The value in force of an int, long or double; a long past the safe range counts as the end of that range. */
export function topicConfigNumber(configs: ReadonlyMap<string, string>, name: string): number {
  const value = Number(topicConfigText(configs, name));
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER));
}

function isAllowed(entry: TopicConfigEntry, value: string): boolean {
  switch (entry.type) {
    case "boolean":
      return /^(true|false)$/i.test(value);
    case "string":
      return entry.values === undefined || entry.values.includes(value);
    case "list":
      return isAllowedList(entry, value);
    case "double":
      return value.trim() !== "" && isWithin(entry, Number(value));
    case "int":
      return isInteger(value, INT_MAX) && isWithin(entry, Number(value));
    case "long":
      return isInteger(value, LONG_MAX) && isWithin(entry, Number(value));
  }
}

function isAllowedList(entry: TopicConfigEntry, value: string): boolean {
  const { values } = entry;
  if (!values) return true;
  return value.split(",").every((element) => values.includes(element.trim()));
}

function isInteger(value: string, max: bigint): boolean {
  if (!/^[+-]?[0-9]{1,20}$/.test(value)) return false;
  const number = BigInt(value.replace("+", ""));
  return number <= max && number >= -max - 1n;
}

function isWithin({ min, max }: TopicConfigEntry, value: number): boolean {
  return !Number.isNaN(value) && (min === undefined || value >= min) && (max === undefined || value <= max);
}

function allowedText({ values, min, max }: TopicConfigEntry): string {
  if (values) return `: one of ${values.join(", ")}`;
  if (min === undefined) return "";
  return max === undefined ? `: ${min} and up` : `: ${min} to ${max}`;
}

function invalid(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_CONFIG, message);
}

function int(name: string, rest: NumberEntry): TopicConfigEntry {
  return { name, type: "int", ...rest };
}

function long(name: string, rest: NumberEntry): TopicConfigEntry {
  return { name, type: "long", ...rest };
}
