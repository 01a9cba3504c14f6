// The law of imports as data: which floor a room is on, what it may import, and which vendor packages which of its files may.
// `ensure-floors.test.ts` reads the imports of every file and prints `because` on a breach.

/** A part of the tree with one law. */
export interface Room {
  /** Imports go to lower floors only; to the same floor only where `may` names it. */
  readonly floor: number;
  /** Rooms, or single files, that it may import; `invariant` always. */
  readonly may: readonly string[];
  /** Vendor packages and Node modules by the file of the room that may import them; `*` stands for every file. */
  readonly vendors: Readonly<Record<string, readonly string[]>>;
  /** Why, for the person whose import was refused. */
  readonly because: string;
}

const words = ["src/kafka-error.ts", "src/topic-partition.ts"];
const formats = ["src/wire", "generated/kafka", "generated/proto", "src/records", "src/objects", ...words];
const seams = ["src/host", "src/object-store", "src/kv"];
const belowLog = [...formats, ...seams, "src/cluster"];

/** Every room, by the path that its files begin with. */
export const rooms: Readonly<Record<string, Room>> = {
  "src/invariant.ts": { floor: 0, may: [], vendors: {}, because: "everything stands on it" },
  "src/wire": {
    floor: 0,
    may: [],
    vendors: { "crc32c.ts": ["@node-rs/crc32", "node:module", "node:zlib"] },
    because: "bytes know no Kafka message, no time and no I/O",
  },
  "generated/kafka": {
    floor: 1,
    may: ["src/wire"],
    vendors: {},
    because: "a codec depends on the cursor over bytes alone",
  },
  "generated/proto": {
    floor: 1,
    may: [],
    vendors: { "*": ["@bufbuild/protobuf"] },
    because: "printed by protoc-gen-es",
  },
  "generated/testing": {
    floor: 1,
    may: ["src/wire", "generated/kafka"],
    vendors: { "*": ["fast-check"] },
    because: "the clients' side of the protocol exists for tests and benchmarks",
  },
  "src/kafka-error.ts": {
    floor: 1,
    may: ["generated/kafka"],
    vendors: {},
    because: "the words that every room above uses know no room",
  },
  "src/topic-partition.ts": {
    floor: 1,
    may: ["src/wire"],
    vendors: {},
    because: "the words that every room above uses know no room",
  },
  "src/records": {
    floor: 1,
    may: ["src/wire", "generated/kafka/error-codes.ts", ...words],
    vendors: {
      "compression.ts": ["node:zlib"],
      "compression-snappy.ts": ["snappy"],
      "compression-lz4.ts": ["lz4-napi"],
      "compression-zstd.ts": ["@bokuweb/zstd-wasm", "node:zlib"],
    },
    because: "record batches are judged from bytes alone, without clock or store",
  },
  "src/objects": {
    floor: 1,
    may: ["src/wire", "src/records", ...words],
    vendors: {},
    because: "formats are pure: they have to be testable from bytes alone",
  },
  "src/host": {
    floor: 2,
    may: [],
    vendors: {
      "*": ["node:net", "node:http", "node:http2", "node:crypto", "node:events"],
      "folder-lock.ts": ["node:fs", "node:fs/promises"],
      "node-file-system.ts": ["node:fs", "node:fs/promises"],
      "pino-log.ts": ["pino"],
      "prometheus-metrics.ts": ["prom-client"],
    },
    because: "the host gives time, chance, sockets and logs, and knows nothing of what they are for",
  },
  "src/object-store": {
    floor: 2,
    may: ["src/host", "src/wire"],
    vendors: {
      "s3.ts": ["@aws-sdk/client-s3"],
      "s3-clients.ts": ["@aws-sdk/client-s3"],
      "s3-bodies.ts": ["@aws-sdk/client-s3", "node:stream"],
    },
    because: "a store keeps bytes under keys and knows neither formats nor topics",
  },
  "src/kv": {
    floor: 2,
    may: ["src/host", "src/wire"],
    vendors: {
      "etcd.ts": ["etcd3"],
      "etcd-endpoints.ts": ["etcd3", "cockatiel", "@grpc/grpc-js"],
      "etcd-messages.ts": ["etcd3"],
      "etcd-watch.ts": ["etcd3"],
    },
    because: "the store has etcd's semantics and knows none of its keys",
  },
  "src/cluster": {
    floor: 3,
    may: ["src/kv", "src/host", "generated/proto", "generated/kafka/error-codes.ts", "src/wire", ...words],
    vendors: { "*": ["@bufbuild/protobuf", "node:crypto"] },
    because: "wire messages are not storage: facts of the cluster are typed and stored as protobuf",
  },
  "src/log": {
    floor: 4,
    may: [
      "src/wire",
      "src/records",
      "src/objects",
      "generated/kafka/error-codes.ts",
      ...words,
      "src/host",
      "src/object-store",
      "src/kv",
      "src/cluster",
    ],
    vendors: { "*": ["lru-cache"] },
    because: "the log promises what Kafka promises of records, whatever the protocol around it",
  },
  "src/group": {
    floor: 5,
    may: [...belowLog, "src/log"],
    vendors: { "*": ["node:crypto"] },
    because: "a coordinator decides; doors above it carry requests in and answers out",
  },
  "src/kafka": {
    floor: 6,
    may: [...formats, "src/host", "src/cluster", "src/log", "src/group"],
    vendors: { "*": ["node:crypto"] },
    because: "a door reaches the stores only through the rooms that give them meaning",
  },
  "src/control": {
    floor: 6,
    may: ["generated/proto", "src/kv", "src/host", "src/cluster", "src/log", ...words],
    vendors: {
      "control-client.ts": ["@connectrpc/connect", "@connectrpc/connect-node"],
      "control-routes.ts": ["@connectrpc/connect", "@connectrpc/connect-node"],
    },
    because: "a door for brokers and tools knows nothing of the Kafka protocol",
  },
  "src/broker": {
    floor: 7,
    may: [...belowLog, "src/log", "src/group", "src/kafka", "src/control"],
    vendors: {},
    because: "what is started as a whole gets its parts and reads neither process nor environment",
  },
  "src/main": {
    floor: 8,
    may: [...belowLog, "src/log", "src/group", "src/kafka", "src/control", "src/broker"],
    vendors: {
      "*": ["node:fs", "node:fs/promises", "node:path", "node:os", "node:url"],
      "kafscale.ts": ["commander", "@commander-js/extra-typings"],
      "settings-from-env.ts": ["valibot"],
      "s3-adapter.ts": ["@aws-sdk/credential-provider-node", "node:tls"],
    },
    because: "nothing imports the place where real parts are put together",
  },
};

/** Files that a person starts or that test others: they may import whatever they look at, but no room may import them. */
export const outside: readonly string[] = ["codegen", "test", "bench", "scripts", "vitest"];

/** `generated/testing` is for these alone. */
export const mayImportTesting: readonly string[] = ["test", "bench", "generated/testing"];
