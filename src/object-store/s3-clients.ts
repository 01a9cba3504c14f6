// The AWS client as this project uses it: no retries of its own, no second checksum, bodies that are not hashed to sign
// them (unless that is asked for), pools of kept connections that are apart for writes, reads and the rest, and a
// time-out on every socket. What the SDK would do by default is measured in the comments beside each setting.
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { S3Identity } from "./s3-credentials.ts";

/** Which connections a call uses, so that a reader who catches up never makes a producer wait. */
export type S3Pool = "produce" | "fetch" | "background";

/** What all clients of a store share. */
export interface S3ClientSettings {
  readonly region: string;
  /** The address of an S3 server, or undefined for AWS's own. */
  readonly endpoint: string | undefined;
  /** Whether the bucket is in the path instead of the host name. */
  readonly isPathStyle: boolean;
  /** Whether bodies are hashed into the signature. Costs 4 ms of CPU per 8 MiB; needed where the network is not trusted. */
  readonly isPayloadSigned: boolean;
  /** Connections of each pool. */
  readonly socketsMax: number;
  /** Authorities beside the usual ones, as PEM texts. */
  readonly authorities: readonly string[] | undefined;
}

/** What a client calls. */
export interface S3ClientCalls {
  readonly identity: () => Promise<S3Identity>;
  /** Told the store's own time with each answer, in milliseconds since the epoch. */
  readonly onServerTime: (serverMs: number) => void;
}

/** One SYN may be lost, which costs a second, before a connection counts as impossible. */
const CONNECTION_TIMEOUT_MS = 2_000;
/** A connection on which nothing moves for this long is given up, also in the middle of a body. */
const SOCKET_TIMEOUT_MS = 5_000;
const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** The clients of one store, made when first used. */
export class S3Clients {
  readonly #settings: S3ClientSettings;
  readonly #calls: S3ClientCalls;
  readonly #clients = new Map<S3Pool, S3Client>();

  constructor(settings: S3ClientSettings, calls: S3ClientCalls) {
    this.#settings = settings;
    this.#calls = calls;
  }

  /** The client of a pool. */
  of(pool: S3Pool): S3Client {
    let client = this.#clients.get(pool);
    if (client === undefined) {
      client = openClient(this.#settings, this.#calls);
      this.#clients.set(pool, client);
    }
    return client;
  }

  /** Breaks every connection. */
  close(): void {
    for (const client of this.#clients.values()) client.destroy();
    this.#clients.clear();
  }
}

function openClient(settings: S3ClientSettings, calls: S3ClientCalls): S3Client {
  const { identity } = calls;
  const agent = { keepAlive: true, maxSockets: settings.socketsMax };
  const client = new S3Client({
    region: settings.region,
    forcePathStyle: settings.isPathStyle,
    followRegionRedirects: false,
    // Asked for every call: what is handed out is kept by `RotatingCredentials`, and the SDK keeps what does not expire.
    credentials: async () => ({ ...definedOnly(await identity()), expiration: new Date(0) }),
    maxAttempts: 1,
    // A second checksum would double the work; ours is sent with each put and checked by the store.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // By default puts above 2 MiB wait for a "100 Continue", on a new connection each.
    expectContinueHeader: false,
    // Without these there is no time-out at all, and `requestTimeout` alone only warns. Deadlines are the caller's.
    requestHandler: {
      httpAgent: agent,
      httpsAgent: settings.authorities === undefined ? agent : { ...agent, ca: [...settings.authorities] },
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: SOCKET_TIMEOUT_MS,
    },
    // What it warns of is the caller's to tell: every failure is an error that says what was met.
    logger: { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
  } satisfies S3ClientConfig);
  addHeaders(client, settings);
  addServerTime(client, calls);
  return client;
}

function addHeaders(client: S3Client, { isPayloadSigned }: S3ClientSettings): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      // As a header and not as an input of the call: the SDK would check the body with a slow checksum of its own.
      if (context["commandName"] === "GetObjectCommand") headers["x-amz-checksum-mode"] = "ENABLED";
      if (!isPayloadSigned) headers["x-amz-content-sha256"] = UNSIGNED_PAYLOAD;
      return next(args);
    },
    { step: "build", name: "kafscaleHeaders" },
  );
}

function addServerTime(client: S3Client, { onServerTime }: S3ClientCalls): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { headers?: Readonly<Record<string, string>> };
      const serverMs = Date.parse(headers?.["date"] ?? "");
      if (Number.isFinite(serverMs)) onServerTime(serverMs);
      return result;
    },
    { step: "deserialize", name: "kafscaleServerTime", priority: "low" },
  );
}

function definedOnly({ accessKeyId, secretAccessKey, sessionToken }: S3Identity): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
