// The limits and switches of the Kafka listener: plain data with the defaults of a production broker. Every limit bounds
// what a peer can make this broker hold, and says what happens one past it.

/** Settings of the `kafka` room. Sizes in bytes, times in milliseconds. */
export interface KafkaSettings {
  /** Largest frame a client may announce. One past it closes the connection, as Kafka does. */
  readonly requestBytesMax: number;
  /** Array elements and unknown tagged fields of one request. One more closes the connection: it cannot be read. */
  readonly requestElementsMax: number;
  /** Requests of one connection that may be unanswered. At the limit the socket is not read. */
  readonly requestsInFlightMax: number;
  /** Bytes of requests and unsent answers of one connection; one request is always let through. */
  readonly connectionBytesMax: number;
  /** A frame that began and got no further byte for this long closes the connection. */
  readonly partialFrameIdleMs: number;
  /** A connection without any request for this long is closed. */
  readonly connectionIdleMs: number;
  /** A peer that takes none of an answer for this long is closed. */
  readonly writeStallMs: number;
  /** Open connections, in total and per address. Further ones are closed at accept. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** New connections per second, in total and per address. Further ones are closed after `acceptDelayMs`. */
  readonly acceptsPerSecondMax: number;
  readonly acceptsPerSecondPerAddressMax: number;
  readonly acceptDelayMs: number;
  /** Characters of a client id. One more, or a control character, is INVALID_REQUEST. */
  readonly clientIdCharactersMax: number;
  /** Topics a Metadata request may name. One more is INVALID_REQUEST. */
  readonly metadataTopicsMax: number;
  /** Partitions one Fetch may ask for. One more is INVALID_REQUEST. */
  readonly fetchPartitionsMax: number;
  /** Records one Fetch answer carries at most, except that its first batch is always whole. */
  readonly fetchBytesMax: number;
  /** Incremental fetch sessions of this broker. At the limit the least recently used one makes room. */
  readonly fetchSessionsMax: number;
  /** A session younger than this is not evicted for another. */
  readonly fetchSessionEvictionMs: number;
  /** Partitions one DescribeTopicPartitions answer holds at most. */
  readonly describePartitionsMax: number;
  /** Whether Metadata creates topics that are asked for and absent. */
  readonly isAutoCreateEnabled: boolean;
  /** Partitions of topics created without a count. */
  readonly defaultPartitionCount: number;
  /** Largest partition count of one topic, and of the cluster: what `cluster/topics` enforces. */
  readonly partitionsPerTopicMax: number;
  readonly partitionsPerClusterMax: number;
  /** How long an admin request waits for the metadata store when the client names no shorter time. */
  readonly adminTimeoutMs: number;
}

/** The defaults. Where Kafka has the same limit, its default is taken. */
export const defaultKafkaSettings: KafkaSettings = {
  requestBytesMax: 100 * 1024 * 1024,
  // Five times the partitions that a cluster may have: what a tool may name in one request.
  requestElementsMax: 100_000,
  requestsInFlightMax: 100,
  connectionBytesMax: 16 * 1024 * 1024,
  partialFrameIdleMs: 30_000,
  connectionIdleMs: 600_000,
  writeStallMs: 60_000,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 1_000,
  acceptsPerSecondMax: 500,
  acceptsPerSecondPerAddressMax: 50,
  acceptDelayMs: 1_000,
  clientIdCharactersMax: 255,
  metadataTopicsMax: 10_000,
  fetchPartitionsMax: 2_000,
  fetchBytesMax: 55 * 1024 * 1024,
  fetchSessionsMax: 1_000,
  fetchSessionEvictionMs: 120_000,
  describePartitionsMax: 2_000,
  isAutoCreateEnabled: true,
  defaultPartitionCount: 1,
  partitionsPerTopicMax: 1_000,
  partitionsPerClusterMax: 20_000,
  adminTimeoutMs: 30_000,
};
