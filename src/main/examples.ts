// What `kafscale serve --examples` prints once the broker is ready: commands that talk to it, to be pasted as they are.
import type { Address } from "../host/transport.ts";

/** What the text names. */
export interface ExampleFacts {
  readonly version: string;
  readonly bootstrap: Address;
  readonly metrics: Address;
  /** Folder of the records, or undefined when they are in memory or in a bucket. */
  readonly dataDir: string | undefined;
  /** Bucket of the records, or undefined when they are elsewhere. */
  readonly bucket?: string | undefined;
  /** Whole milliseconds from the start of the process to the first request it could serve. */
  readonly readyMs: number;
}

/** `host:port`, with brackets around an address that has colons. */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The text, several lines that each end in a line break. */
export function exampleText(facts: ExampleFacts): string {
  const broker = addressText(facts.bootstrap);
  const embedded =
    facts.dataDir === undefined
      ? "in memory: they end with this process (--data-dir keeps them)"
      : `in ${facts.dataDir}`;
  const where = facts.bucket === undefined ? embedded : `in bucket ${facts.bucket}`;
  const send =
    `const { Kafka } = require('kafkajs'); const p = new Kafka({ brokers: ['${broker}'] }).producer(); ` +
    "p.connect().then(() => p.send({ topic: 'orders', messages: [{ value: 'hello from kafkajs' }] }))" +
    ".then(console.log).then(() => p.disconnect())";
  return [
    `KafScale ${facts.version}: one broker at ${broker}, ready in ${(facts.readyMs / 1000).toFixed(1)} s`,
    `Records ${where}`,
    `Metrics http://${addressText(facts.metrics)}/metrics, health /healthz and /readyz`,
    "",
    "Try, in another terminal:",
    `  echo hello | kcat -b ${broker} -t orders -P`,
    `  kcat -b ${broker} -t orders -C -o beginning -e`,
    `  kafka-console-producer --bootstrap-server ${broker} --topic orders`,
    `  kafka-console-consumer --bootstrap-server ${broker} --topic orders --from-beginning`,
    "or, in a clone of the repository, with nothing but its own packages:",
    `  node -e "${send}"`,
    "",
    "Ctrl-C stops.",
    "",
  ].join("\n");
}
