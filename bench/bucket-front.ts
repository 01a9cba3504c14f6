// A TCP front before an S3 server that counts the requests of each kind as they pass, and may hold each put back for a
// while, as a store further away would. It reads the heads of requests and changes nothing.
import { connect, createServer, type Server, type Socket } from "node:net";

/** What a request does: puts by the kind of their object, everything else by its method. */
export type RequestKind =
  | "put WAL"
  | "put checkpoint"
  | "put segment"
  | "put other"
  | "get"
  | "head"
  | "list"
  | "delete";

/** One request that passed. */
export interface PassedRequest {
  readonly kind: RequestKind;
  readonly key: string;
  readonly bodyBytes: number;
  /** On this process's monotonic clock. */
  readonly atMs: number;
}

const HEAD_END = "\r\n\r\n";

/** A front on a loopback port of its own. */
export class BucketFront {
  /** Everything that passed, in order. */
  readonly requests: PassedRequest[] = [];
  /** Milliseconds for which the next put is held back before the server sees it. */
  putDelayMs: () => number = () => 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#join(client, connect(targetPort, "127.0.0.1")));
  }

  /** Opens a front to a server of this machine. */
  static async open(endpoint: string): Promise<BucketFront> {
    const front = new BucketFront(Number(new URL(endpoint).port));
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  /** The address that clients are given in place of the server's. */
  get endpoint(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  /** Requests by kind from one moment to another. */
  count(span: { readonly fromMs: number; readonly toMs: number }): ReadonlyMap<RequestKind, number> {
    const counts = new Map<RequestKind, number>();
    for (const { kind, atMs } of this.requests) {
      if (atMs >= span.fromMs && atMs < span.toMs) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    return counts;
  }

  /** Cuts every connection and takes no more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, target: Socket): void {
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    target.pipe(client);
    this.#follow(client, target).catch(() => client.destroy());
  }

  /** Forwards what a client sends, request by request: its next one waits until this one is on its way. */
  async #follow(client: Socket, target: Socket): Promise<void> {
    let head: Buffer = Buffer.alloc(0);
    let bodyLeft = 0;
    for await (const piece of client as AsyncIterable<Buffer>) {
      let rest = piece;
      while (rest.length > 0) {
        if (bodyLeft === 0) {
          head = head.length === 0 ? rest : Buffer.concat([head, rest]);
          const end = head.indexOf(HEAD_END);
          if (end < 0) break;
          bodyLeft = await this.#admit(head.toString("latin1", 0, end));
          await write(target, head.subarray(0, end + HEAD_END.length));
          rest = head.subarray(end + HEAD_END.length);
          head = Buffer.alloc(0);
          continue;
        }
        const body = rest.subarray(0, bodyLeft);
        bodyLeft -= body.length;
        await write(target, body);
        rest = rest.subarray(body.length);
      }
    }
    target.end();
  }

  /** Notes a request by its head, and gives the bytes of its body when it may pass. */
  async #admit(head: string): Promise<number> {
    const [method = "", target = ""] = head.slice(0, head.indexOf("\r\n")).split(" ");
    const bodyBytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const kind = kindOf(method, target);
    const key = decodeURIComponent(target.split("?")[0] ?? "").replace(/^\/[^/]*\//, "");
    this.requests.push({ kind, key, bodyBytes, atMs: performance.now() });
    const delayMs = method === "PUT" ? this.putDelayMs() : 0;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return bodyBytes;
  }
}

function kindOf(method: string, target: string): RequestKind {
  if (method === "PUT") {
    if (target.includes("/wal/")) return "put WAL";
    if (target.includes("/ckpt/")) return "put checkpoint";
    return target.includes("/segment-") || target.includes("/grp/") ? "put segment" : "put other";
  }
  if (method === "GET") return target.includes("list-type=2") ? "list" : "get";
  return method === "HEAD" ? "head" : "delete";
}

function write(target: Socket, bytes: Buffer): Promise<void> | undefined {
  if (target.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      target.off("drain", done);
      target.off("close", done);
      resolve();
    };
    target.on("drain", done);
    target.on("close", done);
  });
}

/** Delays whose logarithms are spread normally, as a store's are, from their middle and their 99th hundredth. */
export function longTailedMs(p50: number, p99: number): () => number {
  const spread = Math.log(p99 / p50) / 2.326;
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
    return p50 * Math.exp(spread * normal);
  };
}
