// An S3 server of one bucket in this process, small enough to be read, that lies when a test tells it to. It checks
// preconditions, ranges, checksums, the region and the access key of a signature, but not the signature itself: the real
// servers of `make test-e2e` do that.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { crc32c } from "../../src/wire/crc32c.ts";

/** What a server does to one request instead of answering it as it should. */
export type Fault =
  /** Refuses it with a status and an error code, before anything is done. */
  | {
      readonly type: "error";
      readonly status: number;
      readonly code: string;
      readonly headers?: Record<string, string>;
    }
  /** Does it and breaks the connection instead of answering. */
  | { readonly type: "reset-after" }
  /** Breaks the connection as soon as the headers are there. */
  | { readonly type: "reset-before" }
  /** Does it, and never answers. */
  | { readonly type: "stall" }
  /** Sends this many bytes of the body, and then nothing any more. */
  | { readonly type: "stall-body"; readonly bytes: number }
  /** Sends this many bytes of the body and closes the connection. */
  | { readonly type: "truncate"; readonly bytes: number }
  /** Sends the body with its first byte changed. */
  | { readonly type: "damage" }
  /** Sends the whole object whatever range is asked for. */
  | { readonly type: "ignore-range" }
  /** Sends an error document with status 200. */
  | { readonly type: "error-as-body" }
  /** Replaces an object in spite of `If-None-Match`. */
  | { readonly type: "ignore-precondition" }
  /** Neither checks nor keeps checksums. */
  | { readonly type: "ignore-checksum" }
  /** Answers as it should, after this many milliseconds. */
  | { readonly type: "delay"; readonly delayMs: number };

/** A request as a test sees it. */
export interface S3Request {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly checksum: string | undefined;
}

/** What a test chooses. */
export interface FakeS3Options {
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly versioning?: "Enabled" | "Suspended";
}

/** A refusal with an error code. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;
  constructor(status: number, code: string, headers: Record<string, string> = {}) {
    super(code);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** A running server on a loopback port. Every answer names this machine's time plus {@link FakeS3Server.skewMs}. */
export class FakeS3Server {
  static readonly bucket = "bucket";
  static readonly region = "us-east-1";
  readonly objects = new Map<string, StoredObject>();
  /** Every request so far. */
  readonly requests: S3Request[] = [];
  /** Chooses a fault for each request; none by default. */
  faultOf: (request: S3Request) => Fault | undefined = () => undefined;
  /** Access keys that are known, each with the session token that it needs. */
  readonly accessKeys = new Map<string, string | undefined>([["key", undefined]]);
  /** How far this server's clock is ahead of the machine's. Requests more than 15 minutes from it are refused. */
  skewMs = 0;
  readonly #server: Server;
  readonly #options: FakeS3Options;
  readonly #waiting = new Set<() => void>();

  private constructor(options: FakeS3Options) {
    this.#options = options;
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => response.destroy());
    };
    this.#server = options.tls ? createTlsServer(options.tls, onRequest) : createServer(onRequest);
    this.#server.on("tlsClientError", () => {});
  }

  static async open(options: FakeS3Options = {}): Promise<FakeS3Server> {
    const fake = new FakeS3Server(options);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  /** The address that clients are given. */
  get endpoint(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return `${this.#options.tls ? "https" : "http"}://127.0.0.1:${address.port}`;
  }

  /** Applies `fault` to the first request that `isMeant` chooses, and to no other. */
  failOnce(fault: Fault, isMeant: (request: S3Request) => boolean = () => true): void {
    let isDone = false;
    this.faultOf = (request) => {
      if (isDone || !isMeant(request)) return undefined;
      isDone = true;
      return fault;
    };
  }

  /** Resolves when `count` requests have come. */
  async received(count: number): Promise<void> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = parsed(message);
    const fault = this.faultOf(request);
    this.#record(request);
    if (fault?.type === "reset-before") {
      message.socket.resetAndDestroy();
      return;
    }
    const body = await collected(message);
    if (fault?.type === "delay") await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    response.setHeader("date", new Date(Date.now() + this.skewMs).toUTCString());
    try {
      if (fault?.type === "error") throw new Refusal(fault.status, fault.code, fault.headers);
      this.#checkSignature(request, body);
      const answer = this.#serve(request, body, fault);
      if (fault?.type === "stall") return;
      if (fault?.type === "reset-after") message.socket.resetAndDestroy();
      else send(response, answer, fault);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
      const xml = `<Error><Code>${error.code}</Code><Message>${error.code} of the test</Message></Error>`;
      response.writeHead(error.status, { "content-type": "application/xml" });
      response.end(message.method === "HEAD" ? undefined : xml);
    }
  }

  #record(request: S3Request): void {
    this.requests.push(request);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #checkSignature({ headers, accessKeyId, sessionToken }: S3Request, body: Buffer): void {
    if (!this.accessKeys.has(accessKeyId)) throw new Refusal(403, "InvalidAccessKeyId");
    if (this.accessKeys.get(accessKeyId) !== sessionToken) throw new Refusal(400, "ExpiredToken");
    const [, region] = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers.authorization ?? "") ?? [];
    if (region !== FakeS3Server.region) {
      throw new Refusal(400, "AuthorizationHeaderMalformed", { "x-amz-bucket-region": FakeS3Server.region });
    }
    const [year, month, day, hour, minute, second] =
      (headers["x-amz-date"] as string).match(/\d\d(?:\d\d(?=\d{4}T))?/g) ?? [];
    const sentMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    if (Math.abs(sentMs - Date.now() - this.skewMs) > 900_000) throw new Refusal(403, "RequestTimeTooSkewed");
    const digest = headers["x-amz-content-sha256"];
    if (digest !== "UNSIGNED-PAYLOAD" && digest !== createHash("sha256").update(body).digest("hex")) {
      throw new Refusal(400, "XAmzContentSHA256Mismatch");
    }
  }

  #serve(request: S3Request, body: Buffer, fault: Fault | undefined): Answer {
    const { method, key, query } = request;
    if (key === "" && query.has("versioning")) return this.#versioning();
    if (key === "" && query.get("list-type") === "2") return this.#list(query);
    if (key === "" && method === "POST" && query.has("delete")) return this.#deleteMany(body.toString());
    if (method === "PUT") return this.#put(request, body, fault);
    if (method === "DELETE") {
      this.objects.delete(key);
      return { status: 204, headers: {}, body: Buffer.alloc(0) };
    }
    if (method === "GET" || method === "HEAD") return this.#get(request, fault);
    throw new Refusal(501, "NotImplemented");
  }

  #put({ key, headers }: S3Request, body: Buffer, fault: Fault | undefined): Answer {
    const checksum = headers["x-amz-checksum-crc32c"] as string | undefined;
    const isChecked = checksum !== undefined && fault?.type !== "ignore-checksum";
    if (isChecked && checksum !== checksumOf(body)) throw new Refusal(400, "BadDigest");
    const isRefused = headers["if-none-match"] === "*" && fault?.type !== "ignore-precondition";
    if (isRefused && this.objects.has(key)) throw new Refusal(412, "PreconditionFailed");
    this.objects.set(key, { bytes: body, checksum: isChecked ? checksum : undefined });
    return { status: 200, headers: {}, body: Buffer.alloc(0) };
  }

  #get({ key, headers }: S3Request, fault: Fault | undefined): Answer {
    const object = this.objects.get(key);
    if (object === undefined) throw new Refusal(404, "NoSuchKey");
    const { bytes, checksum } = object;
    const isTold = headers["x-amz-checksum-mode"] === "ENABLED" && checksum !== undefined;
    const told = isTold ? { "x-amz-checksum-crc32c": checksum, "x-amz-checksum-type": "FULL_OBJECT" } : {};
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    if (from === undefined || fault?.type === "ignore-range") return { status: 200, headers: told, body: bytes };
    if (Number(from) >= bytes.length) throw new Refusal(416, "InvalidRange");
    const end = Math.min(bytes.length, Number(to) + 1);
    const range = { "content-range": `bytes ${from}-${end - 1}/${bytes.length}` };
    return { status: 206, headers: range, body: bytes.subarray(Number(from), end) };
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("start-after") ?? "";
    const limit = Number(query.get("max-keys") ?? "1000");
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const rows = keys
      .slice(0, limit)
      .map((key) => `<Contents><Key>${key}</Key><Size>${this.objects.get(key)?.bytes.length}</Size></Contents>`);
    const xml = `<ListBucketResult><IsTruncated>${keys.length > limit}</IsTruncated>${rows.join("")}</ListBucketResult>`;
    return { status: 200, headers: {}, body: Buffer.from(xml) };
  }

  #deleteMany(xml: string): Answer {
    for (const [, key] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) this.objects.delete(key ?? "");
    return { status: 200, headers: {}, body: Buffer.from("<DeleteResult></DeleteResult>") };
  }

  #versioning(): Answer {
    const { versioning } = this.#options;
    const status = versioning === undefined ? "" : `<Status>${versioning}</Status>`;
    const xml = `<VersioningConfiguration>${status}</VersioningConfiguration>`;
    return { status: 200, headers: {}, body: Buffer.from(xml) };
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

function parsed(message: IncomingMessage): S3Request {
  const url = new URL(message.url ?? "/", "http://fake");
  const [, bucket = "", ...rest] = decodeURIComponent(url.pathname).split("/");
  const { headers, method = "" } = message;
  const [, accessKeyId = ""] = /Credential=([^/]+)\//.exec(headers.authorization ?? "") ?? [];
  const sessionToken = headers["x-amz-security-token"] as string | undefined;
  if (bucket !== FakeS3Server.bucket) throw new Error(`a request for another bucket: ${message.url}`);
  return { method, key: rest.join("/"), query: url.searchParams, headers, accessKeyId, sessionToken };
}

async function collected(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function checksumOf(bytes: Buffer): string {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32c(bytes));
  return checksum.toString("base64");
}

/** Sends an answer, or what a fault makes of it. */
function send(response: ServerResponse, { status, headers, body }: Answer, fault: Fault | undefined): void {
  if (fault?.type === "error-as-body") {
    const xml = "<Error><Code>InternalError</Code></Error>";
    response.writeHead(200, { "content-type": "application/xml", "content-length": xml.length }).end(xml);
    return;
  }
  response.writeHead(status, status === 204 ? headers : { ...headers, "content-length": body.length });
  if (fault?.type === "stall-body") response.write(body.subarray(0, fault.bytes));
  else if (fault?.type === "truncate") {
    response.write(body.subarray(0, fault.bytes), () => response.socket?.end());
  } else if (fault?.type === "damage") {
    const damaged = Buffer.from(body);
    damaged[0] = (damaged[0] ?? 0) ^ 1;
    response.end(damaged);
  } else response.end(response.req.method === "HEAD" ? undefined : body);
}
