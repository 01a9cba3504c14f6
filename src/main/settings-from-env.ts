// What `kafscale serve` is told: flags first, then KAFSCALE_* variables, then defaults. The only reader of the environment.
// Refuses what is half-set or unreadable, with one line that names the variable and the way out.
import { hostname } from "node:os";
import * as v from "valibot";
import type { Address } from "../host/transport.ts";
import { SettingsError } from "./settings-error.ts";
import { chooseStores, type StoreSettings, storeVariables } from "./store-settings.ts";

/** The text values of the flags of `serve`, absent where a flag was not given. Each wins over its variable. */
export interface ServeFlags {
  readonly dataDir?: string | undefined;
  readonly kafkaAddr?: string | undefined;
  readonly metricsAddr?: string | undefined;
  readonly controlHost?: string | undefined;
  readonly advertisedHost?: string | undefined;
  readonly advertisedPort?: string | undefined;
  readonly brokerId?: string | undefined;
  readonly autoCreateTopics?: string | undefined;
  readonly autoCreatePartitions?: string | undefined;
  readonly logLevel?: string | undefined;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that a broker process needs to know before it starts. */
export interface ServeSettings extends StoreSettings {
  /** Node id in the Kafka protocol, 0 to 2^31 - 1. */
  readonly brokerId: number;
  readonly kafkaListener: Address;
  readonly metricsListener: Address;
  /** Host under which other brokers reach the metrics listener, which answers their calls too. */
  readonly controlHost: string;
  /** What clients are told to connect to. Port 0 stands for the port that the listener got. */
  readonly advertised: Address;
  /** Tells apart clusters that share an etcd; 1 to 63 of `[A-Za-z0-9._-]`. */
  readonly clusterName: string;
  readonly isAutoCreateEnabled: boolean;
  /** Partitions of a topic that is created without a count, 1 to 1,000. */
  readonly autoCreatePartitionCount: number;
  /** Records of which a partition has little stay in write-ahead objects for so long; 1 second to 1 day. */
  readonly reconcileAgeMs: number;
  readonly logLevel: LogLevel;
  /** Names of KAFSCALE_* variables that are set and that this build does not read: worth a warning. */
  readonly unreadVariables: readonly string[];
}

const logLevels = ["debug", "info", "warn", "error"] as const;
/** The lowest level of the lines that are written. */
export type LogLevel = (typeof logLevels)[number];

function wholeNumber(minimum: number, maximum: number) {
  const message = `it has to be a whole number from ${minimum} to ${maximum}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,10}$/, message),
    v.transform(Number),
    v.minValue(minimum, message),
    v.maxValue(maximum, message),
  );
}

const flag = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.picklist(["1", "true", "0", "false"], "it has to be true or false"),
  v.transform((text) => text === "1" || text === "true"),
);

const addressShape = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/;

const address = v.pipe(
  v.string(),
  v.regex(addressShape, "it has to be host:port, or :port for every interface"),
  v.transform((text): Address => {
    const [, bracketed, plain, port] = addressShape.exec(text) ?? [];
    return { host: bracketed ?? (plain === undefined || plain === "" ? "0.0.0.0" : plain), port: Number(port) };
  }),
  v.check(({ port }) => port <= 65_535, "its port has to be at most 65535"),
);

const hostName = v.pipe(v.string(), v.regex(/^[^\s:/]+$|^[0-9a-fA-F:.]+$/, "it has to be a host name or an address"));
const level = v.pipe(v.string(), v.toLowerCase(), v.picklist(logLevels, `it has to be one of ${logLevels.join(", ")}`));
const clusterName = v.pipe(
  v.string(),
  v.regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,63}$/, "it has to be 1 to 63 of A-Z, a-z, 0-9, dot, underscore and hyphen"),
);
const folder = v.pipe(v.string(), v.minLength(1, "it has to name a folder"));

/** Older than this, a WAL object is worth its reading for the little that is in it (docs/adr/0010, 0018). */
const RECONCILE_AGE_SECONDS_DEFAULT = 600;

const noSyncFlush =
  "there is no mode that acknowledges before the commit: an acknowledged record is in an object that a committed " +
  "transaction names. Unset it; the price of a produce is set by the wait for company, not by the acknowledgement";

/** Where a value came from, and the value. */
interface Given {
  readonly source: string;
  readonly text: string;
}

/** Reads the variables of one process and remembers which were asked for. */
class Reading {
  readonly #flags: ServeFlags;
  readonly #environment: Environment;
  readonly #known = new Set<string>();

  constructor(flags: ServeFlags, environment: Environment) {
    this.#flags = flags;
    this.#environment = environment;
  }

  /** The given value of a setting, or undefined. An empty variable counts as unset, as in a manifest with `value: ""`. */
  given(variable: string, flagName?: keyof ServeFlags): Given | undefined {
    this.#known.add(variable);
    const flagText = flagName === undefined ? undefined : this.#flags[flagName];
    if (flagName !== undefined && flagText !== undefined) return { source: flagSpelling(flagName), text: flagText };
    const text = this.#environment[variable];
    return text === undefined || text === "" ? undefined : { source: variable, text };
  }

  /** The setting as its schema gives it, or undefined when it is not set. */
  read<T>(schema: v.GenericSchema<string, T>, variable: string, flagName?: keyof ServeFlags): T | undefined {
    const given = this.given(variable, flagName);
    if (given === undefined) return undefined;
    const result = v.safeParse(schema, given.text);
    if (result.success) return result.output;
    throw new SettingsError(`${given.source} is "${given.text}": ${result.issues[0].message}`);
  }

  /** Notes variables that are read elsewhere. */
  addKnown(variables: readonly string[]): void {
    for (const variable of variables) this.#known.add(variable);
  }

  unread(): readonly string[] {
    return Object.keys(this.#environment)
      .filter((name) => name.startsWith("KAFSCALE_") && !this.#known.has(name) && this.#environment[name] !== "")
      .toSorted();
  }
}

function flagSpelling(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The ordinal of a StatefulSet's pod: `kafscale-broker-2` is broker 2. */
function podOrdinal(podName: string | undefined): number | undefined {
  const [, digits] = /-(\d{1,9})$/.exec(podName ?? "") ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function readStores(reading: Reading, environment: Environment): StoreSettings {
  const isMemoryAsked = reading.read(flag, "KAFSCALE_USE_MEMORY_S3") ?? false;
  const path = reading.read(folder, "KAFSCALE_DATA_DIR", "dataDir");
  const source = reading.given("KAFSCALE_DATA_DIR", "dataDir")?.source ?? "";
  reading.addKnown(storeVariables);
  return chooseStores({ isMemoryAsked, folder: path === undefined ? undefined : { path, source }, environment });
}

function isEveryInterface({ host }: Address): boolean {
  return host === "0.0.0.0" || host === "::";
}

function advertisedHost(reading: Reading, listener: Address): string {
  const given = reading.read(hostName, "KAFSCALE_BROKER_HOST", "advertisedHost");
  if (given !== undefined) return given;
  return isEveryInterface(listener) ? hostname() : listener.host;
}

/**
 * The settings of `kafscale serve`.
 * @throws SettingsError naming the flag or variable that cannot be served
 */
export function readServeSettings(flags: ServeFlags, environment: Environment = process.env): ServeSettings {
  const reading = new Reading(flags, environment);
  if (reading.read(flag, "KAFSCALE_PRODUCE_SYNC_FLUSH") === false) {
    throw new SettingsError(`KAFSCALE_PRODUCE_SYNC_FLUSH is false: ${noSyncFlush}`);
  }
  const stores = readStores(reading, environment);
  const kafkaListener = reading.read(address, "KAFSCALE_BROKER_ADDR", "kafkaAddr") ?? { host: "127.0.0.1", port: 9092 };
  const metricsListener = reading.read(address, "KAFSCALE_METRICS_ADDR", "metricsAddr") ?? {
    host: "127.0.0.1",
    port: 9093,
  };
  const clientHost = advertisedHost(reading, kafkaListener);
  const controlHost = reading.read(hostName, "KAFSCALE_CONTROL_HOST", "controlHost");
  const brokerId = reading.read(wholeNumber(0, 2_147_483_647), "KAFSCALE_BROKER_ID", "brokerId");
  const port = reading.read(wholeNumber(1, 65_535), "KAFSCALE_BROKER_PORT", "advertisedPort");
  return {
    brokerId: brokerId ?? podOrdinal(environment["POD_NAME"]) ?? 0,
    kafkaListener,
    metricsListener,
    controlHost: controlHost ?? (isEveryInterface(metricsListener) ? clientHost : metricsListener.host),
    advertised: { host: clientHost, port: port ?? kafkaListener.port },
    ...stores,
    clusterName: reading.read(clusterName, "KAFSCALE_CLUSTER_NAME") ?? "kafscale",
    isAutoCreateEnabled: reading.read(flag, "KAFSCALE_AUTO_CREATE_TOPICS", "autoCreateTopics") ?? true,
    autoCreatePartitionCount:
      reading.read(wholeNumber(1, 1_000), "KAFSCALE_AUTO_CREATE_PARTITIONS", "autoCreatePartitions") ?? 1,
    reconcileAgeMs:
      1_000 * (reading.read(wholeNumber(1, 86_400), "KAFSCALE_RECONCILE_AGE_SECONDS") ?? RECONCILE_AGE_SECONDS_DEFAULT),
    logLevel: reading.read(level, "KAFSCALE_LOG_LEVEL", "logLevel") ?? "warn",
    unreadVariables: reading.unread(),
  };
}
