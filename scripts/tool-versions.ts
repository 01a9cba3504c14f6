// The pins of `make tools`: which jars, Debian packages, Python packages and Go modules, and the command names they are started by.
import { join } from "node:path";

/** A Maven artifact as `group:artifact:version`. */
type Artifact = string;

const kafkaVersion = "4.3.1";

/** Apache Kafka's broker, its command line tools, and a logger that stays silent below errors. */
export const apacheKafkaDependencies: readonly Artifact[] = [
  `org.apache.kafka:kafka_2.13:${kafkaVersion}`,
  `org.apache.kafka:kafka-tools:${kafkaVersion}`,
  "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1",
  "org.apache.logging.log4j:log4j-core:2.25.1",
];

/** The last client library of the 3.x line: the versions that 4.x dropped are judged by it. */
export const clients39Dependencies: readonly Artifact[] = ["org.apache.kafka:kafka-clients:3.9.1"];

/** kcat with the shared libraries that a small system may lack. */
export const kcatPackages: readonly string[] = [
  "kcat",
  "librdkafka1",
  "libyajl2",
  "liblz4-1",
  "libsasl2-2",
  "libsasl2-modules-db",
  "libdb5.3",
  "libssl3",
  "libzstd1",
  "zlib1g",
];

/** strace, which shows the system calls of the stores, with its libraries. */
export const stracePackages: readonly string[] = ["strace", "libunwind8", "liblzma5"];

/** libfaketime, which gives one process a wrong clock: a library for LD_PRELOAD, without a program of its own. */
export const faketimePackages: readonly string[] = ["libfaketime"];

/** A newer librdkafka than kcat's, through its Python binding. */
export const pythonPackages: readonly string[] = ["confluent-kafka==2.16.1"];

/** etcd's server and its command line. */
export const etcdVersion = "v3.6.16";

/** A Go module whose programs are etcd's own: path and text of each file. */
export const etcdModule: readonly (readonly [string, string])[] = [
  ["go.mod", "module etcd\n\ngo 1.26\n"],
  [
    "server/main.go",
    'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n',
  ],
  ["ctl/main.go", 'package main\n\nimport "go.etcd.io/etcd/etcdctl/v3/ctlv3"\n\nfunc main() { ctlv3.MustStart() }\n'],
];

/** S3 servers by the name of their program: the package that Go builds, and its version. */
export const s3Servers: Readonly<Record<"versitygw" | "minio", string>> = {
  versitygw: "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
  minio: "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
};

/** A Maven project that does nothing but name its dependencies. */
export function mavenProject(artifacts: readonly Artifact[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  return [
    "<project><modelVersion>4.0.0</modelVersion>",
    "<groupId>kafscale.tools</groupId><artifactId>tools</artifactId><version>1</version>",
    `<dependencies>${dependencies.join("")}</dependencies></project>`,
    "",
  ].join("\n");
}

/** Kafka's scripts by the names that its documentation uses, and the class each of them starts. */
const kafkaCommands: Readonly<Record<string, string>> = {
  "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
  "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
  "kafka-topics": "org.apache.kafka.tools.TopicCommand",
  "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
  "kafka-configs": "kafka.admin.ConfigCommand",
  "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
  "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
  "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
  "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
  "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
  "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
  "kafka-storage": "kafka.tools.StorageTool",
  "kafka-server": "kafka.Kafka",
};

/** Name and text of each file of `.tools/bin`. */
export function commandWrappers(toolsFolder: string): readonly (readonly [string, string])[] {
  const jars = join(toolsFolder, "kafka", "libs", "*");
  const java = Object.entries(kafkaCommands).map(
    ([name, className]) =>
      [
        name,
        `#!/bin/sh\nexec java -Xms64m -Xmx512m -XX:TieredStopAtLevel=1 -cp '${jars}' ${className} "$@"\n`,
      ] as const,
  );
  const debian = ["kcat", "strace"].map((name) => [name, debianWrapper(toolsFolder, name)] as const);
  const built = [
    ["etcd", "etcd"],
    ["etcd", "etcdctl"],
    ["versitygw", "versitygw"],
    ["minio", "minio"],
  ] as const;
  const go = built.map(([tool, name]) => [name, `#!/bin/sh\nexec '${join(toolsFolder, tool, name)}' "$@"\n`] as const);
  return [...java, ...debian, ...go];
}

/** Starts a program that was unpacked beside its own libraries. */
function debianWrapper(toolsFolder: string, name: string): string {
  return [
    "#!/bin/sh",
    `R='${join(toolsFolder, name, "root")}'`,
    'L=$(ls -d "$R"/usr/lib/*-linux-gnu* "$R"/lib/*-linux-gnu* 2>/dev/null | tr "\\n" ":")',
    // Only the program itself: what it starts has to find the libraries of the system.
    name === "strace"
      ? `exec "$(ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* 2>/dev/null | head -n 1)" --library-path "$L" "$R/usr/bin/${name}" "$@"`
      : `LD_LIBRARY_PATH="$L$LD_LIBRARY_PATH" exec "$R/usr/bin/${name}" "$@"`,
    "",
  ].join("\n");
}
