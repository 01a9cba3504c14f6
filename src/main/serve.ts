// One life of `kafscale serve`: parts, broker, ports, and the ways it ends: a signal, a broken store, or a bug.
import { Broker } from "../broker/broker.ts";
import { type BrokerSettings, embeddedBrokerSettings } from "../broker/broker-settings.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import { SocketControlPlane } from "../control/socket-control-plane.ts";
import { H2cServer } from "../host/h2c-server.ts";
import { healthRoutes } from "../host/health-routes.ts";
import { openHttpPort } from "../host/http-port.ts";
import type { Log } from "../host/log.ts";
import { createPinoLog } from "../host/pino-log.ts";
import { PrometheusMetrics } from "../host/prometheus-metrics.ts";
import { objectStoreColdReads } from "../log/cold-reads.ts";
import { embeddedLogSettings, type LogSettings } from "../log/log-settings.ts";
import { defaultReconcile } from "../log/reconcile-plan.ts";
import { type Adapters, openAdapters } from "./adapters.ts";
import { exampleText } from "./examples.ts";
import type { ServeSettings } from "./settings-from-env.ts";

/** After a stop, how long anything may keep the process from ending. */
const EXIT_GRACE_MS = 2_000;

/** A signal that aborts at the first SIGINT or SIGTERM. The second one ends the process where it stands. */
function stopSignal(log: Log): AbortSignal {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals, number: number) => {
    if (controller.signal.aborted) process.exit(128 + number);
    log.info("stopping", { signal: name });
    controller.abort(new Error(`stopped by ${name}`));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return controller.signal;
}

/** A bug ends the process at once: what it would do next rests on a state that nobody knows. */
function endOnBugs(): void {
  const end = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${JSON.stringify({ level: "fatal", msg: "the process ends after a bug", error: text })}\n`);
    process.exit(1);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}

/** Flushes that a start may have to read back when each costs a request to S3: few, as checkpoints are cheap beside them. */
const BUCKET_CHECKPOINT_FLUSHES = 64;
/** Chunks of the bucket's objects in RAM: a GET costs more than what an embedded store's file does. */
const BUCKET_READ_CACHE_BYTES = 256 * 1024 * 1024;
/** Seconds of unspent puts that an idle broker saves up. */
const BUCKET_PUT_BURST_SECONDS = 10;

/** The log on embedded stores, or on a bucket, where each put has a price. */
function logSettings({ s3, reconcileAgeMs: pendingAgeMs }: ServeSettings): LogSettings {
  const embedded = { ...embeddedLogSettings, reconcile: { ...embeddedLogSettings.reconcile, pendingAgeMs } };
  if (s3 === undefined) return embedded;
  const putBudget = { perSecond: s3.putsPerSecond, burst: s3.putsPerSecond * BUCKET_PUT_BURST_SECONDS };
  return {
    ...embedded,
    putBudget,
    reconcile: { ...defaultReconcile, pendingAgeMs },
    checkpointFlushes: BUCKET_CHECKPOINT_FLUSHES,
    coldReads: {
      ...objectStoreColdReads,
      bytesPerSecondBesideProducers: s3.catchUpMibPerSecond * 1024 * 1024,
    },
    readCacheBytes: BUCKET_READ_CACHE_BYTES,
  };
}

function brokerSettings(settings: ServeSettings): BrokerSettings {
  const { brokerId, kafkaListener, advertised, isAutoCreateEnabled, autoCreatePartitionCount } = settings;
  return {
    ...embeddedBrokerSettings,
    clusterName: settings.clusterName,
    objectPrefix: settings.s3?.namespace ?? settings.clusterName,
    log: logSettings(settings),
    brokerId,
    listener: kafkaListener,
    advertised,
    kafka: {
      ...embeddedBrokerSettings.kafka,
      isAutoCreateEnabled,
      defaultPartitionCount: autoCreatePartitionCount,
    },
  };
}

/** What a person should know before the first record, as log lines. */
function warnOfSettings(settings: ServeSettings, log: Log): void {
  const { dataDir, s3, etcd, kafkaListener, unreadVariables } = settings;
  if (s3 !== undefined) {
    const { bucket, endpoint, isPayloadSigned } = s3.store;
    const metadata = etcd === undefined ? { dataDir } : { etcd: etcd.endpoints };
    log.info("records are in a bucket", { bucket, endpoint, isPayloadSigned, ...metadata });
  } else if (dataDir === undefined) log.warn("records and metadata are in memory and end with this process");
  else log.info("records and metadata are in a folder", { dataDir });
  const isLoopback = /^(127\.|::1$|localhost$)/.test(kafkaListener.host);
  if (!isLoopback)
    log.warn("anybody who reaches the listener may read and write: there is no authentication yet", {
      ...kafkaListener,
    });
  if (unreadVariables.length > 0) log.warn("these variables are set and not read", { variables: unreadVariables });
}

/** Resolves when `signal` aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** What the readiness probe is told, or nothing when the broker serves. */
function reasonNotReady(broker: Broker | undefined, signal: AbortSignal): string | undefined {
  if (signal.aborted) return "the broker stops";
  if (broker === undefined) return "the broker starts";
  if (broker.isReady) return undefined;
  return ["the broker has no session, or does not serve all of its shards yet", ...broker.outages].join("; ");
}

/** Runs a broker between opened and closed parts, until `signal` aborts or it cannot go on. */
async function runBroker(
  settings: ServeSettings,
  adapters: Adapters,
  options: {
    readonly control: ControlPlane;
    readonly signal: AbortSignal;
    readonly onReady: (broker: Broker) => void;
  },
): Promise<void> {
  const { control, signal, onReady } = options;
  try {
    const broker = await Broker.start(brokerSettings(settings), { ...adapters.components, control }, { signal });
    try {
      onReady(broker);
      await Promise.race([aborted(signal), broker.failed, adapters.failed]);
    } catch (error) {
      // A broken store or a bug: an orderly stop would wait for the one, or write down what the other left.
      broker.abandon();
      throw error;
    } finally {
      await broker.stop();
    }
  } finally {
    await adapters.close();
  }
}

/**
 * Serves until a signal asks for the end.
 * @returns the exit code of the process
 * @throws when the start fails, or the broker could not go on; the message is for a person
 */
export async function serve(
  settings: ServeSettings,
  options: { readonly isShowingExamples: boolean },
): Promise<number> {
  const { logLevel, metricsListener, controlHost, dataDir } = settings;
  const bucket = settings.s3?.store.bucket;
  const log = createPinoLog({ level: logLevel });
  endOnBugs();
  const signal = stopSignal(log);
  warnOfSettings(settings, log);
  const metrics = new PrometheusMetrics();
  metrics.addProcessMetrics();
  let running: Broker | undefined;
  const routes = healthRoutes(metrics, () => reasonNotReady(running, signal));
  const h2c = new H2cServer();
  const http = await openHttpPort({ address: metricsListener, routes, takeHttp2: (socket) => h2c.take(socket) });
  const onReady = (broker: Broker) => {
    running = broker;
    if (!options.isShowingExamples) return;
    const facts = { bootstrap: broker.address, metrics: http.address, dataDir, bucket, readyMs: performance.now() };
    process.stdout.write(exampleText({ version: embeddedBrokerSettings.version, ...facts }));
  };
  try {
    const adapters = await openAdapters(settings, { log, metrics, signal });
    const address = { host: controlHost, port: http.address.port };
    const control = new SocketControlPlane({ clock: adapters.components.clock, h2c, address });
    await runBroker(settings, adapters, { control, signal, onReady });
  } catch (error) {
    // A start that a signal interrupted fails with the signal's reason, and that is no failure.
    if (error !== signal.reason) throw error;
  } finally {
    // After the end of the session: a port that refuses connections stands for a broker that is dead.
    await Promise.all([h2c.close(), http.close()]);
    setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
  }
  log.info("stopped");
  if (options.isShowingExamples) process.stdout.write("Stopped.\n");
  return 0;
}
