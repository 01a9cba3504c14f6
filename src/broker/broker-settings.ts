// What a broker is told: plain data, made by `main` from flags and the environment, by tests and simulations directly.
import { defaultGroupSettings, type GroupSettings } from "../group/group-settings.ts";
import type { Address } from "../host/transport.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../kafka/kafka-settings.ts";
import { embeddedLogSettings, type LogSettings } from "../log/log-settings.ts";

/** Settings of one broker. */
export interface BrokerSettings {
  /** Names the keys in the metadata store. */
  readonly clusterName: string;
  /** What the keys of all objects begin with, the cluster's name unless told. */
  readonly objectPrefix?: string;
  /** Node id in the Kafka protocol, 0 to 2^31 - 1. */
  readonly brokerId: number;
  readonly version: string;
  /** Where the Kafka listener binds; port 0 lets the system choose. */
  readonly listener: Address;
  /** What clients are told to dial; port 0 stands for the bound one. */
  readonly advertised: Address;
  /** Failure domain told to clients, "" for none. */
  readonly rack: string;
  /** Bytes that requests and unsent answers of all connections may hold. */
  readonly requestBudgetBytes: number;
  /** How long a stop hands shards to other brokers; they claim the rest when it has ended. */
  readonly drainTimeoutMs: number;
  /** How long a stop waits for requests under way. */
  readonly stopGraceMs: number;
  /** How long a stop waits for its last flush, checkpoint and deregistration; then it leaves without them. */
  readonly stopTimeoutMs: number;
  readonly kafka: KafkaSettings;
  readonly group: GroupSettings;
  readonly log: LogSettings;
}

/** The settings of a broker on embedded stores, but for its addresses. */
export const embeddedBrokerSettings = {
  clusterName: "kafscale",
  brokerId: 0,
  version: "0.1.0",
  rack: "",
  requestBudgetBytes: 256 * 1024 * 1024,
  // 25 s together: within the 30 s that Kubernetes gives.
  drainTimeoutMs: 6_000,
  stopGraceMs: 4_000,
  stopTimeoutMs: 15_000,
  kafka: defaultKafkaSettings,
  group: defaultGroupSettings,
  log: embeddedLogSettings,
} as const satisfies Partial<BrokerSettings>;
