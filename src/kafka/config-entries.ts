// Configurations as DescribeConfigs and CreateTopics show them: those of a topic with their defaults, those of a broker
// with the settings they stand for. Values are what is in force; nothing is shown that is not.
import type { Topic } from "../cluster/topic.ts";
import { type ConfigType, type TopicConfigEntry, topicConfigs } from "../cluster/topic-configs.ts";
import { defaultKafkaSettings, type KafkaSettings } from "./kafka-settings.ts";

/** Where a value comes from, as the protocol numbers it. */
export const ConfigSource = { TOPIC: 1, STATIC_BROKER: 4, DEFAULT: 5 } as const;

/** Types of values, as the protocol numbers them. */
const typeNumbers: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
};

/** One configuration in force. */
export interface ConfigRow {
  readonly name: string;
  readonly value: string;
  readonly source: number;
  readonly isReadOnly: boolean;
  readonly type: number;
  readonly documentation: string;
  /** Every place that has a value, the one in force first. */
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: number }[];
}

/** Topic configurations whose broker-wide default has another name than `log.` and theirs. */
const brokerNames: ReadonlyMap<string, string> = new Map([
  ["compression.gzip.level", "compression.gzip.level"],
  ["compression.lz4.level", "compression.lz4.level"],
  ["compression.type", "compression.type"],
  ["compression.zstd.level", "compression.zstd.level"],
  ["delete.retention.ms", "log.cleaner.delete.retention.ms"],
  ["file.delete.delay.ms", "log.segment.delete.delay.ms"],
  ["flush.messages", "log.flush.interval.messages"],
  ["flush.ms", "log.flush.interval.ms"],
  ["index.interval.bytes", "log.index.interval.bytes"],
  ["local.retention.bytes", "log.local.retention.bytes"],
  ["local.retention.ms", "log.local.retention.ms"],
  ["max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
  ["max.message.bytes", "message.max.bytes"],
  ["min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"],
  ["min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"],
  ["min.insync.replicas", "min.insync.replicas"],
  ["segment.index.bytes", "log.index.size.max.bytes"],
  ["segment.jitter.ms", "log.roll.jitter.ms"],
  ["segment.ms", "log.roll.ms"],
  ["unclean.leader.election.enable", "unclean.leader.election.enable"],
]);

/** Topic configurations that no broker-wide name stands behind. */
const topicOnly: ReadonlySet<string> = new Set([
  "follower.replication.throttled.replicas",
  "leader.replication.throttled.replicas",
  "remote.log.copy.disable",
  "remote.log.delete.on.disable",
  "remote.storage.enable",
]);

function brokerName({ name }: TopicConfigEntry): string | undefined {
  return topicOnly.has(name) ? undefined : (brokerNames.get(name) ?? `log.${name}`);
}

/** Every configuration of a topic, by name: overrides and defaults. */
export function topicConfigRows({ configs }: Pick<Topic, "configs">): ConfigRow[] {
  return topicConfigs.map((entry): ConfigRow => {
    const { name, type, defaultValue, doc } = entry;
    const override = configs.get(name);
    const behind = { name: brokerName(entry) ?? name, value: defaultValue, source: ConfigSource.DEFAULT };
    const own = { name, value: override ?? defaultValue, source: ConfigSource.TOPIC };
    return {
      name,
      value: own.value,
      source: override === undefined ? ConfigSource.DEFAULT : ConfigSource.TOPIC,
      isReadOnly: false,
      type: typeNumbers[type],
      documentation: doc,
      synonyms: override === undefined ? [behind] : [own, behind],
    };
  });
}

/** What a broker's configurations are taken from. */
export interface BrokerFacts {
  readonly brokerId: number;
  /** Where clients reach it. */
  readonly advertised: { readonly host: string; readonly port: number } | undefined;
  readonly settings: KafkaSettings;
}

interface BrokerEntry {
  readonly name: string;
  readonly type: ConfigType;
  readonly doc: string;
  valueOf(settings: KafkaSettings): number | boolean;
}

const brokerEntries: readonly BrokerEntry[] = [
  {
    name: "auto.create.topics.enable",
    type: "boolean",
    doc: "Whether Metadata creates topics that are asked for and absent.",
    valueOf: (settings) => settings.isAutoCreateEnabled,
  },
  {
    name: "connections.max.idle.ms",
    type: "long",
    doc: "A connection without a request for this long is closed, in ms.",
    valueOf: (settings) => settings.connectionIdleMs,
  },
  {
    name: "fetch.max.bytes",
    type: "int",
    doc: "Most record bytes of one Fetch answer; its first batch is always whole.",
    valueOf: (settings) => settings.fetchBytesMax,
  },
  {
    name: "max.connections",
    type: "int",
    doc: "Open client connections of this broker.",
    valueOf: (settings) => settings.connectionsMax,
  },
  {
    name: "max.connections.per.ip",
    type: "int",
    doc: "Open client connections from one address.",
    valueOf: (settings) => settings.connectionsPerAddressMax,
  },
  {
    name: "max.connection.creation.rate",
    type: "int",
    doc: "New client connections per second.",
    valueOf: (settings) => settings.acceptsPerSecondMax,
  },
  {
    name: "max.incremental.fetch.session.cache.slots",
    type: "int",
    doc: "Incremental fetch sessions of this broker.",
    valueOf: (settings) => settings.fetchSessionsMax,
  },
  {
    name: "max.request.partition.size.limit",
    type: "int",
    doc: "Partitions of one DescribeTopicPartitions answer.",
    valueOf: (settings) => settings.describePartitionsMax,
  },
  {
    name: "num.partitions",
    type: "int",
    doc: "Partitions of topics created without a count.",
    valueOf: (settings) => settings.defaultPartitionCount,
  },
  {
    name: "socket.request.max.bytes",
    type: "int",
    doc: "Largest request in bytes; a larger one closes the connection.",
    valueOf: (settings) => settings.requestBytesMax,
  },
];

/** Every configuration of a broker, by name: what it is, its limits, and the defaults of its topics. */
export function brokerConfigRows(facts: BrokerFacts): ConfigRow[] {
  const { brokerId, advertised, settings } = facts;
  const rows = brokerEntries.map((entry) => {
    const value = entry.valueOf(settings);
    const isDefault = value === entry.valueOf(defaultKafkaSettings);
    const source = isDefault ? ConfigSource.DEFAULT : ConfigSource.STATIC_BROKER;
    return brokerRow({ name: entry.name, type: entry.type, doc: entry.doc }, String(value), source);
  });
  const idEntry = { name: "broker.id", type: "int", doc: "The id of this broker." } as const;
  rows.push(brokerRow(idEntry, String(brokerId), ConfigSource.STATIC_BROKER));
  if (advertised) {
    const entry = { name: "advertised.listeners", type: "list", doc: "Where clients reach this broker." } as const;
    rows.push(brokerRow(entry, `PLAINTEXT://${advertised.host}:${advertised.port}`, ConfigSource.STATIC_BROKER));
  }
  for (const entry of topicConfigs) {
    const name = brokerName(entry);
    if (name)
      rows.push(brokerRow({ name, type: entry.type, doc: entry.doc }, entry.defaultValue, ConfigSource.DEFAULT));
  }
  return rows.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function brokerRow(entry: { name: string; type: ConfigType; doc: string }, value: string, source: number): ConfigRow {
  const { name, type, doc } = entry;
  return {
    name,
    value,
    source,
    isReadOnly: true,
    type: typeNumbers[type],
    documentation: doc,
    synonyms: [{ name, value, source }],
  };
}
