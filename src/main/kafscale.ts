#!/usr/bin/env node
// The one binary: `serve` runs a broker, `recover` settles a restored backup, `verify` compares the bucket with what is
// referred to. What it cannot read or does not know ends with a line and exit code 1 or 2.
import { Command } from "@commander-js/extra-typings";
import { embeddedBrokerSettings } from "../broker/broker-settings.ts";
import { readServeSettings, type ServeFlags, type ServeSettings } from "./settings-from-env.ts";
import { startErrorLine } from "./start-error.ts";

const serveExamples = `
Examples:
  $ kafscale serve                                   one broker at 127.0.0.1:9092, records in memory
  $ kafscale serve --data-dir ./data                 the same, records kept in a folder
  $ kafscale serve --kafka-addr :9092 --advertised-host kafka.example.org
                                                     reachable from other machines under that name

Each flag has a variable; the flag wins.
  KAFSCALE_BROKER_ADDR  KAFSCALE_METRICS_ADDR  KAFSCALE_BROKER_HOST  KAFSCALE_BROKER_PORT  KAFSCALE_BROKER_ID
  KAFSCALE_DATA_DIR  KAFSCALE_USE_MEMORY_S3  KAFSCALE_AUTO_CREATE_TOPICS  KAFSCALE_AUTO_CREATE_PARTITIONS
  KAFSCALE_CONTROL_HOST  KAFSCALE_LOG_LEVEL  KAFSCALE_RECONCILE_AGE_SECONDS
  POD_NAME (its ordinal is the broker id)
Records in a bucket instead, with metadata in etcd or, for one broker, in --data-dir:
  KAFSCALE_S3_BUCKET  KAFSCALE_S3_REGION  KAFSCALE_S3_ENDPOINT  KAFSCALE_S3_PATH_STYLE  KAFSCALE_S3_KMS_ARN
  KAFSCALE_S3_ACCESS_KEY  KAFSCALE_S3_SECRET_KEY  KAFSCALE_S3_SESSION_TOKEN  KAFSCALE_S3_CREDENTIALS_DIR
  KAFSCALE_S3_CA_FILE  KAFSCALE_S3_PAYLOAD_SIGNING  KAFSCALE_S3_NAMESPACE  KAFSCALE_S3_CONCURRENCY
  KAFSCALE_S3_PUTS_PER_SECOND  KAFSCALE_CATCH_UP_MIB_PER_SECOND  AWS_* (keys, where none of the above are set)
  KAFSCALE_ETCD_ENDPOINTS  KAFSCALE_ETCD_USERNAME  KAFSCALE_ETCD_PASSWORD  KAFSCALE_ETCD_PASSWORD_FILE
  KAFSCALE_ETCD_CA_FILE  KAFSCALE_ETCD_CERT_FILE  KAFSCALE_ETCD_KEY_FILE  KAFSCALE_CLUSTER_NAME
No other variable is read. docs/OPERATIONS.md says what the bucket and etcd have to be.
`;

// Node 20 is supported here for as long as it is by this version of the AWS client, which would warn of it at each start.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";

async function runServe(flags: ServeFlags & { examples?: true | undefined }): Promise<void> {
  let settings: ServeSettings | undefined;
  try {
    settings = readServeSettings(flags);
    const { serve } = await import("./serve.ts");
    process.exitCode = await serve(settings, { isShowingExamples: flags.examples ?? false });
  } catch (error) {
    process.stderr.write(`kafscale: ${startErrorLine(error, settings)}\n`);
    process.exitCode = 1;
  }
}

const recoverExamples = `
It reads the stores from the variables of the brokers: run it in a broker's environment.
Examples:
  $ kafscale recover                      compare bucket and metadata store; exit code 3 if a backup was restored
  $ kafscale recover --accept-head-loss   go on with the restored metadata; all brokers have to be stopped
docs/OPERATIONS.md says what is lost.
`;

async function runRecover(flags: { dataDir?: string | undefined; acceptHeadLoss?: true | undefined }): Promise<void> {
  let settings: ServeSettings | undefined;
  try {
    settings = readServeSettings({ dataDir: flags.dataDir });
    const { recover } = await import("./recover.ts");
    process.exitCode = await recover(settings, { isAccepting: flags.acceptHeadLoss ?? false });
  } catch (error) {
    process.stderr.write(`kafscale: ${startErrorLine(error, settings)}\n`);
    process.exitCode = 1;
  }
}

const verifyExamples = `
It reads the stores from the variables of the brokers: run it in a broker's environment. Brokers may go on meanwhile,
but for those on a --data-dir. Exit code 0: nothing is wrong; 3: something was found; 1: something could not be found out.
Examples:
  $ kafscale verify            what is missing, damaged, nobody's or foreign; changes nothing
  $ kafscale verify --deep     reads every byte that is referred to as well
  $ kafscale verify --json     the report as one JSON object
  $ kafscale verify --repair   removes strays that are provably nobody's; waits ten minutes for readers where a broker runs
docs/OPERATIONS.md says what each finding means.
`;

interface VerifyFlags {
  dataDir?: string | undefined;
  deep?: true | undefined;
  repair?: true | undefined;
  json?: true | undefined;
}

async function runVerify({ dataDir, deep, repair, json }: VerifyFlags): Promise<void> {
  let settings: ServeSettings | undefined;
  try {
    settings = readServeSettings({ dataDir });
    const { verify } = await import("./verify.ts");
    const choice = { isDeep: deep ?? false, isRepairing: repair ?? false, isJson: json ?? false };
    process.exitCode = await verify(settings, choice);
  } catch (error) {
    process.stderr.write(`kafscale: ${startErrorLine(error, settings)}\n`);
    process.exitCode = 1;
  }
}

const program = new Command("kafscale")
  .description("A Kafka-compatible broker that keeps every record in object storage before it acknowledges it.")
  .version(embeddedBrokerSettings.version)
  .showSuggestionAfterError();

program
  .command("serve")
  .description("start one broker and keep it running until SIGTERM or Ctrl-C; a second signal ends it at once")
  .option(
    "--data-dir <folder>",
    "keep records and metadata in this folder (default: in memory); metadata alone where a bucket is set",
  )
  .option("--kafka-addr <host:port>", "where Kafka clients connect (default: 127.0.0.1:9092)")
  .option(
    "--metrics-addr <host:port>",
    "/metrics, /healthz, /readyz and calls of other brokers (default: 127.0.0.1:9093)",
  )
  .option("--control-host <name>", "host under which other brokers reach --metrics-addr (default: its own)")
  .option("--advertised-host <name>", "host that clients are told (default: that of --kafka-addr)")
  .option("--advertised-port <port>", "port that clients are told (default: that of --kafka-addr)")
  .option("--broker-id <number>", "node id in the Kafka protocol (default: 0)")
  .option("--auto-create-topics <boolean>", "create topics that clients ask for (default: true)")
  .option("--auto-create-partitions <number>", "partitions of topics that are created without a count (default: 1)")
  .option("--log-level <level>", "debug, info, warn or error (default: warn)")
  .option("--examples", "print commands to try once the broker is ready")
  .addHelpText("after", serveExamples)
  .action(runServe);

program
  .command("recover")
  .description("after etcd was restored from a backup: say what it lacks beside the bucket, and go on with it")
  .option("--data-dir <folder>", "the folder of a broker with --data-dir")
  .option("--accept-head-loss", "take the metadata store as it is; what it does not know is lost to clients")
  .addHelpText("after", recoverExamples)
  .action(runRecover);

program
  .command("verify")
  .description("compare what stands in the bucket with what is referred to; with --repair remove what is nobody's")
  .option("--data-dir <folder>", "the folder of a broker with --data-dir, which has to be stopped")
  .option("--deep", "read every object that is referred to, and compare its checksums")
  .option("--repair", "remove strays that are provably nobody's; nothing while an object is missing or damaged")
  .option("--json", "print the report as one JSON object")
  .addHelpText("after", verifyExamples)
  .action(runVerify);

await program.parseAsync();
